import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SpanLogSettings } from './settings.ts';
import { RECEIVED_US, recordsOf, toPlainSpans } from './testing/spans.ts';
import { batchesOf, byTrace, useLog } from './testing/use-log.ts';

const SMALL: SpanLogSettings = { segmentSpans: 100, reserveBytes: 0 };
const use = useLog(SMALL);

/** Changes one stored value behind the log's back. */
function tamper(table: string, key: string, id: number, column: string, change: (bytes: Buffer) => void): void {
  const database = new Database(join(use.directory, 'spans.db'));
  const bytes = database.prepare(`SELECT ${column} FROM ${table} WHERE ${key} = ?`).pluck().get(id) as Buffer;
  change(bytes);
  database.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`).run(bytes, id);
  database.close();
}

const flip = (at: number, bit: number) => (bytes: Buffer) => {
  const place = at % bytes.length;
  bytes[place] = bytes[place]! ^ (1 << bit);
};

/** The file header is SQLite's own: its versions and counters decide whether the file may be read at all. */
const HEADER_BYTES = 100;

describe('a flipped bit', () => {
  it('in a record is found wherever it is; the record is named, left out, and the rest is as it was', () => {
    const records = recordsOf(4);
    use.log.append(records);
    const without = byTrace(batchesOf(records.filter(({ offset }) => offset !== 2)));
    fc.assert(
      fc.property(fc.constantFrom('body', 'trace_keys'), fc.nat(), fc.nat(7), (column, at, bit) => {
        tamper('record', 'offset', 2, column, flip(at, bit));
        use.reopen(SMALL);
        use.damage.length = 0;
        expect([...use.reader.replay(0)].map(({ offset }) => offset)).toEqual([0, 1, 3]);
        expect(use.damage).toMatchObject([{ what: 'record', id: 2 }]);
        tamper('record', 'offset', 2, column, flip(at, bit));
      }),
      { numRuns: 60 },
    );
    tamper('record', 'offset', 2, 'body', flip(50, 1));
    use.expectTraces(without);
    expect(use.damage.length).toBeGreaterThan(0);
  });

  it('in a record keeps it out of the merge, and out of it for ever', () => {
    const records = recordsOf(20);
    use.log.append(records);
    tamper('record', 'offset', 3, 'body', flip(70, 3));
    use.settle(20);
    expect(use.damage).toMatchObject([{ what: 'record', id: 3, reason: 'the checksum does not fit' }]);
    use.expectTraces(byTrace(batchesOf(records.filter(({ offset }) => offset !== 3))));
    use.reopen(SMALL);
    use.settle(20);
    const database = new Database(join(use.directory, 'spans.db'), { readonly: true });
    expect(database.prepare('SELECT offset FROM record').pluck().all()).toEqual([3]);
    expect(database.prepare('SELECT what, id, reason FROM damage').all()).toEqual([
      { what: 'record', id: 3, reason: 'the checksum does not fit' },
    ]);
    database.close();
  });

  it('in a segment is found wherever it is; no answer is wrong, the segment is named', () => {
    const records = recordsOf(10);
    use.log.append(records);
    use.settle(10);
    const whole = byTrace(batchesOf(records));
    fc.assert(
      fc.property(fc.constantFrom('body', 'directory', 'bloom'), fc.nat(), fc.nat(7), (column, at, bit) => {
        tamper('segment', 'id', 1, column, flip(at, bit));
        use.reopen(SMALL);
        use.damage.length = 0;
        for (const [traceId, spans] of whole) {
          const found = toPlainSpans(use.reader.readTrace(traceId));
          // spans of the damaged segment may be missing, those of the other may not, and none may differ
          const sound = spans.filter((span) => Number.parseInt(span.spanId.slice(0, 8), 16) > 5);
          expect(spans).toEqual(expect.arrayContaining(found));
          expect(found).toEqual(expect.arrayContaining(sound));
        }
        expect(use.damage).toMatchObject([{ what: 'segment', id: 1 }]);
        tamper('segment', 'id', 1, column, flip(at, bit));
      }),
      { numRuns: 60 },
    );
    use.reopen(SMALL);
    use.expectTraces(whole);
  });

  it('in a segment does not stop retention', () => {
    use.log.append(recordsOf(20));
    use.settle(20);
    use.log.pin([...byTrace(batchesOf(recordsOf(1))).keys()]);
    tamper('segment', 'id', 1, 'directory', flip(33, 3));
    use.settle(20, RECEIVED_US + 99 * 86_400_000_000);
    expect([...use.reader.replay(0)].every(({ offset }) => offset > 4)).toBe(true);
    expect(use.log.stats()).toMatchObject({ pendingRecords: 0 });
  });
});

describe('a damaged database file', () => {
  const path = () => join(use.directory, 'spans.db');

  it('that is none any more is set aside, named, and a new log starts', () => {
    use.log.append(recordsOf(3));
    use.close();
    writeFileSync(path(), Buffer.concat([Buffer.alloc(100, 7), readFileSync(path()).subarray(100)]));
    use.open({ ...SMALL, nextOffsetAtLeast: 3 });
    expect(use.damage).toEqual([
      { what: 'database', id: 0, reason: expect.stringContaining('spans.db.damaged-1, 0 rows of it were saved') },
      { what: 'record', id: 0, reason: 'records 0 to 2 are gone without a trace' },
    ]);
    expect(existsSync(`${path()}.damaged-1`)).toBe(true);
    expect(use.log.nextOffset()).toBe(3);
    use.log.append(recordsOf(1, 20, 3));
    expect([...use.reader.replay(0)].map(({ offset }) => offset)).toEqual([3]);
  });

  it('whose schema was changed is set aside too', () => {
    const records = recordsOf(3);
    use.log.append(records);
    use.close();
    const bytes = readFileSync(path());
    bytes.write('spam_count', bytes.indexOf('span_count'));
    writeFileSync(path(), bytes);
    use.open({ ...SMALL, nextOffsetAtLeast: 3 });
    expect(use.damage).toMatchObject([
      { what: 'database', reason: expect.stringMatching(/^the schema is not the one/) },
    ]);
  });

  it('whose write-ahead file lost records is named when the store knows of them', () => {
    use.log.append(recordsOf(2));
    const wal = readFileSync(`${path()}-wal`);
    use.log.append(recordsOf(2, 20, 2));
    const [database, longer] = [readFileSync(path()), readFileSync(`${path()}-wal`)];
    use.close();
    // a bit of the first frame of the second commit
    longer[wal.length + 50] = longer[wal.length + 50]! ^ 4;
    writeFileSync(path(), database);
    writeFileSync(`${path()}-wal`, longer);
    use.open({ ...SMALL, nextOffsetAtLeast: 4 });
    expect([...use.reader.replay(0)].map(({ offset }) => offset)).toEqual([0, 1]);
    expect(use.damage).toEqual([{ what: 'record', id: 2, reason: 'records 2 to 3 are gone without a trace' }]);
    expect(use.log.nextOffset()).toBe(4);
  });

  it('with any bytes behind the file header flipped still opens, says so, and answers with nothing that was not stored', () => {
    const records = recordsOf(40, 100);
    use.log.append(records);
    use.settle(20);
    use.close();
    const intact = readFileSync(path());
    const stored = new Set(
      batchesOf(records).flatMap((batch) => toPlainSpans(batch).map((span) => JSON.stringify(span))),
    );
    const flips = fc.array(
      fc.tuple(fc.integer({ min: HEADER_BYTES, max: intact.length - 1 }), fc.integer({ min: 1, max: 255 })),
      {
        minLength: 1,
        maxLength: 64,
      },
    );
    const isSurvived = fc.property(flips, (places) => {
      const bytes = Buffer.from(intact);
      for (const [at, mask] of places) bytes[at] = bytes[at]! ^ mask;
      for (const name of readdirSync(use.directory)) rmSync(join(use.directory, name));
      writeFileSync(path(), bytes);
      use.damage.length = 0;
      try {
        use.open({ ...SMALL, nextOffsetAtLeast: 40 });
        use.settle(40);
        const found = [...use.reader.replay(0)].flatMap(({ batch }) => toPlainSpans(batch));
        expect(found.filter((span) => !stored.has(JSON.stringify(span)))).toEqual([]);
        if (found.length < 4000) expect(use.damage).not.toEqual([]);
        use.log.append(recordsOf(1, 20, use.log.nextOffset()));
      } finally {
        use.close();
      }
    });
    // the same places in every run: what a run finds can be looked at; other seeds are for the hunt
    fc.assert(isSurvived, { numRuns: 25, seed: Number(process.env['SPANWARDEN_TEST_SEED'] ?? 20_261_122) });
    use.open();
  }, 120_000);
});
