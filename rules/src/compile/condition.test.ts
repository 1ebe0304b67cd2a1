import { describe, expect, it } from 'vitest';
import { callPathOf, type SpanSketch, type Value } from '../index.ts';
import { type Answer, answerOf, matchOf, ruleOf } from '../testing/rule-of.ts';

/** `a`, `b`, `c` select spans that carry that letter; a span with no letters and no signals may be any of them. */
const LETTERS = 'a: {apisec.object.type: a}\nb: {apisec.object.type: b}\nc: {apisec.object.type: c}\n';

function span(letter: string, children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}): SpanSketch {
  return {
    service: `service-${letter}`,
    clock: 'one',
    children,
    ...more,
    attributes: { 'apisec.object.type': letter, ...more.attributes },
  };
}
/** A span that does not say which letter it is. */
function maybe(children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}): SpanSketch {
  return { service: 'service-maybe', clock: 'one', signals: ['auth'], children, ...more };
}

function ask(condition: string, root: SpanSketch, more = ''): Answer {
  return answerOf(ruleOf(`${LETTERS}${more}condition: ${condition}`, 'requires: complete\n'), callPathOf(root));
}

const a = (children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}) => span('a', children, more);
const b = (children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}) => span('b', children, more);
const c = (children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}) => span('c', children, more);
const x = (children: readonly SpanSketch[] = [], more: Partial<SpanSketch> = {}) => span('x', children, more);

describe('a relation', () => {
  it.each([
    ['a >> b', a([x([b()])]), 'yes'],
    ['a >> b', b([x([a()])]), 'no'],
    ['a >> b', x([a(), b()]), 'no'],
    ['a << b', b([x([a()])]), 'yes'],
    ['a << b', a([b()]), 'no'],
    ['a > b', a([b()]), 'yes'],
    ['a > b', a([x([b()])]), 'no'],
    ['a < b', b([a()]), 'yes'],
    ['a < b', b([x([a()])]), 'no'],
    ['a ~ b', x([a(), b()]), 'yes'],
    ['b ~ a', x([a(), b()]), 'yes'],
    ['a ~ b', x([a([b()])]), 'no'],
    ['a ~> b', x([a(), b()]), 'yes'],
    ['a ~> b', x([b(), a()]), 'no'],
    ['a ~> b', x([x([a()]), x([b()])]), 'yes'],
    ['a >> b >> c', a([b([x([c()])])]), 'yes'],
    ['a >> b >> c', a([c([b()])]), 'no'],
    ['a >> b ~> c', a([b(), c()]), 'yes'],
    ['a >> b ~> c', a([c(), b()]), 'no'],
    ['a >> b', maybe([b()]), 'unknown'],
    ['a >> b', a([maybe()]), 'unknown'],
    ['a ~> b', x([maybe(), b()]), 'unknown'],
    ['a ~> b', x([b(), maybe()]), 'no'],
  ] as const)('%s', (condition, root, answer) => {
    expect(ask(condition, root)).toBe(answer);
  });
});

describe('and, or, not', () => {
  it.each([
    ['a and b', x([a(), b()]), 'yes'],
    ['a and b', x([a()]), 'no'],
    ['a and b', x([a(), maybe()]), 'unknown'],
    ['a or b', x([b()]), 'yes'],
    ['a or b', x([c()]), 'no'],
    ['a or b', x([maybe()]), 'unknown'],
    ['a or b', x([a(), maybe()]), 'yes'],
    ['a and not b', x([a()]), 'yes'],
    ['a and not b', x([a(), b()]), 'no'],
    ['a and not b', x([a(), maybe()]), 'unknown'],
    ['a and not not b', x([a(), b()]), 'yes'],
    ['a and not not b', x([a(), maybe()]), 'unknown'],
    ['a and not (b or c)', x([a(), c()]), 'no'],
    ['a and not (b >> c)', x([a(), c([b()])]), 'yes'],
    ['a and not (b >> c)', x([a(), b([c()])]), 'no'],
    ['(a or b) and c', x([b(), c()]), 'yes'],
    // names keep their span from left to right
    ['a >> b and b >> c', a([b([c()])]), 'yes'],
    ['a >> b and b >> c', x([a([b()]), b([c()])]), 'no'],
    ['a >> b and not b >> c', x([a([b()]), b([c()])]), 'yes'],
    ['a >> b and not b >> c', a([b([c()])]), 'no'],
    // each or branch binds alone
    ['a >> b or b >> c', b([c()]), 'yes'],
  ] as const)('%s', (condition, root, answer) => {
    expect(ask(condition, root)).toBe(answer);
  });
});

describe('an anti-join', () => {
  it.each([
    ['a !>> b', x([b()]), 'yes'],
    ['a !>> b', a([b()]), 'no'],
    ['a !>> b', x([a(), b()]), 'yes'],
    ['a !>> b', maybe([b()]), 'unknown'],
    ['a !>> b', x([maybe(), b()]), 'yes'],
    ['a !>> b', x([a()]), 'no'],
    ['a !~> b', x([b(), a()]), 'yes'],
    ['a !~> b', x([a(), b()]), 'no'],
    ['a !> b', a([x([b()])]), 'yes'],
    ['a !~ b', x([a([b()])]), 'yes'],
    ['a !>> b >> c', x([b([c()])]), 'yes'],
    ['a !>> b >> c', a([b([c()])]), 'no'],
    ['a !>> b >> c', x([b()]), 'no'],
    // each span that is found is asked on its own
    ['a !>> b', x([a([b()]), b()]), 'yes'],
  ] as const)('%s', (condition, root, answer) => {
    expect(ask(condition, root)).toBe(answer);
  });
});

describe('the order of two spans', () => {
  const pair = (first: Partial<SpanSketch>, second: Partial<SpanSketch>): SpanSketch =>
    x([a([], first), b([], second)]);

  it('is read off one clock', () => {
    expect(ask('a ~> b', pair({ start: 10, end: 20 }, { start: 20, end: 30 }))).toBe('yes');
    expect(ask('a ~> b', pair({ start: 10, end: 20 }, { start: 19, end: 30 }))).toBe('no');
  });

  it('is read off the branches below the common ancestor, if one clock timed both', () => {
    const branch = (inner: SpanSketch, start: number, end: number) => x([inner], { clock: 'caller', start, end });
    const far = (letter: 'a' | 'b', clock: string) => span(letter, [], { clock, start: 0, end: 1 });
    expect(ask('a ~> b', x([branch(far('a', 'h1'), 10, 20), branch(far('b', 'h2'), 20, 30)]))).toBe('yes');
    expect(ask('a ~> b', x([branch(far('a', 'h1'), 10, 25), branch(far('b', 'h2'), 20, 30)]))).toBe('no');
  });

  it('is read off two clocks only when they are further apart than the skew', () => {
    const apart = (ms: number) => pair({ clock: 'h1', start: 10, end: 20 }, { clock: 'h2', start: 20 + ms, end: 1000 });
    expect(ask('a ~> b', apart(101))).toBe('yes');
    expect(ask('a ~> b', apart(99))).toBe('unknown');
    expect(ask('b ~> a', pair({ clock: 'h1', start: 500, end: 600 }, { clock: 'h2', start: 10, end: 20 }))).toBe('yes');
    expect(ask('a ~> b', pair({ clock: 'h1', start: 500, end: 600 }, { clock: 'h2', start: 10, end: 20 }))).toBe('no');
    const rule = ruleOf(`${LETTERS}condition: a ~> b`);
    expect(answerOf(rule, callPathOf(apart(101), { skewUs: 200_000 }))).toBe('unknown');
  });

  it('of ancestor and descendant is known on one clock only', () => {
    const asynchronous = (clock: string) =>
      a([b([], { start: 50, end: 60, clock })], { start: 10, end: 20, clock: 'h1' });
    expect(ask('a ~> b', asynchronous('h1'))).toBe('yes');
    expect(ask('a ~> b', asynchronous('h2'))).toBe('unknown');
  });

  it('says "clock" when it could not be told', () => {
    const rule = ruleOf(`${LETTERS}condition: a ~> b`);
    const path = callPathOf(pair({ clock: 'h1', start: 10, end: 20 }, { clock: 'h2', start: 25, end: 30 }));
    expect(rule.evaluate(path).unknowns).toEqual([{ rule: 'test/rule', service: 'service-a', missing: 'clock' }]);
  });
});

describe('where', () => {
  const user = (hash: string): Partial<SpanSketch> => ({ attributes: { 'user.hash': hash } });
  it.each([
    ['a.user.hash == b.user.hash', user('u'), user('u'), 'yes'],
    ['a.user.hash == b.user.hash', user('u'), user('v'), 'no'],
    ['a.user.hash != b.user.hash', user('u'), user('v'), 'yes'],
    ['a.user.hash != b.user.hash', user('u'), {}, 'no'],
    ['a.user.hash != b.user.hash', user('u'), { signals: ['object'] }, 'unknown'],
    ['a.user.hash == "u"', user('u'), {}, 'yes'],
    ['b.span.duration_ms > 5', {}, { start: 2, end: 9 }, 'yes'],
    ['b.span.duration_ms > 5', {}, { start: 2, end: 4 }, 'no'],
    ['b.span.child_count <= 0', {}, {}, 'yes'],
    ['a.apisec.object.ids contains b.user.hash', { attributes: { 'apisec.object.ids': ['u', 'v'] } }, user('v'), 'yes'],
    ['a.apisec.object.ids contains b.user.hash', { attributes: { 'apisec.object.ids': ['u'] } }, user('v'), 'no'],
  ] as const)('%s', (clause, first, second, answer) => {
    const root = a([b([], second as Partial<SpanSketch>)], first as Partial<SpanSketch>);
    expect(ask('a >> b', root, `where: '${clause}'\n`)).toBe(answer);
  });

  it('clauses all hold', () => {
    const root = a([b([], user('u'))], user('u'));
    const clauses = (second: string) => `where: [a.user.hash == b.user.hash, a.user.hash == "${second}"]\n`;
    expect(ask('a >> b', root, clauses('u'))).toBe('yes');
    expect(ask('a >> b', root, clauses('v'))).toBe('no');
  });

  it('narrows an anti-join: an unrelated span does not count', () => {
    const root = (first: string, second: string) => a([b([], user(second))], user(first));
    const where = 'where: a.user.hash == b.user.hash\n';
    expect(ask('a !>> b', root('u', 'u'), where)).toBe('no');
    expect(ask('a !>> b', root('u', 'v'), where)).toBe('yes');
    expect(ask('a !>> b', a([b([], user('v'))], { signals: ['object'] }), where)).toBe('unknown');
  });

  it('waits in an anti-join for names that a later term binds', () => {
    const root = (first: string, last: string) => a([b([c([], user(last))])], user(first));
    const where = 'where: a.user.hash == c.user.hash\n';
    expect(ask('a !>> b and b >> c', root('u', 'u'), where)).toBe('no');
    expect(ask('a !>> b and b >> c', root('u', 'v'), where)).toBe('yes');
  });
});

describe('each', () => {
  const ids = (...values: string[]): Partial<SpanSketch> => ({ attributes: { 'apisec.object.ids': values } });
  const detection = `${LETTERS}each: b.apisec.object.ids\nwhere: a.apisec.object.ids contains b.each\ncondition: a !~> b`;
  const rule = (more = '') => ruleOf(detection, `requires: complete\n${more}`);
  const path = (allowed: Partial<SpanSketch>, moved: Partial<SpanSketch>) =>
    callPathOf(x([a([], allowed), b([], moved)]));

  it('makes a candidate of each element', () => {
    expect(answerOf(rule(), path(ids('1', '2'), ids('1', '2')))).toBe('no');
    expect(answerOf(rule(), path(ids('1'), ids('1', '2')))).toBe('yes');
  });

  it('is unknown where the array is absent and its group not recorded, and no where it is recorded', () => {
    expect(answerOf(rule(), path(ids('1'), {}))).toBe('no');
    const uncovered = { service: 'u', clock: 'one', signals: [], attributes: { 'apisec.object.type': 'b' } } as const;
    expect(answerOf(rule(), callPathOf(x([a([], ids('1')), uncovered])))).toBe('unknown');
  });

  it('may be a dedup key, so that each element is a match of its own', () => {
    const keyed = rule('dedup: {key: [b.each]}\n');
    const { matches } = keyed.evaluate(path(ids('1'), ids('1', '2', '3')));
    expect(matches.map(({ key }) => key)).toEqual([[['b.each', '2']], [['b.each', '3']]]);
  });

  it('looks at 16 elements and says so when there are more', () => {
    const many = Array.from({ length: 17 }, (_, i) => `id-${i}`);
    const { matches, unknowns } = rule().evaluate(path(ids(...many.slice(0, 16)), ids(...many)));
    expect(matches).toEqual([]);
    expect(unknowns).toEqual([{ rule: 'test/rule', service: 'service-x', missing: 'each-limit' }]);
  });
});

describe('an aggregate', () => {
  const ids = (...values: string[]): Partial<SpanSketch> => ({ attributes: { 'apisec.object.ids': values } });
  it.each([
    ['count(a) > 1', x([a(), a()]), 'yes'],
    ['count(a) > 1', x([a()]), 'no'],
    ['count(a) > 1', x([a(), maybe()]), 'unknown'],
    ['count(a) >= 2', x([a(), a([maybe()])]), 'yes'],
    ['b and count(a) < 2', x([b(), a()]), 'yes'],
    ['b and count(a) < 2', x([b(), a(), a()]), 'no'],
    ['b and count(a) < 2', x([b(), a(), maybe()]), 'unknown'],
    ['b and count(a) == 1', x([b(), a()]), 'yes'],
    ['b and count(a) == 1', x([b(), a(), maybe()]), 'unknown'],
    ['b and count(a) == 1', x([b(), a(), a()]), 'no'],
    ['b and count(a) != 1', x([b(), a(), a()]), 'yes'],
    ['b and count(a) != 1', x([b(), a()]), 'no'],
    ['b and count(a) <= 0', x([b()]), 'yes'],
    ['a and not count(b) > 1', x([a(), b()]), 'yes'],
    ['a and not count(b) > 1', x([a(), b(), maybe()]), 'unknown'],
    ['distinct(a.apisec.object.ids) > 2', x([a([], ids('1', '2')), a([], ids('2', '3'))]), 'yes'],
    ['distinct(a.apisec.object.ids) > 2', x([a([], ids('1', '2')), a([], ids('2', '1'))]), 'no'],
    ['distinct(a.apisec.object.ids) > 2', x([a([], ids('1', '2')), maybe([], { ...ids('3') })]), 'unknown'],
    ['distinct(a.apisec.object.ids) > 2', x([a([], ids('1')), a([], { signals: ['auth'] })]), 'unknown'],
  ] as const)('%s', (condition, root, answer) => {
    expect(ask(condition, root as SpanSketch)).toBe(answer);
  });
});

describe('requires: complete', () => {
  const rule = (requires: string) => ruleOf(`${LETTERS}condition: a !>> b`, `requires: ${requires}\ndescription: d\n`);
  const path = callPathOf(x([b()]), { completeness: { complete: false } });

  it('turns a yes on an incomplete call path into unknown', () => {
    expect(rule('complete').evaluate(path).unknowns).toEqual([
      { rule: 'test/rule', service: 'service-b', missing: 'completeness' },
    ]);
    expect(answerOf(rule('any'), path)).toBe('yes');
  });

  it('leaves a no a no', () => {
    expect(answerOf(rule('complete'), callPathOf(a([b()]), { completeness: { complete: false } }))).toBe('no');
  });
});

describe('what was missing', () => {
  it('is told per service and signal group', () => {
    const rule = ruleOf('a: {user.hash: u}\nb: {apisec.effect: debit, my.own: x}\ncondition: a >> b');
    const path = callPathOf({
      service: 'gateway',
      signals: ['object'],
      children: [
        { service: 'ledger', signals: ['auth'] },
        { service: 'bank', attributes: { 'apisec.effect': 'debit' } },
      ],
    });
    expect(rule.evaluate(path).unknowns).toEqual([
      { rule: 'test/rule', service: 'gateway', missing: 'auth' },
      { rule: 'test/rule', service: 'ledger', missing: 'object' },
    ]);
  });

  it('is told of negative names when all that was found is sure', () => {
    const rule = ruleOf(`${LETTERS}condition: a !>> b`, 'requires: complete');
    expect(rule.evaluate(callPathOf(maybe([b()]))).unknowns).toEqual([
      { rule: 'test/rule', service: 'service-maybe', missing: 'object' },
    ]);
  });
});

describe('the join budget', () => {
  const wide = (count: number, letter: 'a' | 'b', attributes: Record<string, Value> = {}) =>
    Array.from({ length: count }, () => span(letter, [], { attributes }));

  it('answers unknown and makes a finding when it is spent', () => {
    const rule = ruleOf(`${LETTERS}where: a.user.hash == b.user.hash\ncondition: a and b`);
    const path = callPathOf(
      x([...wide(200, 'a', { 'user.hash': 'u' }), ...wide(200, 'b', { 'user.hash': 'v' })], {
        attributes: { 'apisec.entry': true, 'apisec.endpoint': 'shop GET /all', 'apisec.principal.id': 'p' },
      }),
    );
    const { matches, unknowns } = rule.evaluate(path);
    expect(unknowns).toEqual([{ rule: 'test/rule', service: 'service-x', missing: 'join-budget' }]);
    expect(matches.map((match) => [match.rule.id, match.principal, match.operation])).toEqual([
      ['engine/trace-too-complex', 'p', 'shop GET /all'],
    ]);
    expect(matches[0]?.explanation).toContain('test/rule gave up after 20000 candidates');
  });

  it('suffices for 10,000 spans that are found from below', () => {
    const rule = ruleOf(`${LETTERS}where: a.user.hash != b.user.hash\ncondition: a >> b`);
    const user = { 'user.hash': 'u' };
    const path = callPathOf(a(wide(9_000, 'b', user), { attributes: user }));
    expect(answerOf(rule, path)).toBe('no');
  });

  it('is never a way to a yes inside a negation', () => {
    const rule = ruleOf(
      `${LETTERS}where: [a.user.hash == b.user.hash]\ncondition: c and not (a and b)`,
      'requires: complete',
    );
    const path = callPathOf(x([c(), ...wide(200, 'a', { 'user.hash': 'u' }), ...wide(200, 'b', { 'user.hash': 'v' })]));
    expect(rule.evaluate(path).matches.map((match) => match.rule.id)).toEqual(['engine/trace-too-complex']);
  });

  it('does not let one rule take from another', () => {
    const path = callPathOf(x([...wide(200, 'a', { 'user.hash': 'u' }), ...wide(200, 'b', { 'user.hash': 'v' }), c()]));
    const cheap = matchOf(ruleOf(`${LETTERS}condition: c`), path);
    expect(cheap.rule.id).toBe('test/rule');
  });

  it('follows a chain of 5,000 spans without recursion', () => {
    let root = b();
    for (let depth = 0; depth < 5_000; depth++) {
      root = x([root], { start: 0, end: 10 });
    }
    expect(answerOf(ruleOf(`${LETTERS}condition: a >> b`), callPathOf(root))).toBe('no');
  });
});
