import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CollectorPorts, CollectorProcess, choosePorts } from '../support/collector-process.ts';
import { createGrpcExporter, sendAll } from '../support/otlp-client.ts';
import type { Random } from '../support/random.ts';
import type { Traffic } from '../support/traffic.ts';
import { Ledger } from './ledger.ts';

export interface KillSettings {
  readonly traffic: Traffic;
  readonly random: Random;
  /** Where data folder and ledger are made. */
  readonly folder: string;
  /** SIGKILLs while exports are on their way; 0 gives an uninterrupted run of `flights`. */
  readonly kills: number;
  /** Flights that are sent at least; more while kills are outstanding. */
  readonly flights: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly program?: readonly string[];
  /** Most spans per second, so that the run's end can be checked span by span; default unlimited. */
  readonly spansPerSecond?: number;
}

export interface KillRun {
  /** Running, everything sent and acknowledged. */
  readonly collector: CollectorProcess;
  readonly ledger: Ledger;
  readonly flights: number;
  readonly kills: number;
  /** Milliseconds from each start after a kill to readiness. */
  readonly readyMs: readonly number[];
  readonly retries: number;
}

interface Job {
  readonly flight: number;
  readonly request: number;
}

/** Sends whole flights while the collector dies at random moments; each export is repeated until acknowledged. */
export async function runUnderKills(settings: KillSettings): Promise<KillRun> {
  const { traffic, random } = settings;
  const ports: CollectorPorts = await choosePorts();
  const dataDir = mkdtempSync(join(settings.folder, 'data-'));
  const ledger = new Ledger(`${dataDir}.ledger`);
  const start = (): Promise<CollectorProcess> =>
    CollectorProcess.start({
      dataDir,
      ports,
      ...(settings.env === undefined ? {} : { env: settings.env }),
      ...(settings.program === undefined ? {} : { program: settings.program }),
    });
  let collector = await start();
  const exporter = createGrpcExporter({ port: ports.grpc, connections: 2, deadlineMs: 10_000 });
  let killing = settings.kills > 0;
  let kills = 0;
  let flights = 0;
  let retries = 0;
  let sentSpans = 0;
  const readyMs: number[] = [];
  const startedMs = Date.now();

  function* jobs(): Generator<Job> {
    while (killing || flights < settings.flights) {
      const flight = flights++;
      for (let request = 0; request < traffic.flightRequests; request++) yield { flight, request };
    }
  }
  const killer = async (): Promise<void> => {
    for (; kills < settings.kills; kills++) {
      await sleep(50 + random.below(900));
      await collector.kill();
      const from = performance.now();
      collector = await start();
      readyMs.push(performance.now() - from);
    }
    killing = false;
  };
  const pace = async (): Promise<void> => {
    if (settings.spansPerSecond === undefined) return;
    const aheadMs = (sentSpans / settings.spansPerSecond) * 1000 - (Date.now() - startedMs);
    if (aheadMs > 5) await sleep(aheadMs);
  };
  const source = jobs();
  const worker = async (): Promise<void> => {
    for (const job of source) {
      await pace();
      sentSpans += traffic.requestSpans(job.request);
      await sendAll([job], {
        exporter,
        inFlight: 1,
        retryMs: 20,
        bytesOf: ({ flight, request }) => traffic.request(flight, request),
        onStored: ({ flight, request }) => ledger.stored(flight, request),
        onFailed: (_, answer) => {
          if (answer.kind === 'refused') throw new Error(`export refused: ${answer.code} ${answer.message}`);
          retries++;
        },
      });
    }
  };
  const killed = killer();
  // A shared generator ends for all workers when one of them leaves its loop early: only an error does that.
  await Promise.all([...Array.from({ length: 6 }, worker), killed]);
  exporter.close();
  return { collector, ledger, flights, kills, readyMs, retries };
}

/** `trace/span` of every acknowledged span that the collector does not give back, or gives back more than once. */
export async function unaccounted(
  collector: CollectorProcess,
  acknowledged: readonly (readonly [flight: number, request: number])[],
  traffic: Traffic,
): Promise<{ missing: string[]; repeated: string[] }> {
  const wanted = new Map<string, Set<string>>();
  for (const [flight, request] of acknowledged) {
    for (const key of traffic.spanKeys(flight, request)) {
      const [traceId, spanId] = key.split('/') as [string, string];
      const spans = wanted.get(traceId);
      if (spans === undefined) wanted.set(traceId, new Set([spanId]));
      else spans.add(spanId);
    }
  }
  const missing: string[] = [];
  const repeated: string[] = [];
  const queue = wanted.entries();
  const reader = async (): Promise<void> => {
    for (const [traceId, spans] of queue) {
      const found = await countSpans(collector, traceId);
      for (const spanId of spans) if (!found.has(spanId)) missing.push(`${traceId}/${spanId}`);
      for (const [spanId, times] of found) if (times > 1) repeated.push(`${traceId}/${spanId}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, reader));
  return { missing, repeated };
}

/** How often each span id occurs in a trace as the collector gives it; empty when it knows no such trace. */
async function countSpans(collector: CollectorProcess, traceId: string): Promise<Map<string, number>> {
  const answer = await collector.restRaw(`/api/v1/traces/${traceId}`);
  if (answer.status === 404) return new Map();
  if (answer.status !== 200) throw new Error(`trace ${traceId}: ${answer.status} ${answer.body.slice(0, 200)}`);
  const found = new Map<string, number>();
  for (const { spanId } of (JSON.parse(answer.body) as { spans: { spanId: string }[] }).spans) {
    found.set(spanId, (found.get(spanId) ?? 0) + 1);
  }
  return found;
}
