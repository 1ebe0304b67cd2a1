import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openReadOnly } from './database.ts';
import { openStoreReader, type StoreReader } from './reader.ts';
import { openStore, type Store } from './store.ts';
import { findingIdOf, hex, SECOND_US, START_US, toDelta, toEdge, toMatch, toOperation } from './testing/deltas.ts';

const DAY_US = 86_400 * SECOND_US;
const ID = findingIdOf(1);
const SETTINGS = { assembleIdleMs: 15_000, now: () => START_US };
let directory: string;
let store: Store;
let reader: StoreReader;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanwarden-store-'));
  store = openStore(directory, SETTINGS);
  reader = openStoreReader(directory, SETTINGS);
});
afterEach(() => {
  reader.close();
  store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A match an hour. */
const hourly = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    toMatch({
      trace: from + i,
      eventUs: START_US + (from + i) * 3600 * SECOND_US,
      records: 3,
      explanation: `hour ${from + i}`,
    }),
  );

/** Something new, by which the rest is old. */
const seen = (eventUs: number) => store.apply(toDelta({ matches: [toMatch({ fingerprint: 9, trace: 999, eventUs })] }));

describe('retention', () => {
  it('folds old matches into the counts: what a finding says stays the same', () => {
    store.apply(toDelta({ matches: hourly(0, 500) }));
    const before = reader.finding(ID);
    const { foldedMatches } = store.retain(START_US + 21 * DAY_US, { matchDays: 1 });
    // most are older than a day; the 16 earliest stay, and the 32 latest
    expect(foldedMatches).toBe(500 - 16 - 32);
    expect(reader.finding(ID)).toEqual(before);
    expect(store.counts().matches).toBe(500);
    expect(store.retain(START_US + 21 * DAY_US, { matchDays: 1 }).foldedMatches).toBe(0);
  });

  it('goes on counting afterwards as if nothing had been folded', () => {
    store.apply(toDelta({ matches: hourly(0, 200) }));
    store.retain(START_US + 10 * DAY_US, { matchDays: 1 });
    store.apply(toDelta({ matches: hourly(200, 230) }));
    const folded = reader.finding(ID)!;
    store.retain(START_US + 10 * DAY_US, { matchDays: 1 });
    const { store: whole, reader: wholeReader } = twin();
    whole.apply(toDelta({ matches: hourly(0, 200) }));
    whole.apply(toDelta({ matches: hourly(200, 230) }));
    expect(folded).toEqual(wholeReader.finding(ID));
    expect(reader.finding(ID)).toEqual(wholeReader.finding(ID));
    whole.close();
    wholeReader.close();
  });

  it('accounts for every match, folded or not', () => {
    store.apply(toDelta({ matches: [...hourly(0, 300), toMatch({ fingerprint: 2 })] }));
    store.retain(START_US + 10 * DAY_US, { matchDays: 1 });
    // the 16 earliest, and 84 that are younger than a day
    const database = openReadOnly(directory);
    const rows = database
      .prepare(
        `SELECT count - folded_count AS matches, records - folded_records AS records, details,
           (SELECT count(*) FROM matches m WHERE m.finding = f.finding AND shown = 1) AS shown,
           (SELECT sum(records) FROM matches m WHERE m.finding = f.finding AND shown = 1) AS shownRecords,
           (SELECT count(*) FROM match_details d WHERE d.finding = f.finding) AS kept
         FROM findings f ORDER BY fingerprint`,
      )
      .all();
    database.close();
    expect(rows).toEqual([
      { matches: 100, records: 300, details: 16, shown: 100, shownRecords: 300, kept: 16 },
      { matches: 1, records: 1, details: 1, shown: 1, shownRecords: 1, kept: 1 },
    ]);
  });

  it('does a bounded amount of work per call, and says when there is more', () => {
    for (let i = 0; i < 6; i++) store.apply(toDelta({ matches: hourly(i * 400, (i + 1) * 400) }));
    const calls = [];
    do calls.push(store.retain(START_US + 365 * DAY_US, { matchDays: 1 }));
    while (calls.at(-1)!.more);
    expect(calls.map(({ foldedMatches }) => foldedMatches)).toEqual([1000, 1000, 2400 - 2000 - 16 - 32]);
    expect(calls.map(({ erased }) => erased)).toEqual([false, false, true]);
    expect(reader.finding(ID)?.count).toBe(2400);
  });

  it('keeps matches that are young, or few', () => {
    store.apply(toDelta({ matches: hourly(0, 100) }));
    expect(store.retain(START_US + 5 * DAY_US, { matchDays: 30 }).foldedMatches).toBe(0);
    store.apply(toDelta({ matches: [toMatch({ fingerprint: 2 })] }));
    seen(START_US + 90 * DAY_US);
    expect(store.retain(START_US + 90 * DAY_US, { matchDays: 30 }).foldedMatches).toBe(100 - 16 - 32);
    expect(reader.finding(findingIdOf(2))?.evidence).not.toBeNull();
  });

  it('forgets findings that were not seen for long, and withdrawals that never found their match', () => {
    store.apply(toDelta({ matches: [toMatch({}), toMatch({ fingerprint: 2, sign: -1 })] }));
    seen(START_US + 399 * DAY_US);
    expect(store.retain(START_US + 500 * DAY_US)).toMatchObject({ forgottenFindings: 1, more: true });
    expect(store.retain(START_US + 500 * DAY_US)).toMatchObject({ forgottenFindings: 0, more: false });
    expect(reader.finding(ID)?.count).toBe(1);
    seen(START_US + 401 * DAY_US);
    expect(store.retain(START_US + 500 * DAY_US).forgottenFindings).toBe(1);
    expect(reader.finding(ID)).toBeUndefined();
    expect(reader.findings({ limit: 10 }).items).toHaveLength(1);
  });

  it('forgets nothing of an old month that is replayed today', () => {
    store.apply(
      toDelta({
        matches: hourly(0, 100),
        traceMarks: [{ traceId: hex(1, 32), revision: 2, closedBy: 'cap', eventUs: START_US }],
      }),
    );
    const result = store.retain(START_US + 2000 * DAY_US);
    expect(result).toMatchObject({ foldedMatches: 0, forgottenFindings: 0, forgottenTraceMarks: 0, more: false });
  });

  it('is not driven by an event of a far future', () => {
    store.apply(toDelta({ matches: hourly(0, 100) }));
    seen(START_US + 20_000 * DAY_US);
    expect(store.retain(START_US + 5 * DAY_US)).toMatchObject({ foldedMatches: 0, forgottenFindings: 0 });
  });

  it('forgets marks of traces with the traces', () => {
    const mark = { traceId: hex(1, 32), revision: 2, closedBy: 'idle' as const, eventUs: START_US };
    store.apply(toDelta({ traceMarks: [mark] }));
    seen(START_US + 13 * DAY_US);
    expect(store.retain(START_US + 13 * DAY_US, { traceMarkDays: 14 }).forgottenTraceMarks).toBe(0);
    expect(reader.traceMark(mark.traceId)).toEqual(mark);
    seen(START_US + 15 * DAY_US);
    expect(store.retain(START_US + 15 * DAY_US, { traceMarkDays: 14 }).forgottenTraceMarks).toBe(1);
    expect(reader.traceMark(mark.traceId)).toBeUndefined();
  });

  it('never lowers the counts of operations and edges', () => {
    store.apply(toDelta({ operations: [toOperation(1)], edges: [toEdge('a', 'b')] }));
    store.retain(START_US + 1000 * DAY_US);
    expect(store.counts()).toMatchObject({ operations: 1, edges: 1 });
  });

  it('says whether deleted content is gone from disk', () => {
    store.apply(toDelta({ matches: hourly(0, 100) }));
    expect(store.retain(START_US + 30 * DAY_US).erased).toBe(true);
  });
});

function twin() {
  const other = mkdtempSync(join(directory, 'twin-'));
  return { store: openStore(other, SETTINGS), reader: openStoreReader(other, SETTINGS) };
}
