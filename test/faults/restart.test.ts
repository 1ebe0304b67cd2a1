import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { CollectorProcess, choosePorts } from '../support/collector-process.ts';
import { createGrpcExporter, sendAll } from '../support/otlp-client.ts';
import { expectedCounts, type Outcome, readOutcome, untilSettled } from '../support/outcome.ts';
import { chosenSeed, createRandom, shuffle } from '../support/random.ts';
import { Traffic } from '../support/traffic.ts';

const IDLE_MS = 1_500;
const seed = chosenSeed();
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-restart-'));
const traffic = new Traffic({
  seed,
  tracesPerFlight: 400,
  requestSpansMax: 40,
  startMs: Date.now() - 60_000,
  attacks: { 'access/unauthorized-effect': 5, 'exposure/unauthenticated-sensitive-read': 5 },
});
const order = shuffle(
  Array.from({ length: traffic.flightRequests }, (_, request) => request),
  createRandom(seed),
);
const running: CollectorProcess[] = [];
afterEach(async () => {
  for (const collector of running.splice(0)) await collector.kill();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Ending = (collector: CollectorProcess) => Promise<unknown>;

/** Sends one flight; between the parts `ending` takes the collector down and a new one goes on with its folder. */
async function observe(parts: readonly number[][], ending: Ending): Promise<Outcome> {
  const dataDir = mkdtempSync(join(folder, 'data-'));
  const ports = await choosePorts();
  const settings = { dataDir, ports, env: { SPANWARDEN_ASSEMBLE_IDLE_MS: String(IDLE_MS) } };
  let collector = await CollectorProcess.start(settings);
  for (const [index, requests] of parts.entries()) {
    if (index > 0) {
      await ending(collector);
      collector = await CollectorProcess.start(settings);
    }
    const exporter = createGrpcExporter({ port: ports.grpc });
    await sendAll(requests, { exporter, bytesOf: (request) => traffic.request(0, request) });
    exporter.close();
  }
  running.push(collector);
  await untilSettled(collector);
  return readOutcome(collector);
}

const half = order.length >> 1;
const halves = [order.slice(0, half), order.slice(half)];
const kill: Ending = (collector) => collector.kill();

describe(`a restart in the middle of traces, seed ${seed}`, () => {
  let uninterrupted: Outcome;

  it('has something to compare with: exact counts and the planted findings', async () => {
    uninterrupted = await observe([order], kill);
    expect(uninterrupted).toMatchObject(expectedCounts(traffic.truth(1)));
    expect(uninterrupted.findings.length).toBeGreaterThan(0);
  });

  it('gives the same after kill -9 with every trace half open', async () => {
    expect(await observe(halves, kill)).toEqual(uninterrupted);
  });

  it('gives the same after SIGTERM with every trace half open', async () => {
    expect(await observe(halves, (collector) => collector.stop())).toEqual(uninterrupted);
  });

  it('gives the same when the first halves were judged before kill -9, and the rest amends them', async () => {
    const judgeAndKill: Ending = async (collector) => {
      await untilSettled(collector);
      await collector.kill();
    };
    expect(await observe(halves, judgeAndKill)).toEqual(uninterrupted);
  });

  it('gives the same when it dies while the first halves are being judged', async () => {
    const killWhileJudging: Ending = async (collector) => {
      await sleep(IDLE_MS + 150);
      await collector.kill();
    };
    expect(await observe(halves, killWhileJudging)).toEqual(uninterrupted);
  });

  it('gives the same after five deaths in a row', async () => {
    const fifths = Array.from({ length: 6 }, (_, part) => order.filter((_, i) => i % 6 === part));
    expect(await observe(fifths, kill)).toEqual(uninterrupted);
  });
});
