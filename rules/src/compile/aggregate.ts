import type { Aggregate, Comparison } from '../model/ast.ts';
import type { Scalar } from '../model/value.ts';
import { compileAbsence, compileField } from './absence.ts';
import type { Run } from './run.ts';
import { GENEROUS, NO, STRICT, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** What a count can be: at least what is certain, at most what is possible. */
export interface Interval {
  readonly least: number;
  readonly most: number;
}

export type CompiledAggregate = (run: Run) => Interval;

/** `count` and `distinct` range over the whole call path, whatever is bound. */
export function compileAggregate(aggregate: Aggregate, names: readonly string[]): CompiledAggregate {
  const selection = names.indexOf(aggregate.name);
  const { field } = aggregate;
  if (field === undefined) {
    return (run) => ({
      least: run.candidates(selection, STRICT).length,
      most: run.candidates(selection, GENEROUS).length,
    });
  }
  const read = compileField(field);
  const absent = compileAbsence(field);
  return (run) => {
    const certain = new Set<Scalar>();
    const possible = new Set<Scalar>();
    let isOpen = false;
    for (const index of run.candidates(selection, GENEROUS)) {
      const hop = run.path.hops[index]!;
      const value = read(hop);
      isOpen ||= value === undefined && absent(hop) === UNKNOWN;
      const isSure = run.verdict(selection, index) === YES;
      for (const element of value === undefined ? [] : typeof value === 'object' ? value : [value]) {
        possible.add(element);
        if (isSure) {
          certain.add(element);
        }
      }
    }
    return { least: certain.size, most: isOpen ? Number.POSITIVE_INFINITY : possible.size };
  };
}

export function compareInterval({ least, most }: Interval, comparison: Comparison, bound: number): Verdict {
  switch (comparison) {
    case '>':
      return verdictOf(least > bound, most > bound);
    case '>=':
      return verdictOf(least >= bound, most >= bound);
    case '<':
      return verdictOf(most < bound, least < bound);
    case '<=':
      return verdictOf(most <= bound, least <= bound);
    case '==':
      return verdictOf(least === bound && most === bound, least <= bound && bound <= most);
    case '!=':
      return verdictOf(bound < least || bound > most, least !== bound || most !== bound);
  }
}

function verdictOf(isCertain: boolean, isPossible: boolean): Verdict {
  if (isCertain) {
    return YES;
  }
  return isPossible ? UNKNOWN : NO;
}
