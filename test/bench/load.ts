import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectorProcess } from '../support/collector-process.ts';
import { createGrpcExporter } from '../support/otlp-client.ts';
import type { Traffic } from '../support/traffic.ts';
import { cpuSeconds, folderBytes, quantile, residentBytes } from './process-usage.ts';

export interface Throughput {
  readonly spans: number;
  /** Acknowledged spans per second while the load was on. */
  readonly ackedPerSecond: number;
  /** Spans per second until the last trace was closed and judged, without the idle wait at the end. */
  readonly sustainedPerSecond: number;
  /** CPU of the server process from the first span until all traces were judged. */
  readonly cpuUsPerSpan: number;
  readonly bytesPerSpan: number;
  readonly retries: number;
  readonly generatorCpuUsPerSpan: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** As many spans as the server acknowledges with `inFlight` exports on their way, for `seconds`; then until all are judged. */
export async function saturate(
  server: CollectorProcess,
  traffic: Traffic,
  settings: { readonly seconds: number; readonly idleMs: number; readonly dataDir: string; readonly inFlight?: number },
): Promise<Throughput> {
  const exporter = createGrpcExporter({ port: server.ports.grpc, connections: 2 });
  const ownCpu = process.cpuUsage();
  const cpuFrom = cpuSeconds(server.pid);
  const fromMs = Date.now();
  const start = performance.now();
  const untilMs = start + settings.seconds * 1000;
  const jobs = endless(traffic);
  let spans = 0;
  let retries = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const [flight, request] = jobs();
      const bytes = traffic.request(flight, request);
      for (;;) {
        const answer = await exporter.send(bytes);
        if (answer.kind === 'stored') break;
        if (answer.kind === 'refused') throw new Error(`export refused: ${answer.code} ${answer.message}`);
        retries++;
        await sleep(50);
      }
      spans += traffic.requestSpans(request);
    }
  };
  await Promise.all(Array.from({ length: settings.inFlight ?? 24 }, worker));
  const loadSeconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(ownCpu);
  exporter.close();
  await untilJudged(server, settings.idleMs);
  const judgedSeconds = (performance.now() - start - settings.idleMs) / 1000;
  const cpu = cpuSeconds(server.pid) - cpuFrom;
  return {
    spans,
    ackedPerSecond: spans / loadSeconds,
    sustainedPerSecond: spans / Math.max(judgedSeconds, loadSeconds),
    cpuUsPerSpan: (cpu * 1e6) / spans,
    bytesPerSpan: folderBytes(settings.dataDir) / spans,
    retries,
    generatorCpuUsPerSpan: (used.user + used.system) / spans,
    fromMs,
    toMs: Date.now(),
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

async function untilJudged(server: CollectorProcess, idleMs: number): Promise<void> {
  const deadline = Date.now() + idleMs + 60_000;
  while ((await server.metrics()).sum('spanwarden_open_traces') > 0) {
    if (Date.now() > deadline) throw new Error('traces stay open');
    await sleep(50);
  }
}
