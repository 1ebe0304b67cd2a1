import type Database from 'better-sqlite3';
import { copyRows, type SpanBatch } from '../base/batch.ts';
import { createDamageReport, type ReportDamage } from './damage.ts';
import { openForReading } from './database.ts';
import { traceIn } from './read-segment.ts';
import { type RecordRow, toWords } from './records.ts';
import { replayFrom } from './replay.ts';
import { LOG_DEFAULTS, type SpanLogReaderSettings } from './settings.ts';
import { inOneSnapshot, type ReplayedRecord, type SpanRow, StoredRows } from './stored-rows.ts';
import { TraceIndex } from './trace-index.ts';
import { toTraceKeys, toTraceWords } from './trace-keys.ts';

export type { ReplayedRecord } from './stored-rows.ts';

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

/** Opens the log in `directory`, which a writer has created. Throws LogOpenError. */
export function openSpanLogReader(directory: string, settings: SpanLogReaderSettings = {}): SpanLogReader {
  const database = openForReading(directory, settings.busyTimeoutMs ?? LOG_DEFAULTS.busyTimeoutMs);
  const report = createDamageReport(settings);
  const stored = new StoredRows(database, report);
  const index = new TraceIndex(database, report);
  return {
    readTrace(traceId, beforeOffset = Number.MAX_SAFE_INTEGER) {
      const trace = toTraceWords(traceId);
      if (trace === undefined) return undefined;
      const spans = inOneSnapshot(database, report, () => findSpans(stored, index, trace, beforeOffset));
      return spans === undefined || spans.length === 0 ? undefined : copyRows(spans);
    },
    replay: (fromOffset) => replayFrom(database, stored, report, fromOffset),
    recentTraceKeys: (sinceReceivedUs) => recentTraceKeys(database, stored, report, sinceReceivedUs),
    close: () => void database.close(),
  };
}

function findSpans(stored: StoredRows, index: TraceIndex, trace: Uint32Array, beforeOffset: number): SpanRow[] {
  index.update();
  const { segments, records } = index.find(trace, beforeOffset);
  const spans: SpanRow[] = [];
  for (const id of segments) {
    const directory = stored.directoryOf(id);
    if (directory === undefined) {
      index.forgetSegment(id);
      continue;
    }
    const position = traceIn(directory.traces, trace);
    if (position < 0) continue;
    const { traceFrom } = directory;
    spans.push(...stored.spansBetween(directory, traceFrom[position]!, traceFrom[position + 1]!, beforeOffset));
  }
  for (const offset of records) {
    const record = stored.recordAt(offset);
    if (record === undefined) index.forgetRecord(offset);
    else addSpansOf(spans, record.batch, trace);
  }
  return spans;
}

function addSpansOf(spans: SpanRow[], batch: SpanBatch, trace: Uint32Array): void {
  const { count, traceId } = batch;
  const [w0, w1, w2, w3] = trace;
  for (let row = 0, at = 0; row < count; row++, at += 4) {
    if (traceId[at + 3] !== w3 || traceId[at + 2] !== w2 || traceId[at + 1] !== w1 || traceId[at] !== w0) continue;
    spans.push([batch, row]);
  }
}

/** Records in bounded steps, so that no read transaction lasts. */
const RECORDS_AT_ONCE = 256;

type RecentRow = Pick<RecordRow, 'offset' | 'received_us' | 'trace_keys'>;

function* recentTraceKeys(
  database: Database.Database,
  stored: StoredRows,
  report: ReportDamage,
  sinceReceivedUs: number,
): Generator<Uint32Array, void> {
  const segments = database.prepare('SELECT id FROM segment WHERE last_received_us >= ?').pluck();
  const records = database.prepare(
    `SELECT offset, received_us, trace_keys FROM record WHERE offset > ? ORDER BY offset LIMIT ${RECORDS_AT_ONCE}`,
  );
  // records first: what is merged meanwhile comes twice rather than not at all
  for (let last = -1; ; ) {
    const rows = inOneSnapshot(database, report, () => records.all(last)) as RecentRow[] | undefined;
    if (rows === undefined) break;
    for (const row of rows) {
      last = row.offset;
      if (row.received_us >= sinceReceivedUs) yield toWords(row.trace_keys);
    }
    if (rows.length < RECORDS_AT_ONCE) break;
  }
  const ids = inOneSnapshot(database, report, () => segments.all(sinceReceivedUs)) as number[] | undefined;
  for (const id of ids ?? []) {
    const directory = stored.directoryOf(id);
    if (directory !== undefined) yield toTraceKeys(directory.traces, directory.traces.length / 4);
  }
}
