import type Database from 'better-sqlite3';
import { hashTrace, mayHold, readBloom } from './bloom.ts';
import { damageIn, type ReportDamage } from './damage.ts';
import { toWords } from './records.ts';
import { hasTraceKey } from './trace-keys.ts';

/** Where spans of a trace may be. */
export interface Candidates {
  /** Ids of segments, by first offset. */
  readonly segments: readonly number[];
  /** Offsets of records, ascending. */
  readonly records: readonly number[];
}

interface IndexedSegment {
  readonly id: number;
  readonly firstOffset: number;
  /** Undefined when damaged: then it may hold anything. */
  readonly bloom: Uint32Array | undefined;
}

interface IndexedRecord {
  readonly offset: number;
  readonly traceKeys: Uint32Array;
}

/** Rows taken in at a time. */
const PAGE_ROWS = 256;

/**
 * What a reader remembers of the log to find traces: the filter of each segment and the trace keys of each record that
 * is not merged yet. It only ever learns of new rows, since a row never changes its id nor an id its content; rows that
 * are gone are found out when they are looked at. Call it inside the read transaction of the lookup.
 */
export class TraceIndex {
  readonly #newSegments: Database.Statement;
  readonly #newRecords: Database.Statement;
  readonly #report: ReportDamage;
  #segments: IndexedSegment[] = [];
  #records: IndexedRecord[] = [];
  #lastSegment = 0;
  #lastRecord = -1;

  constructor(database: Database.Database, report: ReportDamage) {
    this.#report = report;
    this.#newSegments = database.prepare(
      `SELECT id, first_offset AS firstOffset, last_offset AS lastOffset, bloom
       FROM segment WHERE id > ? ORDER BY id LIMIT ${PAGE_ROWS}`,
    );
    this.#newRecords = database.prepare(
      `SELECT offset, trace_keys AS traceKeys FROM record WHERE offset > ? ORDER BY offset LIMIT ${PAGE_ROWS}`,
    );
  }

  find(trace: Uint32Array, beforeOffset: number): Candidates {
    const hash = hashTrace(trace);
    const segments: number[] = [];
    for (const { id, firstOffset, bloom } of this.#segments) {
      if (firstOffset < beforeOffset && (bloom === undefined || mayHold(bloom, hash))) segments.push(id);
    }
    const records: number[] = [];
    for (const { offset, traceKeys } of this.#records) {
      if (offset < beforeOffset && hasTraceKey(traceKeys, trace[2]!, trace[3]!)) records.push(offset);
    }
    return { segments, records };
  }

  forgetSegment(id: number): void {
    this.#segments = this.#segments.filter((segment) => segment.id !== id);
  }

  forgetRecord(offset: number): void {
    this.#records = this.#records.filter((record) => record.offset !== offset);
  }

  /** Takes in what was committed since the last call. */
  update(): void {
    try {
      this.#updateSegments();
      this.#updateRecords();
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#report({ what: 'database', id: 0, reason });
    }
  }

  #updateSegments(): void {
    let mergedBelow = -1;
    for (;;) {
      const rows = this.#newSegments.all(this.#lastSegment) as {
        id: number;
        firstOffset: number;
        lastOffset: number;
        bloom: Buffer;
      }[];
      for (const { id, firstOffset, lastOffset, bloom } of rows) {
        this.#segments.push({ id, firstOffset, bloom: this.#readBloom(id, bloom) });
        this.#lastSegment = id;
        mergedBelow = Math.max(mergedBelow, lastOffset);
      }
      if (rows.length < PAGE_ROWS) break;
    }
    if (mergedBelow < 0) return;
    this.#segments.sort((a, b) => a.firstOffset - b.firstOffset);
    // a damaged record stays behind in its table, but then it has nothing to say either
    this.#records = this.#records.filter((record) => record.offset > mergedBelow);
  }

  #readBloom(id: number, stored: Buffer): Uint32Array | undefined {
    try {
      return readBloom(stored);
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#report({ what: 'segment', id, reason });
      return undefined;
    }
  }

  #updateRecords(): void {
    for (;;) {
      const rows = this.#newRecords.all(this.#lastRecord) as { offset: number; traceKeys: Buffer }[];
      for (const { offset, traceKeys } of rows) {
        this.#records.push({ offset, traceKeys: toWords(traceKeys) });
        this.#lastRecord = offset;
      }
      if (rows.length < PAGE_ROWS) break;
    }
  }
}
