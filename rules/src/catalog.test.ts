import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatRuleError, parseRules, type RuleInfo, runTests } from './index.ts';
import { readCallPaths } from './testing/otlp-fixture.ts';

const root = join(import.meta.dirname, '..');
const catalog = join(root, 'catalog');
const fixtures = join(root, 'fixtures');

const sources = readdirSync(catalog, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .toSorted()
  .map((name) => ({ path: name.replaceAll('\\', '/'), text: readFileSync(join(catalog, name), 'utf8') }));
const { ruleSet, errors } = parseRules(sources);
const rules: readonly RuleInfo[] = ruleSet?.rules ?? [];

describe('the shipped catalogue', () => {
  it('has no errors', () => {
    expect(errors.map(formatRuleError)).toEqual([]);
  });
});

describe.each(rules.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  const results = runTests(ruleSet!, (fixture) => readCallPaths(join(fixtures, fixture)), id);
  it.each(results.map((result) => [result.name, result] as const))('%s', (_, result) => {
    expect({ error: result.error, verdict: result.actual }).toEqual({ error: undefined, verdict: result.expected });
  });
  void rule;
});
