import type Database from 'better-sqlite3';
import { copyRows, type SpanBatch } from '../base/batch.ts';
import { DamagedError } from './byte-reader.ts';
import { openForReading } from './database.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch, toWords } from './records.ts';
import { type Damage, LOG_DEFAULTS, type SpanLogReaderSettings } from './settings.ts';
import { hasTraceKey } from './trace-keys.ts';

export interface ReplayedRecord {
  readonly offset: number;
  readonly receivedUs: number;
  readonly batch: SpanBatch;
}

/** Answers from the log; a handle of its own, which sees what is durable and cannot write. */
export interface SpanLogReader {
  /**
   * All stored spans of a trace (32 hex digits), in the order of acceptance; undefined when there is none. With
   * `beforeOffset`, only spans of records below it.
   */
  readTrace(traceId: string, beforeOffset?: number): SpanBatch | undefined;
  /** Records from an offset on, in order. Spans of one trace are in the order of acceptance; traces may trade places. */
  replay(fromOffset: number): Iterable<ReplayedRecord>;
  /** Keys (`toTraceKeys`) of the traces with spans received since; keys may come more than once. */
  recentTraceKeys(sinceReceivedUs: number): Iterable<Uint32Array>;
  close(): void;
}

/** Throws LogOpenError. */
export function openSpanLogReader(directory: string, settings: SpanLogReaderSettings = {}): SpanLogReader {
  const database = openForReading(directory, settings.busyTimeoutMs ?? LOG_DEFAULTS.busyTimeoutMs);
  return new SqliteSpanLogReader(database, settings);
}

class SqliteSpanLogReader implements SpanLogReader {
  readonly #database: Database.Database;
  readonly #settings: SpanLogReaderSettings;

  constructor(database: Database.Database, settings: SpanLogReaderSettings) {
    this.#database = database;
    this.#settings = settings;
  }

  readTrace(traceId: string, beforeOffset = Number.MAX_SAFE_INTEGER): SpanBatch | undefined {
    const words = [0, 8, 16, 24].map((from) => Number.parseInt(traceId.slice(from, from + 8), 16));
    const rows: (readonly [SpanBatch, number])[] = [];
    const keys = this.#database.prepare('SELECT offset, trace_keys FROM record WHERE offset < ? ORDER BY offset');
    for (const row of keys.all(beforeOffset) as RecordRow[]) {
      if (!hasTraceKey(toWords(row.trace_keys), words[2]!, words[3]!)) continue;
      const batch = this.#batchAt(row.offset);
      if (batch === undefined) continue;
      for (let i = 0; i < batch.count; i++) {
        if (words.every((word, at) => batch.traceId[i * 4 + at] === word)) rows.push([batch, i]);
      }
    }
    return rows.length === 0 ? undefined : copyRows(rows);
  }

  #batchAt(offset: number): SpanBatch | undefined {
    const row = this.#database.prepare(`SELECT ${RECORD_COLUMNS} FROM record WHERE offset = ?`).get(offset);
    try {
      return toBatch(row as RecordRow);
    } catch (error) {
      if (!(error instanceof DamagedError)) throw error;
      this.#report({ what: 'record', id: offset, reason: error.message });
      return undefined;
    }
  }

  #report(damage: Damage): void {
    this.#settings.onDamage?.(damage);
  }

  *replay(fromOffset: number): Iterable<ReplayedRecord> {
    const next = this.#database.prepare(
      'SELECT offset, received_us FROM record WHERE offset >= ? ORDER BY offset LIMIT 1',
    );
    for (let from = fromOffset; ; ) {
      const row = next.get(from) as RecordRow | undefined;
      if (row === undefined) return;
      const batch = this.#batchAt(row.offset);
      if (batch !== undefined) yield { offset: row.offset, receivedUs: row.received_us, batch };
      from = row.offset + 1;
    }
  }

  *recentTraceKeys(sinceReceivedUs: number): Iterable<Uint32Array> {
    const rows = this.#database.prepare('SELECT trace_keys FROM record WHERE received_us >= ?').all(sinceReceivedUs);
    for (const row of rows as RecordRow[]) yield toWords(row.trace_keys);
  }

  close(): void {
    this.#database.close();
  }
}
