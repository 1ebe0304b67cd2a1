import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../base/errors.ts';
import { readDirectory, readInputs } from './read-segment.ts';
import { decodeBatch, type LogRecord, toLogRecord } from './record.ts';
import { RECORD_COLUMNS, type RecordRow, toBatch } from './records.ts';
import type { SpanLogSettings } from './settings.ts';
import { batchOf, RECEIVED_US, recordsOf, toPlainSpans, traceIdOf } from './testing/spans.ts';
import { batchesOf, byTrace, useLog } from './testing/use-log.ts';

const DAY_US = 86_400_000_000;
let steadyUs = 0;
/** Weeks pass between two looks at the clock. */
const steadyWeeks = () => {
  steadyUs += 100 * DAY_US;
  return steadyUs;
};
const SMALL: SpanLogSettings = { segmentSpans: 100, reserveBytes: 4096, retentionDays: 7, steadyUs: steadyWeeks };
const use = useLog(SMALL);

/** Everything that is stored, decoded: compressed bytes prove nothing. */
function storedText(): string {
  const database = new Database(join(use.directory, 'spans.db'), { readonly: true });
  const records = database.prepare(`SELECT ${RECORD_COLUMNS} FROM record`).all() as RecordRow[];
  const segments = database.prepare('SELECT id, directory, body FROM segment').all() as {
    id: number;
    directory: Buffer;
    body: Buffer;
  }[];
  database.close();
  const batches = [
    ...records.map(toBatch),
    ...segments.flatMap(({ id, directory, body }) =>
      readInputs(readDirectory(directory, id), body).map((input) => input.batch),
    ),
  ];
  return JSON.stringify(batches.map(toPlainSpans));
}

/** Raw bytes of every file of the log. */
function rawBytes(): Buffer {
  const files = readdirSync(use.directory).filter((name) => name.startsWith('spans.db'));
  return Buffer.concat(files.map((name) => readFileSync(join(use.directory, name))));
}

/** A piece of a record's stored bytes: ids are not compressed, so they can be searched for. */
const spanIdBytes = (record: LogRecord): Buffer => {
  const { spanId } = decodeBatch(record.bytes);
  return Buffer.from(spanId.buffer, spanId.byteOffset, 16);
};

describe('retention by age', () => {
  it('removes what was received longer ago, oldest first, and nothing above the horizon', () => {
    const records = recordsOf(40);
    use.log.append(records);
    use.settle(20);
    // records 0..19 were received one second apart
    use.settle(20, RECEIVED_US + 7 * DAY_US + 9.5 * 1e6);
    const left = [...use.reader.replay(0)].map(({ offset }) => offset);
    expect(left).toEqual(Array.from({ length: 30 }, (_, i) => 10 + i));
    use.settle(20, RECEIVED_US + 7.001 * DAY_US);
    expect([...use.reader.replay(0)].map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => 20 + i));
    expect(use.log.nextOffset()).toBe(40);
  });

  it('removes also what is too little for a segment, and never gives an offset twice', () => {
    use.log.append(recordsOf(2));
    use.settle(2, RECEIVED_US + 8 * DAY_US);
    expect([...use.reader.replay(0)]).toEqual([]);
    expect(use.log.stats()).toMatchObject({ pendingRecords: 0, segments: 0 });
    use.reopen();
    expect(use.log.nextOffset()).toBe(2);
  });

  it('does not believe a wall clock that jumps ahead while it runs', () => {
    use.reopen({ ...SMALL, steadyUs: () => steadyUs });
    use.log.append(recordsOf(20));
    use.settle(20, RECEIVED_US);
    steadyUs += 1e6;
    use.settle(20, RECEIVED_US + 40 * DAY_US);
    expect([...use.reader.replay(0)]).toHaveLength(20);
    steadyUs += 40 * DAY_US;
    use.settle(20, RECEIVED_US + 80 * DAY_US);
    expect([...use.reader.replay(0)]).toHaveLength(0);
  });
});

describe('retention by bytes', () => {
  it('removes the oldest segments until the rest fits', () => {
    use.reopen({ ...SMALL, maxBytes: 300_000 });
    for (let from = 0; from < 400; from += 20) {
      use.log.append(recordsOf(20, 40, from));
      use.settle(from + 20);
    }
    const left = [...use.reader.replay(0)].map(({ offset }) => offset);
    expect(use.log.stats().usedBytes).toBeLessThanOrEqual(300_000);
    expect(left.length).toBeGreaterThan(20);
    expect(left.at(-1)).toBe(399);
    expect(left).toEqual(Array.from({ length: left.length }, (_, i) => 400 - left.length + i));
  });

  it('removes the oldest segments while less of the disk is free than it should be', () => {
    let freeBytes = 100;
    use.reopen({ ...SMALL, diskSpace: () => ({ freeBytes, totalBytes: 1000 }), reserveBytes: 0 });
    use.log.append(recordsOf(40));
    use.settle(40);
    // the pages of what was removed count as free, so one segment is enough
    expect(use.log.stats().segments).toBe(7);
    freeBytes = 0;
    use.reopen({ ...SMALL, diskSpace: () => ({ freeBytes, totalBytes: 1e9 }), reserveBytes: 0 });
    use.settle(40);
    expect(use.log.stats().segments).toBe(0);
  });
});

describe('pinned traces', () => {
  const pinned = traceIdOf(5);

  it('outlive retention with all their spans, and nothing else does', () => {
    const records = recordsOf(40);
    use.log.append(records);
    use.log.pin([pinned]);
    use.settle(40);
    use.settle(40, RECEIVED_US + 8 * DAY_US);
    const expected = byTrace(batchesOf(records)).get(pinned)!;
    expect(expected.length).toBeGreaterThan(3);
    expect(toPlainSpans(use.reader.readTrace(pinned))).toEqual(expected);
    expect(byTrace([...use.reader.replay(0)].map(({ batch }) => batch))).toEqual(new Map([[pinned, expected]]));
    use.reopen();
    expect(toPlainSpans(use.reader.readTrace(pinned, 4))).toEqual(
      byTrace(batchesOf(records.slice(0, 4))).get(pinned) ?? [],
    );
    use.log.unpin([pinned]);
    use.settle(40, RECEIVED_US + 8 * DAY_US);
    expect(use.reader.readTrace(pinned)).toBeUndefined();
  });

  it('move together when many segments leave a few each', () => {
    use.reopen({ ...SMALL, segmentSpans: 64 });
    const records = Array.from({ length: 200 }, (_, offset) =>
      toLogRecord(
        batchOf(
          offset,
          Array.from({ length: 64 }, (_unused, i) => (i === 0 ? offset : 1000 + i)),
        ),
        offset,
        RECEIVED_US,
      ),
    );
    for (let from = 0; from < 200; from += 50) use.log.append(records.slice(from, from + 50));
    const kept = Array.from({ length: 200 }, (_, trace) => traceIdOf(trace));
    use.log.pin(kept);
    use.settle(200);
    expect(use.log.stats().segments).toBe(200);
    use.settle(200, RECEIVED_US + 8 * DAY_US);
    expect(use.log.stats().segments).toBeLessThan(80);
    const traces = byTrace(batchesOf(records));
    for (const traceId of kept) expect(toPlainSpans(use.reader.readTrace(traceId))).toEqual(traces.get(traceId));
  });
});

describe('erasing', () => {
  it('leaves no byte of what retention removed, neither in the database nor in the write-ahead file', () => {
    const records = recordsOf(20);
    use.log.append(records);
    use.settle(20);
    use.reader.close();
    expect(rawBytes().includes(spanIdBytes(records[3]!))).toBe(true);
    use.settle(20, RECEIVED_US + 8 * DAY_US);
    expect(use.log.stats().eraseDue).toBe(false);
    expect(rawBytes().includes(spanIdBytes(records[3]!))).toBe(false);
    use.close();
    use.open();
  });

  it('purges single traces from records and segments, pinned or not, and keeps the rest', () => {
    const records = recordsOf(40);
    const canary = toLogRecord(batchOf(40, [7, 2, 7], 'canary-4111'), 40, RECEIVED_US);
    use.log.append([...records, canary]);
    use.log.pin([traceIdOf(7)]);
    use.settle(20);
    expect(storedText()).toContain('canary-4111 40.0');
    const expected = byTrace([...batchesOf(records), decodeBatch(canary.bytes)]);
    use.log.purge([traceIdOf(7)]);
    expect(use.log.stats().isPurging).toBe(true);
    use.settle(20);
    expect(use.log.stats().isPurging).toBe(false);
    expect(use.reader.readTrace(traceIdOf(7))).toBeUndefined();
    expect(storedText()).not.toContain('canary-4111 40.0');
    expect(storedText()).toContain('canary-4111 40.1');
    expect(rawBytes().includes(spanIdBytes(canary))).toBe(false);
    expected.delete(traceIdOf(7));
    use.expectTraces(expected);
  });

  it('waits for a reader in the way', () => {
    use.log.append(recordsOf(20));
    const other = new Database(join(use.directory, 'spans.db'), { readonly: true });
    other.exec('BEGIN');
    other.prepare('SELECT count(*) FROM record').get();
    use.log.purge([traceIdOf(7)]);
    use.settle(0);
    expect(use.log.stats().isPurging).toBe(true);
    other.close();
    use.settle(0);
    expect(use.log.stats().isPurging).toBe(false);
  });

  it('goes on with a purge after a restart', () => {
    use.log.append(recordsOf(20));
    use.log.purge([traceIdOf(7)]);
    use.reopen();
    expect(use.log.stats().isPurging).toBe(true);
    expect(use.reader.readTrace(traceIdOf(7))).toBeDefined();
    use.settle(20);
    expect(use.log.stats().isPurging).toBe(false);
    expect(use.reader.readTrace(traceIdOf(7))).toBeUndefined();
  });
});

describe('a full disk', () => {
  it('refuses retryably, makes room by retention, and accepts again without losing what it acknowledged', () => {
    use.reopen({ ...SMALL, pagesMax: 30 });
    let offset = 0;
    let refused: unknown;
    while (refused === undefined) {
      try {
        use.log.append(recordsOf(1, 200, offset));
        offset++;
      } catch (error) {
        refused = error;
      }
      if (offset > 1000) throw new Error('the disk never fills');
    }
    expect(refused).toBeInstanceOf(UnavailableError);
    expect((refused as UnavailableError).code).toBe('disk-full');
    expect([...use.reader.replay(0)]).toHaveLength(offset);
    expect(use.log.nextOffset()).toBe(offset);
    // the merge finds the disk full as well; the call after it makes room
    use.settle(offset);
    use.settle(offset);
    expect(use.log.stats()).toMatchObject({ isFull: false });
    use.log.append(recordsOf(1, 200, offset));
    const left = [...use.reader.replay(0)].map((record) => record.offset);
    expect(left.at(-1)).toBe(offset);
  });

  it('accepts nothing below the last share of the disk, and again above it', () => {
    let freeBytes = 49;
    use.reopen({ ...SMALL, reserveBytes: 0, diskSpace: () => ({ freeBytes, totalBytes: 1000 }) });
    expect(() => use.log.append(recordsOf(1))).toThrow('too little of the disk is free to accept spans');
    freeBytes = 50;
    use.log.append(recordsOf(1));
    expect(use.log.nextOffset()).toBe(1);
  });
});
