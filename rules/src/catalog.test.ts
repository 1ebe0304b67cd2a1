import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { formatRuleError, parseRules, type RuleInfo, runTests } from './index.ts';
import { toCatalogTable } from './testing/catalog-table.ts';
import { readCallPaths, stripOurs } from './testing/otlp-fixture.ts';

/**
 * What every shipped rule must have, said in words. The files written here are kept up to date by
 * `npx vitest run rules/src/catalog.test.ts -u`.
 */

const root = join(import.meta.dirname, '..');
const fixtures = join(root, 'fixtures');

const sources = filesBelow(join(root, 'catalog'), '.yaml').map((path) => ({
  path,
  text: readFileSync(join(root, 'catalog', path), 'utf8'),
}));
const { ruleSet, errors } = parseRules(sources);
const rules: readonly RuleInfo[] = ruleSet?.rules ?? [];
const named = rules.map((rule) => [rule.id, rule] as const);

function filesBelow(folder: string, suffix: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith(suffix))
    .toSorted();
}

describe('the shipped catalogue', () => {
  it('has no errors', () => {
    expect(errors.map(formatRuleError)).toEqual([]);
  });

  it('answers the questions that were promised', () => {
    expect(rules.map(({ id }) => id)).toEqual(
      expect.arrayContaining([
        'abuse/object-fan-out',
        'access/alg-none-accepted',
        'access/gateway-bypass',
        'access/internal-egress',
        'access/principal-swap',
        'access/tenant-change',
        'access/unauthorized-effect',
        'exfiltration/egress-after-read',
        'exposure/sensitive-data-in-url',
        'exposure/unauthenticated-sensitive-read',
      ]),
    );
  });

  it('has no title twice', () => {
    const titles = rules.map(({ title }) => title);
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  });

  it('uses every fixture', () => {
    const used = new Set(rules.flatMap(({ tests }) => tests.map(({ fixture }) => fixture)));
    expect(filesBelow(fixtures, '.json').filter((path) => !used.has(path))).toEqual([]);
  });

  it('is listed in the README', async () => {
    const file = join(root, 'README.md');
    const text = readFileSync(file, 'utf8');
    const section = /(<!-- catalogue -->\n)[\s\S]*(\n<!-- end of catalogue -->)/;
    expect(text).toMatch(section);
    await expect(text.replace(section, `$1\n${toCatalogTable(rules)}\n$2`)).toMatchFileSnapshot(file);
  });

  it('raises a version when a detection changes', async () => {
    const file = join(root, 'catalog', 'versions.json');
    const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, Recorded>) : {};
    const now = Object.fromEntries(rules.map((rule) => [rule.id, recordOf(rule)]));
    const forgotten = Object.keys(now).filter(
      (id) =>
        known[id] !== undefined && known[id].detection !== now[id]!.detection && known[id].version >= now[id]!.version,
    );
    expect(forgotten).toEqual([]);
    await expect(`${JSON.stringify(now, undefined, 2)}\n`).toMatchFileSnapshot(file);
  });
});

interface Recorded {
  readonly version: number;
  readonly detection: string;
}

/** What decides a verdict, as a hash. */
function recordOf({ id, version, requires }: RuleInfo): Recorded {
  const { detection } = parse(sources.find(({ path }) => path === `${id}.yaml`)!.text) as { detection: unknown };
  const body = createHash('sha256').update(JSON.stringify({ detection, requires })).digest('hex');
  return { version, detection: body.slice(0, 16) };
}

describe.each(named)('%s', (id, rule) => {
  it('says what it asks, what fools it, what it cannot see and what to do', () => {
    expect(rule.question).toMatch(/^(Did|Is|Has|Was)\b.*\?$/);
    expect(rule.title).toMatch(/^[A-Z].*[^.]$/);
    expect(rule.tags.length).toBeGreaterThan(0);
    expect(rule.tags.filter((tag) => !/^owasp\.api([1-9]|10)-2023$/.test(tag))).toEqual([]);
    expect(rule.references.length).toBeGreaterThan(0);
    expect(rule.falsepositives.length).toBeGreaterThan(0);
    expect(rule.blindspots.length).toBeGreaterThan(0);
    expect(rule.respond.length).toBeGreaterThan(0);
    // Maturity "stable" is earned by a story test of a whole breach.
    expect(rule.status).toBe('test');
  });

  it('is tested by a match, a near miss and, where absence counts, an unknown', () => {
    expect(rule.tests.some(({ match }) => match === true)).toBe(true);
    expect(rule.tests.some(({ nearMiss }) => nearMiss)).toBe(true);
    if (rule.requires === 'complete') {
      expect(rule.tests.some(({ match }) => match === 'unknown')).toBe(true);
    }
  });

  const results = runTests(ruleSet!, (fixture) => readCallPaths(join(fixtures, fixture)), id);
  it.each(results.map((result) => [result.name, result] as const))('%s', (_, result) => {
    expect({ error: result.error, verdict: result.actual }).toEqual({ error: undefined, verdict: result.expected });
  });

  it('explains a match in one sentence with nothing unfilled', () => {
    for (const { fixture } of rule.tests.filter(({ match }) => match === true)) {
      const matches = readCallPaths(join(fixtures, fixture)).flatMap((path) => ruleSet!.evaluate(path).matches);
      const [match] = matches.filter((candidate) => candidate.rule.id === id);
      expect(match?.explanation).toMatch(/^[A-Za-z].*\.$/);
      expect(match?.explanation).not.toMatch(/\{\w+\.|undefined/);
      expect(match?.evidence.some(({ roles }) => roles.length > 0)).toBe(true);
    }
  });
});

describe('a near miss of one rule', () => {
  const misses = rules.flatMap(({ tests }) => tests.filter(({ nearMiss }) => nearMiss).map(({ fixture }) => fixture));
  it.each(misses)('%s is no match of any other', (fixture) => {
    const matches = readCallPaths(join(fixtures, fixture)).flatMap((path) => ruleSet!.evaluate(path).matches);
    expect(matches.map(({ rule }) => rule.id)).toEqual([]);
  });
});

describe('a call path without our attributes', () => {
  /** Answered by what stock exporters send; any other rule that answered yes would take absence for a fact. */
  const NEEDS_NO_ATTRIBUTES = ['access/internal-egress'];
  const all = rules.flatMap(({ tests }) => tests.map(({ fixture }) => fixture));
  it.each(all)('%s makes no rule say yes for want of a signal', (fixture) => {
    const matches = readCallPaths(join(fixtures, fixture), stripOurs).flatMap(
      (path) => ruleSet!.evaluate(path).matches,
    );
    expect(matches.map(({ rule }) => rule.id).filter((id) => !NEEDS_NO_ATTRIBUTES.includes(id))).toEqual([]);
  });
});
