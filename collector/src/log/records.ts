import type Database from 'better-sqlite3';
import type { SpanBatch } from '../base/batch.ts';
import { DamagedError } from './byte-reader.ts';
import { type Context, seal, unseal } from './envelope.ts';
import { decodeBatch, type LogRecord, plainBytesOf } from './record.ts';

/** A row of table `record`: one batch as it was accepted. */
export interface RecordRow {
  readonly offset: number;
  readonly received_us: number;
  readonly span_count: number;
  readonly min_event_us: number;
  readonly max_event_us: number;
  readonly trace_keys: Buffer;
  readonly body: Buffer;
}

export const RECORD_COLUMNS = 'offset, received_us, span_count, min_event_us, max_event_us, trace_keys, body';

export function toRecordRow(record: LogRecord): RecordRow {
  const { traceKeys } = record;
  const row = {
    offset: record.offset,
    received_us: record.receivedUs,
    span_count: record.spanCount,
    min_event_us: record.minEventUs,
    max_event_us: record.maxEventUs,
    trace_keys: Buffer.from(traceKeys.buffer, traceKeys.byteOffset, traceKeys.byteLength),
  };
  return { ...row, body: seal(record.bytes, plainBytesOf(record.bytes), contextOf(row)) };
}

/** The batch in a row. Throws DamagedError. */
export function toBatch(row: RecordRow): SpanBatch {
  return decodeBatch(unseal(row.body, contextOf(row)));
}

function contextOf(row: Omit<RecordRow, 'body'>): Context {
  return {
    numbers: [row.offset, row.received_us, row.span_count, row.min_event_us, row.max_event_us],
    bytes: row.trace_keys,
  };
}

/** Trace keys as words again. */
export function toWords(bytes: Buffer): Uint32Array {
  if (!Buffer.isBuffer(bytes)) throw new DamagedError('no bytes where keys were stored');
  const words = new Uint32Array(bytes.length >>> 2);
  new Uint8Array(words.buffer).set(bytes.subarray(0, words.byteLength));
  return words;
}

export function insertRecord(database: Database.Database): Database.Statement {
  return database.prepare(
    `INSERT INTO record (${RECORD_COLUMNS})
     VALUES (@offset, @received_us, @span_count, @min_event_us, @max_event_us, @trace_keys, @body)`,
  );
}
