import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { residentBytes } from '../bench/process-usage.ts';
import { CollectorProcess } from '../support/collector-process.ts';
import { type Answer, createGrpcExporter, createHttpExporter, sendAll } from '../support/otlp-client.ts';
import { expectedCounts, readOutcome, untilSettled } from '../support/outcome.ts';
import { chosenSeed } from '../support/random.ts';
import { Traffic } from '../support/traffic.ts';

const FLIGHTS = 30;
const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-overload-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('overload', () => {
  it('gets only retryable answers with a hint, loses nothing, and keeps books and memory', async () => {
    const seed = chosenSeed();
    const traffic = new Traffic({
      seed,
      tracesPerFlight: 512,
      requestSpansMax: 512,
      startMs: Date.now() - 60_000,
      flightMs: 100,
    });
    const collector = await CollectorProcess.start({
      dataDir: folder,
      nodeArgs: ['--max-old-space-size=256'],
      env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '2000', SPANWARDEN_IN_FLIGHT_BYTES_MAX: String(8 * MIB) },
    });
    const failures = new Map<string, number>();
    const wrong: Answer[] = [];
    let peakBytes = 0;
    let sending = true;
    const watch = async (): Promise<void> => {
      for (; sending; await sleep(50)) peakBytes = Math.max(peakBytes, residentBytes(collector.pid).now);
    };
    const watching = watch();
    const onFailed = (_: unknown, answer: Exclude<Answer, { kind: 'stored' }>): void => {
      failures.set(answer.code, (failures.get(answer.code) ?? 0) + 1);
      if (answer.kind === 'refused' || !answer.hinted) wrong.push(answer);
    };
    const jobs = Array.from({ length: FLIGHTS * traffic.flightRequests }, (_, n) => n);
    const send = (exporter: ReturnType<typeof createGrpcExporter>, odd: number): Promise<void> =>
      sendAll(
        jobs.filter((n) => n % 2 === odd),
        {
          exporter,
          inFlight: 60,
          retryMs: 500,
          bytesOf: (n) => traffic.request(Math.floor(n / traffic.flightRequests), n % traffic.flightRequests),
          onFailed,
          stopped: () => collector.exit !== undefined,
        },
      );
    const grpc = createGrpcExporter({ port: collector.ports.grpc, connections: 4, deadlineMs: 60_000 });
    const http = createHttpExporter({ port: collector.ports.http, sockets: 60 });
    await Promise.all([send(grpc, 0), send(http, 1)]);
    sending = false;
    await watching;
    grpc.close();
    http.close();
    expect(collector.exit, collector.output.slice(-2_000)).toBeUndefined();

    await untilSettled(collector);
    const refusals = [...failures.values()].reduce((sum, count) => sum + count, 0);
    process.stdout.write(
      `overload, seed ${seed}: ${jobs.length} exports, ${refusals} refused retryably (${JSON.stringify([...failures])}), peak RSS ${(peakBytes / MIB).toFixed(0)} MiB\n`,
    );
    expect(wrong).toEqual([]);
    expect(refusals, 'the load was no overload').toBeGreaterThan(0);
    const metrics = await collector.metrics();
    expect(metrics.sum('spanwarden_spans_stored_total')).toBe(traffic.truth(FLIGHTS).spans);
    expect(metrics.sum('spanwarden_spans_received_total')).toBe(
      metrics.sum('spanwarden_spans_stored_total') +
        metrics.sum('spanwarden_spans_duplicate_total') +
        metrics.sum('spanwarden_spans_rejected_total'),
    );
    expect(await readOutcome(collector)).toMatchObject(expectedCounts(traffic.truth(FLIGHTS)));
    await collector.kill();
  });
});
