import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectorProcess } from './support/collector-process.ts';
import { createGrpcExporter, createHttpExporter, type Exporter, sendAll } from './support/otlp-client.ts';
import { encodeRequest, type OtlpGroup, type OtlpSpan, toJsonRequest } from './support/otlp-encode.ts';
import { untilSettled } from './support/outcome.ts';
import { createRandom, shuffle } from './support/random.ts';
import { collectorMain } from './support/repo-root.ts';
import { Traffic } from './support/traffic.ts';

/**
 * Live detection and `scan` are the same code over the same spans: what a server concludes from exports as networks and
 * retries make them must be, field by field, what a scan concludes from a dump of those spans in another order.
 */

const SEED = 23;
const FLIGHTS = 3;
const ATTACKS = { 'access/unauthorized-effect': 3, 'exposure/unauthenticated-sensitive-read': 4 } as const;
const LEGACY: Omit<OtlpGroup, 'spans'> = { resource: { 'service.name': 'legacy' }, scope: 'http' };
const LEGACY_CALLS = 14;
const SETTINGS = {
  SPANWARDEN_TIME: 'event',
  SPANWARDEN_HASH_KEY: 'scan-equals-serve-0123456789abcdef',
  SPANWARDEN_ASSEMBLE_IDLE_MS: '400',
};
/** Of all exports, how many are sent again. */
const REPEATED = 0.3;
/** Longer than the silence after which a trace closes: what is sent after it is late. */
const SILENCE_MS = 900;

interface Sent {
  readonly group: Omit<OtlpGroup, 'spans'>;
  readonly span: OtlpSpan;
}
type Item = Record<string, unknown> & { readonly id: string };
interface Conclusions {
  readonly findings: readonly Item[];
  readonly operations: readonly Item[];
}

/** Eleven days between flights: findings have a history, and no clock of the machine is near them. */
const traffic = new Traffic({
  seed: SEED,
  tracesPerFlight: 40,
  flightMs: 11 * 86_400_000,
  startMs: Date.parse('2026-03-02T10:00:00Z'),
  attacks: ATTACKS,
});
/** A service with a stock SDK of old: raw identities, which the key turns into pseudonyms, and a token in its URL. */
const legacySpans: readonly Sent[] = Array.from({ length: LEGACY_CALLS }, (_, i) => {
  const startUnixNano = BigInt(Date.parse('2026-03-05T06:00:00Z') + i * 60_000) * 1_000_000n;
  return {
    group: LEGACY,
    span: {
      traceId: (0xfeed_0000 + i).toString(16).padStart(32, 'c'),
      spanId: (0xfeed_0000 + i).toString(16).padStart(16, 'd'),
      parentSpanId: '',
      name: 'GET',
      kind: 'server',
      startUnixNano,
      endUnixNano: startUnixNano + 3_000_000n,
      attributes: {
        'http.method': 'GET',
        'http.target': `/reset/${i % 2 === 0 ? 'mail' : 'phone'}?token=Ab3dE6gH9jK2&lang=en`,
        'http.status_code': 200,
        'enduser.id': `customer-${i % 3}`,
        'net.sock.peer.addr': '198.51.100.7',
      },
    },
  };
});
const trafficSpans: readonly Sent[] = Array.from({ length: FLIGHTS }, (_, flight) =>
  Array.from({ length: traffic.flightRequests }, (__, request) => traffic.group(flight, request)),
)
  .flat()
  .flatMap(({ spans, ...group }) => spans.map((span) => ({ group, span })));
const everySpan = [...trafficSpans, ...legacySpans];
const random = createRandom(SEED);

/** All spans in an order of their own, cut into exports of 1 to `spansMax`. */
function exportsOf(spansMax: number): OtlpGroup[][] {
  const order = shuffle([...everySpan], random);
  const exports: OtlpGroup[][] = [];
  for (let from = 0; from < order.length; ) {
    const to = from + 1 + random.below(spansMax);
    exports.push(order.slice(from, to).map(({ group, span }) => ({ ...group, spans: [span] })));
    from = to;
  }
  return exports;
}

function again<T>(items: readonly T[]): T[] {
  return shuffle([...items, ...items.filter(() => random.unit() < REPEATED)], random);
}

const byId = (items: readonly Item[]): Item[] => [...items].sort((a, b) => (a.id < b.id ? -1 : 1));

/** A finding less what only a server knows: how often it was rewritten, and what people said about it. */
function contractOf({ revision: _r, triage: _t, history: _h, status: _s, ...finding }: Item): Item {
  return finding;
}

async function serveConclusions(
  folder: string,
): Promise<Conclusions & { readonly duplicates: number; readonly reopened: number }> {
  const collector = await CollectorProcess.start({ dataDir: join(folder, 'data'), env: SETTINGS });
  const http = { port: collector.ports.http };
  const senders: readonly [Exporter, (groups: readonly OtlpGroup[]) => Buffer][] = [
    [createGrpcExporter({ port: collector.ports.grpc }), encodeRequest],
    [createHttpExporter(http), encodeRequest],
    [createHttpExporter({ ...http, gzip: true }), encodeRequest],
    [createHttpExporter({ ...http, contentType: 'application/json' }), (groups) => Buffer.from(toJsonRequest(groups))],
  ];
  try {
    const exports = again(exportsOf(50));
    const half = Math.floor(exports.length / 2);
    for (const part of [exports.slice(0, half), exports.slice(half)]) {
      await Promise.all(
        senders.map(([exporter, bytesOf], sender) =>
          sendAll(
            part.filter((_, i) => i % senders.length === sender),
            { exporter, bytesOf, inFlight: 3 },
          ),
        ),
      );
      await sleep(SILENCE_MS);
    }
    await untilSettled(collector);
    const items = await collector.restAll<Item>('/api/v1/findings?limit=200');
    const findings = await Promise.all(items.map(({ id }) => collector.rest<Item>(`/api/v1/findings/${id}`)));
    const metrics = await collector.metrics();
    return {
      findings,
      operations: await collector.restAll<Item>('/api/v1/operations?limit=200'),
      duplicates: metrics.sum('spanwarden_spans_duplicate_total'),
      reopened: metrics.sum('spanwarden_traces_reopened_total'),
    };
  } finally {
    for (const [exporter] of senders) exporter.close();
    await collector.stop();
  }
}

function scanConclusions(folder: string): Conclusions {
  const lines = again(exportsOf(90)).map(toJsonRequest);
  const half = Math.floor(lines.length / 2);
  const [plain, zipped] = [join(folder, 'b.jsonl'), join(folder, 'a.jsonl.gz')];
  writeFileSync(plain, lines.slice(0, half).join('\n'));
  writeFileSync(zipped, gzipSync(lines.slice(half).join('\n')));
  const env = { PATH: process.env['PATH'], SPANWARDEN_DATA_DIR: join(folder, 'scan'), ...SETTINGS };
  const scan = spawnSync(process.execPath, [collectorMain, 'scan', '--json', plain, zipped], {
    cwd: folder,
    env,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (scan.status !== 1) throw new Error(`scan exited ${scan.status}: ${scan.stderr}`);
  return JSON.parse(scan.stdout) as Conclusions;
}

let folder: string;
let served: Awaited<ReturnType<typeof serveConclusions>>;
let scanned: Conclusions;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spanwarden-scan-serve-'));
  served = await serveConclusions(folder);
  scanned = scanConclusions(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a server and a scan over the same spans', () => {
  it('saw what makes them differ when anything does: repeats, late spans, attacks', () => {
    expect(served.duplicates).toBeGreaterThan(everySpan.length / 10);
    expect(served.reopened).toBeGreaterThan(traffic.flightTraces / 10);
    const counts = new Map<string, number>();
    for (const finding of scanned.findings as readonly (Item & { rule: { id: string }; count: number })[])
      counts.set(finding.rule.id, (counts.get(finding.rule.id) ?? 0) + finding.count);
    expect(counts).toEqual(
      new Map([...traffic.truth(FLIGHTS).attacks, ['exposure/sensitive-data-in-url', LEGACY_CALLS]]),
    );
  });

  it('raise the same findings: ids, fingerprints, times, counts, evidence, every field of the contract', () => {
    const expected = byId(scanned.findings).map(contractOf);
    expect(byId(served.findings).map(contractOf)).toStrictEqual(expected);
    const fields = ['id', 'fingerprint', 'firstSeen', 'lastSeen', 'detectableAt', 'raisedAt', 'count', 'evidence'];
    for (const finding of expected) expect(Object.keys(finding)).toEqual(expect.arrayContaining(fields));
  });

  it('know the same operations', () => {
    expect(byId(served.operations)).toStrictEqual(byId(scanned.operations));
  });
});
