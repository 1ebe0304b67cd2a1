import type Database from 'better-sqlite3';
import type { ReportDamage } from './damage.ts';
import { inOneSnapshot, type ReplayedRecord, type StoredRows } from './stored-rows.ts';

interface Place {
  readonly id: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

/**
 * Records from an offset on, in order, each once. One short read transaction per record or segment, so that a long
 * replay holds up neither checkpoints nor merging; what is merged meanwhile is found in its new place.
 */
export function* replayFrom(
  database: Database.Database,
  stored: StoredRows,
  report: ReportDamage,
  fromOffset: number,
): Generator<ReplayedRecord, void> {
  const newSegments = database.prepare(
    `SELECT id, first_offset AS firstOffset, last_offset AS lastOffset FROM segment
     WHERE id > ? AND last_offset >= ? ORDER BY id`,
  );
  const nextRecord = database.prepare('SELECT min(offset) FROM record WHERE offset >= ?').pluck();
  let places: Place[] = [];
  let lastId = 0;
  for (let next = fromOffset; ; ) {
    const records = inOneSnapshot(database, report, () => {
      const added = newSegments.all(lastId, next) as Place[];
      if (added.length > 0) {
        lastId = added.at(-1)!.id;
        places = [...places, ...added].sort((a, b) => b.firstOffset - a.firstOffset);
      }
      while (places.length > 0 && places.at(-1)!.lastOffset < next) places.pop();
      const place = places.at(-1);
      const offset = nextRecord.get(next) as number | null;
      if (place !== undefined && (offset === null || place.firstOffset <= offset)) {
        places.pop();
        return stored.recordsIn(place.id);
      }
      if (offset === null) return undefined;
      const record = stored.recordAt(offset);
      // a damaged record is passed over
      if (record === undefined) next = offset + 1;
      return record === undefined ? [] : [record];
    });
    if (records === undefined) return;
    for (const record of records) {
      if (record.offset < next) continue;
      next = record.offset + 1;
      yield record;
    }
  }
}
