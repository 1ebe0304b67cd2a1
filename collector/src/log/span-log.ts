import type Database from 'better-sqlite3';
import { UnavailableError } from '../base/errors.ts';
import { makeDirectory, openForWriting } from './database.ts';
import { acquireInstanceLock, type InstanceLock } from './instance-lock.ts';
import type { LogRecord } from './record.ts';
import { insertRecord, toRecordRow } from './records.ts';
import { LOG_DEFAULTS, type SpanLogSettings } from './settings.ts';

export interface MaintainArguments {
  /** Records below it belong to closed traces: they may be merged and removed. */
  readonly horizonOffset: number;
  /** Wall clock in microseconds, for retention by age. */
  readonly nowUs: number;
}

export interface SpanLogStats {
  readonly records: number;
  readonly segments: number;
  readonly bytes: number;
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
  /** One bounded step of merging or retention, a few milliseconds; true when there is more to do. */
  maintain(args: MaintainArguments): boolean;
  stats(): SpanLogStats;
  close(): void;
}

/** Opens or creates the log in `directory`; one writer at a time. Throws LogOpenError. */
export function openSpanLog(directory: string, settings: SpanLogSettings = {}): SpanLog {
  makeDirectory(directory);
  const lock = acquireInstanceLock(directory);
  try {
    const database = openForWriting(directory, settings.busyTimeoutMs ?? LOG_DEFAULTS.busyTimeoutMs);
    return new SqliteSpanLog(database, lock, settings);
  } catch (error) {
    lock.release();
    throw error;
  }
}

class SqliteSpanLog implements SpanLog {
  readonly #database: Database.Database;
  readonly #lock: InstanceLock;
  readonly #insert: Database.Statement;
  #nextOffset: number;
  #failure: string | undefined;

  constructor(database: Database.Database, lock: InstanceLock, settings: SpanLogSettings) {
    this.#database = database;
    this.#lock = lock;
    this.#insert = insertRecord(database);
    const known = database.prepare('SELECT max(offset) AS last FROM record').get() as { last: number | null };
    this.#nextOffset = Math.max(settings.nextOffsetAtLeast ?? 0, (known.last ?? -1) + 1);
  }

  append(records: readonly LogRecord[]): void {
    if (this.#failure !== undefined) throw new UnavailableError('store-failed', this.#failure);
    const rows = records.map(toRecordRow);
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const row of rows) this.#insert.run(row);
      this.#database.exec('COMMIT');
    } catch (error) {
      throw this.#toUnavailable(error);
    }
    const last = records.at(-1);
    if (last !== undefined) this.#nextOffset = last.offset + 1;
  }

  #toUnavailable(error: unknown): Error {
    if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined || !code.startsWith('SQLITE_')) return error as Error;
    if (code === 'SQLITE_FULL') return new UnavailableError('disk-full', 'the disk of the span log is full');
    this.#failure = `the span log cannot be written: ${code}: ${message}`;
    return new UnavailableError('store-failed', this.#failure);
  }

  nextOffset(): number {
    return this.#nextOffset;
  }

  maintain(_args: MaintainArguments): boolean {
    return false;
  }

  stats(): SpanLogStats {
    return { records: 0, segments: 0, bytes: 0 };
  }

  close(): void {
    this.#database.close();
    this.#lock.release();
  }
}
