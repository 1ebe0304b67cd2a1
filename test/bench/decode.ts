import { join } from 'node:path';
import protobuf from 'protobufjs';
import { Counters } from 'spanwarden/internal/base/counters';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { createPseudonym } from 'spanwarden/internal/base/pseudonym';
import { Secret } from 'spanwarden/internal/base/secret';
import { createDecoder } from 'spanwarden/internal/decode/decoder';
import { createRandom } from '../support/random.ts';
import { repoRoot } from '../support/repo-root.ts';

// Microseconds of CPU per span to decode, normalise and scrub one OTLP export, beside protobufjs and JSON.parse on the
// same bytes in the same run. Run: npx tsc -b && node test/dist/bench/decode.js

const SPANS = 2048;
const BATCHES = 24;
const ROUNDS = 6;
const SPANS_PER_TRACE = 8;

type KeyValue = { key: string; value: Record<string, unknown> };

const random = createRandom(42);
const below = (n: number): number => random.below(n);
const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
const idBytes = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => below(256)));
const text = (key: string, value: string): KeyValue => ({ key, value: { stringValue: value } });
const integer = (key: string, value: number): KeyValue => ({ key, value: { intValue: value } });

const ROUTES = ['/accounts/{id}', '/orders', '/orders/{id}', '/users/{id}/cards', '/transfers', '/health'];
const AGENTS = Array.from(
  { length: 40 },
  (_, i) => `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/${90 + i}.0.0.0 Safari/537.36`,
);

function serverSpan(): KeyValue[] {
  const route = pick(ROUTES);
  return [
    text('http.request.method', pick(['GET', 'POST'])),
    text('http.route', route),
    text('url.path', route.replace('{id}', String(below(1e6)))),
    text('url.scheme', 'https'),
    text('server.address', 'accounts.internal'),
    integer('server.port', 8443),
    integer('http.response.status_code', pick([200, 200, 200, 404])),
    text('network.peer.address', `10.1.${below(8)}.${below(200)}`),
    text('client.address', `198.51.100.${below(200)}`),
    text('user_agent.original', pick(AGENTS)),
    text('user.hash', idBytes(16).toString('base64url')),
    text('apisec.auth.scheme', 'bearer'),
    text('apisec.auth.verified', 'yes'),
    text('apisec.version', '1'),
  ];
}

function clientSpan(): KeyValue[] {
  return [
    text('http.method', 'GET'),
    text('http.url', `https://profile.internal/users/${below(1e6)}?fields=name&limit=10`),
    integer('http.status_code', 200),
    text('net.peer.name', 'profile.internal'),
    integer('net.peer.port', 443),
    text('http.flavor', '1.1'),
    text('thread.name', `worker-${below(16)}`),
    integer('thread.id', below(100)),
    text('code.function', 'fetchProfile'),
    text('code.namespace', 'com.example.accounts'),
    text('http.user_agent', 'undici'),
    text('peer.service', 'profile'),
  ];
}

function databaseSpan(): KeyValue[] {
  return [
    text('db.system', 'postgresql'),
    text('db.name', 'bank'),
    text('db.statement', `SELECT id, balance FROM accounts WHERE owner = $1 AND kind = '${pick(['a', 'b'])}' LIMIT 10`),
    text('db.operation', 'SELECT'),
    text('server.address', 'db.internal'),
    integer('server.port', 5432),
    text('db.user', 'bank'),
    text('network.peer.address', '10.0.0.5'),
    integer('network.peer.port', 5432),
    text('network.transport', 'ip_tcp'),
    integer('db.response.returned_rows', below(50)),
    text('thread.name', `worker-${below(16)}`),
    integer('thread.id', below(100)),
  ];
}

function request(baseNs: bigint): object {
  const spans: object[] = [];
  for (let i = 0; i < SPANS / SPANS_PER_TRACE; i++) {
    const traceId = idBytes(16);
    for (let j = 0; j < SPANS_PER_TRACE; j++) {
      const [kind, attributes] =
        j % 3 === 0 ? [2, serverSpan()] : j % 3 === 1 ? [3, clientSpan()] : [3, databaseSpan()];
      const startNs = baseNs + BigInt(below(1e9));
      spans.push({
        traceId,
        spanId: idBytes(8),
        parentSpanId: j === 0 ? Buffer.alloc(0) : idBytes(8),
        name: kind === 2 ? `GET ${pick(ROUTES)}` : 'SELECT bank.accounts',
        kind,
        startTimeUnixNano: startNs.toString(),
        endTimeUnixNano: (startNs + BigInt(below(1e8))).toString(),
        attributes,
        status: {},
        flags: 0x101,
      });
    }
  }
  const resource = {
    attributes: [text('service.name', 'accounts'), text('service.version', '1.4.2'), text('host.name', 'node-7')],
  };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'http', version: '0.2' }, spans }] }] };
}

/** Best and median microseconds of CPU per span over the rounds. */
function measure(name: string, batches: readonly Uint8Array[], work: (bytes: Uint8Array) => void): number {
  const perSpan: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (const bytes of batches) work(bytes);
    const used = process.cpuUsage(before);
    perSpan.push((used.user + used.system) / (batches.length * SPANS));
  }
  perSpan.sort((a, b) => a - b);
  const median = perSpan[Math.floor(ROUNDS / 2)]!;
  const spansPerSecond = Math.round(1e6 / median).toLocaleString('en');
  console.log(
    `${name.padEnd(34)} ${median.toFixed(2)} us/span (best ${perSpan[0]!.toFixed(2)})  ${spansPerSecond} spans/s a core`,
  );
  return median;
}

const protoDir = join(repoRoot, 'proto/');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => `${protoDir}${target}`;
root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
const Request = root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');

const startNs = 1_700_000_000_000_000_000n;
// Only bytes stay alive: objects kept from making them would be walked by every garbage collection below.
const batches = Array.from({ length: BATCHES }, (_, i) =>
  Buffer.from(Request.encode(Request.fromObject(request(startNs + BigInt(i) * 1_000_000_000n))).finish()),
);
const jsons = batches.map((bytes) => {
  const object = Request.toObject(Request.decode(bytes), { longs: String, bytes: String, enums: Number });
  return Buffer.from(JSON.stringify(object));
});

const settings = {
  limits: DEFAULT_LIMITS,
  pseudonym: createPseudonym(new Secret('0123456789abcdef0123456789abcdef')),
  pseudonymKeyId: 'k1',
  eventTime: 'clamped',
  counters: new Counters(),
} as const;
const decoder = createDecoder(settings);
const receivedUs = Number(startNs / 1000n) + 1e6;
const bytesMax = DEFAULT_LIMITS.httpBodyBytesMax;

const bytesPerSpan = Math.round(batches.reduce((sum, bytes) => sum + bytes.length, 0) / (BATCHES * SPANS));
console.log(`decode: ${BATCHES} exports of ${SPANS} spans, ${bytesPerSpan} bytes and about 13 attributes a span`);
const copied = measure('copy of the bytes (ceiling)', batches, (bytes) => Buffer.from(bytes));
const oracle = measure('protobufjs decode', batches, (bytes) => Request.decode(bytes));
const ours = measure('decode to columns, scrubbed', batches, (bytes) => {
  decoder.decode({ bytes, encoding: 'protobuf', compression: 'none', bytesMax }, receivedUs);
});
const parsed = measure('JSON.parse', jsons, (bytes) => JSON.parse(bytes.toString()));
const json = measure('JSON to columns, scrubbed', jsons, (bytes) => {
  decoder.decode({ bytes, encoding: 'json', compression: 'none', bytesMax }, receivedUs);
});
console.log(
  `ratios: ours / protobufjs ${(ours / oracle).toFixed(2)}, ours / copy ${(ours / copied).toFixed(0)}, JSON / JSON.parse ${(json / parsed).toFixed(2)}`,
);
