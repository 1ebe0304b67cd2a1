import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { CollectorProcess, choosePorts } from '../support/collector-process.ts';
import { type Answer, createGrpcExporter } from '../support/otlp-client.ts';
import { chosenSeed } from '../support/random.ts';
import { Traffic } from '../support/traffic.ts';
import { unaccounted } from './kill-rig.ts';
import { Ledger } from './ledger.ts';

const SPANS_PER_SECOND = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-drain-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('SIGTERM under load', () => {
  it('says not ready first, drains within 10 s, exits 0 and loses nothing acknowledged', async () => {
    const seed = chosenSeed();
    const traffic = new Traffic({ seed, tracesPerFlight: 100, requestSpansMax: 100, startMs: Date.now() - 60_000 });
    const ports = await choosePorts();
    const dataDir = mkdtempSync(join(folder, 'data-'));
    const ledger = new Ledger(join(folder, 'ledger'));
    const settings = { dataDir, ports, env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '1000' } };
    const collector = await CollectorProcess.start(settings);
    const exporter = createGrpcExporter({ port: ports.grpc });
    const answers: { answer: Answer; atMs: number }[] = [];
    const pending: Promise<void>[] = [];
    const start = performance.now();
    let spans = 0;
    let sending = true;
    const load = async (): Promise<void> => {
      for (let n = 0; sending; n++) {
        const flight = Math.floor(n / traffic.flightRequests);
        const request = n % traffic.flightRequests;
        spans += traffic.requestSpans(request);
        pending.push(
          exporter.send(traffic.request(flight, request)).then((answer) => {
            if (answer.kind === 'stored') ledger.stored(flight, request);
            answers.push({ answer, atMs: performance.now() });
          }),
        );
        await sleep(Math.max(0, start + (spans * 1000) / SPANS_PER_SECOND - performance.now()));
      }
    };
    const loading = load();
    await sleep(3_000);

    const stopped = collector.stop(15_000);
    const signalledAtMs = performance.now();
    const readiness: { status: number; askedAtMs: number }[] = [];
    while (collector.exit === undefined) {
      const askedAtMs = performance.now();
      readiness.push({ status: await collector.readyStatus(), askedAtMs });
      await sleep(2);
    }
    const exit = await stopped;
    sending = false;
    await loading;
    await Promise.all(pending);
    exporter.close();

    const refused = answers.filter(({ answer }) => answer.kind !== 'stored').sort((a, b) => a.atMs - b.atMs);
    const firstRefusalMs = refused[0]?.atMs ?? Number.POSITIVE_INFINITY;
    const since = (atMs: number | undefined): string =>
      atMs === undefined ? 'never' : `${(atMs - signalledAtMs).toFixed(0)} ms`;
    process.stdout.write(
      `SIGTERM at ${SPANS_PER_SECOND} spans/s, seed ${seed}: gone after ${exit.tookMs.toFixed(0)} ms, 503 from /readyz after ` +
        `${since(readiness.find(({ status }) => status === 503)?.askedAtMs)}, first refusal after ${since(refused[0]?.atMs)}\n`,
    );
    expect({ code: exit.code, signal: exit.signal }).toEqual({ code: 0, signal: null });
    expect(exit.tookMs).toBeLessThan(10_000);
    expect(readiness.filter(({ status, askedAtMs }) => status === 200 && askedAtMs > firstRefusalMs)).toEqual([]);
    expect(refused.filter(({ answer }) => answer.kind === 'refused')).toEqual([]);

    const next = await CollectorProcess.start(settings);
    expect(await unaccounted(next, ledger.entries(), traffic)).toEqual({ missing: [], repeated: [] });
    await next.kill();
  });
});
