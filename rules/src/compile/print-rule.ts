import type { Chain, Condition, FieldTest, Operand, Operator, Where } from '../model/ast.ts';
import { printValue } from './entry.ts';

const SIGNS: Readonly<Record<Operator, string>> = {
  equals: '=',
  contains: 'contains',
  startswith: 'starts with',
  endswith: 'ends with',
  re: 'matches',
  cidr: 'is in',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  exists: 'exists',
};

/** `db.operation.name = select, find, get`, as a person would write the test down. */
export function printFieldTest(test: FieldTest): string {
  if (test.operator === 'exists') {
    return `${test.field} ${test.values.includes(true) ? 'exists' : 'is absent'}`;
  }
  const sign =
    test.negated && test.operator === 'equals' ? '!=' : `${test.negated ? 'not ' : ''}${SIGNS[test.operator]}`;
  const values = test.values.length === 0 ? '(empty list)' : printValue(test.values);
  return `${test.field} ${sign} ${test.all ? 'all of ' : ''}${values}`;
}

export function printChain(chain: Chain): string {
  return chain.names.reduce((text, name, i) => {
    const bang = chain.anti && i === 1 ? '!' : '';
    return `${text} ${bang}${chain.relations[i - 1]} ${name}`;
  });
}

export function printCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.map((term) => parenthesise(term)).join(` ${condition.kind} `);
    case 'not':
      return `not ${parenthesise(condition.term)}`;
    case 'chain':
      return printChain(condition);
    case 'count':
    case 'distinct': {
      const field = condition.field === undefined ? '' : `.${condition.field}`;
      return `${condition.kind}(${condition.name}${field}) ${condition.comparison} ${condition.bound}`;
    }
  }
}

function parenthesise(condition: Condition): string {
  const text = printCondition(condition);
  return condition.kind === 'and' || condition.kind === 'or' ? `(${text})` : text;
}

export function printWhere(where: Where): string {
  return `${printOperand(where.left)} ${where.comparison} ${printOperand(where.right)}`;
}

function printOperand(operand: Operand): string {
  return operand.kind === 'field' ? `${operand.name}.${operand.field}` : JSON.stringify(operand.value);
}
