import type { Condition, PathRule } from '../model/ast.ts';
import { missingName } from '../model/signal-group.ts';
import { compileField } from './absence.ts';
import { entryOf, serviceOf } from './entry.ts';
import type { Run, Solution } from './run.ts';
import { GENEROUS, UNKNOWN } from './verdict.ts';

/** Why a rule could not answer: a signal group, a field, `completeness`, `join-budget`, `each-limit` or `clock`. */
export interface Missing {
  readonly service: string;
  readonly missing: string;
}

const MISSING_MAX = 16;

/**
 * What would have turned a possible answer into a sure one: signals absent on the hops of the possible solution; where
 * those are all sure, signals absent on hops of negative names, fields of where clauses, or clocks.
 */
export function findMissing(rule: PathRule, run: Run, solution: Solution | undefined): readonly Missing[] {
  const found = new Map<string, Missing>();
  const add = (hop: number, missing: string): void => {
    const service = serviceOf(run.path.hops[hop]!);
    if (found.size < MISSING_MAX) {
      found.set(`${service} ${missing}`, { service, missing });
    }
  };
  const addSelection = (selection: number, hops: readonly number[]): void => {
    for (const hop of hops) {
      if (run.verdict(selection, hop) === UNKNOWN && found.size < MISSING_MAX) {
        for (const missing of run.selections[selection]!.missingOn(hop)) {
          add(hop, missing);
        }
      }
    }
  };
  for (const [selection, hop] of solution?.hops.entries() ?? []) {
    addSelection(selection, hop < 0 ? [] : [hop]);
  }
  for (const operand of rule.where.flatMap(({ left, right }) => [left, right])) {
    const index = operand.kind === 'field' ? rule.selections.findIndex(({ name }) => name === operand.name) : -1;
    const hop = solution?.hops[index] ?? -1;
    const field = operand.kind !== 'field' ? '' : operand.field === 'each' ? (rule.each?.field ?? '') : operand.field;
    if (hop >= 0 && compileField(field)(run.path.hops[hop]!) === undefined) {
      add(hop, missingName(field));
    }
  }
  if (found.size === 0) {
    for (const name of openNames(rule.condition)) {
      const selection = rule.selections.findIndex((candidate) => candidate.name === name);
      addSelection(selection, run.candidates(selection, GENEROUS));
    }
  }
  if (found.size === 0 && solution !== undefined) {
    const hop = solution.hops.find((index) => index >= 0) ?? entryOf(run.path).index;
    add(hop, run.hasUnknownOrder ? 'clock' : 'completeness');
  }
  return [...found.values()];
}

/** Names that a solution does not bind but whose hops decide: negative and counted ones. */
function openNames(condition: Condition, isNegative = false): readonly string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.flatMap((term) => openNames(term, isNegative));
    case 'not':
      return openNames(condition.term, true);
    case 'chain':
      return isNegative ? condition.names : condition.anti ? condition.names.slice(0, 1) : [];
    case 'count':
    case 'distinct':
      return [condition.name];
  }
}
