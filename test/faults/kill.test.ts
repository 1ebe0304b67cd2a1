import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { expectedCounts, readOutcome, untilSettled } from '../support/outcome.ts';
import { chosenSeed, createRandom } from '../support/random.ts';
import { emitted } from '../support/repo-root.ts';
import { Traffic } from '../support/traffic.ts';
import { type KillRun, runUnderKills, unaccounted } from './kill-rig.ts';

const KILLS = 20;
const seed = chosenSeed();
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-kill-'));
const startMs = Date.now() - 60_000;
const traffic = (): Traffic =>
  new Traffic({
    seed,
    tracesPerFlight: 100,
    requestSpansMax: 60,
    startMs,
    flightMs: 100,
    attacks: { 'access/unauthorized-effect': 2, 'exposure/unauthenticated-sensitive-read': 1 },
  });
const runs: KillRun[] = [];
async function run(
  settings: Omit<Parameters<typeof runUnderKills>[0], 'traffic' | 'random' | 'folder'>,
): Promise<KillRun> {
  const result = await runUnderKills({ ...settings, traffic: traffic(), random: createRandom(seed), folder });
  runs.push(result);
  return result;
}
afterEach(async () => {
  for (const { collector } of runs.splice(0)) await collector.kill();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const naive = [emitted('bench/naive-server.js')];

describe('kill -9 with a ledger', () => {
  it('finds losses of a server that answers before it commits, or this rig proves nothing', async () => {
    const careless = await run({
      kills: 5,
      flights: 1,
      program: naive,
      env: { NAIVE_ACK: 'early' },
      spansPerSecond: 4_000,
    });
    const { missing } = await unaccounted(careless.collector, careless.ledger.entries(), traffic());
    say(
      `kill -9, early acknowledgement, seed ${seed}: ${missing.length} acknowledged spans lost by ${careless.kills} kills`,
    );
    expect(missing.length).toBeGreaterThan(0);
  });

  it('finds no loss of a server that commits before it answers', async () => {
    const careful = await run({ kills: 5, flights: 1, program: naive, spansPerSecond: 4_000 });
    expect(await unaccounted(careful.collector, careful.ledger.entries(), traffic())).toEqual({
      missing: [],
      repeated: [],
    });
  });

  it('loses nothing acknowledged and counts nothing twice', async () => {
    const env = { SPANWARDEN_ASSEMBLE_IDLE_MS: '700' };
    const killed = await run({ kills: KILLS, flights: 10, env, spansPerSecond: 8_000 });
    await untilSettled(killed.collector);
    const { missing, repeated } = await unaccounted(killed.collector, killed.ledger.entries(), traffic());
    const outcome = await readOutcome(killed.collector);
    const truth = traffic().truth(killed.flights);
    const slowest = Math.max(...killed.readyMs);
    say(
      `kill -9, collector, seed ${seed}: ${killed.kills} kills, ${truth.spans} spans, ${killed.retries} retries, ` +
        `${missing.length} lost, ${repeated.length} twice, slowest restart ${slowest.toFixed(0)} ms`,
    );
    expect({ missing, repeated }).toEqual({ missing: [], repeated: [] });
    expect(outcome).toMatchObject(expectedCounts(truth));

    const uninterrupted = await run({ kills: 0, flights: killed.flights, env });
    await untilSettled(uninterrupted.collector);
    const reference = await readOutcome(uninterrupted.collector);
    expect(reference.findings.length).toBeGreaterThan(0);
    expect(outcome).toEqual(reference);
  });
});
