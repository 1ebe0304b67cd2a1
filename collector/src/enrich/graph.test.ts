import { describe, expect, it } from 'vitest';
import { type ClosedTrace, createAssembler } from '../assemble/assembler.ts';
import { buildPaths } from '../assemble/paths.ts';
import { hasNezha, readNezha, toNezhaBatch } from '../assemble/testing/nezha.ts';
import type { SpanSpec } from '../assemble/testing/spans.ts';
import { Counters } from '../base/counters.ts';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import { createEnricher } from './enricher.ts';
import { type GraphFacts, toGraphFacts } from './graph.ts';
import { enrichAll } from './testing/paths.ts';

function factsOf(specs: readonly SpanSpec[]): GraphFacts {
  const all = enrichAll(specs).map(toGraphFacts);
  return { operations: all.flatMap((facts) => facts.operations), edges: all.flatMap((facts) => facts.edges) };
}

const serviceEdges = (specs: readonly SpanSpec[]): string[] =>
  factsOf(specs)
    .edges.filter(({ level }) => level === 'service')
    .map(({ from, fromKind, to, toKind }) => `${fromKind} ${from} > ${toKind} ${to}`)
    .sort();

const http = (method: string, route: string) => ({ 'http.request.method': method, 'http.route': route });

describe('graph facts', () => {
  const path: SpanSpec[] = [
    { id: 1, service: 'edge', attributes: { ...http('GET', '/me'), 'apisec.edge': true } },
    { id: 2, parent: 1, service: 'edge', kind: 'client' },
    {
      id: 3,
      parent: 2,
      service: 'profiles',
      version: '2.0',
      attributes: {
        ...http('GET', '/profiles/:id'),
        'apisec.auth.scheme': 'bearer',
        'apisec.auth.verified': 'yes',
        'apisec.response.data.email': 3,
      },
    },
    {
      id: 4,
      parent: 3,
      service: 'profiles',
      kind: 'client',
      attributes: { 'db.system.name': 'postgresql', 'db.namespace': 'people' },
    },
    { id: 5, parent: 1, service: 'edge', kind: 'client', status: 2, attributes: { 'server.address': 'API.mail.io' } },
    {
      id: 6,
      parent: 1,
      service: 'edge',
      kind: 'producer',
      attributes: { 'messaging.system.name': 'kafka', 'messaging.destination.name': 'views' },
    },
  ];

  it('are one service edge per call: clients, services, stores, queues and hosts outside', () => {
    expect(serviceEdges(path)).toEqual([
      'client external client > service edge',
      'service edge > external api.mail.io',
      'service edge > queue kafka:views',
      'service edge > service profiles',
      'service profiles > store postgresql:people',
    ]);
  });

  it('tell each served call with what was observed of it', () => {
    const { operations } = factsOf(path);
    expect(operations.map(({ service, method, route, style }) => [service, method, route, style])).toEqual([
      ['edge', 'GET', '/me', 'http'],
      ['profiles', 'GET', '/profiles/{id}', 'rest'],
    ]);
    expect(operations[1]!.id).toMatch(/^[0-9a-f]{16}$/);
    expect(operations[1]!.facets).toEqual([
      { facet: 'exposure', value: 'internal', records: 0 },
      { facet: 'authn', value: 'bearer', records: 0 },
      { facet: 'verified', value: 'yes', records: 0 },
      { facet: 'version', value: '2.0', records: 0 },
      { facet: 'caller', value: 'edge', records: 0 },
      { facet: 'response-type', value: 'email', records: 3 },
    ]);
  });

  it('join operations by id, with errors and data types', () => {
    const { operations, edges } = factsOf(path);
    const [edge, profiles] = operations;
    const joined = edges.filter(({ level }) => level === 'operation');
    expect(joined.map(({ from, to }) => [from, to])).toEqual([
      ['external client', edge!.id],
      [edge!.id, profiles!.id],
      [profiles!.id, 'postgresql:people'],
      [edge!.id, 'api.mail.io'],
      [edge!.id, 'kafka:views'],
    ]);
    expect(joined[1]!.dataTypes).toEqual([{ type: 'email', records: 3 }]);
    expect(joined.map(({ error }) => error)).toEqual([false, false, false, true, false]);
  });

  it('count a nested server span and a wrapped client span once', () => {
    const nested: SpanSpec[] = [
      { id: 1, service: 'a', attributes: http('GET', '/x') },
      { id: 2, parent: 1, service: 'a', attributes: http('GET', '/x') },
      { id: 3, parent: 2, service: 'a', kind: 'client', attributes: { 'server.address': 'b.io' } },
      { id: 4, parent: 3, service: 'a', kind: 'client', attributes: { 'server.address': 'b.io' } },
      { id: 5, parent: 2, service: 'a', kind: 'internal', attributes: { 'db.system.name': 'mysql' } },
      { id: 6, parent: 5, service: 'a', kind: 'client', attributes: { 'db.system.name': 'mysql' } },
    ];
    expect(factsOf(nested).operations).toHaveLength(1);
    expect(serviceEdges(nested)).toEqual([
      'client unknown caller > service a',
      'service a > external b.io',
      'service a > store mysql',
    ]);
  });

  it('name the client by exposure, and call it unknown when the parent never arrived', () => {
    const client = (spec: Partial<SpanSpec>) => serviceEdges([{ id: 3, service: 's', ...spec }]);
    const isPublic = { 'apisec.client.public': true };
    expect(client({ attributes: isPublic })).toEqual(['client external client > service s']);
    expect(client({ attributes: { 'apisec.client.public': false } })).toEqual(['client internal client > service s']);
    expect(client({ parent: 2, attributes: isPublic })).toEqual(['client unknown caller > service s']);
    expect(client({ parent: 2, attributes: { 'apisec.context.trust': 'untrusted' } })).toEqual([
      'client external client > service s',
    ]);
    expect(client({ kind: 'consumer' })).toEqual([]);
  });

  it('join producer, queue and consumer', () => {
    const queue = { 'messaging.system.name': 'kafka', 'messaging.destination.name': 'views' };
    expect(
      serviceEdges([
        { id: 1, service: 'a', kind: 'producer', attributes: queue },
        { id: 2, parent: 1, service: 'b', kind: 'consumer', attributes: queue },
      ]),
    ).toEqual(['queue kafka:views > service b', 'service a > queue kafka:views', 'service a > service b']);
  });

  it('count hops that a limit cut', () => {
    const specs = Array.from({ length: 6 }, (_, i): SpanSpec => ({ id: i + 1, parent: i, service: `s${i}` }));
    const [whole] = enrichAll(specs);
    const [tree] = buildPaths(
      {
        rows: { batch: whole!.hops.map(({ batch }) => batch), row: whole!.hops.map(({ row }) => row) },
        closedBy: 'idle',
      },
      { traceSpansMax: 2, coveredHosts: new Set() },
    );
    const cut = createEnricher({ estate: { ownHosts: [], exposures: [] } })(tree!, { revision: 1 });
    expect(cut.hops).toHaveLength(2);
    expect(toGraphFacts(cut)).toEqual(toGraphFacts(whole!));
  });
});

describe.skipIf(!hasNezha)('service edges of TrainTicket traces (left out without shared data)', () => {
  it('are exactly the pairs of services of which one has a span whose parent is a span of the other', () => {
    const enrich = createEnricher({ estate: { ownHosts: [], exposures: [] } });
    for (const spans of readNezha()) {
      const serviceOf = new Map(spans.map(({ trace, id, service }) => [`${trace} ${id}`, service]));
      const expected = new Map<string, number>();
      for (const { trace, parent, service } of spans) {
        const from = serviceOf.get(`${trace} ${parent}`);
        if (from === undefined || from === service) continue;
        expected.set(`${from} > ${service}`, (expected.get(`${from} > ${service}`) ?? 0) + 1);
      }
      const seen = new Map<string, number>();
      const conclude = (trace: ClosedTrace): void => {
        for (const tree of buildPaths(trace)) {
          for (const { level, from, fromKind, to, toKind } of toGraphFacts(enrich(tree, trace)).edges) {
            if (level !== 'service' || fromKind !== 'service' || toKind !== 'service') continue;
            seen.set(`${from} > ${to}`, (seen.get(`${from} > ${to}`) ?? 0) + 1);
          }
        }
      };
      const history = { readTrace: () => undefined, mark: () => undefined };
      const assembler = createAssembler({ limits: DEFAULT_LIMITS, counters: new Counters() }, history, conclude);
      for (let from = 0; from < spans.length; from += 300) {
        assembler.accept(toNezhaBatch(spans.slice(from, from + 300)), from, 0);
        assembler.accept(toNezhaBatch(spans.slice(from, from + 150)), from, 0);
      }
      assembler.flush();
      expect(seen).toEqual(expected);
    }
  });
});
