import type Database from 'better-sqlite3';
import { writeBloom } from './bloom.ts';
import type { Segment } from './build-segment.ts';

/** A row of table `segment` without its large columns. */
export interface SegmentRow {
  readonly id: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly lastReceivedUs: number;
  readonly spanCount: number;
  /** 1 when only traces that must be kept are in it. */
  readonly isPinned: number;
}

/** What the writer does with table `segment`. */
export interface SegmentTable {
  nextId(): number;
  put(segment: Segment, isPinned: boolean): void;
  markPinned(id: number): void;
  /** All pinned ones become ordinary: retention will look at them again. */
  unmarkPinned(): void;
  remove(id: number): void;
  directoryOf(id: number): Buffer | undefined;
  bodyOf(id: number): Buffer | undefined;
  /** The oldest of those that may be removed. */
  oldest(): SegmentRow | undefined;
  /** Pinned ones with fewer spans, oldest first. */
  smallPinned(spansMax: number, limit: number): SegmentRow[];
  all(): SegmentRow[];
  count(): number;
}

const COLUMNS = `id, first_offset AS firstOffset, last_offset AS lastOffset, last_received_us AS lastReceivedUs,
  span_count AS spanCount, is_pinned AS isPinned`;
const UNDAMAGED = `id NOT IN (SELECT id FROM damage WHERE what = 'segment')`;

export function openSegmentTable(database: Database.Database): SegmentTable {
  const insert = database.prepare(
    `INSERT INTO segment (id, first_offset, last_offset, last_received_us, span_count, min_event_us, max_event_us,
       is_pinned, bloom, directory, body)
     VALUES (@id, @firstOffset, @lastOffset, @lastReceivedUs, @spanCount, @minEventUs, @maxEventUs,
       @isPinned, @bloom, @directory, @body)`,
  );
  const lastId = database.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'segment'`).pluck();
  const markPinned = database.prepare('UPDATE segment SET is_pinned = 1 WHERE id = ?');
  const unmarkPinned = database.prepare('UPDATE segment SET is_pinned = 0 WHERE is_pinned = 1');
  const remove = database.prepare('DELETE FROM segment WHERE id = ?');
  const directory = database.prepare('SELECT directory FROM segment WHERE id = ?').pluck();
  const body = database.prepare('SELECT body FROM segment WHERE id = ?').pluck();
  const oldest = database.prepare(
    `SELECT ${COLUMNS} FROM segment WHERE is_pinned = 0 AND ${UNDAMAGED} ORDER BY first_offset LIMIT 1`,
  );
  const smallPinned = database.prepare(
    `SELECT ${COLUMNS} FROM segment WHERE is_pinned = 1 AND span_count < ? AND ${UNDAMAGED}
     ORDER BY first_offset LIMIT ?`,
  );
  const all = database.prepare(`SELECT ${COLUMNS} FROM segment WHERE ${UNDAMAGED} ORDER BY id`);
  const count = database.prepare('SELECT count(*) FROM segment').pluck();
  return {
    nextId: () => ((lastId.get() as number | undefined) ?? 0) + 1,
    put(segment, isPinned) {
      const { traces, ...row } = segment;
      insert.run({ ...row, isPinned: isPinned ? 1 : 0, bloom: writeBloom(traces) });
    },
    markPinned: (id) => void markPinned.run(id),
    unmarkPinned: () => void unmarkPinned.run(),
    remove: (id) => void remove.run(id),
    directoryOf: (id) => directory.get(id) as Buffer | undefined,
    bodyOf: (id) => body.get(id) as Buffer | undefined,
    oldest: () => oldest.get() as SegmentRow | undefined,
    smallPinned: (spansMax, limit) => smallPinned.all(spansMax, limit) as SegmentRow[],
    all: () => all.all() as SegmentRow[],
    count: () => count.get() as number,
  };
}
