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

/** Adds to `unknowns` why a rule with this possible solution could not answer. */
export type MissingFinder = (run: Run, solution: Solution, unknowns: Unknown[]) => void;

/**
 * Tells what would have turned a possible answer into a sure one: signals absent on the hops of the possible solution;
 * where those are all sure, signals absent on hops of negative names, fields of where clauses, or clocks.
 */
export function compileMissing(rule: PathRule): MissingFinder {
  const indexOf = (name: string): number => rule.selections.findIndex((selection) => selection.name === name);
  const open = openNames(rule.condition).map(indexOf);
  const operands = rule.where
    .flatMap(({ left, right }) => [left, right])
    .flatMap((operand) => {
      if (operand.kind === 'literal') {
        return [];
      }
      const field = operand.field === 'each' ? (rule.each?.field ?? '') : operand.field;
      return [{ selection: indexOf(operand.name), read: compileField(field), missing: missingName(field) }];
    });

  return (run, solution, unknowns) => {
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
    for (const { selection, read, missing } of operands) {
      const hop = run.path.hops[solution.hops[selection]!];
      if (hop !== undefined && read(hop) === undefined) {
        add(serviceOf(hop), missing);
      }
    }
    if (unknowns.length > before) {
      return;
    }
    for (const selection of open) {
      for (const hop of run.candidates(selection, GENEROUS)) {
        addHop(selection, hop);
      }
    }
    if (unknowns.length === before) {
      const hop = solution.hops.find((index) => index >= 0) ?? entryOf(run.path).index;
      add(serviceOf(run.path.hops[hop]!), run.hasUnknownOrder ? 'clock' : 'completeness');
    }
  };
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
