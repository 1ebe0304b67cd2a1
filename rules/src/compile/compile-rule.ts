import type { Condition, PathRule, Selection } from '../model/ast.ts';
import type { CallPath } from '../model/call-path.ts';
import type { RuleMatch, RuleRef } from '../model/finding.ts';
import { buildMatch, groupSolutions, hopsOf } from './build-match.ts';
import { compileCondition, type Step } from './condition.ts';
import { entryOf, serviceOf } from './entry.ts';
import { compileMissing, type Unknown } from './missing.ts';
import { Run, type Solution } from './run.ts';
import { answerAll, compileSelection } from './selection.ts';
import type { Sheet } from './sheet.ts';
import type { Tree } from './tree.ts';
import { GENEROUS, type Reading, STRICT, YES } from './verdict.ts';
import { compileWhere } from './where.ts';

/** Answers of all rules about one call path; a rule without an entry here answered "no". */
export interface Outcome {
  readonly matches: RuleMatch[];
  readonly unknowns: Unknown[];
  readonly excepted: { readonly rule: string; readonly count: number }[];
  /** Rules that spent their join budget. */
  readonly exhausted: string[];
}

export interface CompiledRule {
  /** Adds this rule's answer. Only `path` decides it: no clock, no memory of other call paths. */
  evaluate(path: CallPath, outcome: Outcome): void;
}

interface CompiledException {
  readonly expiresUs: number;
  isMet(hops: readonly number[]): boolean;
}

/** One rule as a search that is built once and run on each call path; `tree` and `sheet` are shared by a rule set. */
export function compileRule(rule: PathRule, ref: RuleRef, tree: Tree, sheet: Sheet): CompiledRule {
  const names = rule.selections.map(({ name }) => name);
  const scope = { names, wheres: rule.where.map((where) => compileWhere(where, names)), each: rule.each };
  const first: Step = compileCondition(rule.condition, scope, (run) => run.keep());
  const required = requiredNames(rule.condition)
    .map((name) => names.indexOf(name))
    .toSorted((a, b) => rarity(rule.selections[b]!) - rarity(rule.selections[a]!));
  const exceptions = rule.exceptions.map((exception): CompiledException => {
    const alternatives = exception.match.map((tests) => tests.map((test) => sheet.intern(test)));
    return {
      expiresUs: exception.expiresUs,
      isMet: (hops) => hops.some((hop) => alternatives.some((tests) => answerAll(sheet, tests, hop) === YES)),
    };
  });
  const findMissing = compileMissing(rule);
  const selections = rule.selections.map((selection) => compileSelection(selection, sheet));
  const run = new Run(selections, tree, sheet);

  return {
    evaluate: (path, outcome) => {
      const reading = bestReading(run, required);
      if (reading === undefined) {
        return;
      }
      run.reset();
      if (reading === STRICT) {
        first(run, STRICT);
        if (run.solutions.length > 0) {
          answerYes(path, outcome);
          return;
        }
        if (!run.sawUnknown && !run.isExhausted && !run.isEachCut) {
          return;
        }
      }
      answerMaybe(path, outcome);
    },
  };

  function answerYes(path: CallPath, outcome: Outcome): void {
    if (run.isExhausted) {
      outcome.exhausted.push(rule.id);
      addUnknown(outcome, run.solutions[0], 'join-budget');
    }
    if (rule.requires === 'complete' && !path.completeness.complete) {
      addUnknown(outcome, run.solutions[0], 'completeness');
      return;
    }
    const inForce = exceptions.filter((exception) => path.eventUs < exception.expiresUs);
    let excepted = 0;
    for (const group of groupSolutions(rule, run, run.solutions)) {
      const hops = [entryOf(path).index, ...group.solutions.flatMap((solution) => hopsOf(rule, run, solution))];
      if (inForce.some((exception) => exception.isMet(hops))) {
        excepted++;
      } else {
        outcome.matches.push(buildMatch(rule, ref, run, group));
      }
    }
    if (excepted > 0) {
      outcome.excepted.push({ rule: rule.id, count: excepted });
    }
  }

  function answerMaybe(path: CallPath, outcome: Outcome): void {
    run.wanted = 1;
    if (!run.isExhausted) {
      first(run, GENEROUS);
    }
    if (run.isExhausted) {
      outcome.exhausted.push(rule.id);
      addUnknown(outcome, run.solutions[0], 'join-budget');
    } else if (run.solutions.length > 0) {
      findMissing(run, run.solutions[0]!, outcome.unknowns);
    } else if (run.isEachCut) {
      outcome.unknowns.push({ rule: rule.id, service: serviceOf(entryOf(path)), missing: 'each-limit' });
    }
  }

  function addUnknown(outcome: Outcome, solution: Solution | undefined, missing: string): void {
    const hop = solution?.hops.find((index) => index >= 0) ?? entryOf(run.path).index;
    outcome.unknowns.push({ rule: rule.id, service: serviceOf(run.path.hops[hop]!), missing });
  }
}

/** Strict if each required name surely has a hop, generous if each may have one, else nothing can match. */
function bestReading(run: Run, required: readonly number[]): Reading | undefined {
  let reading: Reading = STRICT;
  for (let i = 0; i < required.length; i++) {
    if (run.candidates(required[i]!, GENEROUS).length === 0) {
      return undefined;
    }
    if (run.candidates(required[i]!, STRICT).length === 0) {
      reading = GENEROUS;
    }
  }
  return reading;
}

/** Names without a hop for which no branch of the condition can hold. */
function requiredNames(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case 'and':
      return [...new Set(condition.terms.flatMap(requiredNames))];
    case 'or': {
      const [first, ...others] = condition.terms.map(requiredNames);
      return first!.filter((name) => others.every((names) => names.includes(name)));
    }
    case 'not':
      return [];
    case 'chain':
      return [...new Set(condition.anti ? condition.names.slice(1) : condition.names)];
    case 'count':
    case 'distinct': {
      const { comparison, bound } = condition;
      const needsOne = (comparison === '>' && bound >= 0) || (comparison === '>=' && bound > 0);
      return needsOne ? [condition.name] : [];
    }
  }
}

/** A guess at how few spans a selection holds: the rarest is looked for first. */
function rarity(selection: Selection): number {
  const ofAlternative = selection.alternatives.map((tests) =>
    tests.reduce(
      (sum, test) => sum + (test.field.startsWith('apisec.') ? 3 : 1) + (test.operator === 'equals' ? 1 : 0),
      0,
    ),
  );
  return Math.min(...ofAlternative);
}
