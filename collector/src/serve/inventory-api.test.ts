import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CallGraphView,
  callGraphView,
  findingDetail,
  findingPage,
  type OperationView,
  operationPage,
  problem,
  traceView,
} from './contract.ts';
import { type RunningApi, startApi, TRACE } from './testing/running-api.ts';
import { FIRST_ID, OPERATIONS, sampleEstate } from './testing/sample-estate.ts';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi([sampleEstate]);
});
afterAll(() => running.stop());

const operations = async (query: string): Promise<readonly OperationView[]> => {
  const answer = await running.send(`/api/v1/operations?limit=500&${query}`);
  expect(answer.status).toBe(200);
  return (answer.json() as { items: OperationView[] }).items;
};

describe('the inventory', () => {
  const all = (keep: (operation: OperationView) => boolean) => async () => (await operations('')).filter(keep);
  it.each<[string, () => Promise<OperationView[]>]>([
    ['', all(() => true)],
    ['service=orders', all(({ service }) => service === 'orders')],
    ['style=graphql', all(({ style }) => style === 'graphql')],
    ['method=POST', all(({ method }) => method === 'POST')],
    ['exposure=external', all(({ exposure }) => exposure === 'external')],
    ['exposure=unknown', all(() => false)],
    ['authn=none', all(({ authn }) => authn.schemes.some(({ scheme }) => scheme === 'none'))],
    ['authn=not%20observed', all(({ authn }) => authn.state === 'not observed')],
    ['dataType=email', all(({ dataTypes }) => dataTypes.includes('email'))],
    ['sensitive=true', all(({ dataTypes }) => dataTypes.length > 0)],
    ['sensitive=false', all(({ dataTypes }) => dataTypes.length === 0)],
    ['authn=none&sensitive=true', all(({ authn, dataTypes }) => authn.state === 'none' && dataTypes.length > 0)],
    ['since=2026-01-05T08:20:00Z', all(({ lastSeen }) => lastSeen >= '2026-01-05T08:20:00.000Z')],
    ['until=2026-01-05T08:20:00Z', all(({ firstSeen }) => firstSeen < '2026-01-05T08:20:00.000Z')],
  ])('filtered by %s has exactly those', async (query, expected) => {
    const found = await operations(query);
    expect(found).toEqual(await expected());
    if (query !== 'exposure=unknown') expect(found.length).toBeGreaterThan(0);
  });

  it('is complete and without repeats in pages', async () => {
    const found: OperationView[] = [];
    let cursor: string | null = '';
    do {
      const answer = await running.send(`/api/v1/operations?limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`);
      const page = answer.json() as { items: OperationView[]; nextCursor: string | null };
      found.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(found).toEqual(await operations(''));
    expect(found).toHaveLength(OPERATIONS);
  });

  it('shows what was seen of an operation, and "not observed" is no "no"', async () => {
    const found = await operations('');
    expect(found.find(({ id }) => id === '0000000000000000')).toEqual({
      id: '0000000000000000',
      service: 'accounts',
      style: 'graphql',
      method: 'POST',
      route: '/v1/0',
      exposure: 'external',
      exposures: [{ exposure: 'external', calls: 1 }],
      authn: {
        state: 'none',
        schemes: [{ scheme: 'none', calls: 1 }],
        verified: [{ verified: 'no', calls: 1 }],
      },
      dataTypes: ['email', 'us_ssn'],
      dataFlows: [
        { type: 'us_ssn', direction: 'request', calls: 1, records: 1 },
        { type: 'email', direction: 'response', calls: 1, records: 20 },
      ],
      versions: ['1.2.0'],
      callers: ['gateway'],
      documented: null,
      state: null,
      risk: expect.objectContaining({ score: 90 }),
      calls: 1,
      errors: 0,
      firstSeen: '2026-01-05T08:00:00.000Z',
      lastSeen: '2026-01-05T08:00:00.000Z',
    });
    expect(found.find(({ id }) => id === '0000000000000005')?.authn.state).toBe('not observed');
  });
});

describe('the call graph', () => {
  const graph = async (query: string) => (await running.send(`/api/v1/call-graph${query}`)).json() as CallGraphView;

  it('has service edges and operation edges, and a node for each end', async () => {
    const { nodes, edges, truncated } = await graph('');
    expect(edges.map(({ kind, from, to, calls }) => [kind, from, to, calls])).toEqual([
      ['service', 'accounts', 'pg-customers', 20],
      ['service', 'gateway', 'accounts', 20],
      ['operation', '0000000000000001', '0000000000000002', 1],
    ]);
    expect(nodes).toEqual([
      { id: '0000000000000001', kind: 'operation', name: 'GET /v1/1', service: 'orders' },
      { id: '0000000000000002', kind: 'operation', name: 'GET /v1/2', service: 'accounts' },
      { id: 'accounts', kind: 'service', name: 'accounts', service: null },
      { id: 'gateway', kind: 'service', name: 'gateway', service: null },
      { id: 'pg-customers', kind: 'store', name: 'pg-customers', service: null },
    ]);
    expect(truncated).toBe(false);
  });

  it('of an interval has the edges that were used in it', async () => {
    const late = await graph('?since=2026-01-05T09:00:00Z');
    expect(late.edges.map(({ to }) => to)).toEqual(['pg-customers']);
    const early = await graph('?until=2026-01-05T09:00:00Z&level=service');
    expect(early.edges.map(({ to }) => to)).toEqual(['accounts']);
    expect(early.nodes.map(({ id }) => id)).toEqual(['accounts', 'gateway']);
  });
});

describe('a trace', () => {
  it('is given as the backend gives it', async () => {
    expect((await running.send(`/api/v1/traces/${TRACE.traceId}`)).json()).toEqual(TRACE);
  });

  it.each(['1', 'F'.repeat(32), 'g'.repeat(32), '0'.repeat(33)])('is not asked for by %s', async (id) => {
    expect((await running.send(`/api/v1/traces/${id}`)).status).toBe(400);
  });
});

describe('the contract', () => {
  it.each([
    ['/api/v1/findings?limit=500', findingPage],
    [`/api/v1/findings/${FIRST_ID}`, findingDetail],
    ['/api/v1/operations?limit=500', operationPage],
    ['/api/v1/call-graph', callGraphView],
    [`/api/v1/traces/${TRACE.traceId}`, traceView],
    ['/api/v1/findings/F-ffffffffffff', problem],
    ['/api/v1/findings?limit=0', problem],
  ])('holds for the answer of %s, with no key more and none less', async (path, schema) => {
    const body = (await running.send(path)).json();
    expect(schema.parse(body)).toEqual(body);
  });
});
