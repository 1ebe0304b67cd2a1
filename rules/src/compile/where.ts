import type { Comparison, Operand, Where } from '../model/ast.ts';
import type { Scalar, Value } from '../model/value.ts';
import { compileAbsence, compileField } from './absence.ts';
import type { Run } from './run.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** A where clause over the bound names of a run. */
export interface CompiledWhere {
  readonly source: Where;
  /** Selections that must be bound before it can be asked. */
  readonly names: readonly number[];
  test(run: Run): Verdict;
}

/** The value of one side, or what its absence means. */
interface CompiledOperand {
  readonly names: readonly number[];
  value(run: Run): Value | undefined;
  absent(run: Run): Verdict;
}

export function compileWhere(where: Where, names: readonly string[]): CompiledWhere {
  const left = compileOperand(where.left, names);
  const right = compileOperand(where.right, names);
  const compare = compileComparison(where.comparison);
  return {
    source: where,
    names: [...new Set([...left.names, ...right.names])],
    test: (run) => {
      const leftValue = left.value(run);
      const rightValue = right.value(run);
      if (leftValue !== undefined && rightValue !== undefined) {
        return compare(leftValue, rightValue) ? YES : NO;
      }
      const leftVerdict = leftValue === undefined ? left.absent(run) : YES;
      const rightVerdict = rightValue === undefined ? right.absent(run) : YES;
      return Math.min(leftVerdict, rightVerdict) as Verdict;
    },
  };
}

function compileOperand(operand: Operand, names: readonly string[]): CompiledOperand {
  if (operand.kind === 'literal') {
    return { names: [], value: () => operand.value, absent: () => NO };
  }
  const name = names.indexOf(operand.name);
  if (operand.field === 'each') {
    // Bound without an element: the array itself is absent and the span is not covered.
    return { names: [name], value: (run) => run.element, absent: () => UNKNOWN };
  }
  const read = compileField(operand.field);
  const absent = compileAbsence(operand.field);
  return {
    names: [name],
    value: (run) => read(run.path.hops[run.bound[name]!]!),
    absent: (run) => absent(run.path.hops[run.bound[name]!]!),
  };
}

function compileComparison(comparison: Comparison | 'contains'): (left: Value, right: Value) => boolean {
  switch (comparison) {
    case '==':
    case 'contains':
      return (left, right) => someOf(left, right, isEqual);
    case '!=':
      return (left, right) => !someOf(left, right, isEqual);
    case '>':
      return (left, right) => someOf(left, right, (a, b) => areNumbers(a, b) && a > b);
    case '>=':
      return (left, right) => someOf(left, right, (a, b) => areNumbers(a, b) && a >= b);
    case '<':
      return (left, right) => someOf(left, right, (a, b) => areNumbers(a, b) && a < b);
    case '<=':
      return (left, right) => someOf(left, right, (a, b) => areNumbers(a, b) && a <= b);
  }
}

function isEqual(a: Scalar, b: Scalar): boolean {
  return a === b || (typeof a !== typeof b && String(a) === String(b));
}

function areNumbers(a: Scalar, b: Scalar): boolean {
  return typeof a === 'number' && typeof b === 'number';
}

function someOf(left: Value, right: Value, test: (a: Scalar, b: Scalar) => boolean): boolean {
  if (typeof left !== 'object' && typeof right !== 'object') {
    return test(left, right);
  }
  const lefts = typeof left === 'object' ? left : [left];
  const rights = typeof right === 'object' ? right : [right];
  return lefts.some((a) => rights.some((b) => test(a, b)));
}
