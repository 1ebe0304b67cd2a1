import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSpanLogReader } from 'spanwarden/internal/log/reader';
import { openSpanLog } from 'spanwarden/internal/log/span-log';
import { afterAll, describe, expect, it } from 'vitest';
import { CollectorProcess, choosePorts } from '../support/collector-process.ts';
import { createGrpcExporter, sendAll } from '../support/otlp-client.ts';
import { readOutcome, untilSettled } from '../support/outcome.ts';
import { chosenSeed, createRandom } from '../support/random.ts';
import { Traffic } from '../support/traffic.ts';
import { AckLog, buildRecorder, cutAndCheck, readRecords, recording } from './power-loss.ts';
import { integrityOf } from './sqlite-integrity.ts';

const CUTS = 300;
/** So many of the cuts are also given to a whole collector, which takes a second each. */
const STARTS = 10;
const FLIGHTS_PER_START = 14;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-power-'));
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spanwarden-power-'));
const recorder = buildRecorder(folder);
const seed = chosenSeed();
const traffic = new Traffic({
  seed,
  tracesPerFlight: 60,
  requestSpansMax: 40,
  startMs: Date.now() - 60_000,
  flightMs: 100,
  attacks: { 'access/unauthorized-effect': 1 },
});
afterAll(() => {
  for (const used of [folder, scratch]) rmSync(used, { recursive: true, force: true });
});
if ('missing' in recorder) process.stderr.write(`skipped: power loss of the collector, because ${recorder.missing}\n`);

type Job = readonly [flight: number, request: number];

/** Two lives of a collector under the recorder: the second opens what the first, killed, left. */
async function recordLives(library: string, dataDir: string, log: string): Promise<void> {
  const ports = await choosePorts();
  const acks = new AckLog(log);
  for (const life of [0, 1]) {
    const collector = await CollectorProcess.start({
      dataDir,
      ports,
      env: { ...recording(library, dataDir, log), SPANWARDEN_ASSEMBLE_IDLE_MS: '400' },
    });
    const exporter = createGrpcExporter({ port: ports.grpc });
    for (let flight = life * FLIGHTS_PER_START; flight < (life + 1) * FLIGHTS_PER_START; flight++) {
      const jobs = Array.from({ length: traffic.flightRequests }, (_, request): Job => [flight, request]);
      await sendAll(jobs, {
        exporter,
        inFlight: 6,
        bytesOf: (job) => traffic.request(...job),
        onStored: (job) => acks.append(job.join(' ')),
      });
      // Checkpoints, merging and conclusions happen between the exports.
      await sleep(120);
    }
    exporter.close();
    await collector.kill();
  }
  acks.close();
}

/** `trace/span` of every span in the log, in a folder that a power cut left. */
function spansIn(left: string): Set<string> {
  openSpanLog(left).close();
  const reader = openSpanLogReader(left);
  const hex = (words: Uint32Array, from: number, count: number): string =>
    Array.from(words.subarray(from, from + count), (word) => word.toString(16).padStart(8, '0')).join('');
  const spans = new Set<string>();
  for (const { batch } of reader.replay(0)) {
    for (let row = 0; row < batch.count; row++) {
      spans.add(`${hex(batch.traceId, row * 4, 4)}/${hex(batch.spanId, row * 2, 2)}`);
    }
  }
  reader.close();
  return spans;
}

describe.skipIf('missing' in recorder)('power loss of the collector', () => {
  it('takes no acknowledged span', async () => {
    if ('missing' in recorder) throw new Error(recorder.missing);
    const dataDir = join(folder, 'data');
    const log = join(folder, 'log');
    mkdirSync(dataDir);
    await recordLives(recorder.library, dataDir, log);
    const records = readRecords(log);
    const random = createRandom(seed);
    const broken: string[] = [];
    let losing = 0;
    let mostLost = 0;
    let restarts = 0;
    const newFolder = (): string => mkdtempSync(join(scratch, 'cut-'));
    await cutAndCheck(records, CUTS, random, newFolder, async (left, acks, cut) => {
      const jobs = acks.map((ack) => ack.split(' ').map(Number) as unknown as Job);
      try {
        const present = spansIn(left);
        const lost = jobs.flatMap((job) => traffic.spanKeys(...job)).filter((span) => !present.has(span)).length;
        if (lost > 0) losing++;
        mostLost = Math.max(mostLost, lost);
        for (const name of readdirSync(left).filter((file) => file.endsWith('.db'))) {
          const verdict = integrityOf(join(left, name));
          if (verdict !== 'ok') broken.push(`cut ${cut}, ${name}: ${verdict}`);
        }
        if (cut % Math.floor(CUTS / STARTS) === 0) {
          await restartOn(left, jobs);
          restarts++;
        }
      } catch (error) {
        broken.push(`cut ${cut}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      rmSync(left, { recursive: true });
    });
    process.stdout.write(
      `power loss, collector, seed ${seed}: ${records.length} records, ${CUTS} cuts, ${losing} lose acknowledged spans ` +
        `(most ${mostLost}), ${broken.length} broken, ${restarts} of ${STARTS} restarted to exact counts\n`,
    );
    expect(broken).toEqual([]);
    expect({ losing, mostLost }).toEqual({ losing: 0, mostLost: 0 });
  });
});

/** A collector started on what is left takes the sender's repeats of everything and ends with exact counts. */
async function restartOn(left: string, acked: readonly Job[]): Promise<void> {
  const collector = await CollectorProcess.start({ dataDir: left, env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '400' } });
  try {
    const flights = 2 * FLIGHTS_PER_START;
    const exporter = createGrpcExporter({ port: collector.ports.grpc });
    const all = Array.from(
      { length: flights * traffic.flightRequests },
      (_, n): Job => [Math.floor(n / traffic.flightRequests), n % traffic.flightRequests],
    );
    const known = new Set(acked.map((job) => job.join(' ')));
    // Acknowledged exports are not sent again: the cut must not have taken them from the counts either.
    await sendAll(
      all.filter((job) => !known.has(job.join(' '))),
      { exporter, bytesOf: (job) => traffic.request(...job) },
    );
    exporter.close();
    await untilSettled(collector);
    const { operations } = await readOutcome(collector);
    expect(operations).toEqual(Object.fromEntries([...traffic.truth(flights).operations].sort()));
  } finally {
    await collector.kill();
  }
}
