import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyWalker, countRecords, WALK_LIMITS } from './body-walk.ts';
import { RAW_BODY_BYTES_MAX, RawBody, RecordCounter } from './raw-body.ts';
import { ResponseProfiles } from './response-profile.ts';

const person = (index: number) => ({
  id: index,
  email: `p${index}@example.com`,
  profile: { phone: '+1 415 555 0132' },
});

describe('record counts', () => {
  test.each([
    [[person(1), person(2)], 2],
    [{ items: [person(1), person(2), person(3)], total: 3 }, 3],
    [{ data: { users: { edges: [{ node: person(1) }, { node: person(2) }] } } }, 2],
    [person(1), 1],
    [{ items: [], total: 0 }, 0],
    [[], 0],
    [null, 0],
    ['text', 1],
    [[1, 2, 3], 3],
    [{ id: 1, tags: ['a', 'b', 'c'] }, 1],
  ])('of %j is %i', (body, records) => {
    expect(countRecords(body)).toBe(records);
  });
});

describe('a walk', () => {
  test('counts how many records carry each type and extrapolates long arrays', () => {
    const result = new BodyWalker().walk({ items: Array.from({ length: 1000 }, (_, index) => person(index)) });
    expect(result).toMatchObject({ records: 1000, fields: ['items[].email', 'items[].profile.phone'], sampled: true });
    expect([...result.dataTypes]).toEqual(
      [
        ['phone', 1000],
        ['email', 1000],
      ].sort(),
    );
  });

  test('gives the same schema hash for the same fields in any order, another for other fields', () => {
    const hash = (body: unknown) => new BodyWalker().walk(body).schemaHash;
    expect(hash({ a: 1, b: 'x' })).toBe(hash({ b: 'y', a: 2 }));
    expect(hash({ a: 1, b: 'x' })).not.toBe(hash({ a: 1, c: 'x' }));
  });

  test('shows neither keys that are values nor those of maps', () => {
    const map = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`Person${index}`, { email: `p${index}@example.com` }]),
    );
    expect(new BodyWalker().walk({ byName: map, 'jane@example.com': { email: 'jane@example.com' } }).fields).toEqual([
      '*.*.email',
      '*.email',
    ]);
  });

  test('ends within its limits on bodies that are deep, wide, cyclic, or made of proxies and getters', () => {
    const cyclic: Record<string, unknown> = { email: 'a@example.com' };
    cyclic['self'] = cyclic;
    let deep: unknown = { email: 'a@example.com' };
    for (let depth = 0; depth < 5000; depth++) deep = { deep };
    const wide = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`k${index}`, index]));
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('trapped');
        },
      },
    );
    for (const body of [
      cyclic,
      deep,
      wide,
      { proxy },
      Array.from({ length: 1000 }, () => Array.from({ length: 1000 }, () => ({ a: 1 }))),
    ])
      expect(new BodyWalker().walk(body).sampled).toBe(true);
  });

  test('stops judging when its time is up but goes on counting', () => {
    let now = 0;
    const walker = new BodyWalker({ ...WALK_LIMITS, budgetMs: 1 }, () => now++);
    const result = walker.walk(Array.from({ length: 40 }, (_, index) => person(index)));
    expect(result).toMatchObject({ records: 40, sampled: true });
    expect(result.dataTypes.get('email')).toBe(40);
  });

  test('throws nothing on any JSON', () => {
    fc.assert(fc.property(fc.jsonValue(), (body) => new BodyWalker().walk(body).records >= 0));
  });
});

describe('profiles', () => {
  test('look at the first bodies of a kind, then estimate, and look again when a body is unusual', () => {
    let now = 0;
    const profiles = new ResponseProfiles({ classify: 'sampled', classifyIntervalMs: 1000 }, () => now);
    for (let index = 0; index < 20; index++) expect(profiles.facts('k', [person(index)]).classified).toBe('full');
    const estimated = profiles.facts('k', [person(1)]);
    expect(estimated).toMatchObject({ classified: 'estimated', records: 1 });
    expect(Object.fromEntries(estimated.dataTypes)).toEqual({ email: 1, phone: 1 });
    expect(profiles.facts('k', [person(1), person(2), person(3)]).classified).toBe('full');
    expect(profiles.facts('k', [{ ...person(1), ssn: '123-45-6788' }])).toMatchObject({ classified: 'full' });
    expect(profiles.facts('k', [person(1)]).classified).toBe('estimated');
    now = 2000;
    expect(profiles.facts('k', [person(1)]).classified).toBe('full');
  });

  test('report what cannot be looked at as an error', () => {
    const hostile = {
      toJSON: () => {
        throw new Error('no');
      },
    };
    expect(new ResponseProfiles({ classify: 'full', classifyIntervalMs: 0 }).facts('k', hostile)).toMatchObject({
      classified: 'error',
      records: 1,
    });
  });
});

describe('raw bodies', () => {
  test('give back JSON, lines and CSV as values', () => {
    const take = (format: 'json' | 'ndjson' | 'csv', ...chunks: string[]) => {
      const body = new RawBody();
      for (const chunk of chunks) body.add(chunk, format);
      return body.take(format);
    };
    expect(take('json', '[{"a":', '1}]')).toEqual([{ a: 1 }]);
    expect(take('ndjson', '{"a":1}\n{"a"', ':2}\n')).toEqual([{ a: 1 }, { a: 2 }]);
    expect(take('csv', 'id;email\n1;"a;b@example.com"\n')).toEqual([{ id: '1', email: 'a;b@example.com' }]);
  });

  test('beyond the cap are counted exactly and kept no longer', () => {
    const rows = Array.from({ length: 20_000 }, (_, index) => ({ index, text: 'with "quotes" and [brackets] {' }));
    const text = JSON.stringify({ page: 1, rows });
    expect(text.length).toBeGreaterThan(RAW_BODY_BYTES_MAX);
    const body = new RawBody();
    for (let at = 0; at < text.length; at += 1000) body.add(text.slice(at, at + 1000), 'json');
    expect(body).toMatchObject({ bytes: text.length, countedRecords: 20_000 });
  });

  test('are counted as parsing would count them, however they are cut', () => {
    const value = fc.array(fc.record({ a: fc.string(), b: fc.array(fc.integer()) }), { minLength: 1 });
    fc.assert(
      fc.property(value, fc.integer({ min: 1, max: 50 }), (records, size) => {
        const counter = new RecordCounter('json');
        const bytes = Buffer.from(JSON.stringify({ records }));
        for (let at = 0; at < bytes.length; at += size) counter.add(bytes.subarray(at, at + size));
        expect(counter.records).toBe(records.length);
      }),
    );
  });
});
