import { Signal } from '@spanwarden/rules';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPaths } from './paths.ts';
import { closedTrace, describeTree, labels, rowsOf, type SpanSpec, toBatch, toText } from './testing/spans.ts';

const settings = (over: Partial<Parameters<typeof buildPaths>[1]> = {}) => ({
  traceSpansMax: 10_000,
  coveredHosts: new Set<string>(),
  ...over,
});
const texts = (specs: readonly SpanSpec[]): string[] => buildPaths(closedTrace(specs)).map(toText);
const completenessOf = (specs: readonly SpanSpec[], closedBy: 'idle' | 'cap' | 'limit' | 'flush' = 'idle') =>
  buildPaths(closedTrace(specs, closedBy)).map(({ completeness }) => completeness);
const COVERED = { 'apisec.version': '1' };

describe('call paths', () => {
  it('join services by parent ids, whatever the clocks say', () => {
    expect(
      texts([
        { id: 1, service: 'gateway', start: 100 },
        { id: 2, parent: 1, service: 'gateway', kind: 'client', start: 110 },
        { id: 3, parent: 2, service: 'accounts', start: 5 },
      ]),
    ).toEqual(['accounts/server:3 < gateway/client:2\ngateway/server:1 < -\ngateway/client:2 < gateway/server:1']);
  });

  it('are one tree per root: spans without a parent and spans whose parent never arrived', () => {
    expect(texts([{ id: 7, parent: 99 }, { id: 2 }, { id: 9, parent: 7 }])).toEqual([
      'a/server:2 < -',
      'a/server:7 < -\na/server:9 < a/server:7',
    ]);
  });

  it('put the server half of a shared Zipkin id under the client half, and what the server did under the server', () => {
    expect(
      texts([
        { id: 1, service: 'frontend', kind: 'server' },
        { id: 2, parent: 1, service: 'frontend', kind: 'client', start: 10 },
        { id: 2, parent: 1, service: 'backend', kind: 'server', start: 12 },
        { id: 3, parent: 2, service: 'backend', kind: 'client', start: 14 },
        { id: 4, parent: 2, service: 'frontend', kind: 'internal', start: 16 },
        { id: 5, parent: 2, service: 'elsewhere', kind: 'server', start: 18 },
      ]),
    ).toEqual([
      [
        'frontend/server:1 < -',
        'frontend/client:2 < frontend/server:1',
        'backend/server:2 < frontend/client:2',
        'backend/client:3 < backend/server:2',
        'frontend/internal:4 < frontend/client:2',
        'elsewhere/server:5 < backend/server:2',
      ].join('\n'),
    ]);
  });

  it('put a root server half under its client half when neither names a parent', () => {
    expect(
      texts([
        { id: 2, kind: 'server', service: 'b' },
        { id: 2, kind: 'client', service: 'a' },
      ]),
    ).toEqual(['b/server:2 < a/client:2\na/client:2 < -']);
  });

  it('break cycles at the first span and say so', () => {
    const [tree, ...others] = buildPaths(
      closedTrace([
        { id: 4, parent: 3, start: 4 },
        { id: 2, parent: 4, start: 2 },
        { id: 3, parent: 2, start: 3 },
        { id: 5, parent: 3, start: 5 },
      ]),
    );
    expect(others).toEqual([]);
    expect(toText(tree!)).toBe(
      'a/server:2 < -\na/server:3 < a/server:2\na/server:4 < a/server:3\na/server:5 < a/server:3',
    );
    expect(tree!.completeness).toMatchObject({ complete: false, reasons: ['cycle'], missingParents: 0 });
  });

  it('take a span that names itself for a root in a cycle of one', () => {
    const [tree] = buildPaths(
      closedTrace([
        { id: 1, parent: 1 },
        { id: 2, parent: 1 },
      ]),
    );
    expect(toText(tree!)).toBe('a/server:1 < -\na/server:2 < a/server:1');
    expect(tree!.completeness.reasons).toEqual(['cycle']);
  });

  it('hang a consumer under its only link when that is in the trace and its parent is not', () => {
    const consumer: SpanSpec = { id: 5, service: 'b', kind: 'consumer' };
    const producer: SpanSpec = { id: 2, service: 'a', kind: 'producer' };
    const apart = ['a/producer:2 < -', 'b/consumer:5 < -'];
    expect(texts([producer, { ...consumer, links: [{ id: 2 }] }])).toEqual([
      'a/producer:2 < -\nb/consumer:5 < a/producer:2',
    ]);
    expect(texts([producer, { ...consumer, links: [{ id: 2 }, { id: 3 }] }])).toEqual(apart);
    expect(texts([producer, { ...consumer, links: [{ id: 2, trace: 9 }] }])).toEqual(apart);
    expect(texts([producer, { ...consumer, kind: 'server', links: [{ id: 2 }] }])).toEqual([
      'a/producer:2 < -',
      'b/server:5 < -',
    ]);
  });

  it('do not let a caller from outside hang its request under a span of somebody else', () => {
    const trees = buildPaths(
      closedTrace([
        { id: 1, service: 'gateway' },
        { id: 2, parent: 1, service: 'shop', attributes: { 'apisec.context.trust': 'untrusted' } },
      ]),
    );
    expect(trees.map(toText)).toEqual(['gateway/server:1 < -', 'shop/server:2 < -']);
    expect(trees.map(({ missingParent }) => missingParent)).toEqual(['none', 'outside']);
  });

  it('are the same for every order and repetition of the rows', () => {
    const specs = fc.uniqueArray(
      fc.record({
        id: fc.integer({ min: 1, max: 20 }),
        parent: fc.integer({ min: 0, max: 22 }),
        service: fc.constantFrom('a', 'b'),
        kind: fc.constantFrom('server', 'client', 'consumer', 'producer'),
        start: fc.integer({ min: 0, max: 5 }),
      }),
      { minLength: 1, maxLength: 40, selector: ({ id, service, kind }) => `${id} ${service} ${kind}` },
    );
    fc.assert(
      fc.property(specs, fc.infiniteStream(fc.nat()), (all, noise) => {
        const shuffled = [...all, ...all.slice(0, 5)]
          .map((span) => ({ span, at: noise.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ span }) => span);
        const trees = buildPaths(closedTrace(all)).map(describeTree);
        expect(buildPaths(closedTrace(shuffled)).map(describeTree)).toEqual(trees);
        expect(trees.reduce((sum, { depth }) => sum + depth.length, 0)).toBe(all.length);
      }),
    );
  });

  it('list all positions top-down, each after its parent, with depths and child counts', () => {
    const [tree] = buildPaths(
      closedTrace([
        { id: 1, start: 30 },
        { id: 2, parent: 1, start: 20 },
        { id: 3, parent: 2, start: 10 },
        { id: 4, parent: 1, start: 40 },
      ]),
    );
    expect(labels(tree!)).toEqual(['a/server:3', 'a/server:2', 'a/server:1', 'a/server:4']);
    expect(tree).toMatchObject({ root: 2, parent: [1, 2, -1, 2], depth: [2, 1, 0, 1], childCount: [0, 1, 2, 0] });
    expect(tree!.topDown).toEqual([2, 1, 3, 0]);
  });
});

describe('large traces', () => {
  const chain = (length: number): SpanSpec[] =>
    Array.from({ length }, (_, i) => ({ id: i + 1, parent: i, start: (i * 7919) % length }));

  it('may be one chain of 50,000 spans', () => {
    const [tree, ...others] = buildPaths(closedTrace(chain(50_000)), settings({ traceSpansMax: 50_000 }));
    expect(others).toHaveLength(0);
    expect(Math.max(...tree!.depth)).toBe(49_999);
    expect(tree!.completeness.complete).toBe(true);
  });

  it('may have 100,000 children under one parent', () => {
    const specs = Array.from({ length: 100_000 }, (_, i): SpanSpec => ({ id: i + 1, parent: i === 0 ? 0 : 1 }));
    const [tree] = buildPaths(closedTrace(specs), settings({ traceSpansMax: 100_000 }));
    expect(tree!.childCount[tree!.root]).toBe(99_999);
  });

  it('may be a single cycle or 20,000 spans of one id', () => {
    const cycle = chain(50_000).map((span) => (span.id === 1 ? { ...span, parent: 50_000 } : span));
    expect(buildPaths(closedTrace(cycle))).toHaveLength(1);
    const shared = Array.from({ length: 20_000 }, (_, i): SpanSpec => ({ id: 1, parent: 1, service: `s${i}` }));
    expect(buildPaths(closedTrace(shared)).reduce((sum, { row }) => sum + row.length, 0)).toBe(20_000);
  });

  it('are cut so that what is left is a tree, marked, and nothing is lost to counting', () => {
    const wide: SpanSpec[] = [
      { id: 1, start: 500 },
      ...Array.from({ length: 99 }, (_, i): SpanSpec => ({ id: i + 2, parent: 1, start: 10 * i })),
    ];
    const [tree] = buildPaths(closedTrace(wide), settings({ traceSpansMax: 20 }));
    expect(tree!.hopCount).toBe(20);
    expect(tree!.row).toHaveLength(100);
    expect(tree!.completeness).toMatchObject({ complete: false, reasons: ['truncated'] });
    const kept = labels(tree!).slice(0, 20);
    expect(kept).toContain('a/server:1');
    for (let i = 0; i < 20; i++) expect(tree!.parent[i]).toBeLessThan(20);
    expect(tree!.childCount[tree!.root]).toBe(99);
  });

  it('are not cut as a whole: each call path has the limit to itself, since callers choose trace ids', () => {
    const specs = Array.from({ length: 60 }, (_, i): SpanSpec => ({ id: i + 1 }));
    const trees = buildPaths(closedTrace(specs), settings({ traceSpansMax: 20 }));
    expect(trees.filter(({ completeness }) => completeness.complete)).toHaveLength(60);
  });
});

describe('completeness', () => {
  it('is given for a path that closed by silence with all its spans', () => {
    for (const closedBy of ['idle', 'flush'] as const) {
      expect(completenessOf([{ id: 1 }, { id: 2, parent: 1 }], closedBy)).toEqual([
        { complete: true, score: 1, reasons: [], missingParents: 0, missingAnswers: 0, droppedSpans: 0 },
      ]);
    }
  });

  it('ends with the age cap and with limits', () => {
    expect(completenessOf([{ id: 1 }], 'cap')[0]).toMatchObject({ complete: false, reasons: ['still-open'] });
    expect(completenessOf([{ id: 1 }], 'limit')[0]).toMatchObject({ complete: false, reasons: ['truncated'] });
  });

  it('ends with a parent that never arrived, unless the caller is outside', () => {
    expect(
      completenessOf([
        { id: 3, parent: 2 },
        { id: 4, parent: 3 },
      ])[0],
    ).toEqual({
      complete: false,
      score: 2 / 3,
      reasons: ['missing-parent'],
      missingParents: 1,
      missingAnswers: 0,
      droppedSpans: 0,
    });
    for (const trust of ['untrusted', 'restarted']) {
      const spans: SpanSpec[] = [{ id: 3, parent: 2, attributes: { 'apisec.context.trust': trust } }];
      expect(completenessOf(spans)[0]!.complete).toBe(true);
    }
    expect(completenessOf([{ id: 3, parent: 2, attributes: { 'apisec.context.trust': 'trusted' } }])[0]!.complete).toBe(
      false,
    );
  });

  it('tells by the flags where a missing parent is missing', () => {
    const missing = (flags: number) => buildPaths(closedTrace([{ id: 3, parent: 2, flags }]))[0]!.missingParent;
    expect([0x301, 0x101, 0x001, 0].map(missing)).toEqual(['remote', 'local', 'unknown', 'unknown']);
  });

  const call = (id: number, address: Record<string, string | number>, parent = 1): SpanSpec => ({
    id,
    parent,
    kind: 'client',
    attributes: address,
  });
  const accounts = { 'server.address': 'accounts', 'server.port': 80 };

  it('ends with a call to a host whose other calls are answered by a covered service', () => {
    const answered = [{ id: 1 }, call(2, accounts), { id: 3, parent: 2, service: 'accounts', attributes: COVERED }];
    expect(completenessOf(answered)[0]!.complete).toBe(true);
    expect(completenessOf([...answered, call(4, accounts)])[0]).toMatchObject({
      complete: false,
      score: 4 / 5,
      reasons: ['missing-answer'],
      missingAnswers: 1,
    });
    expect(completenessOf([...answered, call(4, { ...accounts, 'server.port': 81 })])[0]!.complete).toBe(true);
    const stock = answered.map((span) => ({ ...span, attributes: span.id === 3 ? {} : span.attributes }));
    expect(completenessOf([...(stock as SpanSpec[]), call(4, accounts)])[0]!.complete).toBe(true);
  });

  it('ends with a call to a service that is covered by name', () => {
    const covered: SpanSpec = { id: 9, service: 'ledger', attributes: COVERED };
    const [root] = completenessOf([{ id: 1 }, call(2, { 'server.service.name': 'ledger' }), covered]);
    expect(root).toMatchObject({ reasons: ['missing-answer'] });
    expect(completenessOf([{ id: 1 }, call(2, { 'server.service.name': 'other' }), covered])[0]!.complete).toBe(true);
  });

  it('ends with a call to a host that the operator lists', () => {
    const trace = closedTrace([{ id: 1 }, call(2, accounts)]);
    const complete = (host: string) =>
      buildPaths(trace, settings({ coveredHosts: new Set([host]) }))[0]!.completeness.complete;
    expect(['accounts', 'accounts:80', 'accounts:81'].map(complete)).toEqual([false, false, true]);
  });

  it('counts a call that wraps another client span once, and an answer below it for both', () => {
    const wrapped = (specs: SpanSpec[]) =>
      buildPaths(closedTrace([{ id: 1 }, call(2, accounts), call(3, accounts, 2), ...specs]), {
        traceSpansMax: 100,
        coveredHosts: new Set(['accounts']),
      })[0]!.completeness;
    expect(wrapped([]).missingAnswers).toBe(1);
    expect(wrapped([{ id: 4, parent: 3, service: 'accounts' }]).missingAnswers).toBe(0);
    const [throughInner] = buildPaths(
      closedTrace([
        { id: 1 },
        call(2, accounts),
        { id: 3, parent: 2, kind: 'internal' },
        call(4, accounts, 3),
        { id: 5, parent: 4, service: 'accounts' },
      ]),
      settings({ coveredHosts: new Set(['accounts']) }),
    );
    expect(throughInner!.completeness.complete).toBe(true);
  });

  it('ends with head sampling: flags that say "not sampled" from a service without our sampler', () => {
    expect(completenessOf([{ id: 1, flags: 0x100 }])[0]).toMatchObject({ reasons: ['head-sampled'] });
    expect(completenessOf([{ id: 1, flags: 0x100, attributes: COVERED }])[0]!.complete).toBe(true);
    expect(completenessOf([{ id: 1, flags: 0x101 }])[0]!.complete).toBe(true);
    expect(completenessOf([{ id: 1, flags: 0 }])[0]!.complete).toBe(true);
  });

  it('ends with drops that a service reports: the greatest total of each sender', () => {
    const [completeness] = completenessOf([
      { id: 1, clock: 'h1', droppedSpans: 5 },
      { id: 2, parent: 1, clock: 'h1', droppedSpans: 3 },
      { id: 3, parent: 1, clock: 'h2', droppedSpans: 2 },
      { id: 4, parent: 1, service: 'b', attributes: { ...COVERED, 'apisec.dropped_spans': 10 } },
    ]);
    expect(completeness).toMatchObject({ reasons: ['dropped-spans'], droppedSpans: 17, score: 4 / 21 });
  });

  it('of one call path is not touched by another of the same trace', () => {
    const both = completenessOf([{ id: 1 }, { id: 5, parent: 4 }]);
    expect(both.map(({ complete }) => complete)).toEqual([true, false]);
  });

  it('is the same whatever signals the services declare', () => {
    expect(completenessOf([{ id: 1, signals: Signal.auth }])[0]!.complete).toBe(true);
  });
});

describe('clock skew', () => {
  const skewOf = (specs: readonly SpanSpec[], a: number, b: number): number => {
    const [tree] = buildPaths({ rows: rowsOf(toBatch(specs)), closedBy: 'idle' });
    const at = (id: number) => labels(tree!).findIndex((name) => name.endsWith(`:${id}`));
    return tree!.skewUs(at(a), at(b));
  };
  const caller: SpanSpec = { id: 1, kind: 'client', clock: 'h1', start: 1_000_000, end: 2_000_000 };

  it('is nothing on one clock and at least 100 ms between two', () => {
    const inside: SpanSpec = { id: 2, parent: 1, clock: 'h2', start: 1_200_000, end: 1_300_000 };
    expect(skewOf([caller, { ...inside, clock: 'h1' }], 1, 2)).toBe(0);
    expect(skewOf([caller, inside], 1, 2)).toBe(100_000);
    expect(skewOf([caller, inside], 2, 1)).toBe(100_000);
  });

  it('takes the service for the clock where none is named', () => {
    const unnamed = { ...caller, clock: '' };
    expect(skewOf([unnamed, { id: 2, parent: 1, start: 1_200_000 }], 1, 2)).toBe(0);
    expect(skewOf([unnamed, { id: 2, parent: 1, service: 'b', start: 1_200_000 }], 1, 2)).toBe(100_000);
  });

  it('is bounded by how far a child lies outside of the call that waited for it', () => {
    const early: SpanSpec = { id: 2, parent: 1, clock: 'h2', start: 400_000, end: 500_000 };
    expect(skewOf([caller, early], 1, 2)).toBe(1_500_000);
    const late: SpanSpec = { id: 2, parent: 1, clock: 'h2', start: 2_500_000, end: 2_600_000 };
    expect(skewOf([caller, late], 1, 2)).toBe(1_500_000);
    const consumer: SpanSpec = { ...late, kind: 'consumer' };
    expect(skewOf([caller, consumer], 1, 2)).toBe(100_000);
  });

  it('adds up along the way for clocks that never met', () => {
    const specs: SpanSpec[] = [
      caller,
      { id: 2, parent: 1, clock: 'h2', start: 600_000, end: 700_000 },
      { id: 3, parent: 1, clock: 'h3', start: 700_000, end: 800_000 },
    ];
    expect(skewOf(specs, 2, 3)).toBe(1_300_000 + 1_200_000);
  });
});
