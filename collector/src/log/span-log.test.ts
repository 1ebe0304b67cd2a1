import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../base/errors.ts';
import { openForReading, openForWriting } from './database.ts';
import { openSpanLogReader } from './reader.ts';
import { decodeBatch, toLogRecord } from './record.ts';
import type { SpanLogSettings } from './settings.ts';
import { openSpanLog } from './span-log.ts';
import { arbitraryBatch } from './testing/arbitrary-batch.ts';
import { type PlainSpan, RECEIVED_US, recordsOf, toPlainSpans } from './testing/spans.ts';
import { batchesOf, byTrace, useLog } from './testing/use-log.ts';

const SMALL: SpanLogSettings = { segmentSpans: 100, reserveBytes: 4096 };
const use = useLog(SMALL);

describe('the span log', () => {
  it('gives back what was appended, in order, before and after it is opened again', () => {
    const batches = fc.sample(arbitraryBatch(), { numRuns: 20, seed: 1 });
    use.log.append(batches.slice(0, 12).map((batch, offset) => toLogRecord(batch, offset, 1_000 + offset)));
    use.log.append(batches.slice(12).map((batch, i) => toLogRecord(batch, 12 + i, 1_012 + i)));
    const expected = batches.map((batch, offset) => ({ offset, receivedUs: 1_000 + offset, batch }));
    expect(use.log.nextOffset()).toBe(20);
    expect([...use.reader.replay(5)]).toEqual(expected.slice(5));
    use.reopen();
    expect(use.log.nextOffset()).toBe(20);
    expect([...use.reader.replay(0)]).toEqual(expected);
    expect(use.reader.readTrace('f'.repeat(32))).toBeUndefined();
    expect(use.reader.readTrace("' OR 1=1 --")).toBeUndefined();
  });

  it('gives back the same spans whether they are merged or not, whatever is in them', () => {
    const batches = fc.sample(arbitraryBatch(), { numRuns: 120, seed: 2 });
    use.log.append(batches.map((batch, offset) => toLogRecord(batch, offset, RECEIVED_US + offset)));
    const expected = byTrace(batches);
    use.expectTraces(expected);
    use.settle(110);
    expect(use.log.stats().segments).toBeGreaterThan(3);
    expect(use.log.stats().pendingRecords).toBeGreaterThanOrEqual(10);
    use.expectTraces(expected);
    use.reopen();
    use.expectTraces(expected);
    expect(byTrace([...use.reader.replay(0)].map((record) => record.batch))).toEqual(expected);
  });

  it('replays merged records under their own offset and time of receipt', () => {
    const records = recordsOf(40);
    use.log.append(records);
    use.settle(33);
    const replayed = [...use.reader.replay(3)];
    expect(replayed.map(({ offset, receivedUs }) => [offset, receivedUs])).toEqual(
      records.slice(3).map(({ offset, receivedUs }) => [offset, receivedUs]),
    );
    replayed.forEach(({ batch }, i) => {
      const sorted = (spans: PlainSpan[]) => spans.toSorted((a, b) => (a.spanId < b.spanId ? -1 : 1));
      expect(sorted(toPlainSpans(batch))).toEqual(sorted(toPlainSpans(decodeBatch(records[3 + i]!.bytes))));
    });
  });

  it('answers exactly for records before an offset, on either side of the merge horizon and inside a segment', () => {
    const records = recordsOf(40);
    use.log.append(records);
    for (const horizon of [0, 30]) {
      use.settle(horizon);
      for (const before of [0, 1, 7, 13, 29, 30, 31, 40, 99]) {
        const expected = byTrace(batchesOf(records.filter((record) => record.offset < before)));
        use.expectTraces(expected, before);
        for (const traceId of byTrace(batchesOf(records)).keys()) {
          if (!expected.has(traceId)) expect(use.reader.readTrace(traceId, before)).toBeUndefined();
        }
      }
    }
  });

  it('never merges what lies at or above the horizon', () => {
    use.log.append(recordsOf(40));
    use.settle(12);
    // segments end on whole records: 5 records of 20 spans fill one
    expect(use.log.stats()).toMatchObject({ segments: 2, pendingRecords: 30 });
    use.settle(12);
    expect(use.log.stats()).toMatchObject({ segments: 2, pendingRecords: 30 });
  });

  it('lets appends in between the steps of a merge, and readers see every span once at each of them', () => {
    const records = recordsOf(60);
    use.log.append(records.slice(0, 30));
    let appended = 30;
    let expected = byTrace(batchesOf(records.slice(0, appended)));
    for (let steps = 0; use.log.maintain({ horizonOffset: 30, nowUs: RECEIVED_US }); steps++) {
      use.expectTraces(expected);
      if (steps % 2 === 0 && appended < 60) {
        use.log.append([records[appended]!]);
        expected = byTrace(batchesOf(records.slice(0, ++appended)));
      }
    }
    expect(use.log.stats().segments).toBe(6);
    use.expectTraces(expected);
  });

  it('keeps a lookup in one snapshot while another connection merges', () => {
    const records = recordsOf(30);
    use.log.append(records);
    use.expectTraces(byTrace(batchesOf(records)));
    const replaying = use.reader.replay(0)[Symbol.iterator]();
    const first = replaying.next();
    use.settle(30);
    const rest: { offset: number }[] = [];
    for (let next = replaying.next(); !next.done; next = replaying.next()) rest.push(next.value);
    expect(first.done).toBe(false);
    expect(rest.map(({ offset }) => offset)).toEqual(Array.from({ length: 29 }, (_, i) => i + 1));
  });

  it('names the traces received since a time, merged or not', () => {
    const records = recordsOf(40);
    use.log.append(records);
    use.settle(33);
    const keys = new Set<string>();
    for (const list of use.reader.recentTraceKeys(RECEIVED_US + 20 * 1_000_000)) {
      for (let at = 0; at < list.length; at += 2) keys.add(`${list[at]}:${list[at + 1]}`);
    }
    for (const batch of batchesOf(records.slice(20))) {
      for (let row = 0; row < batch.count; row++) {
        expect(keys).toContain(`${batch.traceId[row * 4 + 2]}:${batch.traceId[row * 4 + 3]}`);
      }
    }
    expect([...use.reader.recentTraceKeys(RECEIVED_US + 99 * 1_000_000)]).toEqual([]);
  });

  it('refuses an offset that was given before, also when the file no longer knows it', () => {
    use.log.append(recordsOf(3));
    expect(() => use.log.append(recordsOf(1, 20, 2))).toThrow('record 2 where 3 or more was due');
    use.reopen({ ...SMALL, nextOffsetAtLeast: 17 });
    expect(use.log.nextOffset()).toBe(17);
    expect(use.damage).toEqual([{ what: 'record', id: 3, reason: 'records 3 to 16 are gone without a trace' }]);
  });
});

describe('opening the span log', () => {
  it('refuses a second writer and says what to do', () => {
    expect(() => openSpanLog(use.directory)).toThrow(
      `another spanwarden process is writing to ${use.directory}: stop it first, or choose another data directory`,
    );
  });

  it('lets the next writer in once the first has closed', () => {
    use.reopen();
    use.log.append(recordsOf(1));
    expect(use.log.nextOffset()).toBe(1);
  });

  it('keeps everything to its owner', () => {
    use.log.append(recordsOf(1));
    expect(statSync(use.directory).mode & 0o777).toBe(0o700);
    for (const file of ['spans.db', 'spans.db-wal', 'spans.db-shm', 'spans.reserve', 'instance.lock']) {
      expect([file, statSync(join(use.directory, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
  });

  it('refuses a file of a newer release', () => {
    use.close();
    const database = new Database(join(use.directory, 'spans.db'));
    database.pragma('user_version = 99');
    database.close();
    expect(() => openSpanLog(use.directory)).toThrow(/schema version 99, this program knows 1: .* newer release/);
    expect(() => openSpanLogReader(use.directory)).toThrow(/newer release/);
    const repaired = new Database(join(use.directory, 'spans.db'));
    repaired.pragma('user_version = 1');
    repaired.close();
    use.open(SMALL);
  });

  it('can be read while no writer has it open', () => {
    use.log.append(recordsOf(2));
    use.close();
    const reader = openSpanLogReader(use.directory);
    expect([...reader.replay(0)]).toHaveLength(2);
    reader.close();
    use.open();
  });

  it('refuses to read where there is no log', () => {
    expect(() => openSpanLogReader(join(use.directory, 'elsewhere'))).toThrow(/there is no span log at .*elsewhere/);
  });

  it('has synchronous FULL when it is opened again, which better-sqlite3 alone does not do', () => {
    use.close();
    const plain = new Database(join(use.directory, 'spans.db'));
    expect(plain.pragma('synchronous', { simple: true })).toBe(1);
    plain.close();
    for (const database of [openForWriting(use.directory, 0), openForWriting(use.directory, 0)]) {
      expect(database.pragma('synchronous', { simple: true })).toBe(2);
      expect(database.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(database.pragma('secure_delete', { simple: true })).toBe(1);
      database.close();
    }
    use.open();
  });

  it('gives readers a handle that cannot write', () => {
    const database = openForReading(use.directory, 0);
    expect(() => database.exec('DELETE FROM record')).toThrow(/readonly/);
    database.close();
  });

  it('says so when another program holds the file, and goes on when it lets go', () => {
    use.reopen({ ...SMALL, busyTimeoutMs: 20 });
    const backup = new Database(join(use.directory, 'spans.db'));
    backup.exec('BEGIN IMMEDIATE');
    expect(() => use.log.append(recordsOf(1))).toThrow('the span log is locked: database is locked');
    expect(() => use.log.pin(['0'.repeat(32)])).toThrow(UnavailableError);
    backup.close();
    use.log.append(recordsOf(1));
    expect([...use.reader.replay(0)]).toHaveLength(1);
  });
});
