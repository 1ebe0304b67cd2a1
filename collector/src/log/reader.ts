import type Database from 'better-sqlite3';
import { copyRows, type SpanBatch } from '../base/batch.ts';
import { createDamageReport, damageIn, type ReportDamage } from './damage.ts';
import { openForReading } from './database.ts';
import { type Directory, readBlock, readDirectory, readInputs, rowBefore, traceIn } from './read-segment.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch, toWords } from './records.ts';
import { type Damage, LOG_DEFAULTS, type SpanLogReaderSettings } from './settings.ts';
import { TraceIndex } from './trace-index.ts';
import { toTraceKeys, toTraceWords } from './trace-keys.ts';

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
  return new SqliteSpanLogReader(database, createDamageReport(settings));
}

type Row = readonly [batch: SpanBatch, row: number];
type SegmentPart = 'directory' | 'body';

class SqliteSpanLogReader implements SpanLogReader {
  readonly #database: Database.Database;
  readonly #report: ReportDamage;
  readonly #index: TraceIndex;
  readonly #record: Database.Statement;
  readonly #nextRecord: Database.Statement;
  readonly #nextRecent: Database.Statement;
  readonly #segmentsFrom: Database.Statement;
  readonly #segmentsSince: Database.Statement;
  readonly #parts: Readonly<Record<SegmentPart, Database.Statement>>;

  constructor(database: Database.Database, report: ReportDamage) {
    this.#database = database;
    this.#report = report;
    this.#index = new TraceIndex(database, report);
    this.#record = database.prepare(`SELECT ${RECORD_COLUMNS} FROM record WHERE offset = ?`);
    this.#nextRecord = database.prepare('SELECT min(offset) FROM record WHERE offset >= ?').pluck();
    this.#nextRecent = database.prepare(
      'SELECT offset, received_us, trace_keys FROM record WHERE offset > ? ORDER BY offset LIMIT 256',
    );
    this.#segmentsFrom = database
      .prepare('SELECT id FROM segment WHERE last_offset >= ? ORDER BY first_offset')
      .pluck();
    this.#segmentsSince = database.prepare('SELECT id FROM segment WHERE last_received_us >= ?').pluck();
    this.#parts = {
      directory: database.prepare('SELECT directory FROM segment WHERE id = ?').pluck(),
      body: database.prepare('SELECT body FROM segment WHERE id = ?').pluck(),
    };
  }

  readTrace(traceId: string, beforeOffset = Number.MAX_SAFE_INTEGER): SpanBatch | undefined {
    const trace = toTraceWords(traceId);
    if (trace === undefined) return undefined;
    const rows = this.#inOneSnapshot(() => {
      this.#index.update();
      const { segments, records } = this.#index.find(trace, beforeOffset);
      return [
        ...segments.flatMap((id) => this.#rowsInSegment(id, trace, beforeOffset)),
        ...records.flatMap((offset) => this.#rowsInRecord(offset, trace)),
      ];
    });
    return rows.length === 0 ? undefined : copyRows(rows);
  }

  /** The writer merges meanwhile: within one read transaction a span is in a record or in a segment, never in both. */
  #inOneSnapshot<T>(read: () => T): T {
    this.#database.exec('BEGIN');
    try {
      return read();
    } finally {
      this.#database.exec('COMMIT');
    }
  }

  #rowsInSegment(id: number, trace: Uint32Array, beforeOffset: number): Row[] {
    return this.#undamaged({ what: 'segment', id }, () => {
      const stored = this.#parts.directory.get(id) as Buffer | undefined;
      if (stored === undefined) {
        this.#index.forgetSegment(id);
        return [];
      }
      const directory = readDirectory(stored, id);
      const position = traceIn(directory.traces, trace);
      if (position < 0) return [];
      return this.#rowsBetween(
        directory,
        directory.traceFrom[position]!,
        directory.traceFrom[position + 1]!,
        beforeOffset,
      );
    });
  }

  #rowsBetween(directory: Directory, fromRow: number, toRow: number, beforeOffset: number): Row[] {
    const body = this.#parts.body.get(directory.segment) as Buffer;
    const rows: Row[] = [];
    for (let row = fromRow; row < toRow; ) {
      const block = readBlock(directory, body, rowBefore(directory.blockFrom, row));
      const end = Math.min(toRow, block.fromRow + block.batch.count);
      for (; row < end; row++) {
        const at = row - block.fromRow;
        if (directory.offsets[block.recordOf[at]!]! < beforeOffset) rows.push([block.batch, at]);
      }
    }
    return rows;
  }

  #rowsInRecord(offset: number, trace: Uint32Array): Row[] {
    const batch = this.#recordAt(offset)?.batch;
    if (batch === undefined) return [];
    const { count, traceId } = batch;
    const rows: Row[] = [];
    for (let row = 0; row < count; row++) {
      const at = row * 4;
      if (
        traceId[at + 3] === trace[3] &&
        traceId[at + 2] === trace[2] &&
        traceId[at + 1] === trace[1] &&
        traceId[at] === trace[0]
      ) {
        rows.push([batch, row]);
      }
    }
    return rows;
  }

  #recordAt(offset: number): ReplayedRecord | undefined {
    const [record] = this.#undamaged({ what: 'record', id: offset }, () => {
      const row = this.#record.get(offset) as RecordRow | undefined;
      if (row !== undefined) return [{ offset, receivedUs: row.received_us, batch: toBatch(row) }];
      this.#index.forgetRecord(offset);
      return [];
    });
    return record;
  }

  /** What cannot be read is reported and left out of the answer. */
  #undamaged<T>(place: Pick<Damage, 'what' | 'id'>, read: () => T[]): T[] {
    try {
      return read();
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#report({ ...place, reason });
      return [];
    }
  }

  *replay(fromOffset: number): Iterable<ReplayedRecord> {
    let next = fromOffset;
    for (const id of this.#segmentsFrom.all(fromOffset) as number[]) {
      for (const input of this.#recordsOf(id)) {
        if (input.offset < next) continue;
        yield input;
        next = input.offset + 1;
      }
    }
    for (;;) {
      const offset = this.#nextRecord.get(next) as number | null;
      if (offset === null) return;
      const record = this.#recordAt(offset);
      if (record !== undefined) yield record;
      next = offset + 1;
    }
  }

  #recordsOf(id: number): ReplayedRecord[] {
    return this.#undamaged({ what: 'segment', id }, () =>
      this.#inOneSnapshot(() => {
        const directory = this.#parts.directory.get(id) as Buffer | undefined;
        if (directory === undefined) return [];
        return readInputs(readDirectory(directory, id), this.#parts.body.get(id) as Buffer);
      }),
    );
  }

  *recentTraceKeys(sinceReceivedUs: number): Iterable<Uint32Array> {
    for (const id of this.#segmentsSince.all(sinceReceivedUs) as number[]) {
      yield* this.#undamaged({ what: 'segment', id }, () => {
        const stored = this.#parts.directory.get(id) as Buffer | undefined;
        if (stored === undefined) return [];
        const { traces } = readDirectory(stored, id);
        return [toTraceKeys(traces, traces.length / 4)];
      });
    }
    for (let last = -1; ; ) {
      const rows = this.#nextRecent.all(last) as Pick<RecordRow, 'offset' | 'received_us' | 'trace_keys'>[];
      for (const row of rows) {
        last = row.offset;
        if (row.received_us >= sinceReceivedUs) yield toWords(row.trace_keys);
      }
      if (rows.length === 0) return;
    }
  }

  close(): void {
    this.#database.close();
  }
}
