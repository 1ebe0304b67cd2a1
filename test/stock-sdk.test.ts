import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectorProcess } from './support/collector-process.ts';
import { freePorts } from './support/free-ports.ts';
import { type InstrumentedApp, startApp } from './support/instrumented-app.ts';
import { type Outcome, readOutcome, untilSettled } from './support/outcome.ts';

/**
 * What OpenTelemetry's own SDK gives without any package of ours: three HTTP services in processes of their own, each
 * with sdk-node, instrumentation-http and the OTLP/gRPC exporter that the SDK chooses, sending to a `serve` process.
 */

/** From the folder that `startApp` starts in. */
const SERVICE = '../../test/support/stock-service.cjs';
const READS = 12;
const PURCHASES = 5;
const PROBES = 4;
const SECRET = 'rT7xQ2mWv9LkZp04';
const EMAIL = 'jane.roe@mail.example';

interface Finding {
  readonly id: string;
  readonly rule: { readonly id: string };
  readonly count: number;
  readonly operation: string;
  readonly traceIds: readonly string[];
  readonly evidence: { readonly spans: readonly { readonly roles: readonly string[]; readonly operation: string }[] };
}
interface Operation {
  readonly service: string;
  readonly exposure: string;
  readonly callers: readonly string[];
  readonly authn: { readonly state: string };
  readonly dataTypes: readonly string[];
}
interface Trace {
  readonly completeness: { readonly complete: boolean };
  readonly spans: readonly { readonly parentSpanId: string; readonly attributes: Readonly<Record<string, unknown>> }[];
  readonly callPaths: readonly {
    readonly hops: readonly { readonly depth: number; readonly service: string; readonly operation: string }[];
  }[];
}

let folder: string;
let collector: CollectorProcess;
let metadata: Server;
let outcome: Outcome;
let findings: Finding[];
const apps: InstrumentedApp[] = [];
/** What reached the stand-in for addresses that no caller should reach. */
const reached: string[] = [];

async function startServices(): Promise<string> {
  const [gateway, orders, inventory] = (await freePorts(3)) as [number, number, number];
  const start = async (name: string, port: number): Promise<void> => {
    const environment = {
      PORT: String(port),
      ORDERS_URL: `http://orders.shop.internal:${orders}`,
      INVENTORY_URL: `http://inventory.shop.internal:${inventory}`,
      OTEL_SERVICE_NAME: name,
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.ports.grpc}`,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    };
    apps.push(await startApp(SERVICE, environment, false));
  };
  await Promise.all([start('gateway', gateway), start('orders', orders), start('inventory', inventory)]);
  return `http://127.0.0.1:${gateway}`;
}

/** Stands where a cloud's metadata service would; it is in no trace. */
async function startMetadata(): Promise<number> {
  metadata = createServer((request, response) => {
    reached.push(`${request.headers.host?.replace(/:\d+$/, '')}${request.url}`);
    response.end('{}');
  });
  await new Promise<void>((resolve) => metadata.listen(0, '127.0.0.1', resolve));
  return (metadata.address() as AddressInfo).port;
}

async function useShop(gateway: string, forbiddenPort: number): Promise<number[]> {
  const statuses: number[] = [];
  const ask = async (method: string, path: string, body?: string): Promise<void> => {
    const headers = { authorization: `Bearer ${SECRET}` };
    const answer = await fetch(gateway + path, { method, headers, ...(body === undefined ? {} : { body }) });
    await answer.text();
    statuses.push(answer.status);
  };
  for (let i = 0; i < READS; i++) await ask('GET', `/orders/${10_000 + i}`);
  for (let i = 0; i < PURCHASES; i++) await ask('POST', '/orders');
  for (let i = 0; i < PROBES; i++) await ask('GET', `/backup-${i}.zip`);
  await ask('GET', `/invitations?token=${SECRET}&email=${encodeURIComponent(EMAIL)}&lang=en`);
  const credentials = `http://metadata.google.internal:${forbiddenPort}/computeMetadata/v1/token`;
  await ask('POST', '/avatars', JSON.stringify({ source: credentials }));
  await ask('GET', `/preview?url=${encodeURIComponent(`http://127.0.0.1:${forbiddenPort}/admin`)}`);
  return statuses;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spanwarden-stock-'));
  collector = await CollectorProcess.start({
    dataDir: join(folder, 'data'),
    env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '1000', SPANWARDEN_EXPOSURES: 'gateway=external' },
  });
  const [gateway, forbiddenPort] = await Promise.all([startServices(), startMetadata()]);
  const statuses = await useShop(gateway, forbiddenPort);
  expect(statuses).toEqual([
    ...Array<number>(READS).fill(200),
    ...Array<number>(PURCHASES).fill(201),
    ...Array<number>(PROBES).fill(404),
    ...Array<number>(3).fill(200),
  ]);
  await Promise.all(apps.map((app) => app.stop()));
  await untilSettled(collector);
  outcome = await readOutcome(collector);
  const items = await collector.restAll<{ id: string }>('/api/v1/findings?limit=200');
  findings = await Promise.all(items.map(({ id }) => collector.rest<Finding>(`/api/v1/findings/${id}`)));
});

afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()));
  metadata?.close();
  await collector?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function findingOf(rule: string): Finding {
  const found = findings.filter((finding) => finding.rule.id === rule);
  expect(found).toHaveLength(1);
  return found[0]!;
}

const traceOf = ({ traceIds }: Finding): Promise<Trace> => collector.rest<Trace>(`/api/v1/traces/${traceIds[0]}`);

describe('three services with the stock SDK alone', () => {
  it('send spans that are all stored, each once', async () => {
    const metrics = await collector.metrics();
    // A server span a call, and a client span for each call that a service makes.
    const spans = READS * 5 + PURCHASES * 7 + PROBES * 1 + 5 + 2 + 2;
    expect(metrics.sum('spanwarden_spans_stored_total')).toBe(spans);
    expect(metrics.sum('spanwarden_spans_rejected_total')).toBe(0);
  });

  it('give the exact operations: paths as templates, probes under one name', () => {
    expect(outcome.operations).toEqual({
      'gateway GET /invitations': 1,
      'gateway GET /orders/{id}': READS,
      'gateway GET /preview': 1,
      'gateway GET {unmatched}': PROBES,
      'gateway POST /avatars': 1,
      'gateway POST /orders': PURCHASES,
      'inventory GET /stock/{id}': READS + PURCHASES + 1,
      'inventory POST /reservations': PURCHASES,
      'orders GET /orders/{id}': READS + 1,
      'orders POST /orders': PURCHASES,
    });
  });

  it('give the exact service edges', () => {
    expect(outcome.serviceEdges).toEqual({
      'gateway>orders': READS + PURCHASES + 1,
      'orders>inventory': READS + 2 * PURCHASES + 1,
    });
  });

  it('give callers and exposure, and nothing that only our package can know', async () => {
    const operations = await collector.restAll<Operation>('/api/v1/operations?limit=200');
    const known = new Map<string, Set<string>>();
    for (const { service, exposure, callers, authn, dataTypes } of operations) {
      const facts = known.get(service) ?? new Set();
      known.set(service, facts.add([exposure, callers, authn.state, dataTypes].join(' | ')));
    }
    expect(Object.fromEntries(known)).toEqual({
      gateway: new Set(['external |  | not observed | ']),
      orders: new Set(['internal | gateway | not observed | ']),
      inventory: new Set(['internal | orders | not observed | ']),
    });
  });

  it('give call paths across all three', async () => {
    const { completeness, callPaths } = await traceOf(findingOf('exposure/sensitive-data-in-url'));
    expect(completeness.complete).toBe(true);
    // The SDK's clock has milliseconds: spans of one call start at the same time, and their order says nothing.
    const ways = callPaths.map(({ hops }) => hops.map((hop) => `${hop.depth} ${hop.service} ${hop.operation}`).sort());
    expect(ways).toEqual([
      [
        '0 gateway GET /invitations',
        '1 gateway GET /orders/{id}',
        '2 orders GET /orders/{id}',
        '3 orders GET /stock/{id}',
        '4 inventory GET /stock/{id}',
      ],
    ]);
  });
});

describe('the findings that need no attribute of ours', () => {
  it('are those that were provoked, and no others', () => {
    expect(findings.map(({ rule, count, operation }) => `${rule.id} ${count} ${operation}`).sort()).toEqual([
      'access/internal-egress 1 gateway POST /avatars',
      'access/loopback-egress 1 gateway GET /preview',
      'exposure/sensitive-data-in-url 1 gateway GET /invitations',
    ]);
  });

  it('name the way from the call to the address that it led to', () => {
    expect(reached).toEqual(['metadata.google.internal/computeMetadata/v1/token', '127.0.0.1/admin']);
    const roles = (rule: string) =>
      findingOf(rule)
        .evidence.spans.map((span) => [...span.roles, span.operation].join(' '))
        .sort();
    expect(roles('access/internal-egress')).toEqual(['entry POST /avatars', 'target GET /computeMetadata/v1/token']);
    expect(roles('access/loopback-egress')).toEqual(['entry GET /preview', 'target GET /admin']);
  });

  it('name what the URL gave away by its parameter, and hold none of it', async () => {
    const finding = findingOf('exposure/sensitive-data-in-url');
    const trace = await traceOf(finding);
    const entry = trace.spans.find(({ parentSpanId }) => parentSpanId === '');
    expect(entry?.attributes).toMatchObject({
      'apisec.request.secret_in_url': ['token', 'email'],
      'apisec.request.params': ['token', 'email', 'lang'],
      'url.query': 'token&email&lang',
    });
    const shown = JSON.stringify([finding, trace]) + collector.output;
    expect([SECRET, EMAIL, encodeURIComponent(EMAIL)].filter((text) => shown.includes(text))).toEqual([]);
  });
});
