import type Database from 'better-sqlite3';
import { toHex } from '../base/batch.ts';
import { buildSegment, type Segment, type SegmentInput } from './build-segment.ts';
import { type DamageTable, damageIn } from './damage.ts';
import { readDirectory, readInputs } from './read-segment.ts';
import type { SegmentRow, SegmentTable } from './segments.ts';

/** As many pinned leftovers become one segment, */
const PINNED_TOGETHER = 64;
/** provided that they are smaller than this part of one. */
const PINNED_PART = 1 / 16;

/**
 * Takes spans out of segments: the oldest segment whole, except for what is pinned (the spans of findings' evidence,
 * which move into a small segment of their own), or single traces out of any. One segment a step.
 */
export class Retention {
  readonly #database: Database.Database;
  readonly #segments: SegmentTable;
  readonly #damage: DamageTable;
  readonly #isPinned: Database.Statement;
  readonly #hasPins: Database.Statement;
  readonly #pinnedSpansMax: number;

  constructor(database: Database.Database, segments: SegmentTable, damage: DamageTable, segmentSpans: number) {
    this.#database = database;
    this.#segments = segments;
    this.#damage = damage;
    this.#isPinned = database.prepare('SELECT 1 FROM pin WHERE trace_id = ?').pluck();
    this.#hasPins = database.prepare('SELECT 1 FROM pin LIMIT 1').pluck();
    this.#pinnedSpansMax = segmentSpans * PINNED_PART;
  }

  /** Removes a segment, or all of it that is not pinned. */
  removeSegment(row: SegmentRow, nowUs: number): void {
    const hasPins = this.#hasPins.get() === 1;
    const rest = this.#restOf(row.id, (traceId) => hasPins && this.#isPinned.get(traceId) === 1);
    if (rest === 'same') this.#segments.markPinned(row.id);
    else this.#replace([row], rest, true, nowUs);
  }

  /** Removes single traces from a segment; true when one of them was in it. */
  removeTraces(row: SegmentRow, isRemoved: (traceId: Buffer) => boolean, nowUs: number): boolean {
    const rest = this.#restOf(row.id, (traceId) => !isRemoved(traceId));
    if (rest === 'same') return false;
    this.#replace([row], rest, row.isPinned === 1, nowUs);
    return true;
  }

  /** As `#partOf`; what cannot be read cannot be kept. */
  #restOf(id: number, keeps: (traceId: Buffer) => boolean): Segment | 'same' | undefined {
    try {
      return this.#partOf(id, keeps);
    } catch (error) {
      if (damageIn(error) === undefined) throw error;
      return undefined;
    }
  }

  /** What of a segment is kept, as a new one; undefined when it is nothing. */
  #partOf(id: number, keeps: (traceId: Buffer) => boolean): Segment | 'same' | undefined {
    const stored = this.#segments.directoryOf(id);
    if (stored === undefined) return 'same';
    const directory = readDirectory(stored, id);
    const kept = new Uint8Array(directory.traces.length / 4);
    for (let trace = 0; trace < kept.length; trace++) {
      kept[trace] = keeps(Buffer.from(toHex(directory.traces, trace * 4, 4), 'hex')) ? 1 : 0;
    }
    if (!kept.includes(1)) return undefined;
    if (!kept.includes(0)) return 'same';
    return this.#build(readInputs(directory, this.#segments.bodyOf(id)!, (trace) => kept[trace] === 1));
  }

  #build(inputs: readonly SegmentInput[]): Segment {
    const steps = buildSegment(this.#segments.nextId(), inputs);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  #replace(rows: readonly SegmentRow[], by: Segment | undefined, isPinned: boolean, nowUs: number): void {
    try {
      this.#database.transaction(() => {
        for (const row of rows) this.#segments.remove(row.id);
        if (by !== undefined) this.#segments.put(by, isPinned);
      })();
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      for (const row of rows) this.#damage.mark({ what: 'segment', id: row.id, reason }, nowUs);
    }
  }

  /** Joins pinned leftovers once there are enough; true when it did. */
  joinPinned(nowUs: number): boolean {
    const rows = this.#segments.smallPinned(this.#pinnedSpansMax, PINNED_TOGETHER);
    if (rows.length < PINNED_TOGETHER) return false;
    const inputs: SegmentInput[] = [];
    const joined: SegmentRow[] = [];
    for (const row of rows) {
      try {
        inputs.push(
          ...readInputs(readDirectory(this.#segments.directoryOf(row.id)!, row.id), this.#segments.bodyOf(row.id)!),
        );
        joined.push(row);
      } catch (error) {
        const reason = damageIn(error);
        if (reason === undefined) throw error;
        this.#damage.mark({ what: 'segment', id: row.id, reason }, nowUs);
      }
    }
    if (joined.length > 1) this.#replace(joined, this.#build(inputs), true, nowUs);
    return true;
  }
}
