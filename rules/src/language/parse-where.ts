import type { Comparison, Each, Operand, Where } from '../model/ast.ts';
import { type Token, tokenize } from './lexer.ts';
import type { Problems } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { ScalarNode } from './yaml-node.ts';

const COMPARISONS: readonly string[] = ['>=', '>', '<=', '<', '==', '!=', 'contains'];

/** Text of one where clause -> its operands; undefined after an error. */
export function parseWhere(
  node: ScalarNode,
  selections: readonly string[],
  each: Each | undefined,
  problems: Problems,
): Where | undefined {
  const before = problems.count;
  const tokens = tokenize(String(node.value), (offset, character) => {
    problems.add(node.placeOf(offset), 'E_WHERE', `"${character}" has no meaning in a where clause`);
  });
  const [first, comparison, second, end] = tokens;
  if (first === undefined || comparison === undefined || second === undefined || end?.kind !== 'end') {
    problems.add(node.at, 'E_WHERE', 'a where clause is: name.field, comparison, name.field or literal');
    return undefined;
  }
  if (!COMPARISONS.includes(comparison.text)) {
    problems.add(
      node.placeOf(comparison.offset),
      'E_WHERE',
      `"${comparison.text}" is not a comparison; use ${COMPARISONS.join(' ')}`,
    );
  }
  const read = (token: Token): Operand | undefined => parseOperand(token, node, selections, each, problems);
  const left = read(first);
  const right = read(second);
  if (left?.kind === 'literal' && right?.kind === 'literal') {
    problems.add(node.at, 'E_WHERE', 'one side must be a field of a selection');
  }
  if (problems.count > before || left === undefined || right === undefined) {
    return undefined;
  }
  return { left, comparison: comparison.text as Comparison | 'contains', right };
}

function parseOperand(
  token: Token,
  node: ScalarNode,
  selections: readonly string[],
  each: Each | undefined,
  problems: Problems,
): Operand | undefined {
  if (token.kind === 'number') {
    return { kind: 'literal', value: Number(token.text) };
  }
  if (token.kind === 'text') {
    return { kind: 'literal', value: token.text.slice(1, -1) };
  }
  if (token.text === 'true' || token.text === 'false') {
    return { kind: 'literal', value: token.text === 'true' };
  }
  if (token.kind !== 'path') {
    const what =
      token.kind === 'name' ? `"${token.text}" needs a field (name.field) or quotes` : `found "${token.text}"`;
    problems.add(node.placeOf(token.offset), 'E_WHERE', `expected name.field or a literal: ${what}`);
    return undefined;
  }
  const dot = token.text.indexOf('.');
  const name = token.text.slice(0, dot);
  const field = token.text.slice(dot + 1);
  if (!selections.includes(name)) {
    const hint = didYouMean(name, selections);
    problems.add(node.placeOf(token.offset), 'E_NAME', `"${name}" is not a selection${hint}`);
    return undefined;
  }
  if (field === 'each' && each?.name !== name) {
    problems.add(node.placeOf(token.offset), 'E_WHERE', `"${name}.each" needs "each: ${name}.<field>"`);
    return undefined;
  }
  return { kind: 'field', name, field };
}
