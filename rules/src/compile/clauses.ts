import type { Condition, FieldTest, Operand, PathRule } from '../model/ast.ts';
import type { Hop } from '../model/call-path.ts';
import { isHidden } from '../model/signal-group.ts';
import { compileField } from './absence.ts';
import { compileAggregate } from './aggregate.ts';
import { describeHop, printValue } from './entry.ts';
import { printChain, printCondition, printFieldTest, printWhere } from './print-rule.ts';
import type { Run, Solution } from './run.ts';
import { GENEROUS } from './verdict.ts';

const CLAUSES_MAX = 40;

export interface Clause {
  readonly clause: string;
  readonly observed: string;
}

/** Every test, relation and where clause of a rule that a solution met, each with what was seen. */
export function explainClauses(rule: PathRule, run: Run, solution: Solution): readonly Clause[] {
  const hopOf = (name: string): Hop | undefined => {
    const index = solution.hops[rule.selections.findIndex((selection) => selection.name === name)] ?? -1;
    return run.path.hops[index];
  };
  const clauses: Clause[] = [];
  for (const [i, selection] of run.selections.entries()) {
    const hop = run.path.hops[solution.hops[i] ?? -1];
    for (const test of hop === undefined ? [] : selection.passedOn(hop.index)) {
      clauses.push({ clause: `${selection.name}: ${printFieldTest(test)}`, observed: observe(hop!, test.field) });
    }
  }
  clauses.push(...conditionClauses(rule.condition, rule, run, hopOf));
  for (const where of rule.where) {
    const left = observeOperand(where.left, hopOf, solution);
    const right = observeOperand(where.right, hopOf, solution);
    if (left !== undefined && right !== undefined) {
      clauses.push({ clause: printWhere(where), observed: `${left} ${where.comparison} ${right}` });
    } else if (left !== undefined || right !== undefined) {
      // The other side belongs to a negative name: nothing was found for it, which is the point.
      clauses.push({ clause: printWhere(where), observed: `nothing for ${left ?? right}` });
    }
  }
  return clauses.slice(0, CLAUSES_MAX);
}

function conditionClauses(
  condition: Condition,
  rule: PathRule,
  run: Run,
  hopOf: (name: string) => Hop | undefined,
): readonly Clause[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.flatMap((term) => conditionClauses(term, rule, run, hopOf));
    case 'not':
      return [{ clause: printCondition(condition), observed: 'none on this call path' }];
    case 'chain': {
      const hops = condition.names.slice(condition.anti ? 1 : 0).map(hopOf);
      if (hops.some((hop) => hop === undefined)) {
        return [];
      }
      const seen = hops.map((hop) => describeHop(hop!));
      const positive = seen.reduce((text, hop, i) => {
        return `${text} ${condition.relations[condition.anti ? i : i - 1]} ${hop}`;
      });
      return [
        {
          clause: printChain(condition),
          observed: condition.anti ? absent(condition.names[0]!, rule, run, positive) : positive,
        },
      ];
    }
    case 'count':
    case 'distinct': {
      const { least } = compileAggregate(
        condition,
        rule.selections.map(({ name }) => name),
      )(run);
      return [{ clause: printCondition(condition), observed: String(least) }];
    }
  }
}

function absent(name: string, rule: PathRule, run: Run, seen: string): string {
  const count = run.candidates(
    rule.selections.findIndex((selection) => selection.name === name),
    GENEROUS,
  ).length;
  return `none of ${count} "${name}" on this call path fits ${seen}`;
}

function observe(hop: Hop, field: string): string {
  const value = compileField(field)(hop);
  if (value === undefined) {
    return 'absent';
  }
  return isHidden(field) ? 'present (not shown)' : printValue(value);
}

function observeOperand(
  operand: Operand,
  hopOf: (name: string) => Hop | undefined,
  solution: Solution,
): string | undefined {
  if (operand.kind === 'literal') {
    return JSON.stringify(operand.value);
  }
  const hop = hopOf(operand.name);
  if (operand.field === 'each') {
    return solution.element === undefined ? undefined : printValue(solution.element);
  }
  return hop === undefined ? undefined : observe(hop, operand.field);
}

/** Names whose every sure hop is part of a match, because the condition counts them. */
export function countedNames(condition: Condition): readonly string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.flatMap(countedNames);
    case 'count':
    case 'distinct':
      return condition.comparison === '>' || condition.comparison === '>=' ? [condition.name] : [];
    default:
      return [];
  }
}

/** Every field that a rule tests, for its coverage and its documentation. */
export function testedFields(rule: PathRule): readonly string[] {
  const tests: readonly FieldTest[] = rule.selections.flatMap(({ alternatives }) => alternatives.flat());
  return [...new Set(tests.map(({ field }) => field))];
}
