import type Database from 'better-sqlite3';
import { copyRows, type SpanBatch, traceIdHex } from '../base/batch.ts';
import { damageIn } from './damage.ts';
import { toLogRecord } from './record.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch, toRecordRow, toWords } from './records.ts';
import type { Retention } from './retention.ts';
import type { SegmentRow, SegmentTable } from './segments.ts';
import { hasTraceKey, toTraceWords } from './trace-keys.ts';

/** Records looked at in one step. */
const STEP_RECORDS = 64;

/**
 * Takes single traces out of everything that is stored, one segment or a few records a step. What is asked for is kept
 * on disk until it is done, so that a restart goes on with it. It is not done before the write-ahead file is emptied,
 * which is the caller's part.
 */
export class Purge {
  readonly #database: Database.Database;
  readonly #segments: SegmentTable;
  readonly #retention: Retention;
  readonly #records: Database.Statement;
  #traceIds: ReadonlySet<string>;
  /** Undefined until a pass has begun. */
  #segmentsLeft: SegmentRow[] | undefined;
  #lastRecord = -1;
  #passed = false;

  constructor(database: Database.Database, segments: SegmentTable, retention: Retention) {
    this.#database = database;
    this.#segments = segments;
    this.#retention = retention;
    this.#records = database.prepare(
      `SELECT ${RECORD_COLUMNS} FROM record WHERE offset > ? ORDER BY offset LIMIT ${STEP_RECORDS}`,
    );
    this.#traceIds = this.#requested();
  }

  #requested(): ReadonlySet<string> {
    const rows = this.#database.prepare('SELECT trace_id FROM purge').pluck().all() as Buffer[];
    return new Set(rows.map((traceId) => traceId.toString('hex')));
  }

  get isPending(): boolean {
    return this.#traceIds.size > 0;
  }

  /** True once every record and segment was gone through. */
  get hasPassed(): boolean {
    return this.#passed;
  }

  /** Durable on return. Begins anew when a purge is under way. */
  request(traceIds: readonly string[]): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO purge (trace_id) VALUES (?)');
    const unpin = this.#database.prepare('DELETE FROM pin WHERE trace_id = ?');
    this.#database.transaction(() => {
      for (const traceId of traceIds) {
        insert.run(Buffer.from(traceId, 'hex'));
        unpin.run(Buffer.from(traceId, 'hex'));
      }
    })();
    this.#traceIds = this.#requested();
    this.#segmentsLeft = undefined;
    this.#passed = false;
  }

  /** One bounded step. */
  step(nowUs: number): void {
    if (this.#segmentsLeft === undefined) {
      this.#segmentsLeft = this.#segments.all();
      this.#lastRecord = -1;
    }
    const row = this.#segmentsLeft.pop();
    if (row === undefined) this.#stepRecords();
    else this.#retention.removeTraces(row, (traceId) => this.#traceIds.has(traceId.toString('hex')), nowUs);
  }

  #stepRecords(): void {
    const rows = this.#records.all(this.#lastRecord) as RecordRow[];
    this.#database.transaction(() => {
      for (const row of rows) if (this.#mayHold(row)) this.#rewrite(row);
    })();
    this.#lastRecord = rows.at(-1)?.offset ?? this.#lastRecord;
    this.#passed = rows.length < STEP_RECORDS;
  }

  #mayHold(row: RecordRow): boolean {
    const keys = toWords(row.trace_keys);
    for (const traceId of this.#traceIds) {
      const words = toTraceWords(traceId)!;
      if (hasTraceKey(keys, words[2]!, words[3]!)) return true;
    }
    return false;
  }

  #rewrite(row: RecordRow): void {
    let batch: SpanBatch;
    try {
      batch = toBatch(row);
    } catch (error) {
      // what cannot be read cannot be kept
      if (damageIn(error) === undefined) throw error;
      this.#database.prepare('DELETE FROM record WHERE offset = ?').run(row.offset);
      return;
    }
    const rows = Array.from({ length: batch.count }, (_, at) => at);
    const kept = copyRows(rows.filter((at) => !this.#traceIds.has(traceIdHex(batch, at))).map((at) => [batch, at]));
    const rewritten = toRecordRow(toLogRecord(kept, row.offset, row.received_us));
    this.#database
      .prepare(
        `UPDATE record SET span_count = @span_count, min_event_us = @min_event_us, max_event_us = @max_event_us,
           trace_keys = @trace_keys, body = @body WHERE offset = @offset`,
      )
      .run({ ...rewritten, received_us: undefined });
  }

  /** The write-ahead file holds nothing of it any more: the request can be forgotten. */
  finish(): void {
    this.#database.exec('DELETE FROM purge');
    this.#traceIds = new Set();
    this.#segmentsLeft = undefined;
    this.#passed = false;
  }
}
