import type Database from 'better-sqlite3';
import { UnavailableError } from '../base/errors.ts';
import { MiB } from '../base/limits.ts';
import { createDamageReport, damageIn, openDamageTable, type ReportDamage } from './damage.ts';
import { makeDirectory, openForWriting } from './database.ts';
import { DiskGuard } from './disk-guard.ts';
import { acquireInstanceLock, type InstanceLock } from './instance-lock.ts';
import { Maintenance, type Space } from './maintenance.ts';
import type { LogRecord } from './record.ts';
import { insertRecord, toRecordRow } from './records.ts';
import { salvage, setAside } from './salvage.ts';
import { openSegmentTable, type SegmentTable } from './segments.ts';
import { LOG_DEFAULTS, type SpanLogSettings } from './settings.ts';

export interface MaintainArguments {
  /** Records below it belong to closed traces: they may be merged and removed. */
  readonly horizonOffset: number;
  /** Wall clock in microseconds, for retention by age. */
  readonly nowUs: number;
}

export interface SpanLogStats extends Space {
  /** Records not merged yet. */
  readonly pendingRecords: number;
  readonly segments: number;
  /** True from a full disk until retention has made room. */
  readonly isFull: boolean;
  /** True while removed spans may still be found in the write-ahead file. */
  readonly eraseDue: boolean;
  readonly isPurging: boolean;
}

/**
 * The durable span log, and the store of traces: records come in, are on disk when `append` returns, are merged into
 * segments in the background and removed when they are too old or too many. It never decides what a span means.
 */
export interface SpanLog {
  /**
   * Writes all records in one transaction, durable on return. Throws UnavailableError: `disk-full` when there is no
   * room (nothing was written; `maintain` makes room), `store-failed` when the disk failed (this handle accepts nothing
   * more: open the log again) or another program holds the file.
   */
  append(records: readonly LogRecord[]): void;
  /** Offset that the next record must have or exceed. */
  nextOffset(): number;
  /**
   * One bounded step of merging or retention, a few milliseconds; true when there is more to do: call it again as soon
   * as no append is waiting. Throws UnavailableError `store-failed` as `append` does.
   */
  maintain(args: MaintainArguments): boolean;
  /** Exempts traces (32 hex digits) from retention: the evidence of findings. Durable on return. */
  pin(traceIds: readonly string[]): void;
  unpin(traceIds: readonly string[]): void;
  /**
   * Removes traces for good, pinned or not, step by step in `maintain`; over when `stats().isPurging` is false. Spans
   * that arrive later are not affected. The request is durable on return.
   */
  purge(traceIds: readonly string[]): void;
  stats(): SpanLogStats;
  close(): void;
}

/**
 * Opens or creates the log in `directory`; one writer at a time. A database that is damaged itself is set aside and
 * what can be read of it goes into a new one, which is reported as damage. Throws LogOpenError.
 */
export function openSpanLog(directory: string, settings: SpanLogSettings = {}): SpanLog {
  makeDirectory(directory);
  const lock = acquireInstanceLock(directory);
  try {
    return openOrSalvage(directory, lock, settings);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openOrSalvage(directory: string, lock: InstanceLock, settings: SpanLogSettings): SpanLog {
  const busyTimeoutMs = settings.busyTimeoutMs ?? LOG_DEFAULTS.busyTimeoutMs;
  const report = createDamageReport(settings);
  let database: Database.Database | undefined;
  try {
    database = openForWriting(directory, busyTimeoutMs);
    return new SqliteSpanLog(directory, database, lock, report, settings);
  } catch (error) {
    database?.close();
    const reason = damageIn(error);
    if (reason === undefined) throw error;
    const damaged = setAside(directory);
    const fresh = openForWriting(directory, busyTimeoutMs);
    salvage(damaged, fresh, report, reason);
    return new SqliteSpanLog(directory, fresh, lock, report, settings);
  }
}

/** Bytes after which `append` makes the checkpoint that `maintain` did not come round to. */
const UNWRITTEN_BYTES_MAX = 128 * MiB;

class SqliteSpanLog implements SpanLog {
  readonly #database: Database.Database;
  readonly #lock: InstanceLock;
  readonly #report: ReportDamage;
  readonly #guard: DiskGuard;
  readonly #segments: SegmentTable;
  readonly #maintenance: Maintenance;
  readonly #insert: Database.Statement;
  #nextOffset: number;
  #failure: string | undefined;
  #maintenanceFailed = false;

  constructor(
    directory: string,
    database: Database.Database,
    lock: InstanceLock,
    report: ReportDamage,
    settings: SpanLogSettings,
  ) {
    if (settings.pagesMax !== undefined) database.pragma(`max_page_count = ${settings.pagesMax}`);
    this.#database = database;
    this.#lock = lock;
    this.#report = report;
    this.#guard = new DiskGuard(directory, settings);
    this.#segments = openSegmentTable(database);
    const damage = openDamageTable(database, report);
    this.#maintenance = new Maintenance(database, this.#segments, damage, this.#guard, settings);
    this.#insert = insertRecord(database);
    this.#nextOffset = storedNextOffset(database);
    const { nextOffsetAtLeast = 0 } = settings;
    if (nextOffsetAtLeast > this.#nextOffset) {
      // SQLite takes a damaged write-ahead file for one that ends there
      report({
        what: 'record',
        id: this.#nextOffset,
        reason: `records ${this.#nextOffset} to ${nextOffsetAtLeast - 1} are gone without a trace`,
      });
      this.#nextOffset = nextOffsetAtLeast;
    }
    if (!this.#guard.hasReserve()) this.#guarded(() => this.#guard.restoreReserve());
  }

  append(records: readonly LogRecord[]): void {
    this.#refuseIfFailed();
    if (this.#guard.mustRefuse(this.#maintenance.space().reusableBytes)) {
      throw new UnavailableError('disk-full', 'too little of the disk is free to accept spans');
    }
    let next = this.#nextOffset;
    for (const { offset } of records) {
      if (offset < next) throw new Error(`record ${offset} where ${next} or more was due`);
      next = offset + 1;
    }
    const rows = records.map(toRecordRow);
    this.#write(() => {
      for (const row of rows) this.#insert.run(row);
    });
    this.#nextOffset = next;
    for (const { offset, spanCount, receivedUs } of records) {
      this.#maintenance.merger.add({ offset, spanCount, receivedUs });
    }
    for (const row of rows) this.#maintenance.wrote(row.body.length + row.trace_keys.length);
    if (this.#maintenance.unwrittenBytes >= UNWRITTEN_BYTES_MAX) this.#guarded(() => this.#maintenance.checkpoint());
  }

  nextOffset(): number {
    return this.#nextOffset;
  }

  maintain({ horizonOffset, nowUs }: MaintainArguments): boolean {
    this.#refuseIfFailed();
    if (this.#maintenanceFailed) return false;
    try {
      return this.#guarded(() => this.#stepUnlessDamaged(horizonOffset, nowUs));
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      this.#refuseIfFailed();
      // full or locked: nothing is lost, the next call tries again
      return false;
    }
  }

  /** Appends go to the end of the file and may well still work when an old page is damaged; merging would meet it again. */
  #stepUnlessDamaged(horizonOffset: number, nowUs: number): boolean {
    try {
      return this.#maintenance.step(horizonOffset, nowUs);
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#maintenanceFailed = true;
      this.#report({ what: 'database', id: 0, reason });
      return false;
    }
  }

  #refuseIfFailed(): void {
    if (this.#failure !== undefined) throw new UnavailableError('store-failed', this.#failure);
  }

  #write(statements: () => void): void {
    this.#guarded(() => this.#database.transaction(statements).immediate());
  }

  /** Turns what SQLite says of the disk into what senders are told. */
  #guarded<T>(use: () => T): T {
    try {
      return use();
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      // EIO: the reserve file or the folder could not be synced, by us rather than by SQLite; the disk is the same
      if (typeof code !== 'string' || !(code.startsWith('SQLITE_') || code === 'EIO')) throw error;
      if (code === 'SQLITE_FULL') {
        this.#maintenance.isFull = true;
        this.#guard.releaseReserve();
        throw new UnavailableError('disk-full', 'the disk of the span log is full');
      }
      if (code.startsWith('SQLITE_BUSY')) {
        throw new UnavailableError('store-failed', `the span log is locked: ${message}`);
      }
      // after a failed fsync nothing is known of earlier pages either: only opening the file anew can tell
      this.#failure = `the span log cannot be written: ${code}: ${message}`;
      throw new UnavailableError('store-failed', this.#failure);
    }
  }

  pin(traceIds: readonly string[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO pin (trace_id) VALUES (?)');
    this.#write(() => {
      for (const traceId of traceIds) insert.run(Buffer.from(traceId, 'hex'));
    });
  }

  unpin(traceIds: readonly string[]): void {
    const remove = this.#database.prepare('DELETE FROM pin WHERE trace_id = ?');
    this.#write(() => {
      for (const traceId of traceIds) remove.run(Buffer.from(traceId, 'hex'));
      this.#segments.unmarkPinned();
    });
  }

  purge(traceIds: readonly string[]): void {
    // a half-built segment would bring them back
    this.#maintenance.merger.abandon();
    this.#write(() => this.#maintenance.purge.request(traceIds));
  }

  stats(): SpanLogStats {
    return {
      ...this.#maintenance.space(),
      pendingRecords: this.#maintenance.merger.pendingRecords,
      segments: this.#segments.count(),
      isFull: this.#maintenance.isFull,
      eraseDue: this.#maintenance.eraseDue,
      isPurging: this.#maintenance.purge.isPending,
    };
  }

  close(): void {
    this.#database.close();
    this.#lock.release();
  }
}

function storedNextOffset(database: Database.Database): number {
  const last = database.prepare('SELECT max(offset) FROM record').pluck().get() as number | null;
  const kept = database.prepare("SELECT value FROM meta WHERE name = 'next_offset'").pluck().get() as
    | number
    | undefined;
  return Math.max(kept ?? 0, (last ?? -1) + 1);
}
