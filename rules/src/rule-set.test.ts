import { describe, expect, it } from 'vitest';
import {
  callPathOf,
  type PathSketch,
  parseRules,
  type RuleSet,
  runTests,
  type SpanSketch,
  type Value,
} from './index.ts';
import { answerOf, matchOf, ruleOf } from './testing/rule-of.ts';

const READ = 'entry: {apisec.entry: true}\nread: {db.system.name|exists: true}\ncondition: entry >> read';

const db = (rows: number, more: Partial<SpanSketch> = {}): SpanSketch => ({
  service: 'profile',
  kind: 'client',
  name: 'SELECT users',
  attributes: { 'db.system.name': 'postgresql', 'db.response.returned_rows': rows },
  ...more,
});

/** gateway -> orders -> profile and its store */
function chain(rows: number, entry: Record<string, Value> = {}, sketch: PathSketch = {}) {
  const served = { 'apisec.entry': true, 'apisec.endpoint': 'gateway GET /orders', 'apisec.principal.id': 'alice' };
  return callPathOf(
    {
      service: 'gateway',
      attributes: { ...served, ...entry },
      children: [
        {
          service: 'gateway',
          kind: 'client',
          children: [
            {
              service: 'orders',
              children: [
                { service: 'orders', kind: 'client', children: [{ service: 'profile', children: [db(rows)] }] },
              ],
            },
          ],
        },
      ],
    },
    sketch,
  );
}

describe('a match', () => {
  it('names the rule, who, through what, along which services, and what it saw', () => {
    const match = matchOf(ruleOf(READ, 'respond: [Look]\ntags: [owasp.api3-2023]\nversion: 3'), chain(7));
    expect(match).toMatchObject({
      rule: { id: 'test/rule', version: 3, engineVersion: 1, level: 'low', status: 'experimental', respond: ['Look'] },
      key: [
        ['apisec.principal.id', 'alice'],
        ['apisec.endpoint', 'gateway GET /orders'],
      ],
      explanation: 'Test rule: principal alice through gateway GET /orders, along gateway → orders → profile.',
      clauses: [
        { clause: 'entry: apisec.entry = true', observed: 'true' },
        { clause: 'read: db.system.name exists', observed: 'postgresql' },
        { clause: 'entry >> read', observed: 'gateway: gateway server >> profile: SELECT users' },
      ],
      windowMs: 86_400_000,
      principal: 'alice',
      operation: 'gateway GET /orders',
      records: 7,
    });
  });

  it('has a fingerprint of rule id and key values that never changes', () => {
    expect(matchOf(ruleOf(READ), chain(7)).fingerprint).toBe(
      'v1:564199cbe9b74ccc72d13f3f2741ceae774e0dc67404a59c995a5903aebea7a2',
    );
  });

  it('is of the time when its last hop ended, never later than the call path', () => {
    const path = chain(7);
    expect(matchOf(ruleOf(READ), path).eventUs).toBe(Math.max(path.hops[0]!.endUs, path.hops.at(-1)!.endUs));
    const early = { ...path, eventUs: path.hops[0]!.startUs };
    expect(matchOf(ruleOf(READ), early).eventUs).toBe(early.eventUs);
  });

  it('shows bound hops with their roles and the hops that connect them', () => {
    expect(matchOf(ruleOf(READ), chain(7)).evidence).toEqual([
      { hop: 0, roles: ['entry'] },
      { hop: 1, roles: [] },
      { hop: 2, roles: [] },
      { hop: 3, roles: [] },
      { hop: 4, roles: [] },
      { hop: 5, roles: ['read'] },
    ]);
  });

  it('shows at most 20 hops, connected', () => {
    const path = callPathOf({
      service: 'gateway',
      attributes: { 'apisec.entry': true },
      children: Array.from({ length: 30 }, () => ({ service: 'profile', children: [db(1)] })),
    });
    const { evidence } = matchOf(ruleOf(READ), path);
    const shown = new Set(evidence.map(({ hop }) => hop));
    expect(evidence.length).toBeLessThanOrEqual(20);
    expect(evidence.length).toBeGreaterThan(18);
    expect([...shown].every((hop) => hop === 0 || shown.has(path.hops[hop]!.parent))).toBe(true);
  });

  it('merges solutions with one key, and counts the records of all of them once', () => {
    const path = callPathOf({
      service: 'gateway',
      attributes: { 'apisec.entry': true, 'apisec.response.record_count': 5 },
      children: [db(4), db(3)],
    });
    const match = matchOf(ruleOf(READ), path);
    expect(match.records).toBe(7);
    expect(match.evidence.map(({ roles }) => roles)).toEqual([['entry'], ['read'], ['read']]);
  });

  it('takes the larger count along a line: the same records pass by', () => {
    expect(matchOf(ruleOf(READ), chain(7, { 'apisec.response.record_count': 10 })).records).toBe(10);
  });

  it('keeps keys apart that the rule tells apart', () => {
    const two = callPathOf({
      service: 'gateway',
      attributes: { 'apisec.entry': true },
      children: [db(1, { service: 'a' }), db(1, { service: 'b' })],
    });
    const { matches } = ruleOf(READ, 'dedup: {key: [read.service.name], window: 7d}').evaluate(two);
    expect(matches.map(({ key, windowMs }) => [key, windowMs])).toEqual([
      [[['read.service.name', 'a']], 604_800_000],
      [[['read.service.name', 'b']], 604_800_000],
    ]);
  });

  it('says unknown for a key that is absent', () => {
    const bare = callPathOf({ service: 'gateway', attributes: { 'apisec.entry': true }, children: [db(1)] });
    const { key, explanation } = matchOf(ruleOf(READ), bare);
    expect(key.map(([, value]) => value)).toEqual(['unknown', 'unknown']);
    expect(explanation).toBe('Test rule: an unknown principal, along gateway → profile.');
  });

  it('keeps 64 solutions at most', () => {
    const path = callPathOf({
      service: 'gateway',
      attributes: { 'apisec.entry': true },
      children: Array.from({ length: 100 }, (_, i) => db(1, { service: `s${i}` })),
    });
    expect(ruleOf(READ, 'dedup: {key: [read.service.name]}').evaluate(path).matches).toHaveLength(64);
  });
});

describe('explain', () => {
  const explained = (template: string, attributes: Record<string, Value> = {}) =>
    matchOf(ruleOf(READ, `explain: "${template}"`), chain(1234, attributes)).explanation;

  it.each([
    ['{entry.apisec.endpoint}', 'gateway GET /orders'],
    ['{read.db.response.returned_rows|count} rows', '1,234 rows'],
    ['{read.db.response.returned_rows|bytes}', '1.2 kB'],
    ['{read.db.response.returned_rows|duration}', '1.2 s'],
    ['{since|date}', '2025-06-15'],
    [
      '{count(read)} reads by {principal} through {endpoint} along {services}, {records} records',
      '1 reads by alice through gateway GET /orders along gateway → orders → profile, 1234 records',
    ],
    ['{read.my.own}', 'unknown'],
    ['{entry.apisec.object.ids}', 'a, b, c, d, e, … (6)'],
  ])('%s', (template, sentence) => {
    expect(explained(template, { 'apisec.object.ids': ['a', 'b', 'c', 'd', 'e', 'f'] })).toBe(sentence);
  });

  it('knows the entry even where no selection is called so', () => {
    const rule = ruleOf('read: {db.system.name|exists: true}\ncondition: read', 'explain: "{entry.service.name}"');
    expect(matchOf(rule, chain(1)).explanation).toBe('gateway');
  });
});

describe('clauses', () => {
  it('hide the values of queries, and tell what an absence was about', () => {
    const rule = ruleOf(
      'gate: {service.name: gate}\nread: {db.query.text|contains: SELECT}\nwhere: gate.user.hash == read.user.hash\ncondition: gate !>> read',
      'requires: complete',
    );
    const attributes = { 'db.system.name': 'a', 'db.query.text': 'SELECT ?', 'user.hash': 'u' };
    expect(matchOf(rule, callPathOf(db(1, { attributes }))).clauses).toEqual([
      { clause: 'read: db.query.text contains SELECT', observed: 'present (not shown)' },
      {
        clause: 'gate !>> read',
        observed: 'none of 0 "gate" on this call path fits profile: SELECT users',
      },
      { clause: 'gate.user.hash == read.user.hash', observed: 'nothing for u' },
    ]);
  });

  it('tell what was counted', () => {
    const rule = ruleOf('read: {db.system.name|exists: true}\ncondition: count(read) > 0');
    expect(matchOf(rule, chain(1)).clauses).toEqual([{ clause: 'count(read) > 0', observed: '1' }]);
  });
});

describe('exceptions', () => {
  const exception = (match: string, expires = '2027-01-01') =>
    `exception: {rule: test/rule, match: {${match}}, reason: known, expires: ${expires}}`;
  const at = (iso: string) => chain(7, {}, { atUs: Date.parse(iso) * 1000 });

  it('count matches that they accept instead of reporting them', () => {
    const { matches, excepted } = ruleOf(READ, '', exception('apisec.principal.id: alice')).evaluate(at('2026-12-31'));
    expect(matches).toEqual([]);
    expect(excepted).toEqual([{ rule: 'test/rule', count: 1 }]);
  });

  it('need one hop of the match, or the entry, to meet them surely', () => {
    const answer = (match: string) => answerOf(ruleOf(READ, '', exception(match)), at('2026-12-31'));
    expect(answer('service.name: profile, db.system.name: postgresql')).toBe('no');
    expect(answer('service.name: orders')).toBe('yes');
    expect(answer('service.name: profile, my.own: x')).toBe('yes');
  });

  it('hold through the day on which they expire, in event time', () => {
    const rule = ruleOf(READ, '', exception('service.name: profile', '2026-06-30'));
    expect(answerOf(rule, at('2026-06-30T23:59:00Z'))).toBe('no');
    expect(answerOf(rule, at('2026-07-01T00:00:00Z'))).toBe('yes');
    const exact = ruleOf(READ, '', exception('service.name: profile', '2026-06-30T12:00:00Z'));
    expect(answerOf(exact, at('2026-06-30T11:00:00Z'))).toBe('no');
    expect(answerOf(exact, at('2026-06-30T12:00:00Z'))).toBe('yes');
  });

  it('may stand in the rule itself', () => {
    const own = 'exceptions: [{match: {service.name: profile}, reason: known, expires: 2027-01-01}]';
    expect(answerOf(ruleOf(READ, own), at('2026-12-31'))).toBe('no');
  });
});

describe('overrides', () => {
  const source = {
    path: 'test/rule.yaml',
    text: 'id: test/rule\ntitle: T\nquestion: Q?\nlevel: low\ntags: [a]\ndetection:\n  egress: {http.request.body.size|gte: 256}\n  condition: egress\n',
  };
  const parse = (override: string) =>
    parseRules([source, { path: 'own.yaml', text: `override: {rule: test/rule, ${override}, reason: r}` }]);
  const sent = (size: number) => callPathOf({ service: 's', attributes: { 'http.request.body.size': size } });

  it('set and append', () => {
    const { ruleSet } = parse('set: {level: high}, append: {tags: [pilot]}');
    expect(ruleSet?.rules[0]).toMatchObject({ level: 'high', tags: ['a', 'pilot'] });
  });

  it('reach a key that holds dots itself', () => {
    const { ruleSet } = parse('set: {detection.egress.http.request.body.size|gte: 1024}');
    expect(answerOf(ruleSet!, sent(512))).toBe('no');
    expect(answerOf(ruleSet!, sent(1024))).toBe('yes');
  });

  it('disable a rule without hiding that it exists', () => {
    const { ruleSet } = parse('set: {enabled: false}');
    expect(ruleSet?.rules.map(({ id, enabled }) => [id, enabled])).toEqual([['test/rule', false]]);
    expect(answerOf(ruleSet!, sent(512))).toBe('no');
  });

  it('cannot change id or version, and are checked like the rule itself', () => {
    expect(parse('set: {version: 2}').errors.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'E_KEY an override cannot change "version"',
    ]);
    expect(parse('set: {level: urgent}').errors.map(({ path, code }) => `${path} ${code}`)).toEqual([
      'own.yaml E_TYPE',
    ]);
  });
});

describe('the content hash', () => {
  const hashOf = (set: RuleSet): string => set.rules[0]!.hash;
  const base = hashOf(ruleOf(READ));

  it('is 64 hex digits, and the same for the same content in another order or style', () => {
    expect(base).toMatch(/^[0-9a-f]{64}$/);
    const text = `question: "Is it one?"\nlevel: low\ntitle: Test rule\nid: test/rule\ndetection:\n  condition: entry >> read\n  read: {"db.system.name|exists": true}\n  entry:\n    apisec.entry: true\n`;
    expect(hashOf(parseRules([{ path: 'test/rule.yaml', text }]).ruleSet!)).toBe(base);
  });

  it('ignores tests, but nothing that can change a verdict', () => {
    const exception = 'exception: {rule: test/rule, match: {service.name: x}, reason: r, expires: 2027-01-01}';
    expect(hashOf(ruleOf(READ, 'tests: [{name: a, match: true}]'))).toBe(base);
    const hashes = [
      base,
      hashOf(ruleOf(READ, 'requires: complete')),
      hashOf(ruleOf(READ.replace('>>', '>'))),
      hashOf(ruleOf(READ, '', exception)),
      hashOf(ruleOf(READ, 'level: high'.replace('level', 'status').replace('high', 'stable'))),
      hashOf(ruleOf(READ.replace('true}', '$t}'), '', 'list: t\nitems: [true]')),
      hashOf(ruleOf(READ.replace('true}', '$t}'), '', 'list: t\nitems: [true, false]')),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});

describe('inline tests', () => {
  const set = ruleOf(
    READ,
    'tests: [{name: it reads, match: true}, {name: No read!, near_miss: true}, {name: other, match: unknown, fixture: x/y}, {name: broken, match: true, fixture: z.otlp.json}]',
  );
  const fixtures: Readonly<Record<string, ReturnType<typeof callPathOf>>> = {
    'test/rule/it-reads.otlp.json': chain(1),
    'test/rule/no-read.otlp.json': callPathOf({ service: 'a', attributes: { 'apisec.entry': true } }),
    'x/y.otlp.json': chain(1),
  };
  const results = runTests(set, (fixture) => {
    if (fixtures[fixture] === undefined) {
      throw new Error(`no ${fixture}`);
    }
    return [fixtures[fixture]];
  });

  it('pass, fail and say what they expected', () => {
    expect(results.map(({ name, passed, actual, error }) => [name, passed, actual, error])).toEqual([
      ['it reads', true, true, undefined],
      ['No read!', true, false, undefined],
      ['other', false, true, undefined],
      ['broken', false, undefined, 'no test/rule/z.otlp.json'],
    ]);
  });

  it('run for one rule alone when asked to', () => {
    expect(runTests(set, () => [], 'test/other')).toEqual([]);
  });
});

describe('an empty call path or rule set', () => {
  it('has nothing to say', () => {
    const nothing = { matches: [], unknowns: [], excepted: [] };
    expect(ruleOf(READ).evaluate({ ...chain(1), hops: [] })).toEqual(nothing);
    expect(parseRules([]).ruleSet?.evaluate(chain(1))).toEqual(nothing);
  });
});
