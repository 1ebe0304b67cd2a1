import type { CallPath } from './model/call-path.ts';
import type { RuleSet } from './rule-set.ts';

export interface TestResult {
  readonly rule: string;
  readonly name: string;
  readonly nearMiss: boolean;
  readonly fixture: string;
  readonly expected: boolean | 'unknown';
  /** Undefined when the fixture could not be read; `error` says why. */
  readonly actual: boolean | 'unknown' | undefined;
  readonly passed: boolean;
  readonly error: string | undefined;
}

/**
 * Runs the inline tests of a set's rules, or of one. A fixture answers yes if any of its call paths does, else unknown
 * if any does. A match that an exception accepts is still a match: an operator's exception breaks no test.
 * @param toCallPaths turns a fixture (path below `rules/fixtures/`) into call paths; it throws when it cannot.
 */
export function runTests(
  ruleSet: RuleSet,
  toCallPaths: (fixture: string) => readonly CallPath[],
  only?: string,
): readonly TestResult[] {
  return ruleSet.rules
    .filter((rule) => rule.enabled && (only === undefined || rule.id === only))
    .flatMap((rule) =>
      rule.tests.map(({ name, nearMiss, fixture, match }): TestResult => {
        const test = { rule: rule.id, name, nearMiss, fixture, expected: match };
        try {
          const actual = verdictOf(ruleSet, rule.id, toCallPaths(fixture));
          return { ...test, actual, passed: actual === match, error: undefined };
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          return { ...test, actual: undefined, passed: false, error: message };
        }
      }),
    );
}

function verdictOf(ruleSet: RuleSet, rule: string, paths: readonly CallPath[]): boolean | 'unknown' {
  let isUnknown = false;
  for (const path of paths) {
    const { matches, unknowns, excepted } = ruleSet.evaluate(path);
    if (matches.some((match) => match.rule.id === rule) || excepted.some((known) => known.rule === rule)) {
      return true;
    }
    isUnknown ||= unknowns.some((unknown) => unknown.rule === rule);
  }
  return isUnknown ? 'unknown' : false;
}
