import type Database from 'better-sqlite3';
import { buildSegment, type Segment, type SegmentInput } from './build-segment.ts';
import { type DamageTable, damageIn } from './damage.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch } from './records.ts';
import type { SegmentTable } from './segments.ts';
import type { Damage } from './settings.ts';

/** A record that is not in a segment yet. */
export interface PendingRecord {
  readonly offset: number;
  readonly spanCount: number;
  readonly receivedUs: number;
}

/** Spans that one step reads at most, unless a single record has more. */
const STEP_SPANS = 2048;
/** Records that one step reads at most: tiny ones cost by the piece. */
const STEP_RECORDS = 256;

/**
 * Turns records of closed traces into segments: small steps outside any transaction, then one short transaction that
 * puts the segment in and takes the records out. It never merges past the horizon, and never touches what it could not
 * read.
 */
export class Merger {
  readonly #database: Database.Database;
  readonly #segments: SegmentTable;
  readonly #damage: DamageTable;
  readonly #segmentSpans: number;
  readonly #read: Database.Statement;
  readonly #removeRecords: Database.Statement;
  readonly #keepOffset: Database.Statement;
  /** Ascending by offset. */
  #pending: PendingRecord[];
  #running: Generator<void, number> | undefined;

  constructor(database: Database.Database, segments: SegmentTable, damage: DamageTable, segmentSpans: number) {
    this.#database = database;
    this.#segments = segments;
    this.#damage = damage;
    this.#segmentSpans = segmentSpans;
    this.#read = database.prepare(`SELECT ${RECORD_COLUMNS} FROM record WHERE offset = ?`);
    this.#removeRecords = database.prepare(
      `DELETE FROM record WHERE offset BETWEEN ? AND ?
       AND offset NOT IN (SELECT id FROM damage WHERE what = 'record')`,
    );
    this.#keepOffset = database.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('next_offset', ?)");
    this.#pending = database
      .prepare(
        `SELECT offset, span_count AS spanCount, received_us AS receivedUs FROM record
         WHERE offset NOT IN (SELECT id FROM damage WHERE what = 'record') ORDER BY offset`,
      )
      .all() as PendingRecord[];
  }

  get pendingRecords(): number {
    return this.#pending.length;
  }

  /** The record that has waited longest. */
  get oldest(): PendingRecord | undefined {
    return this.#pending[0];
  }

  add(record: PendingRecord): void {
    this.#pending.push(record);
  }

  /** One bounded step: how many bytes it wrote to disk, undefined when nothing was left to do. */
  step(horizonOffset: number, nowUs: number, force: boolean): number | undefined {
    if (this.#running === undefined) {
      const ready = this.#ready(horizonOffset, force);
      if (ready.length === 0) return undefined;
      this.#running = this.#merge(ready, nowUs);
    }
    const running = this.#running;
    this.#running = undefined;
    const step = running.next();
    if (step.done === true) return step.value;
    this.#running = running;
    return 0;
  }

  /** Forgets a half-built segment; its records are still there. */
  abandon(): void {
    this.#running = undefined;
  }

  /** The oldest records that fill a segment; none when they do not. */
  #ready(horizonOffset: number, force: boolean): readonly PendingRecord[] {
    let spans = 0;
    let records = 0;
    for (const record of this.#pending) {
      if (record.offset >= horizonOffset || spans >= this.#segmentSpans || records >= this.#segmentSpans) break;
      spans += record.spanCount;
      records++;
    }
    const isFull = spans >= this.#segmentSpans || records >= this.#segmentSpans;
    return isFull || force ? this.#pending.slice(0, records) : [];
  }

  *#merge(records: readonly PendingRecord[], nowUs: number): Generator<void, number> {
    const inputs: SegmentInput[] = [];
    const damaged: Damage[] = [];
    let spans = 0;
    let read = 0;
    for (const { offset } of records) {
      const input = this.#readInput(offset, damaged);
      if (input !== undefined) inputs.push(input);
      spans += input?.batch.count ?? 0;
      if (spans >= STEP_SPANS || ++read >= STEP_RECORDS) {
        spans = 0;
        read = 0;
        yield;
      }
    }
    const segment = inputs.length === 0 ? undefined : yield* buildSegment(this.#segments.nextId(), inputs);
    this.#commit(records, segment, damaged, nowUs);
    // what was merged is overwritten with zeros, which is written too
    return (segment?.body.length ?? 0) * 3;
  }

  #readInput(offset: number, damaged: Damage[]): SegmentInput | undefined {
    try {
      const row = this.#read.get(offset) as RecordRow | undefined;
      return row === undefined ? undefined : { offset, receivedUs: row.received_us, batch: toBatch(row) };
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      damaged.push({ what: 'record', id: offset, reason });
      return undefined;
    }
  }

  #commit(
    records: readonly PendingRecord[],
    segment: Segment | undefined,
    damaged: readonly Damage[],
    nowUs: number,
  ): void {
    this.#database.transaction(() => {
      for (const damage of damaged) this.#damage.mark(damage, nowUs);
      if (segment !== undefined) this.#segments.put(segment, false);
      this.#keepOffset.run(records.at(-1)!.offset + 1);
      this.#removeRecords.run(records[0]!.offset, records.at(-1)!.offset);
    })();
    this.#pending = this.#pending.slice(records.length);
  }
}
