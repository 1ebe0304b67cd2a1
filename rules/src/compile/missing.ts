import type { Condition, PathRule } from '../model/ast.ts';
import { missingName } from '../model/signal-group.ts';
import { compileField } from './absence.ts';
import { entryOf, serviceOf } from './entry.ts';
import type { Run, Solution } from './run.ts';
import { GENEROUS, UNKNOWN } from './verdict.ts';

/**
 * A rule could not answer about a call path: on spans of which service what was missing. `missing` is a signal group, a
 * field, `completeness`, `join-budget`, `each-limit` or `clock`.
 */
export interface Unknown {
  readonly rule: string;
  readonly service: string;
  readonly missing: string;
}

/** Entries that one rule adds for one call path. */
const MISSING_MAX = 16;

/**
 * Adds what would have turned a possible answer into a sure one: signals absent on the hops of the possible solution;
 * where those are all sure, signals absent on hops of negative names, fields of where clauses, or clocks.
 */
export function findMissing(rule: PathRule, run: Run, solution: Solution, unknowns: Unknown[]): void {
  const before = unknowns.length;
  const add = (service: string, missing: string): void => {
    for (let i = before; i < unknowns.length; i++) {
      if (unknowns[i]!.missing === missing && unknowns[i]!.service === service) {
        return;
      }
    }
    if (unknowns.length < before + MISSING_MAX) {
      unknowns.push({ rule: rule.id, service, missing });
    }
  };
  const addHop = (selection: number, hop: number): void => {
    if (run.verdict(selection, hop) === UNKNOWN) {
      const service = serviceOf(run.path.hops[hop]!);
      run.selections[selection]!.missingOn(hop, (missing) => add(service, missing));
    }
  };
  for (let selection = 0; selection < solution.hops.length; selection++) {
    if (solution.hops[selection]! >= 0) {
      addHop(selection, solution.hops[selection]!);
    }
  }
  addOperands(rule, run, solution, add);
  if (unknowns.length === before) {
    for (const name of openNames(rule.condition)) {
      const selection = rule.selections.findIndex((candidate) => candidate.name === name);
      for (const hop of run.candidates(selection, GENEROUS)) {
        addHop(selection, hop);
      }
    }
  }
  if (unknowns.length === before) {
    const hop = solution.hops.find((index) => index >= 0) ?? entryOf(run.path).index;
    add(serviceOf(run.path.hops[hop]!), run.hasUnknownOrder ? 'clock' : 'completeness');
  }
}

/** Fields of where clauses that a bound hop lacks. */
function addOperands(
  rule: PathRule,
  run: Run,
  solution: Solution,
  add: (service: string, missing: string) => void,
): void {
  for (const operand of rule.where.flatMap(({ left, right }) => [left, right])) {
    if (operand.kind === 'literal') {
      continue;
    }
    const hop = run.path.hops[solution.hops[rule.selections.findIndex(({ name }) => name === operand.name)] ?? -1];
    const field = operand.field === 'each' ? (rule.each?.field ?? '') : operand.field;
    if (hop !== undefined && compileField(field)(hop) === undefined) {
      add(serviceOf(hop), missingName(field));
    }
  }
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
