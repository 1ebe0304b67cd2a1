import { Field, type FieldKey, Signal } from '@spanwarden/rules';
import { describe, expect, it } from 'vitest';
import { buildPaths } from '../assemble/paths.ts';
import { closedTrace, type SpanSpec } from '../assemble/testing/spans.ts';
import { createEnricher } from './enricher.ts';
import { enrichAll, fieldOf, hopOf, pseudonym, valuesOf } from './testing/paths.ts';

describe('a hop', () => {
  const specs: SpanSpec[] = [
    { id: 1, service: 'shop', version: '1.2', clock: 'h1', start: 1000, end: 4500, name: 'GET /a', status: 2 },
    {
      id: 2,
      parent: 1,
      service: 'shop',
      kind: 'client',
      attributes: { 'db.system.name': 'postgresql', 'acme.shard': 7, 'db.query.text': 'select ?' },
    },
  ];

  it('knows its place, its span and its attributes', () => {
    const [path] = enrichAll(specs);
    expect(path).toMatchObject({ revision: 1, traceId: 'a0000000000000000000000000000001' });
    expect(path!.entrySpanId).toBe('b000000000000001');
    const root = hopOf(specs, 1);
    const keys: FieldKey[] = [
      'spanKind',
      'spanName',
      'spanStatus',
      'spanDepth',
      'spanChildCount',
      'spanDurationMs',
      'spanRoot',
      'serviceName',
      'serviceVersion',
    ];
    expect(keys.map((key) => root.field(Field[key]))).toEqual([
      'server',
      'GET /a',
      'error',
      0,
      1,
      3.5,
      true,
      'shop',
      '1.2',
    ]);
    expect([root.clock, root.startUs, root.endUs]).toEqual(['h1', 1000, 4500]);
    const store = hopOf(specs, 2);
    expect(store.field(Field.dbQueryText)).toBe('select ?');
    expect(store.field(Field.dbSystemName)).toBe('postgresql');
    expect(store.named('acme.shard')).toBe(7);
    expect(store.named('acme.other')).toBeUndefined();
    expect(store.field(Field.httpRoute)).toBeUndefined();
  });

  it('covers the signals of its service once it has apisec.version, less data that was not classified', () => {
    const signals = Signal.auth | Signal.data;
    const coverage = (attributes: SpanSpec['attributes']) =>
      hopOf([{ id: 1, signals, attributes: attributes! }], 1).coverage;
    expect(coverage({})).toBe(0);
    expect(coverage({ 'apisec.version': '1' })).toBe(signals);
    expect(coverage({ 'apisec.version': '1', 'apisec.response.classified': 'sampled' })).toBe(signals);
    for (const classified of ['skipped_size', 'skipped_encoding', 'error']) {
      expect(coverage({ 'apisec.version': '1', 'apisec.response.classified': classified })).toBe(Signal.auth);
    }
  });

  it('cut by a limit is counted but not judged', () => {
    const trace = closedTrace([{ id: 1 }, ...Array.from({ length: 9 }, (_, i) => ({ id: i + 2, parent: 1 }))]);
    const [tree] = buildPaths(trace, { traceSpansMax: 4, coveredHosts: new Set() });
    const path = createEnricher({ estate: { ownHosts: [], exposures: [] } })(tree!, trace);
    expect([path.hops.length, path.counted.length]).toEqual([4, 10]);
  });
});

describe('a long call path', () => {
  it('of 50,000 hops is enriched, whatever each of them says', () => {
    const specs = Array.from(
      { length: 50_000 },
      (_, i): SpanSpec => ({
        id: i + 1,
        parent: i,
        service: `s${i % 3}`,
        kind: i % 2 === 0 ? 'server' : 'client',
        attributes: {
          'apisec.event': 'token_exchange',
          'graphql.operation.type': 'query',
          'user.hash': `u${i}`,
          'server.address': 'x.io',
        },
      }),
    );
    const trace = closedTrace(specs);
    const [tree] = buildPaths(trace, { traceSpansMax: 50_000, coveredHosts: new Set() });
    const path = createEnricher({ estate: { ownHosts: [], exposures: [] }, pseudonym })(tree!, trace);
    expect(path.hops.at(-1)!.field(Field.principalId)).toBe('u49999');
    expect(path.hops.at(-2)!.field(Field.identity)).toBe('exchanged');
  });
});

describe('operation and API style', () => {
  const served = (attributes: SpanSpec['attributes'], name = 'span') => {
    const hop = hopOf([{ id: 1, service: 'shop', name, attributes: attributes! }], 1);
    return [hop.field(Field.operation), hop.field(Field.apiStyle)];
  };

  it.each([
    [{ 'http.request.method': 'GET', 'http.route': '/users/:id' }, 'GET /users/{id}', 'rest'],
    [{ 'http.request.method': 'post', 'http.route': '/login' }, 'POST /login', 'http'],
    [{ 'http.request.method': 'GET', 'url.path': '/users/42' }, 'GET /users/{id}', 'http'],
    [{ 'http.request.method': 'BREW', 'url.path': '/pot' }, '_OTHER /pot', 'http'],
    [{ 'rpc.system.name': 'grpc', 'rpc.method': 'shop.Cart/Add' }, 'shop.Cart/Add', 'grpc'],
    [{ 'http.request.method': 'POST', 'http.route': '/xmlrpc.php' }, 'POST /xmlrpc.php', 'xml_rpc'],
    [{ 'http.request.method': 'POST', 'url.path': '/a', 'apisec.api.style': 'soap' }, 'POST /a', 'soap'],
    [{ 'graphql.operation.type': 'mutation', 'graphql.operation.name': 'Pay' }, 'mutation Pay', 'graphql'],
    [{ 'http.request.method': 'POST', 'http.route': '/graphql' }, 'query {anonymous}', 'graphql'],
  ])('of %j is %s, %s', (attributes, operation, style) => {
    expect(served(attributes as SpanSpec['attributes'])).toEqual([operation, style]);
  });

  it('lumps what matched no route, so that probing cannot grow the inventory', () => {
    const probe = (path: string, status: number, route?: string) =>
      served({
        'http.request.method': 'GET',
        'url.path': path,
        'http.response.status_code': status,
        ...(route !== undefined && { 'http.route': route }),
      })[0];
    expect(['/.env', '/wp-admin/x', '/a'].map((path) => probe(path, 404))).toEqual(Array(3).fill('GET {unmatched}'));
    expect(probe('/a', 405)).toBe('GET {unmatched}');
    expect(probe('/users/42', 404, '/users/:id')).toBe('GET /users/{id}');
    expect(probe('/a', 200, '*')).toBe('GET /a');
  });

  it('takes GraphQL operations and routes from spans inside of the service', () => {
    const graphql: SpanSpec[] = [
      { id: 1, attributes: { 'http.request.method': 'POST', 'http.route': '/query' } },
      {
        id: 2,
        parent: 1,
        kind: 'internal',
        attributes: { 'graphql.operation.type': 'query', 'graphql.operation.name': 'Me' },
      },
    ];
    expect(valuesOf(graphql, 'operation', [1])).toEqual(['query Me']);
    const nested: SpanSpec[] = [
      { id: 1, attributes: { 'http.request.method': 'GET', 'url.path': '/x/abc' } },
      { id: 2, parent: 1, attributes: { 'http.request.method': 'GET', 'http.route': '/x/:name' } },
    ];
    expect(valuesOf(nested, 'operation', [1, 2])).toEqual(['GET /x/{name}', 'GET /x/{name}']);
  });

  it('falls back on the span name where a format has nothing else', () => {
    expect(served({}, 'GET /users/42')[0]).toBe('GET /users/{id}');
    expect(served({}, '/api/v1/orders/{orderId}')[0]).toBe('/api/v1/orders/{id}');
    expect(served({}, 'x'.repeat(500))[0]).toHaveLength(120);
  });

  it('names calls that are made by store, queue, rpc or URL', () => {
    const made = (attributes: SpanSpec['attributes'], kind: SpanSpec['kind'] = 'client') =>
      fieldOf({ kind: kind!, attributes: attributes! }, 'operation');
    expect(made({ 'db.system.name': 'mysql', 'db.operation.name': 'SELECT', 'db.collection.name': 'card' })).toBe(
      'SELECT card',
    );
    expect(made({ 'http.request.method': 'GET', 'url.full': 'https://x.io:1/a/42?b=1' })).toBe('GET /a/{id}');
    expect(made({ 'messaging.operation.type': 'send', 'messaging.destination.name': 'orders' }, 'producer')).toBe(
      'send orders',
    );
    expect(made({}, 'internal')).toBeUndefined();
  });

  it('gives the endpoint as service and operation, never by a host that the client wrote', () => {
    const attributes = { 'http.request.method': 'GET', 'http.route': '/a', 'server.address': 'evil.example' };
    expect(fieldOf({ service: 'shop', attributes }, 'endpoint')).toBe('shop GET /a');
  });
});

describe('entry, caller and exposure', () => {
  const chain: SpanSpec[] = [
    { id: 1, service: 'edge' },
    { id: 2, parent: 1, service: 'edge', kind: 'client' },
    { id: 3, parent: 2, service: 'orders' },
    { id: 4, parent: 3, service: 'orders', kind: 'server' },
    { id: 5, parent: 3, service: 'orders', kind: 'client' },
    { id: 6, parent: 5, service: 'orders' },
  ];

  it('mark the first served call, and who called the others', () => {
    expect(valuesOf(chain, 'entry', [1, 2, 3, 4, 6])).toEqual([true, false, false, false, false]);
    expect(valuesOf(chain, 'callerService', [1, 2, 3, 6])).toEqual([undefined, undefined, 'edge', 'orders']);
    expect(valuesOf(chain, 'exposure', [1, 3])).toEqual([undefined, 'internal']);
  });

  it('collapse a server span right under one of its own service, unless its parent is in another process', () => {
    expect(hopOf(chain, 4).isNested).toBe(true);
    expect(hopOf(chain, 6).isNested).toBe(false);
    const remote = chain.map((span) => (span.id === 4 ? { ...span, flags: 0x301 } : span));
    expect(hopOf(remote, 4).isNested).toBe(false);
  });

  it('give a nested span the exposure and the caller of the one around it', () => {
    const nested: SpanSpec[] = [
      { id: 1, service: 'edge', attributes: { 'apisec.edge': true } },
      { id: 2, parent: 1, service: 'edge' },
      { id: 3, parent: 2, service: 'edge', kind: 'client' },
      { id: 4, parent: 3, service: 'orders' },
      { id: 5, parent: 4, service: 'orders' },
    ];
    expect(valuesOf(nested, 'exposure', [1, 2, 4, 5])).toEqual(['external', 'external', 'internal', 'internal']);
    expect(valuesOf(nested, 'callerService', [1, 2, 4, 5])).toEqual([undefined, undefined, 'edge', 'edge']);
  });

  it('find an entry on each branch below a client or a job', () => {
    const job: SpanSpec[] = [
      { id: 1, service: 'cron', kind: 'internal' },
      { id: 2, parent: 1, service: 'a' },
      { id: 3, parent: 1, service: 'b' },
    ];
    expect(valuesOf(job, 'entry', [1, 2, 3])).toEqual([false, true, true]);
  });

  it('serve with spans of unknown kind that are called from elsewhere', () => {
    const unknown: SpanSpec[] = [
      { id: 1, service: 'a', kind: 'unspecified' },
      { id: 2, parent: 1, service: 'a', kind: 'unspecified' },
      { id: 3, parent: 2, service: 'b', kind: 'unspecified' },
    ];
    expect([1, 2, 3].map((id) => hopOf(unknown, id).serves)).toEqual([true, false, true]);
    expect(valuesOf(unknown, 'entry', [1, 3])).toEqual([true, false]);
  });

  it('judge exposure by declaration first, then by the caller', () => {
    const exposure = (attributes: SpanSpec['attributes'], service = 'shop') => {
      const estate = { ownHosts: [], exposures: [{ service: 'part*', exposure: 'partner' as const }] };
      const hop = hopOf([{ id: 1, service, attributes: attributes! }], 1, { estate });
      return [hop.exposure, hop.exposureReason];
    };
    expect(exposure({ 'apisec.edge': true }, 'partners')).toEqual(['partner', 'configured']);
    expect(exposure({ 'apisec.edge': true, 'client.address': '10.0.0.1' })).toEqual(['external', 'declared']);
    expect(exposure({ 'apisec.client.public': false })).toEqual(['internal', 'private-client']);
    expect(exposure({ 'network.peer.address': '203.0.114.9' })).toEqual(['external', 'public-client']);
    expect(exposure({ 'network.peer.address': '10.0.0.1' })).toEqual(['internal', 'private-client']);
    expect(exposure({ 'client.address': '8.8.8.0/24', 'network.peer.address': '10.0.0.1' })).toEqual([
      'external',
      'public-client',
    ]);
    // Whoever sends X-Forwarded-For can write a private address into it.
    expect(exposure({ 'client.address': '10.0.0.1' })).toEqual([undefined, undefined]);
    expect(exposure({})).toEqual([undefined, undefined]);
  });
});

describe('outcome', () => {
  it.each([
    [{ 'http.response.status_code': 200 }, 'success'],
    [{ 'http.response.status_code': 304 }, 'success'],
    [{ 'http.response.status_code': 401 }, 'denied'],
    [{ 'http.response.status_code': '403' }, 'denied'],
    [{ 'http.response.status_code': 404 }, 'missing'],
    [{ 'http.response.status_code': 429 }, 'failed'],
    [{ 'http.response.status_code': 503 }, 'failed'],
    [{ 'rpc.status_code': '0' }, 'success'],
    [{ 'rpc.status_code': 'PERMISSION_DENIED' }, 'denied'],
    [{ 'rpc.status_code': '16' }, 'denied'],
    [{ 'rpc.status_code': '5' }, 'missing'],
    [{ 'rpc.status_code': '13' }, 'failed'],
    [{ 'db.system.name': 'redis' }, 'success'],
    [{ 'http.request.method': 'GET' }, undefined],
  ])('of %j is %s', (attributes, outcome) => {
    expect(fieldOf({ attributes: attributes as unknown as Record<string, string> }, 'outcome')).toBe(outcome);
  });

  it('is failed for an error status without a protocol status', () => {
    expect(fieldOf({ status: 2, attributes: { 'http.request.method': 'GET' } }, 'outcome')).toBe('failed');
  });
});
