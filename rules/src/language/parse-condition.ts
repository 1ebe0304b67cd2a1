import type { Aggregate, Chain, Comparison, Condition, Relation } from '../model/ast.ts';
import { type Token, tokenize } from './lexer.ts';
import { LANGUAGE_LIMITS } from './limits.ts';
import type { Problems } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { ScalarNode } from './yaml-node.ts';

export const RESERVED_NAMES = ['and', 'or', 'not', 'count', 'distinct', 'contains', 'each', 'where', 'condition'];

const RELATIONS: readonly string[] = ['>>', '>', '<<', '<', '~', '~>'];
const COMPARISONS: readonly string[] = ['>=', '>', '<=', '<', '==', '!='];

/** Aborts one condition at its first syntax error: what follows could only repeat it. */
class Unparsable extends Error {}

/** Text of a condition -> its tree; undefined after a syntax error. Names that are no selection are all reported. */
export function parseCondition(
  node: ScalarNode,
  selections: readonly string[],
  problems: Problems,
): Condition | undefined {
  try {
    return new ConditionParser(node, selections, problems).parse();
  } catch (error) {
    if (error instanceof Unparsable) {
      return undefined;
    }
    throw error;
  }
}

class ConditionParser {
  readonly #node: ScalarNode;
  readonly #selections: readonly string[];
  readonly #problems: Problems;
  readonly #tokens: readonly Token[];
  #next = 0;
  #terms = 0;
  #depth = 0;

  constructor(node: ScalarNode, selections: readonly string[], problems: Problems) {
    this.#node = node;
    this.#selections = selections;
    this.#problems = problems;
    this.#tokens = tokenize(String(node.value), (offset, character) => {
      problems.add(node.placeOf(offset), 'E_CONDITION', `"${character}" has no meaning in a condition`);
    });
  }

  parse(): Condition {
    const condition = this.#or();
    if (this.#peek().kind !== 'end') {
      this.#fail(`expected "and", "or" or the end, found "${this.#peek().text}"`);
    }
    if (this.#terms > LANGUAGE_LIMITS.termsMax) {
      this.#problems.add(
        this.#node.at,
        'E_LIMIT',
        `${this.#terms} terms in one condition, at most ${LANGUAGE_LIMITS.termsMax}`,
      );
    }
    return condition;
  }

  #or(): Condition {
    const terms = [this.#and()];
    while (this.#accept('or')) {
      terms.push(this.#and());
    }
    return terms.length === 1 ? terms[0]! : { kind: 'or', terms };
  }

  #and(): Condition {
    const terms = [this.#unary()];
    while (this.#accept('and')) {
      terms.push(this.#unary());
    }
    return terms.length === 1 ? terms[0]! : { kind: 'and', terms };
  }

  #unary(): Condition {
    this.#depth++;
    if (this.#depth > LANGUAGE_LIMITS.termsMax) {
      this.#fail(`nested deeper than ${LANGUAGE_LIMITS.termsMax} levels`);
    }
    const condition = this.#unaryInside();
    this.#depth--;
    return condition;
  }

  #unaryInside(): Condition {
    if (this.#accept('not')) {
      return { kind: 'not', term: this.#unary() };
    }
    if (this.#accept('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    this.#terms++;
    const token = this.#peek();
    const following = this.#tokens[this.#next + 1];
    if ((token.text === 'count' || token.text === 'distinct') && following?.text === '(') {
      return this.#aggregate(token.text);
    }
    return this.#chain();
  }

  #aggregate(kind: 'count' | 'distinct'): Aggregate {
    this.#next += 2;
    const token = this.#take();
    const dot = token.text.indexOf('.');
    if (kind === 'count' ? token.kind !== 'name' : token.kind !== 'path') {
      this.#fail(
        kind === 'count' ? 'count takes a name: count(read)' : 'distinct takes a field: distinct(read.field)',
        token,
      );
    }
    const name = dot < 0 ? token.text : token.text.slice(0, dot);
    this.#checkName(name, token.offset);
    this.#expect(')');
    const comparison = this.#take();
    if (!COMPARISONS.includes(comparison.text)) {
      this.#fail(`expected a comparison such as ">", found "${comparison.text}"`, comparison);
    }
    const bound = this.#take();
    if (bound.kind !== 'number') {
      this.#fail(`expected a number, found "${bound.text}"`, bound);
    }
    return {
      kind,
      name,
      field: dot < 0 ? undefined : token.text.slice(dot + 1),
      comparison: comparison.text as Comparison,
      bound: Number(bound.text),
    };
  }

  #chain(): Chain {
    const names = [this.#name()];
    const relations: Relation[] = [];
    let anti = false;
    for (;;) {
      const bang = this.#accept('!');
      const token = this.#peek();
      if (!RELATIONS.includes(token.text)) {
        if (bang) {
          this.#fail(`expected a relation such as ">>" after "!", found "${token.text}"`);
        }
        return { kind: 'chain', names, relations, anti };
      }
      if (bang && relations.length > 0) {
        this.#problems.add(
          this.#node.placeOf(token.offset - 1),
          'E_NEGATION',
          'only the first relation of a chain can be negated',
        );
      }
      anti ||= bang;
      this.#next++;
      relations.push(token.text as Relation);
      names.push(this.#name());
    }
  }

  #name(): string {
    const token = this.#take();
    if (token.kind === 'path') {
      this.#fail(`"${token.text}" is a field; a condition relates names, fields belong into "where"`, token);
    }
    if (token.kind !== 'name' || RESERVED_NAMES.includes(token.text)) {
      this.#fail(
        token.kind === 'end' ? 'a name is missing at the end' : `expected a name, found "${token.text}"`,
        token,
      );
    }
    this.#checkName(token.text, token.offset);
    return token.text;
  }

  #checkName(name: string, offset: number): void {
    if (!this.#selections.includes(name)) {
      const hint = didYouMean(name, this.#selections);
      this.#problems.add(this.#node.placeOf(offset), 'E_NAME', `"${name}" is not a selection${hint}`);
    }
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') {
      this.#next++;
    }
    return token;
  }

  #accept(text: string): boolean {
    if (this.#peek().text !== text) {
      return false;
    }
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) {
      const found = this.#peek();
      this.#fail(`expected "${text}", found ${found.kind === 'end' ? 'the end' : `"${found.text}"`}`);
    }
  }

  #fail(message: string, token: Token = this.#peek()): never {
    this.#problems.add(this.#node.placeOf(token.offset), 'E_CONDITION', message);
    throw new Unparsable(message);
  }
}
