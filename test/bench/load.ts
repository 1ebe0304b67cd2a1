import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectorProcess } from '../support/collector-process.ts';
import { createGrpcExporter } from '../support/otlp-client.ts';
import type { Traffic } from '../support/traffic.ts';
import { cpuSeconds, quantile, residentBytes } from './process-usage.ts';

export interface Throughput {
  /** Spans acknowledged in the measured window. */
  readonly spans: number;
  readonly ackedPerSecond: number;
  /** The same, with the time added that the server needed after the load to judge what it had left over. */
  readonly sustainedPerSecond: number;
  /** Seconds from the end of the load until every trace was judged, beyond the silence that closes a trace. */
  readonly lagSeconds: number;
  /** CPU of the server process in the window for each span acknowledged in it. */
  readonly cpuUsPerSpan: number;
  /** Spans stored in all, warm-up included. */
  readonly storedSpans: number;
  readonly retries: number;
  readonly generatorCpuUsPerSpan: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Counters reach /metrics within this time once the load is off. */
const REPORTED_MS = 700;

/**
 * As many spans as the server acknowledges with `inFlight` exports on their way. Measured over a window in the middle
 * of the load, when traces close as fast as they open; then waits until all are judged.
 */
export async function saturate(
  server: CollectorProcess,
  traffic: Traffic,
  settings: {
    readonly seconds: number;
    readonly warmUpSeconds: number;
    readonly idleMs: number;
    readonly inFlight?: number;
  },
): Promise<Throughput> {
  const exporter = createGrpcExporter({ port: server.ports.grpc, connections: 2 });
  const jobs = endless(traffic);
  let sending = true;
  let acked = 0;
  let retries = 0;
  const worker = async (): Promise<void> => {
    while (sending) {
      const [flight, request] = jobs();
      const bytes = traffic.request(flight, request);
      for (;;) {
        const answer = await exporter.send(bytes);
        if (answer.kind === 'stored') break;
        if (answer.kind === 'refused') throw new Error(`export refused: ${answer.code} ${answer.message}`);
        retries++;
        await sleep(50);
      }
      acked += traffic.requestSpans(request);
    }
  };
  const position = (): { atMs: number; unixMs: number; acked: number; cpuSeconds: number; ownCpuUs: number } => {
    const { user, system } = process.cpuUsage();
    const cpu = cpuSeconds(server.pid);
    return { atMs: performance.now(), unixMs: Date.now(), acked, cpuSeconds: cpu, ownCpuUs: user + system };
  };
  const load = Promise.all(Array.from({ length: settings.inFlight ?? 24 }, worker));
  await Promise.race([sleep(settings.warmUpSeconds * 1000), load]);
  const from = position();
  await Promise.race([sleep(settings.seconds * 1000), load]);
  const to = position();
  sending = false;
  await load;
  exporter.close();
  const loadEndMs = performance.now();
  await untilJudged(server, acked);
  const lagSeconds = Math.max(0, performance.now() - loadEndMs - settings.idleMs - REPORTED_MS) / 1000;
  await untilMerged(server);
  const seconds = (to.atMs - from.atMs) / 1000;
  const spans = to.acked - from.acked;
  return {
    spans,
    ackedPerSecond: spans / seconds,
    sustainedPerSecond: spans / (seconds + lagSeconds),
    lagSeconds,
    cpuUsPerSpan: ((to.cpuSeconds - from.cpuSeconds) * 1e6) / spans,
    storedSpans: acked,
    retries,
    generatorCpuUsPerSpan: (to.ownCpuUs - from.ownCpuUs) / spans,
    fromMs: from.unixMs,
    toMs: to.unixMs,
  };
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly spansPerSecond: number;
  readonly exports: number;
  readonly failed: number;
}

/** Open loop: exports leave on schedule whatever the answers do, and each is timed from when it was due. */
export async function ackLatency(
  server: CollectorProcess,
  traffic: Traffic,
  settings: { readonly spansPerSecond: number; readonly seconds: number; readonly warmUpSeconds: number },
): Promise<Latency> {
  const exporter = createGrpcExporter({ port: server.ports.grpc, connections: 4 });
  const jobs = endless(traffic);
  const times: number[] = [];
  const pending = new Set<Promise<void>>();
  const start = performance.now();
  const measureFrom = start + settings.warmUpSeconds * 1000;
  const until = measureFrom + settings.seconds * 1000;
  let due = start;
  let spans = 0;
  let failed = 0;
  while (due < until) {
    const waitMs = due - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const [flight, request] = jobs();
    const dueAt = due;
    const sent = exporter.send(traffic.request(flight, request)).then((answer) => {
      if (dueAt < measureFrom) return;
      if (answer.kind === 'stored') times.push(performance.now() - dueAt);
      else failed++;
    });
    pending.add(sent);
    void sent.finally(() => pending.delete(sent));
    if (dueAt >= measureFrom) spans += traffic.requestSpans(request);
    due += (traffic.requestSpans(request) * 1000) / settings.spansPerSecond;
  }
  await Promise.all(pending);
  exporter.close();
  times.sort((a, b) => a - b);
  return {
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    p999Ms: quantile(times, 0.999),
    spansPerSecond: spans / settings.seconds,
    exports: times.length,
    failed,
  };
}

export interface MemoryUse {
  readonly openTraces: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
}

/** Sends flights until `spans` are stored, all of them in traces that stay open; memory at `openTraces` and at the end. */
export async function openTraceMemory(
  server: CollectorProcess,
  traffic: Traffic,
  settings: { readonly openTraces: number; readonly spans: number },
): Promise<{ readonly atOpenTraces: MemoryUse; readonly atSpans: MemoryUse }> {
  const exporter = createGrpcExporter({ port: server.ports.grpc, connections: 2 });
  const send = async (fromFlight: number, toFlight: number): Promise<void> => {
    const jobs = endless(traffic, fromFlight);
    let left = (toFlight - fromFlight) * traffic.flightRequests;
    const worker = async (): Promise<void> => {
      while (left-- > 0) {
        const [flight, request] = jobs();
        const bytes = traffic.request(flight, request);
        while ((await exporter.send(bytes)).kind !== 'stored') await sleep(50);
      }
    };
    await Promise.all(Array.from({ length: 16 }, worker));
  };
  const use = async (): Promise<MemoryUse> => {
    await sleep(500);
    const open = (await server.metrics()).sum('spanwarden_open_traces');
    const { now, peak } = residentBytes(server.pid);
    return { openTraces: open, residentBytes: now, peakBytes: peak };
  };
  const first = Math.ceil(settings.openTraces / traffic.flightTraces);
  await send(0, first);
  const atOpenTraces = await use();
  await send(first, Math.max(first, Math.ceil(settings.spans / traffic.flightSpans)));
  const atSpans = await use();
  exporter.close();
  return { atOpenTraces, atSpans };
}

/** Next (flight, request), flight after flight. */
function endless(traffic: Traffic, fromFlight = 0): () => readonly [number, number] {
  let next = 0;
  return () => {
    const n = next++;
    return [fromFlight + Math.floor(n / traffic.flightRequests), n % traffic.flightRequests];
  };
}

/** Until the server has counted all `received` spans and no trace is open. */
async function untilJudged(server: CollectorProcess, received: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const metrics = await server.metrics();
    const counted = metrics.sum('spanwarden_spans_received_total') >= received;
    if (counted && metrics.sum('spanwarden_open_traces') === 0) return;
    if (Date.now() > deadline) throw new Error('traces stay open');
    await sleep(50);
  }
}

/** Until the log merges nothing more without new spans. */
async function untilMerged(server: CollectorProcess): Promise<void> {
  let pending = Number.NaN;
  for (let tries = 0; tries < 30; tries++) {
    const left = (await server.metrics()).sum('spanwarden_log_pending_records');
    if (left === pending) return;
    pending = left;
    await sleep(1_200);
  }
}
