import type Database from 'better-sqlite3';
import { UnavailableError } from '../base/errors.ts';
import { MiB } from '../base/limits.ts';
import { createDamageReport, damageIn, openDamageTable, type ReportDamage } from './damage.ts';
import { makeDirectory, openForWriting } from './database.ts';
import { DiskGuard } from './disk-guard.ts';
import { acquireInstanceLock, type InstanceLock } from './instance-lock.ts';
import { Merger } from './merger.ts';
import { Purge } from './purge.ts';
import type { LogRecord } from './record.ts';
import { insertRecord, toRecordRow } from './records.ts';
import { Retention } from './retention.ts';
import { RetentionClock } from './retention-clock.ts';
import { salvage, setAside } from './salvage.ts';
import { openSegmentTable, type SegmentRow, type SegmentTable } from './segments.ts';
import { LOG_DEFAULTS, type SpanLogSettings } from './settings.ts';

export interface MaintainArguments {
  /** Records below it belong to closed traces: they may be merged and removed. */
  readonly horizonOffset: number;
  /** Wall clock in microseconds, for retention by age. */
  readonly nowUs: number;
}

export interface SpanLogStats {
  /** Records not merged yet. */
  readonly pendingRecords: number;
  readonly segments: number;
  /** Bytes of the file that hold something, and that the next appends can use again. */
  readonly usedBytes: number;
  readonly reusableBytes: number;
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
   * room (nothing was written; go on with `maintain`), `store-failed` when the disk failed (this handle accepts nothing
   * more: open the log again).
   */
  append(records: readonly LogRecord[]): void;
  /** Offset that the next record must have or exceed. */
  nextOffset(): number;
  /**
   * One bounded step of merging or retention, a few milliseconds; true when there is more to do. Throws
   * UnavailableError as `append` does.
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

/** Opens or creates the log in `directory`; one writer at a time. Throws LogOpenError. */
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

const DAY_US = 86_400_000_000;
/** Removed spans are erased from the write-ahead file at most this often: it costs a whole checkpoint. */
const ERASE_EVERY_US = 60_000_000;
/** Bytes written since the last checkpoint after which `maintain` makes one; small ones keep each wait short. */
const CHECKPOINT_BYTES = 8 * MiB;
/** Bytes after which `append` does not wait for `maintain` any longer. */
const CHECKPOINT_BYTES_MAX = 128 * MiB;

class SqliteSpanLog implements SpanLog {
  readonly #database: Database.Database;
  readonly #lock: InstanceLock;
  readonly #report: ReportDamage;
  readonly #guard: DiskGuard;
  readonly #segments: SegmentTable;
  readonly #merger: Merger;
  readonly #retention: Retention;
  readonly #purge: Purge;
  readonly #clock: RetentionClock;
  readonly #insert: Database.Statement;
  readonly #pages: Database.Statement;
  readonly #pageBytes: number;
  readonly #retentionUs: number;
  readonly #maxBytes: number;
  readonly #roomBytes: number;
  readonly #busyTimeoutMs: number;
  #nextOffset: number;
  #failure: string | undefined;
  #isFull = false;
  #eraseDue = false;
  #erasedUs = 0;
  #maintenanceFailed = false;
  #unwrittenBytes = 0;

  constructor(
    directory: string,
    database: Database.Database,
    lock: InstanceLock,
    report: ReportDamage,
    settings: SpanLogSettings,
  ) {
    const segmentSpans = settings.segmentSpans ?? LOG_DEFAULTS.segmentSpans;
    this.#database = database;
    this.#lock = lock;
    this.#report = report;
    this.#guard = new DiskGuard(directory, settings);
    this.#segments = openSegmentTable(database);
    const damage = openDamageTable(database, this.#report);
    this.#merger = new Merger(database, this.#segments, damage, segmentSpans);
    this.#retention = new Retention(database, this.#segments, damage, segmentSpans);
    this.#purge = new Purge(database, this.#segments, this.#retention);
    this.#clock = new RetentionClock(settings.steadyUs);
    this.#insert = insertRecord(database);
    this.#pages = database.prepare(
      'SELECT page_count AS used, freelist_count AS free FROM pragma_page_count, pragma_freelist_count',
    );
    this.#pageBytes = database.pragma('page_size', { simple: true }) as number;
    if (settings.pagesMax !== undefined) database.pragma(`max_page_count = ${settings.pagesMax}`);
    this.#retentionUs = (settings.retentionDays ?? LOG_DEFAULTS.retentionDays) * DAY_US;
    this.#maxBytes = settings.maxBytes ?? LOG_DEFAULTS.maxBytes;
    this.#roomBytes = settings.reserveBytes ?? LOG_DEFAULTS.reserveBytes;
    this.#busyTimeoutMs = settings.busyTimeoutMs ?? LOG_DEFAULTS.busyTimeoutMs;
    const last = database.prepare('SELECT max(offset) FROM record').pluck().get() as number | null;
    const kept = database.prepare("SELECT value FROM meta WHERE name = 'next_offset'").pluck().get() as
      | number
      | undefined;
    this.#nextOffset = Math.max(settings.nextOffsetAtLeast ?? 0, kept ?? 0, (last ?? -1) + 1);
    if (!this.#guard.hasReserve()) this.#guard.restoreReserve();
  }

  append(records: readonly LogRecord[]): void {
    if (this.#failure !== undefined) throw new UnavailableError('store-failed', this.#failure);
    if (this.#guard.mustRefuse(this.#space().reusableBytes)) {
      throw new UnavailableError('disk-full', 'too little of the disk is free to accept spans');
    }
    let next = this.#nextOffset;
    for (const { offset } of records) {
      if (offset < next) throw new Error(`record ${offset} where ${next} or more was due`);
      next = offset + 1;
    }
    const rows = records.map(toRecordRow);
    this.#guarded(() => {
      this.#database.transaction(() => {
        for (const row of rows) this.#insert.run(row);
      })();
    });
    this.#nextOffset = next;
    for (const row of rows) this.#unwrittenBytes += row.body.length + row.trace_keys.length;
    if (this.#unwrittenBytes >= CHECKPOINT_BYTES_MAX) this.#guarded(() => this.#checkpoint());
    for (const { offset, spanCount, receivedUs } of records) this.#merger.add({ offset, spanCount, receivedUs });
  }

  nextOffset(): number {
    return this.#nextOffset;
  }

  maintain({ horizonOffset, nowUs }: MaintainArguments): boolean {
    if (this.#failure !== undefined) throw new UnavailableError('store-failed', this.#failure);
    if (this.#maintenanceFailed) return false;
    try {
      return this.#guarded(() => this.#stepAround(horizonOffset, nowUs));
    } catch (error) {
      // retention is next, and the reserve has made room for it
      if (error instanceof UnavailableError && error.code === 'disk-full') return this.#segments.oldest() !== undefined;
      throw error;
    }
  }

  /** Appends go to the end of the file and may well still work when an old page is damaged; merging would only meet it again. */
  #stepAround(horizonOffset: number, nowUs: number): boolean {
    try {
      return this.#step(horizonOffset, nowUs, this.#clock.advance(nowUs));
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#maintenanceFailed = true;
      this.#report({ what: 'database', id: 0, reason });
      return false;
    }
  }

  #step(horizonOffset: number, nowUs: number, retentionUs: number): boolean {
    if (this.#purge.isPending) return this.#stepPurge(nowUs);
    const oldest = this.#segments.oldest();
    if (oldest !== undefined && this.#isTooMuch(oldest.lastReceivedUs, retentionUs)) {
      this.#remove(oldest, nowUs);
      return true;
    }
    // what is too old but too little for a segment is merged now, so that there is one way of removing
    const waiting = this.#merger.oldest;
    const force = oldest === undefined && waiting !== undefined && this.#isTooMuch(waiting.receivedUs, retentionUs);
    if (this.#unwrittenBytes >= CHECKPOINT_BYTES) {
      this.#checkpoint();
      return true;
    }
    const merged = this.#merger.step(horizonOffset, nowUs, force);
    this.#unwrittenBytes += merged ?? 0;
    if (merged !== undefined) return true;
    if (this.#retention.joinPinned(nowUs)) return true;
    if (this.#eraseDue && nowUs - this.#erasedUs >= ERASE_EVERY_US) {
      this.#erasedUs = nowUs;
      this.#eraseDue = !this.#erase();
    }
    return false;
  }

  /** A purge is over when nothing of it is left in the write-ahead file; a reader in the way is waited for. */
  #stepPurge(nowUs: number): boolean {
    if (!this.#purge.hasPassed) {
      this.#purge.step(nowUs);
      return true;
    }
    if (!this.#erase()) return false;
    this.#eraseDue = false;
    this.#purge.finish();
    return true;
  }

  #isTooMuch(receivedUs: number, nowUs: number): boolean {
    const { usedBytes, reusableBytes } = this.#space();
    return (
      this.#isFull ||
      receivedUs < nowUs - this.#retentionUs ||
      usedBytes > this.#maxBytes ||
      this.#guard.mustRetain(reusableBytes)
    );
  }

  #remove(oldest: SegmentRow, nowUs: number): void {
    this.#retention.removeSegment(oldest, nowUs);
    this.#eraseDue = true;
    if (this.#isFull && this.#space().reusableBytes >= this.#roomBytes) {
      this.#isFull = false;
      this.#guard.restoreReserve();
    }
  }

  /** Brings the write-ahead file over into the database, as far as readers allow. */
  #checkpoint(): void {
    this.#unwrittenBytes = 0;
    this.#database.pragma('wal_checkpoint(PASSIVE)');
  }

  /** Empties the write-ahead file, which still holds what was removed; false while a reader is in its way. */
  #erase(): boolean {
    // appends must not wait for that reader
    this.#database.pragma('busy_timeout = 0');
    try {
      const [result] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      return result?.busy === 0;
    } finally {
      this.#database.pragma(`busy_timeout = ${this.#busyTimeoutMs}`);
    }
  }

  #space(): { usedBytes: number; reusableBytes: number } {
    const { used, free } = this.#pages.get() as { used: number; free: number };
    return { usedBytes: (used - free) * this.#pageBytes, reusableBytes: free * this.#pageBytes };
  }

  /** Runs a write; turns what SQLite says of the disk into what senders are told. */
  #guarded<T>(write: () => T): T {
    try {
      return write();
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      if (typeof code !== 'string' || !code.startsWith('SQLITE_')) throw error;
      if (code === 'SQLITE_FULL') {
        this.#isFull = true;
        this.#guard.releaseReserve();
        throw new UnavailableError('disk-full', 'the disk of the span log is full');
      }
      if (code.startsWith('SQLITE_BUSY'))
        throw new UnavailableError('store-failed', `the span log is locked: ${message}`);
      // after a failed fsync nothing is known of earlier pages either: only opening the file anew can tell
      this.#failure = `the span log cannot be written: ${code}: ${message}`;
      throw new UnavailableError('store-failed', this.#failure);
    }
  }

  pin(traceIds: readonly string[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO pin (trace_id) VALUES (?)');
    this.#guarded(() => {
      this.#database.transaction(() => {
        for (const traceId of traceIds) insert.run(Buffer.from(traceId, 'hex'));
      })();
    });
  }

  unpin(traceIds: readonly string[]): void {
    const remove = this.#database.prepare('DELETE FROM pin WHERE trace_id = ?');
    this.#guarded(() => {
      this.#database.transaction(() => {
        for (const traceId of traceIds) remove.run(Buffer.from(traceId, 'hex'));
        this.#segments.unmarkPinned();
      })();
    });
  }

  purge(traceIds: readonly string[]): void {
    this.#merger.abandon();
    this.#guarded(() => this.#purge.request(traceIds));
  }

  stats(): SpanLogStats {
    return {
      pendingRecords: this.#merger.pendingRecords,
      segments: this.#segments.count(),
      ...this.#space(),
      isFull: this.#isFull,
      eraseDue: this.#eraseDue,
      isPurging: this.#purge.isPending,
    };
  }

  close(): void {
    this.#database.close();
    this.#lock.release();
  }
}
