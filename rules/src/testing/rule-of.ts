import { type CallPath, formatRuleError, parseRules, type RuleMatch, type RuleSet } from '../index.ts';

/** One rule from its `detection` block (and other keys), for tests of the language. @throws Error with all mistakes */
export function ruleOf(detection: string, more = '', ...documents: readonly string[]): RuleSet {
  const head = 'id: test/rule\ntitle: Test rule\nquestion: Is it one?\nlevel: low\n';
  const body = detection
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  const text = [`${head}${more}\ndetection:\n${body}\n`, ...documents].join('\n---\n');
  const { ruleSet, errors } = parseRules([{ path: 'test/rule.yaml', text }]);
  if (ruleSet === undefined) {
    throw new Error(errors.map(formatRuleError).join('\n'));
  }
  return ruleSet;
}

export type Answer = 'yes' | 'no' | 'unknown';

export function answerOf(ruleSet: RuleSet, path: CallPath): Answer {
  const { matches, unknowns } = ruleSet.evaluate(path);
  if (matches.length > 0) {
    return 'yes';
  }
  return unknowns.length > 0 ? 'unknown' : 'no';
}

/** The only match. @throws Error when there is none or several */
export function matchOf(ruleSet: RuleSet, path: CallPath): RuleMatch {
  const { matches } = ruleSet.evaluate(path);
  if (matches.length !== 1) {
    throw new Error(`${matches.length} matches`);
  }
  return matches[0]!;
}
