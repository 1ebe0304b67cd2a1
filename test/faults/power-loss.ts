import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from '../support/random.ts';
import { repoRoot } from '../support/repo-root.ts';

/**
 * Replays what `power-loss.c` wrote down, up to any record, and gives the files that a power cut at that moment may
 * leave: all that was synced, and of the rest each write whole, not at all, or torn at a sector.
 *
 * Model: metadata (create, unlink, rename, truncate) is journalled in order and durable with any later sync in the
 * folder, as ext4 and xfs do; data is not ordered at all.
 */

const Kind = {
  open: 1,
  write: 2,
  truncate: 3,
  syncBegin: 4,
  syncEnd: 5,
  unlink: 6,
  rename: 7,
  mkdir: 8,
  blind: 9,
  ack: 10,
};
const HEAD_BYTES = 24;
const SECTOR_BYTES = 512;

interface LogRecord {
  readonly kind: number;
  readonly flag: number;
  readonly path: string;
  /** One open file: process and its handle. */
  readonly handle: string;
  readonly offset: number;
  readonly data: Buffer;
}

/** Compiles the recorder into `folder`; the reason why not when there is no compiler. */
export function buildRecorder(folder: string): { readonly library: string } | { readonly missing: string } {
  const library = join(folder, 'power-loss.so');
  const source = join(repoRoot, 'test', 'faults', 'power-loss.c');
  const built = spawnSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-pthread'], {
    encoding: 'utf8',
  });
  if (built.error !== undefined) return { missing: `gcc cannot be started: ${built.error.message}` };
  return built.status === 0 ? { library } : { missing: `gcc failed: ${built.stderr}` };
}

/** Environment for the process whose files under `folder` are to be recorded into `log`. */
export function recording(library: string, folder: string, log: string): Record<string, string> {
  return { LD_PRELOAD: library, POWER_LOSS_FOLDER: folder, POWER_LOSS_LOG: log, UV_USE_IO_URING: '0' };
}

/** Appends acknowledgements to the record: what was said to be durable before a cut must survive it. */
export class AckLog {
  readonly #fd: number;
  constructor(log: string) {
    this.#fd = openSync(log, 'a', 0o600);
  }
  append(text: string): void {
    const data = Buffer.from(text);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32LE(data.length, 0);
    head[4] = Kind.ack;
    writeSync(this.#fd, Buffer.concat([head, data]));
  }
  close(): void {
    closeSync(this.#fd);
  }
}

export function readRecords(log: string): LogRecord[] {
  const bytes = readFileSync(log);
  const records: LogRecord[] = [];
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    const pathLength = bytes.readUInt16LE(at + 6);
    const body = at + HEAD_BYTES;
    if (body + length > bytes.length) break;
    records.push({
      kind: bytes[at + 4]!,
      flag: bytes[at + 5]!,
      path: bytes.toString('utf8', body, body + pathLength),
      handle: `${bytes.readUInt32LE(at + 8)}:${bytes.readUInt32LE(at + 12)}`,
      offset: Number(bytes.readBigUInt64LE(at + 16)),
      data: bytes.subarray(body + pathLength, body + length),
    });
    at = body + length;
  }
  return records;
}

type FileOp =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly size: number; readonly change: number };

/** Contents of one file: what is durable, and what the kernel may still hold. */
class ReplayFile {
  #bytes = Buffer.alloc(0);
  #length = 0;
  pending: FileOp[] = [];
  /** Operations that are durable already, counted from the file's birth. */
  settled = 0;

  apply(op: FileOp): void {
    if (op.kind === 'truncate') this.resize(op.size);
    else this.write(op.offset, op.data);
  }

  write(offset: number, data: Buffer): void {
    if (offset + data.length > this.#length) this.resize(offset + data.length);
    data.copy(this.#bytes, offset);
  }

  resize(size: number): void {
    if (size > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(size, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    if (size < this.#length) this.#bytes.fill(0, size, this.#length);
    this.#length = size;
  }

  /** The first `count` operations ever made are on disk now. */
  settle(count: number): void {
    while (this.settled < count && this.pending.length > 0) {
      this.apply(this.pending.shift()!);
      this.settled++;
    }
  }

  copy(): ReplayFile {
    const twin = new ReplayFile();
    twin.#bytes = Buffer.from(this.#bytes.subarray(0, this.#length));
    twin.#length = this.#length;
    return twin;
  }

  content(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

type NameChange =
  | { readonly kind: 'create'; readonly path: string; readonly file: ReplayFile }
  | { readonly kind: 'unlink'; readonly path: string }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'truncate' };

function change(names: Map<string, ReplayFile>, step: NameChange): void {
  if (step.kind === 'create') names.set(step.path, step.file);
  if (step.kind === 'unlink') names.delete(step.path);
  if (step.kind === 'rename') {
    const file = names.get(step.path);
    if (file !== undefined) names.set(step.to, file);
    names.delete(step.path);
  }
}

/** The folder as the process saw it, and as the disk has it; fed with records in order. */
export class ReplayDisk {
  readonly #seen = new Map<string, ReplayFile>();
  readonly #durable = new Map<string, ReplayFile>();
  readonly #open = new Map<string, ReplayFile>();
  readonly #syncs = new Map<string, { operations: number; changes: number }>();
  #changes: NameChange[] = [];
  /** Name changes that are durable already, counted from the start. */
  #settledChanges = 0;
  readonly acks: string[] = [];

  feed(record: LogRecord): void {
    const { kind, path, handle } = record;
    if (kind === Kind.ack) this.acks.push(record.data.toString());
    else if (kind === Kind.blind) throw new Error(`cannot be replayed: ${path}`);
    else if (kind === Kind.open) this.#opened(record);
    else if (kind === Kind.write)
      this.#file(handle).pending.push({ kind: 'write', offset: record.offset, data: record.data });
    else if (kind === Kind.truncate) this.#truncated(this.#file(handle), record.offset);
    else if (kind === Kind.unlink) this.#change({ kind: 'unlink', path });
    else if (kind === Kind.rename) this.#change({ kind: 'rename', path, to: record.data.toString() });
    else if (kind === Kind.syncBegin) {
      const file = this.#file(handle);
      this.#syncs.set(handle, {
        operations: file.settled + file.pending.length,
        changes: this.#settledChanges + this.#changes.length,
      });
    } else if (kind === Kind.syncEnd) this.#synced(handle);
  }

  /** Writes into `folder` what one power cut, now, leaves behind. */
  cut(folder: string, random: Random): void {
    const names = new Map(this.#durable);
    const survivingChanges = this.#settledChanges + random.below(this.#changes.length + 1);
    this.#changes.slice(0, survivingChanges - this.#settledChanges).forEach((step) => {
      change(names, step);
    });
    // Half of the cuts treat every write on its own; the others lose, or keep, all that was not synced.
    const fate = random.below(4);
    for (const [path, file] of names) {
      const left = file.copy();
      for (const op of file.pending) {
        if (op.kind === 'truncate') {
          if (op.change < survivingChanges) left.apply(op);
        } else if (fate === 0) left.apply(op);
        else if (fate > 1) surviveWrite(left, op.offset, op.data, random);
      }
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, left.content(), { mode: 0o600 });
    }
  }

  #file(handle: string): ReplayFile {
    const file = this.#open.get(handle);
    if (file === undefined) throw new Error(`record of a file that was never opened: ${handle}`);
    return file;
  }

  #opened({ handle, path, flag }: LogRecord): void {
    let file = this.#seen.get(path);
    if (file === undefined) {
      file = new ReplayFile();
      // What existed unseen is a directory: only synced, never written.
      if ((flag & 1) !== 0) this.#change({ kind: 'create', path, file });
    }
    this.#open.set(handle, file);
    if ((flag & 2) !== 0) this.#truncated(file, 0);
  }

  #truncated(file: ReplayFile, size: number): void {
    file.pending.push({ kind: 'truncate', size, change: this.#settledChanges + this.#changes.length });
    this.#change({ kind: 'truncate' });
  }

  #change(step: NameChange): void {
    change(this.#seen, step);
    this.#changes.push(step);
  }

  #synced(handle: string): void {
    const begun = this.#syncs.get(handle);
    if (begun === undefined) throw new Error('a sync ended that never began');
    this.#file(handle).settle(begun.operations);
    for (; this.#settledChanges < begun.changes; this.#settledChanges++) change(this.#durable, this.#changes.shift()!);
  }
}

/** One un-synced write: whole, not at all, a prefix of its sectors, or any of them. */
function surviveWrite(file: ReplayFile, offset: number, data: Buffer, random: Random): void {
  const fate = random.below(10);
  if (fate < 4) return;
  if (fate < 7) {
    file.write(offset, data);
    return;
  }
  const first = Math.floor(offset / SECTOR_BYTES);
  const last = Math.floor((offset + data.length - 1) / SECTOR_BYTES);
  const until = first + random.below(last - first + 2);
  for (let sector = first; sector <= last; sector++) {
    if (fate < 9 ? sector >= until : random.below(2) === 0) continue;
    const from = Math.max(sector * SECTOR_BYTES, offset);
    const to = Math.min((sector + 1) * SECTOR_BYTES, offset + data.length);
    file.write(from, data.subarray(from - offset, to - offset));
  }
}

/** Cuts at `count` random records behind the first acknowledgement, in order; `check` sees each resulting folder. */
export async function cutAndCheck(
  records: readonly LogRecord[],
  count: number,
  random: Random,
  newFolder: (cut: number) => string,
  check: (folder: string, acks: readonly string[], cut: number) => void | Promise<void>,
): Promise<void> {
  const first = records.findIndex((record) => record.kind === Kind.ack);
  if (first < 0) throw new Error('nothing was acknowledged: the record proves nothing');
  const at = Array.from({ length: count }, () => first + 1 + random.below(records.length - first));
  at.sort((a, b) => a - b);
  const disk = new ReplayDisk();
  let fed = 0;
  for (const [cut, position] of at.entries()) {
    while (fed < position && fed < records.length) disk.feed(records[fed++]!);
    const folder = newFolder(cut);
    disk.cut(folder, random);
    await check(folder, disk.acks, cut);
  }
}
