import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallPath, callPathOf, type Hop, parseRules, type SpanSketch } from './index.ts';

const LETTERS = ['a', 'b', 'c'] as const;

/** A span that says its letter, says another one, or does not say. */
const attributes = fc.record(
  {
    'apisec.object.type': fc.constantFrom('a', 'b', 'c', 'x'),
    'user.hash': fc.constantFrom('u', 'v'),
    'apisec.object.ids': fc.array(fc.constantFrom('1', '2', '3'), { maxLength: 3 }),
  },
  { requiredKeys: [] },
);

const { tree } = fc.letrec<{ tree: SpanSketch }>((tie) => ({
  tree: fc.record({
    service: fc.constantFrom('s1', 's2', 's3'),
    clock: fc.constantFrom('h1', 'h2', ''),
    start: fc.integer({ min: 0, max: 500 }),
    end: fc.integer({ min: 500, max: 700 }),
    signals: fc.constantFrom([], ['auth', 'object'] as const, ['auth'] as const),
    attributes,
    children: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constant([]),
      fc.array(tie('tree') as fc.Arbitrary<SpanSketch>, { maxLength: 3 }),
    ),
  }) as fc.Arbitrary<SpanSketch>,
}));

const name = fc.constantFrom(...LETTERS);
const relation = fc.constantFrom('>>', '>', '<<', '<', '~', '~>');
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small' },
    fc.tuple(name, relation, name).map((parts) => parts.join(' ')),
    fc.tuple(name, relation, name, relation, name).map((parts) => parts.join(' ')),
    name,
    fc
      .tuple(name, fc.constantFrom('>', '<', '==', '>='), fc.integer({ min: 0, max: 3 }))
      .map(([counted, comparison, bound]) => `count(${counted}) ${comparison} ${bound}`),
    fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `(${left}) and (${right})`),
    fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `(${left}) or (${right})`),
    fc.tuple(tie('condition'), tie('condition')).map(([left, right]) => `(${left}) and not (${right})`),
  ) as fc.Arbitrary<string>,
}));

function ruleSetOf(text: string, where: readonly string[] = []) {
  const detection: Record<string, unknown> = { condition: text, ...(where.length > 0 ? { where } : {}) };
  for (const letter of LETTERS) {
    detection[letter] = { 'apisec.object.type': letter };
  }
  const rule = { id: 'test/rule', title: 'T', question: 'Q?', level: 'low', requires: 'complete', detection };
  return parseRules([{ path: 'test/rule.yaml', text: JSON.stringify(rule) }]).ruleSet;
}

type Answer = 'yes' | 'no' | 'unknown';

function answer(text: string, path: CallPath, where: readonly string[] = []): Answer | undefined {
  const evaluation = ruleSetOf(text, where)?.evaluate(path);
  if (evaluation === undefined) {
    return undefined;
  }
  return evaluation.matches.length > 0 ? 'yes' : evaluation.unknowns.length > 0 ? 'unknown' : 'no';
}

/** The same call path with its hops in another order. */
function reordered(path: CallPath, order: readonly number[]): CallPath {
  const position = new Map(order.map((old, index) => [old, index]));
  const hops = order.map((old, index): Hop => {
    const hop = path.hops[old]!;
    return { ...hop, index, parent: hop.parent < 0 ? -1 : position.get(hop.parent)! };
  });
  return { ...path, hops, skewUs: (a, b) => path.skewUs(order[a]!, order[b]!) };
}

const WHERE = ['a.user.hash != b.user.hash'];

/** Every way in which a span that does not say its letter, or its user, could have said it. */
function withKnowledge(sketch: SpanSketch, choose: () => number): SpanSketch {
  const say = (field: string, values: readonly string[]) => {
    const choice = choose() % (values.length + 1);
    return sketch.attributes?.[field] !== undefined || choice === 0 ? {} : { [field]: values[choice - 1]! };
  };
  const isCovered = sketch.signals?.includes('object') === true;
  return {
    ...sketch,
    signals: ['auth', 'object'],
    attributes: {
      ...(isCovered ? {} : say('apisec.object.type', ['a', 'b', 'c'])),
      ...(sketch.signals?.includes('auth') === true ? {} : say('user.hash', ['u', 'v'])),
      ...sketch.attributes,
    },
    children: (sketch.children ?? []).map((child) => withKnowledge(child, choose)),
  };
}

describe('whatever the rule and the call path', () => {
  it('a yes or no stays what it is when the missing attributes are filled in', () => {
    fc.assert(
      fc.property(
        condition,
        tree,
        fc.array(fc.nat({ max: 3 }), { minLength: 40, maxLength: 40 }),
        (text, root, choices) => {
          const where = text.includes('a') && text.includes('b') ? WHERE : [];
          const before = answer(text, callPathOf(root), where);
          if (before === undefined || before === 'unknown') {
            return;
          }
          let next = 0;
          const known = withKnowledge(root, () => choices[next++ % choices.length]!);
          const after = answer(text, callPathOf(known), where);
          // What is left unknown in time stays so: only attributes were filled in.
          expect(after === before || after === 'unknown').toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('the negated question has the opposite answer', () => {
    fc.assert(
      fc.property(condition, tree, (text, root) => {
        const path = callPathOf(root);
        const all = `count(a) >= 0 and (${text})`;
        const plain = answer(all, path);
        const negated = answer(`count(a) >= 0 and not (${text})`, path);
        if (plain === undefined || negated === undefined) {
          return;
        }
        expect(negated).toBe(plain === 'yes' ? 'no' : plain === 'no' ? 'yes' : 'unknown');
      }),
      { numRuns: 500 },
    );
  });

  it('the order of hops changes no answer', () => {
    fc.assert(
      fc.property(condition, tree, fc.infiniteStream(fc.nat()), (text, root, random) => {
        const path = callPathOf(root);
        const order = path.hops.map((_, index) => ({ index, key: random.next().value ?? 0 }));
        const shuffled = order.toSorted((a, b) => a.key - b.key).map(({ index }) => index);
        expect(answer(text, reordered(path, shuffled))).toBe(answer(text, path));
      }),
      { numRuns: 300 },
    );
  });

  it('asking twice, with other call paths between, gives the same evaluation', () => {
    fc.assert(
      fc.property(condition, fc.array(tree, { minLength: 2, maxLength: 5 }), (text, roots) => {
        const ruleSet = ruleSetOf(text);
        if (ruleSet === undefined) {
          return;
        }
        const paths = roots.map((root) => callPathOf(root));
        const first = paths.map((path) => ruleSet.evaluate(path));
        const again = paths.toReversed().map((path) => ruleSet.evaluate(path));
        expect(again.toReversed()).toEqual(first);
      }),
      { numRuns: 200 },
    );
  });

  it('evidence never exceeds 20 hops and holds every role of the match', () => {
    fc.assert(
      fc.property(condition, tree, (text, root) => {
        for (const match of ruleSetOf(text)?.evaluate(callPathOf(root)).matches ?? []) {
          expect(match.evidence.length).toBeLessThanOrEqual(20);
          expect(match.evidence.map(({ hop }) => hop)).toEqual(
            match.evidence.map(({ hop }) => hop).toSorted((a, b) => a - b),
          );
        }
      }),
      { numRuns: 200 },
    );
  });
});
