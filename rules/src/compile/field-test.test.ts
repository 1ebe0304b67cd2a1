import { describe, expect, it } from 'vitest';
import { callPathOf, type SignalName, type SpanKind, type Value } from '../index.ts';
import { type Answer, answerOf, ruleOf } from '../testing/rule-of.ts';

/** What a selection of one test says about one span. */
function ask(
  test: string,
  attributes: Record<string, Value>,
  { signals, kind = 'server' }: { signals?: readonly SignalName[]; kind?: SpanKind } = {},
): Answer {
  const span = { service: 'shop', kind, attributes, ...(signals === undefined ? {} : { signals }) };
  return answerOf(ruleOf(`a: {${test}}\ncondition: a`), callPathOf(span));
}

describe('a present value', () => {
  it.each([
    ['service.name: shop', {}, 'yes'],
    ['service.name: sho', {}, 'no'],
    ['service.name: s*p', {}, 'yes'],
    ['service.name: sh?p', {}, 'yes'],
    ['service.name: Shop', {}, 'no'],
    ['service.name|ci: SHOP', {}, 'yes'],
    ['service.name: [a, shop]', {}, 'yes'],
    ['service.name|ne: [a, b]', {}, 'yes'],
    ['service.name|ne: [a, shop]', {}, 'no'],
    ['x|contains: b', { x: 'abc' }, 'yes'],
    ['x|contains: d', { x: 'abc' }, 'no'],
    ['x|startswith: ab', { x: 'abc' }, 'yes'],
    ['x|startswith: b', { x: 'abc' }, 'no'],
    ['x|endswith: bc', { x: 'abc' }, 'yes'],
    ['x|endswith|ci: BC', { x: 'abc' }, 'yes'],
    ['x|contains|ne: d', { x: 'abc' }, 'yes'],
    ["x|re: '^a[bx]'", { x: 'abc' }, 'yes'],
    ["x|re: '^b'", { x: 'abc' }, 'no'],
    ['x|re|ci: B', { x: 'abc' }, 'yes'],
    ['x|cidr: 10.0.0.0/8', { x: '10.1.2.3' }, 'yes'],
    ['x|cidr: 10.0.0.0/8', { x: '::ffff:10.1.2.3' }, 'yes'],
    ["x|cidr: ['192.168.0.0/16', 'fe80::/10']", { x: 'fe80::1%eth0' }, 'yes'],
    ['x|cidr: 10.0.0.0/8', { x: 'example.org' }, 'no'],
    ['x|cidr|ne: 10.0.0.0/8', { x: 'example.org' }, 'yes'],
    ['x|gt: 5', { x: 6 }, 'yes'],
    ['x|gt: 5', { x: 5 }, 'no'],
    ['x|gte: 5', { x: 5 }, 'yes'],
    ['x|lt: 5', { x: 4 }, 'yes'],
    ['x|lte: 5', { x: 6 }, 'no'],
    ['x|gt: 5', { x: 'six' }, 'no'],
    ['x: 5', { x: '5' }, 'yes'],
    ["x: 'true'", { x: true }, 'yes'],
    ['x: b', { x: ['a', 'b'] }, 'yes'],
    ['x|ne: b', { x: ['a', 'b'] }, 'no'],
    ['x|all: [a, b]', { x: ['a', 'b', 'c'] }, 'yes'],
    ['x|all: [a, d]', { x: ['a', 'b', 'c'] }, 'no'],
    ['x|contains|all: [a, c]', { x: 'abc' }, 'yes'],
    ['x|exists: true', { x: 'a' }, 'yes'],
    ['x|exists: false', { x: 'a' }, 'no'],
    ['x|fieldref: y', { x: 'a', y: 'a' }, 'yes'],
    ['x|fieldref: y', { x: 'a', y: '*' }, 'no'],
    ['x|fieldref|ne: y', { x: 'a', y: 'b' }, 'yes'],
    ['x|gt|fieldref: y', { x: 3, y: 2 }, 'yes'],
    ['x|fieldref: y', { x: 'a' }, 'unknown'],
    [String.raw`x: 'a\*'`, { x: 'a*' }, 'yes'],
    [String.raw`x: 'a\*'`, { x: 'ab' }, 'no'],
  ] as const)('%s on %o is %s', (test, attributes, answer) => {
    expect(ask(test, attributes as Record<string, Value>)).toBe(answer);
  });

  it('is seen by a regex up to 1,024 characters', () => {
    expect(ask('x|re: b', { x: `${'a'.repeat(1023)}b` })).toBe('yes');
    expect(ask('x|re: b', { x: `${'a'.repeat(1024)}b` })).toBe('no');
  });
});

describe('an absent attribute', () => {
  const all = undefined;
  it.each([
    // ours, on a covered span: no
    ['user.hash: a', all, 'server', {}, 'no'],
    ['user.hash|ne: a', all, 'server', {}, 'no'],
    ['user.hash|exists: true', all, 'server', {}, 'no'],
    ['user.hash|exists: false', all, 'server', {}, 'yes'],
    ['session.id|exists: false', all, 'server', {}, 'yes'],
    // ours, where the group is not recorded: unknown
    ['user.hash: a', ['data'], 'server', {}, 'unknown'],
    ['user.hash|ne: a', ['data'], 'server', {}, 'unknown'],
    ['user.hash|exists: true', ['data'], 'server', {}, 'unknown'],
    ['user.hash|exists: false', ['data'], 'server', {}, 'unknown'],
    ['apisec.authz.decision: deny', ['auth'], 'server', {}, 'unknown'],
    ['apisec.event: login', ['event'], 'server', {}, 'no'],
    ['apisec.effect: debit', ['object'], 'server', {}, 'no'],
    ['apisec.response.data_classes: pii', ['data'], 'server', {}, 'no'],
    ['session.id: a', ['auth'], 'server', {}, 'unknown'],
    // an answer that was not classified uncovers data
    ['apisec.response.data_classes: pii', all, 'server', { 'apisec.response.classified': 'skipped_size' }, 'unknown'],
    ['apisec.response.data_classes: pii', all, 'server', { 'apisec.response.classified': 'error' }, 'unknown'],
    ['apisec.response.data_classes: pii', all, 'server', { 'apisec.response.classified': 'sampled' }, 'no'],
    // without a group: as far as our instrumentation runs at all
    ['apisec.client.public: true', ['auth'], 'server', {}, 'no'],
    ['apisec.client.public: true', [], 'server', {}, 'unknown'],
    ['apisec.signals: auth', [], 'server', {}, 'no'],
    // only calls that are made can leave the estate, only served ones have an exposure
    ['apisec.egress.third_party: true', [], 'server', {}, 'no'],
    ['apisec.egress.third_party: true', [], 'client', {}, 'unknown'],
    ['apisec.exposure: external', [], 'client', {}, 'no'],
    ['apisec.exposure: external', [], 'server', {}, 'unknown'],
    ['apisec.entry: true', [], 'server', {}, 'no'],
    // a domain the span is not in: no; in it: unknown
    ['db.operation.name: SELECT', [], 'client', {}, 'no'],
    ['db.operation.name: SELECT', [], 'client', { 'db.system.name': 'redis' }, 'unknown'],
    ['db.system.name|exists: true', [], 'client', {}, 'no'],
    ['http.request.body.size|gt: 1', [], 'client', {}, 'no'],
    ['http.request.body.size|gt: 1', [], 'client', { 'http.request.method': 'GET' }, 'unknown'],
    ['rpc.method|exists: false', [], 'client', {}, 'yes'],
    ['messaging.destination.name: a', [], 'producer', { 'messaging.system.name': 'kafka' }, 'unknown'],
    // anything else: unknown
    ['server.address: a', all, 'server', {}, 'unknown'],
    ['my.own: a', all, 'server', {}, 'unknown'],
    ['my.own|exists: false', all, 'server', {}, 'unknown'],
    ['span.duration_ms|gte: 0', [], 'server', {}, 'yes'],
    ['span.root: true', [], 'server', {}, 'yes'],
    ['span.depth: 0', [], 'server', {}, 'yes'],
    ['apisec.caller.service|exists: false', [], 'server', {}, 'yes'],
  ] as const)('%s with signals %o on a %s span with %o is %s', (test, signals, kind, attributes, answer) => {
    const options = signals === undefined ? { kind } : { kind, signals };
    expect(ask(test, attributes as Record<string, Value>, options)).toBe(answer);
  });
});

describe('a selection', () => {
  const sets = (yes: boolean, unknown: boolean): Record<string, Value> => ({
    a: yes ? 'x' : 'y',
    ...(unknown ? {} : { b: 'x' }),
  });

  it('of one map needs all of its tests', () => {
    const rule = ruleOf('s: {a: x, b: x}\ncondition: s');
    const answer = (attributes: Record<string, Value>) => answerOf(rule, callPathOf({ service: 's', attributes }));
    expect(answer(sets(true, false))).toBe('yes');
    expect(answer(sets(true, true))).toBe('unknown');
    expect(answer(sets(false, true))).toBe('no');
  });

  it('of several maps needs one of them', () => {
    const rule = ruleOf('s: [{a: x}, {b: x}]\ncondition: s');
    const answer = (attributes: Record<string, Value>) => answerOf(rule, callPathOf({ service: 's', attributes }));
    expect(answer(sets(false, false))).toBe('yes');
    expect(answer(sets(true, true))).toBe('yes');
    expect(answer(sets(false, true))).toBe('unknown');
    expect(answer({ a: 'y', b: 'y' })).toBe('no');
  });

  it('with tests shared by its alternatives needs them, too', () => {
    const rule = ruleOf('s: [{a: x, b: "1"}, {a: x, b: "2"}]\ncondition: s');
    const answer = (a: string, b: string) => answerOf(rule, callPathOf({ service: 's', attributes: { a, b } }));
    expect([answer('x', '1'), answer('x', '2'), answer('x', '3'), answer('y', '1')]).toEqual([
      'yes',
      'yes',
      'no',
      'no',
    ]);
  });

  it('with an empty list matches nothing, and with `ne` everything present', () => {
    const empty = 'list: none\nitems: []';
    const path = callPathOf({ service: 's', attributes: { a: 'x' } });
    expect(answerOf(ruleOf('s: {a: $none}\ncondition: s', '', empty), path)).toBe('no');
    expect(answerOf(ruleOf('s: {a|ne: $none}\ncondition: s', '', empty), path)).toBe('yes');
  });
});
