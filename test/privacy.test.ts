import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSpanLogReader } from 'spanwarden/internal/log/reader';
import { openSpanLog } from 'spanwarden/internal/log/span-log';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectorProcess } from './support/collector-process.ts';
import { type Answer, createGrpcExporter, createHttpExporter, type Exporter } from './support/otlp-client.ts';
import { untilSettled } from './support/outcome.ts';
import { type PlantedRequest, plantRequest, SURVIVOR } from './support/planted-request.ts';
import { type Planted, PlantedSearch, Planter } from './support/planted-values.ts';

/**
 * Nothing raw stays: values planted at every place of OTLP, in both encodings and under old and new names, go into a
 * `serve` process, and everything that it leaves behind or says is searched for them.
 */

const atMs = Date.now() - 60_000;
const REQUESTS = {
  'gRPC, new names': plantRequest({ seed: 1, carrier: 'gRPC new', conventions: 'new', atMs }),
  'protobuf, old names': plantRequest({ seed: 2, carrier: 'protobuf old', conventions: 'old', atMs }),
  'JSON, new names': plantRequest({ seed: 3, carrier: 'JSON new', conventions: 'new', atMs }),
  'JSON, old names': plantRequest({ seed: 4, carrier: 'JSON old', conventions: 'old', atMs }),
} as const satisfies Record<string, PlantedRequest>;
const requests = Object.values(REQUESTS);
const refused = new Planter(5, 'refused');
const ALL_VALUES_MIN = 300;
/** Fewer than one export has, so that every record is merged. */
const SEGMENT_SPANS = 50;

let folder: string;
let collector: CollectorProcess;
/** What was searched: its name and its bytes. */
const sources = new Map<string, Buffer | string>();
const planted: Planted[] = [];
let stored = 0;

/** Exports that are refused: what is wrong with them is said without quoting them. */
async function sendRefused(): Promise<string> {
  const url = `http://127.0.0.1:${collector.ports.http}`;
  const post = async (path: string, type: string, body: string | Buffer, headers = {}): Promise<string> => {
    const answer = await fetch(url + path, { method: 'POST', headers: { 'content-type': type, ...headers }, body });
    return `${answer.status} ${await answer.text()}`;
  };
  const plant = refused.plant.bind(refused);
  const json = 'application/json';
  const answers = await Promise.all([
    post('/v1/traces', json, plant('email', 'JSON that is none')),
    post('/v1/traces', json, `{"resourceSpans": [${plant('github-token', 'JSON that breaks off')}`),
    post('/v1/traces', json, JSON.stringify({ resourceSpans: plant('card', 'JSON of another shape') })),
    post(
      '/v1/traces',
      json,
      JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: plant('email', 'trace id') }] }] }] }),
    ),
    post('/v1/traces', 'application/x-protobuf', Buffer.from(`\x0a\xff${plant('email', 'broken protobuf')}`, 'latin1')),
    post(`/v1/traces?key=${plant('stripe-key', 'query of the export')}`, json, '{}'),
    post(`/v1/${plant('jwt', 'path of the export')}`, json, '{}'),
    post('/v1/traces', `text/${plant('npm-token', 'content type')}`, '{}'),
    post('/v1/traces', json, '{}', { 'content-encoding': plant('npm-token', 'content encoding') }),
    post('/v1/traces', json, '{}', { 'user-agent': plant('email', 'user agent of the exporter') }),
  ]);
  const grpc = createGrpcExporter({ port: collector.ports.grpc });
  const answer = await grpc.send(Buffer.from(`\x0a\xff${plant('email', 'broken protobuf over gRPC')}`, 'latin1'));
  grpc.close();
  return [...answers, JSON.stringify(answer)].join('\n');
}

async function sendPlanted(): Promise<Answer[]> {
  const { grpc, http } = collector.ports;
  const json = createHttpExporter({ port: http, contentType: 'application/json' });
  const exporters: readonly (readonly [Exporter, Buffer])[] = [
    [createGrpcExporter({ port: grpc }), REQUESTS['gRPC, new names'].protobuf],
    [createHttpExporter({ port: http, gzip: true }), REQUESTS['protobuf, old names'].protobuf],
    [json, Buffer.from(REQUESTS['JSON, new names'].json)],
    [json, Buffer.from(REQUESTS['JSON, old names'].json)],
  ];
  const answers = await Promise.all(exporters.map(([exporter, bytes]) => exporter.send(bytes)));
  for (const [exporter] of exporters) exporter.close();
  return answers;
}

async function readEverything(): Promise<string> {
  const said: string[] = [];
  const ask = async (path: string): Promise<string> => {
    const { status, body } = await collector.restRaw(path);
    if (status !== 200) throw new Error(`${path} answered ${status}`);
    said.push(body);
    return body;
  };
  const lists = ['/api/v1/findings?limit=200', '/api/v1/operations?limit=200', '/api/v1/call-graph'];
  for (const path of [...lists, '/api/v1/call-graph?level=operation', '/metrics']) await ask(path);
  for (const { id } of (JSON.parse(said[0]!) as { items: { id: string }[] }).items) await ask(`/api/v1/findings/${id}`);
  for (const id of requests.flatMap(({ traceIds }) => traceIds)) await ask(`/api/v1/traces/${id}`);
  return said.join('\n');
}

/** Every text, name and number of every stored span: as records are replayed, and as traces are read. */
function readLog(directory: string): string {
  const reader = openSpanLogReader(directory);
  try {
    const traces = requests.flatMap(({ traceIds }) => traceIds.map((id) => reader.readTrace(id)!));
    const records = Array.from(reader.replay(0), ({ batch }) => batch);
    expect(records.reduce((sum, { count }) => sum + count, 0)).toBe(stored);
    expect(traces.reduce((sum, { count }) => sum + count, 0)).toBe(stored);
    const plain = (_key: string, value: unknown): unknown =>
      ArrayBuffer.isView(value) ? Array.from(value as Float64Array).join(' ') : value;
    return JSON.stringify([records, traces], plain);
  } finally {
    reader.close();
  }
}

function mergeLog(directory: string): void {
  const log = openSpanLog(directory, { segmentSpans: SEGMENT_SPANS });
  while (log.maintain({ horizonOffset: log.nextOffset(), nowUs: Date.now() * 1000 }));
  expect(log.stats()).toMatchObject({ pendingRecords: 0 });
  expect(log.stats().segments).toBeGreaterThan(0);
  log.close();
}

function addFiles(when: string): void {
  const directory = join(folder, 'data');
  for (const name of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) sources.set(`${name.name} ${when}`, readFileSync(join(name.parentPath, name.name)));
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spanwarden-privacy-'));
  const directory = join(folder, 'data');
  collector = await CollectorProcess.start({
    dataDir: directory,
    env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '500', SPANWARDEN_LOG_LEVEL: 'debug', SPANWARDEN_EXPOSURES: '*=external' },
  });
  const answers = await sendPlanted();
  expect(answers.map((answer) => answer.kind === 'stored' && answer.rejectedSpans)).toEqual([0, 0, 0, 0]);
  stored = requests.reduce((sum, { spans }) => sum + spans, 0);
  sources.set('answers to exports', (await sendRefused()) + JSON.stringify(answers));
  await untilSettled(collector);
  sources.set('REST and metrics', await readEverything());
  addFiles('while it runs');
  await collector.stop();
  sources.set('process output', collector.output);
  addFiles('after the stop');
  sources.set('log as accepted', readLog(directory));
  mergeLog(directory);
  sources.set('log as merged', readLog(directory));
  addFiles('after merging');
  planted.push(...requests.flatMap((request) => request.planted), ...refused.planted);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('planted secrets and personal data', () => {
  it('are all found in the requests themselves', () => {
    expect(planted.length).toBeGreaterThan(ALL_VALUES_MIN);
    expect(new Set(planted.map(({ value }) => value)).size).toBe(planted.length);
    for (const { json, protobuf, planted: own } of requests) {
      const search = new PlantedSearch(own);
      expect(new Set(search.find(json))).toEqual(new Set(own));
      // Protobuf has integers in binary.
      const texts = own.filter(({ place }) => !place.includes('integer'));
      expect(new Set(search.find(protobuf))).toEqual(new Set(texts));
    }
  });

  it('are searched for where what may stay is found', () => {
    const holding = [...sources].filter(([, bytes]) => bytes.includes(SURVIVOR)).map(([name]) => name);
    expect(holding).toEqual(expect.arrayContaining(['REST and metrics', 'log as accepted', 'log as merged']));
    expect([...sources.keys()]).toEqual(
      expect.arrayContaining(['spans.db while it runs', 'store.db while it runs', 'spans.db-wal while it runs']),
    );
    expect(sources.get('process output')).toContain('spanwarden listens');
    expect(sources.get('REST and metrics')).toContain('access/internal-egress');
    expect(sources.get('REST and metrics')).toContain('exposure/sensitive-data-in-url');
  });

  it('are nowhere in what the collector keeps and says', () => {
    const search = new PlantedSearch(planted);
    const leaks = [...sources].flatMap(([name, bytes]) =>
      search.find(bytes).map(({ place, kind, value }) => `${place}: ${kind} ${JSON.stringify(value)} in ${name}`),
    );
    expect([...new Set(leaks)].sort()).toEqual([]);
  });
});
