import type Database from 'better-sqlite3';
import type { SpanBatch } from '../base/batch.ts';
import { damageIn, type ReportDamage } from './damage.ts';
import { LeastRecent } from './least-recent.ts';
import { type Directory, type OpenBlock, readBlock, readDirectory, readInputs, rowBefore } from './read-segment.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch } from './records.ts';
import type { Damage } from './settings.ts';

export interface ReplayedRecord {
  readonly offset: number;
  readonly receivedUs: number;
  readonly batch: SpanBatch;
}

/** A row of a batch: a span. */
export type SpanRow = readonly [batch: SpanBatch, row: number];

/** A storm of re-sent spans asks for the same few records and blocks, trace after trace: about 40 MB of them stay decoded. */
const RECORDS_KEPT = 64;
const DIRECTORIES_KEPT = 64;
const BLOCKS_KEPT = 24;

/**
 * Records and segments as a reader takes them from disk. What is damaged is reported and answered as if it were not
 * there; so is what the writer has meanwhile merged or removed, without a report.
 */
export class StoredRows {
  readonly #report: ReportDamage;
  readonly #record: Database.Statement;
  readonly #directory: Database.Statement;
  readonly #body: Database.Statement;
  readonly #hasRecord: Database.Statement;
  readonly #hasSegment: Database.Statement;
  // neither changes once written; only whether it is still there has to be asked
  readonly #records = new LeastRecent<number, ReplayedRecord>(RECORDS_KEPT);
  readonly #directories = new LeastRecent<number, Directory>(DIRECTORIES_KEPT);
  readonly #blocks = new LeastRecent<string, OpenBlock>(BLOCKS_KEPT);

  constructor(database: Database.Database, report: ReportDamage) {
    this.#report = report;
    this.#record = database.prepare(`SELECT ${RECORD_COLUMNS} FROM record WHERE offset = ?`);
    this.#directory = database.prepare('SELECT directory FROM segment WHERE id = ?').pluck();
    this.#body = database.prepare('SELECT body FROM segment WHERE id = ?').pluck();
    this.#hasRecord = database.prepare('SELECT 1 FROM record WHERE offset = ?').pluck();
    this.#hasSegment = database.prepare('SELECT 1 FROM segment WHERE id = ?').pluck();
  }

  recordAt(offset: number): ReplayedRecord | undefined {
    return this.#undamaged({ what: 'record', id: offset }, () => {
      if (this.#hasRecord.get(offset) !== undefined) return this.#records.take(offset, () => this.#readRecord(offset));
      this.#records.delete(offset);
      return undefined;
    });
  }

  #readRecord(offset: number): ReplayedRecord | undefined {
    const row = this.#record.get(offset) as RecordRow | undefined;
    return row === undefined ? undefined : { offset, receivedUs: row.received_us, batch: toBatch(row) };
  }

  directoryOf(segment: number): Directory | undefined {
    return this.#undamaged({ what: 'segment', id: segment }, () => {
      if (this.#hasSegment.get(segment) !== undefined)
        return this.#directories.take(segment, () => this.#readDirectory(segment));
      this.#directories.delete(segment);
      return undefined;
    });
  }

  #readDirectory(segment: number): Directory | undefined {
    const stored = this.#directory.get(segment) as Buffer | undefined;
    return stored === undefined ? undefined : readDirectory(stored, segment);
  }

  /** Spans in rows `[fromRow, toRow)` of a segment that came with records below an offset. */
  spansBetween(directory: Directory, fromRow: number, toRow: number, beforeOffset: number): SpanRow[] {
    const spans: SpanRow[] = [];
    const { segment } = directory;
    for (let row = fromRow; row < toRow; ) {
      const number = rowBefore(directory.blockFrom, row);
      const end = Math.min(toRow, directory.blockFrom[number + 1]!);
      const block = this.#undamaged({ what: 'segment', id: segment }, () =>
        this.#blocks.take(`${segment}/${number}`, () => {
          const body = this.#body.get(segment) as Buffer | undefined;
          return body === undefined ? undefined : readBlock(directory, body, number);
        }),
      );
      for (; row < end; row++) {
        const at = row - directory.blockFrom[number]!;
        if (block !== undefined && directory.offsets[block.recordOf[at]!]! < beforeOffset)
          spans.push([block.batch, at]);
      }
    }
    return spans;
  }

  /** The records that were merged into a segment. */
  recordsIn(segment: number): readonly ReplayedRecord[] {
    const directory = this.directoryOf(segment);
    const body = directory && this.#bodyOf(directory);
    if (directory === undefined || body === undefined) return [];
    return this.#undamaged({ what: 'segment', id: segment }, () => readInputs(directory, body)) ?? [];
  }

  #bodyOf({ segment }: Directory): Buffer | undefined {
    return this.#undamaged({ what: 'segment', id: segment }, () => this.#body.get(segment) as Buffer | undefined);
  }

  #undamaged<T>(place: Pick<Damage, 'what' | 'id'>, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      const reason = damageIn(error);
      if (reason === undefined) throw error;
      this.#report({ ...place, reason });
      return undefined;
    }
  }
}

/**
 * Within one read transaction a span is in a record or in a segment, never in both and never in neither. Damage that
 * keeps SQLite from reading at all is reported, and the answer is undefined.
 */
export function inOneSnapshot<T>(database: Database.Database, report: ReportDamage, read: () => T): T | undefined {
  try {
    database.exec('BEGIN');
    return read();
  } catch (error) {
    const reason = damageIn(error);
    if (reason === undefined) throw error;
    report({ what: 'database', id: 0, reason });
    return undefined;
  } finally {
    // after a damaged page SQLite refuses even to commit a read
    if (database.inTransaction) database.exec('ROLLBACK');
  }
}
