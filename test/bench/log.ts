import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Resource, type SpanBatch, traceIdHex } from 'spanwarden/internal/base/batch';
import { BatchBuilder } from 'spanwarden/internal/base/batch-builder';
import { openSpanLogReader } from 'spanwarden/internal/log/reader';
import { decodeBatch, encodeBatch, toLogRecord } from 'spanwarden/internal/log/record';
import { toRecordRow } from 'spanwarden/internal/log/records';
import { openSpanLog, type SpanLog } from 'spanwarden/internal/log/span-log';
import { createRandom, type Random } from '../support/random.ts';
import { quantile } from './process-usage.ts';
import { toText } from './report.ts';
import { fdatasyncTimes, memcpyGigabytesPerSecond } from './yardsticks.ts';

/**
 * The span log alone: encoding, durable appends at several group sizes, merging, bytes on disk, reading single traces,
 * beside what memory and disk can do in the same minutes. Options: --spans N (for the trace part), --folder PATH.
 */

const SERVICES = ['gateway', 'accounts', 'orders', 'profiles', 'ledger'] as const;
const START_US = 1_760_000_000_000_000;
const BATCH_SPANS = 512;
const SPANS_PER_SECOND = 50_000;
const ENCODE_SPANS = 60_000;
const APPEND_SPANS = 200_000;
const GROUPS = [1, 4, 16] as const;
const LOOKUPS = 2_000;
/** Traces stay open this long at SPANS_PER_SECOND: what lies below is merged. */
const OPEN_BATCHES = 1_500;

type AddSpan = (builder: BatchBuilder) => void;

interface Population {
  readonly users: readonly string[];
  readonly objects: readonly string[];
  readonly resources: readonly Resource[];
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function populate(random: Random): Population {
  const pseudonym = () => Array.from({ length: 22 }, () => BASE64[random.below(BASE64.length)]).join('');
  return {
    users: Array.from({ length: 5_000 }, pseudonym),
    objects: Array.from({ length: 60_000 }, pseudonym),
    resources: SERVICES.map((service) => ({
      service,
      version: '1.4.2',
      clock: `host-${service}`,
      signals: 63,
      droppedSpans: 0,
      attributes: [
        ['service.name', service],
        ['service.version', '1.4.2'],
        ['host.name', `host-${service}`],
        ['telemetry.sdk.language', 'nodejs'],
        ['telemetry.sdk.name', 'opentelemetry'],
        ['telemetry.sdk.version', '2.12.0'],
        ['process.pid', 4000],
        ['deployment.environment.name', 'production'],
      ],
    })),
  };
}

/** Exports of five services: about ten spans a trace, each in the export of the service that made it, 13 attributes. */
function* traffic(seed: number, batchSpans: number): Generator<SpanBatch, never> {
  const random = createRandom(seed);
  const population = populate(random);
  const queues: AddSpan[][] = SERVICES.map(() => []);
  for (let clockUs = START_US; ; ) {
    clockUs += (10 / SPANS_PER_SECOND) * 1e6 * (0.2 + random.unit() * 1.6);
    addTrace(queues, population, random, Math.floor(clockUs));
    const service = random.below(SERVICES.length);
    const queue = queues[service]!;
    if (queue.length < batchSpans) continue;
    const builder = new BatchBuilder();
    builder.addResource(population.resources[service]!);
    builder.addScope({ name: '@opentelemetry/instrumentation-http', version: '0.223.0' });
    for (const add of queue.splice(0, batchSpans)) add(builder);
    yield builder.build();
  }
}

function addTrace(queues: AddSpan[][], { users, objects }: Population, random: Random, startUs: number): void {
  const trace = [random.uint32(), random.uint32(), random.uint32(), random.uint32()] as const;
  const user = users[random.below(users.length)]!;
  const object = objects[random.below(objects.length)]!;
  const spans: { id: readonly [number, number]; service: number; startUs: number }[] = [];
  for (let i = 0, count = 6 + random.below(9); i < count; i++) {
    const parent = i === 0 ? undefined : spans[random.below(i)]!;
    const kind = i === 0 ? 2 : [3, 2, 3, 1][i % 4]!;
    const service = parent === undefined ? 0 : kind === 2 ? random.below(SERVICES.length) : parent.service;
    const id = [random.uint32(), random.uint32()] as const;
    const start = parent === undefined ? startUs : parent.startUs + 50 + random.below(4_000);
    const end = start + 200 + Math.floor(Math.exp(random.unit() * 6) * 100);
    spans.push({ id, service, startUs: start });
    const route = random.below(12);
    const attributes = attributesOf(
      kind === 3 && i % 3 === 0 ? 'db' : kind,
      SERVICES[service]!,
      route,
      user,
      object,
      random,
    );
    const name = `${route % 3 === 0 ? 'POST' : 'GET'} /api/v1/${SERVICES[service]}/{id}/items-${route}`;
    const [p0, p1] = parent?.id ?? [0, 0];
    queues[service]!.push((builder) => {
      const text = builder.string(name);
      builder.span(...trace, ...id, p0, p1, kind, i % 37 === 36 ? 2 : 0, 0x101, start, end, end, text, 0, 0);
      for (const [key, value] of attributes) builder.attrValueOf(builder.key(key), value);
    });
  }
}

type Attributes = readonly (readonly [string, string | number | boolean | readonly string[]])[];

function attributesOf(
  kind: number | 'db',
  service: string,
  route: number,
  user: string,
  object: string,
  random: Random,
): Attributes {
  const number = 10_000_000 + random.below(90_000_000);
  const http: Attributes = [
    ['http.request.method', route % 3 === 0 ? 'POST' : 'GET'],
    ['http.response.status_code', random.below(40) === 0 ? 500 : 200],
    ['url.scheme', 'http'],
    ['network.protocol.version', '1.1'],
  ];
  if (kind === 'db') {
    return [
      ['db.system.name', 'postgresql'],
      ['db.namespace', 'bank'],
      ['db.collection.name', 'items'],
      ['db.operation.name', 'SELECT'],
      ['db.query.text', `SELECT a, b, c FROM items_${route} WHERE owner = ? AND id = ?`],
      ['db.query.summary', `SELECT items_${route}`],
      ['db.response.returned_rows', random.below(20)],
      ['server.address', 'db-1.internal'],
      ['server.port', 5432],
      ['network.peer.address', '10.0.3.17'],
      ['network.peer.port', 5432],
      ['apisec.version', 1],
      ['app.pool.wait_ms', random.below(4)],
    ];
  }
  if (kind === 2) {
    return [
      ...http,
      ['http.route', `/api/v1/${service}/{id}/items-${route}`],
      ['url.path', `/api/v1/${service}/${number}/items-${route}`],
      ['client.address', `10.0.${route}.${random.below(256)}`],
      ['network.peer.port', 32_768 + random.below(28_000)],
      ['user.hash', user],
      ['apisec.auth.scheme', 'bearer'],
      ['apisec.auth.verified', true],
      ['apisec.object.ids', [object]],
      ['apisec.response.record_count', random.below(5)],
    ];
  }
  if (kind === 3) {
    return [
      ...http,
      ['url.full', `http://${service}.internal:8080/api/v1/${number}/items-${route}`],
      ['server.address', `${service}.internal`],
      ['server.port', 8080],
      ['network.peer.address', '10.0.3.4'],
      ['network.peer.port', 8080],
      ['http.response.body.size', random.below(20_000)],
      ['user_agent.original', 'node-fetch/3'],
      ['apisec.version', 1],
      ['apisec.egress.third_party', false],
    ];
  }
  return [
    ...http,
    ...Array.from({ length: 6 }, (_, step) => [`app.step.${step}`, `value-${step}-${route % 4}`] as const),
    ['app.step.6', random.below(1_000)],
    ['app.step.7', random.below(1_000)],
    ['code.file.path', '/srv/app/handlers.ts'],
  ];
}

function take(spans: number): SpanBatch[] {
  const batches: SpanBatch[] = [];
  let taken = 0;
  for (const batch of traffic(1, BATCH_SPANS)) {
    batches.push(batch);
    taken += batch.count;
    if (taken >= spans) break;
  }
  return batches;
}

const spansIn = (batches: readonly SpanBatch[]): number => batches.reduce((sum, batch) => sum + batch.count, 0);
const receivedUs = (offset: number): number => START_US + Math.floor(((offset * BATCH_SPANS) / SPANS_PER_SECOND) * 1e6);

/** CPU microseconds, user and system, of `work`. */
function cpuUs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The least of several runs: other programs only ever add. */
const bestCpuUs = (runs: number, work: () => void): number =>
  Math.min(...Array.from({ length: runs }, () => cpuUs(work)));

const print = (name: string, text: string): void => console.log(`${name.padEnd(34)}${text}`);

function measureEncoding(): void {
  const batches = take(ENCODE_SPANS);
  const spans = spansIn(batches);
  const encoded = batches.map(encodeBatch);
  const records = batches.map((batch, offset) => toLogRecord(batch, offset, receivedUs(offset)));
  const perSpan = (us: number) => `${toText(us / spans)} us/span`;
  print('encode', perSpan(bestCpuUs(12, () => void batches.map(encodeBatch))));
  print('compress', perSpan(bestCpuUs(12, () => void records.map(toRecordRow))));
  print('decode', perSpan(bestCpuUs(12, () => void encoded.map(decodeBatch))));
  const bytes = records.map(toRecordRow).reduce((sum, row) => sum + row.body.length + row.trace_keys.length, 0);
  print(
    'one record',
    `${toText(encoded.reduce((sum, one) => sum + one.length, 0) / spans)} B/span encoded, ${toText(bytes / spans)} B/span compressed`,
  );
}

const ms = (times: number[]): string => {
  times.sort((a, b) => a - b);
  return `p50 ${toText(quantile(times, 0.5))} p99 ${toText(quantile(times, 0.99))} max ${toText(times.at(-1) ?? 0)} ms`;
};

function measureAppends(folder: string): void {
  const batches = take(APPEND_SPANS);
  for (const group of GROUPS) {
    const log = openSpanLog(join(folder, `append-${group}`));
    const times: number[] = [];
    let cpu = 0;
    for (let from = 0; from < batches.length; from += group) {
      const records = batches
        .slice(from, from + group)
        .map((batch, i) => toLogRecord(batch, from + i, receivedUs(from + i)));
      const start = performance.now();
      cpu += cpuUs(() => log.append(records));
      times.push(performance.now() - start);
    }
    const seconds = times.reduce((sum, time) => sum + time, 0) / 1000;
    print(
      `append, ${group} exports a commit`,
      `${toText(spansIn(batches) / seconds)} spans/s, ${ms(times)}, ${toText(cpu / spansIn(batches))} us CPU/span`,
    );
    log.close();
  }
}

/** One maintenance step at a time until there is nothing to do. */
function settle(log: SpanLog, horizonOffset: number, times: number[]): void {
  for (let more = true; more; ) {
    const start = performance.now();
    more = log.maintain({ horizonOffset, nowUs: receivedUs(horizonOffset) });
    times.push(performance.now() - start);
  }
}

function measureStore(folder: string, spansWanted: number): void {
  const directory = join(folder, 'store');
  const log = openSpanLog(directory, { retentionDays: 36_500 });
  const steps: number[] = [];
  const traceIds: string[] = [];
  let offset = 0;
  let spans = 0;
  let cpu = 0;
  for (const batch of traffic(2, BATCH_SPANS)) {
    log.append([toLogRecord(batch, offset, receivedUs(offset))]);
    traceIds.push(traceIdHex(batch, offset % batch.count));
    offset++;
    spans += batch.count;
    if (offset % 64 === 0) cpu += cpuUs(() => settle(log, offset - OPEN_BATCHES, steps));
    if (spans >= spansWanted) break;
  }
  cpu += cpuUs(() => settle(log, offset, steps));
  print('merge', `${toText(cpu / spans)} us CPU/span, a step: ${ms(steps)}`);
  const { segments, pendingRecords, usedBytes } = log.stats();
  log.close();
  const fileBytes = statSync(join(directory, 'spans.db')).size;
  print(
    'on disk',
    `${toText(usedBytes / spans)} B/span all-in (${toText(fileBytes / spans)} with room for the next appends)`,
  );
  print('', `${toText(spans)} spans, ${segments} segments, ${pendingRecords} records not merged`);

  const reader = openSpanLogReader(directory);
  const random = createRandom(3);
  const first = performance.now();
  reader.readTrace(traceIds[0]!);
  print('first lookup', `${toText(performance.now() - first)} ms`);
  const present: number[] = [];
  const presentCpu: number[] = [];
  const absent: number[] = [];
  for (let n = 0; n < LOOKUPS; n++) {
    const traceId = traceIds[random.below(traceIds.length)]!;
    let found: SpanBatch | undefined;
    const start = performance.now();
    presentCpu.push(
      cpuUs(() => {
        found = reader.readTrace(traceId);
      }) / 1000,
    );
    present.push(performance.now() - start);
    if (found === undefined) throw new Error(`trace ${traceId} is gone`);
    const absentStart = performance.now();
    reader.readTrace(random.uint32().toString(16).padStart(32, '0'));
    absent.push(performance.now() - absentStart);
  }
  print('trace by id', ms(present));
  print('trace by id, CPU', ms(presentCpu));
  print('absent trace', ms(absent));
  reader.close();
}

const { values: options } = parseArgs({
  options: {
    spans: { type: 'string', default: '1000000' },
    folder: { type: 'string', default: process.cwd() },
  },
});
const scratch = mkdtempSync(join(options.folder, 'bench-log-'));
try {
  print('memcpy', `${toText(memcpyGigabytesPerSecond())} GB/s`);
  for (const bytes of [4_096, 131_072]) {
    const { p50Ms, p99Ms, syncs } = await fdatasyncTimes(scratch, bytes, 100, 3);
    print(`fdatasync of ${bytes / 1024} KiB`, `p50 ${toText(p50Ms)} p99 ${toText(p99Ms)} ms (${syncs} syncs)`);
  }
  measureEncoding();
  measureAppends(scratch);
  measureStore(scratch, Number(options.spans));
} finally {
  rmSync(scratch, { recursive: true });
}
