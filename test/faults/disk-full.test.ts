import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { CollectorProcess } from '../support/collector-process.ts';
import { type Answer, createGrpcExporter } from '../support/otlp-client.ts';
import { chosenSeed } from '../support/random.ts';
import { Traffic } from '../support/traffic.ts';
import { unaccounted } from './kill-rig.ts';
import { Ledger } from './ledger.ts';

const DISK_MIB = 128;
const BALLAST_MIB = 72;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-full-'));
const disk = join(folder, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk], { encoding: 'utf8' });
const canMount = mounted.status === 0;
if (!canMount) {
  const reason = mounted.error?.message ?? mounted.stderr.trim();
  process.stderr.write(`skipped: disk full, because a small file system cannot be mounted: ${reason}\n`);
}
afterAll(() => {
  if (canMount) spawnSync('umount', ['-l', disk]);
  rmSync(folder, { recursive: true, force: true });
});

const EXPORTS_BEFORE_FULL = 200;

/** Takes every byte that is left. */
function fillUp(file: string): void {
  const chunk = Buffer.alloc(1 << 18, 1);
  const handle = openSync(file, 'w');
  try {
    for (;;) writeSync(handle, chunk);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(handle);
  }
}

describe.skipIf(!canMount)('a full disk', () => {
  it('is answered retryably with the console readable, and ingest is back within 5 s of space', async () => {
    const seed = chosenSeed();
    const traffic = new Traffic({
      seed,
      tracesPerFlight: 512,
      requestSpansMax: 512,
      startMs: Date.now() - 60_000,
      flightMs: 100,
    });
    const ballast = join(disk, 'ballast');
    writeFileSync(ballast, Buffer.alloc(BALLAST_MIB << 20, 1));
    const dataDir = join(disk, 'data');
    mkdirSync(dataDir);
    const ledger = new Ledger(join(folder, 'ledger'));
    const collector = await CollectorProcess.start({ dataDir, env: { SPANWARDEN_ASSEMBLE_IDLE_MS: '1000' } });
    const exporter = createGrpcExporter({ port: collector.ports.grpc });
    const refused: Answer[] = [];
    let next = 0;
    const sendOne = async (): Promise<Answer> => {
      const flight = Math.floor(next / traffic.flightRequests);
      const request = next % traffic.flightRequests;
      const answer = await exporter.send(traffic.request(flight, request));
      if (answer.kind === 'stored') {
        ledger.stored(flight, request);
        next++;
      } else if (answer.kind === 'refused') refused.push(answer);
      return answer;
    };
    const deadline = Date.now() + 120_000;
    // retention keeps room of its own accord; a disk that somebody else fills leaves nothing to keep
    while (next < EXPORTS_BEFORE_FULL && Date.now() < deadline) await sendOne();
    fillUp(join(disk, 'others'));
    let full = 0;
    while (full < 20 && Date.now() < deadline) {
      const answer = await sendOne();
      full = answer.kind === 'stored' ? 0 : full + 1;
      if (answer.kind !== 'stored') await sleep(50);
    }
    const storedBefore = ledger.entries().length;
    const { bavail, bsize } = statfsSync(disk);
    expect(full, 'the disk never counted as full').toBe(20);
    expect(collector.exit, collector.output.slice(-2_000)).toBeUndefined();
    expect((await collector.restRaw('/api/v1/findings')).status).toBe(200);
    expect((await collector.restRaw('/api/v1/operations')).status).toBe(200);

    unlinkSync(ballast);
    unlinkSync(join(disk, 'others'));
    const from = performance.now();
    while ((await sendOne()).kind !== 'stored' && performance.now() - from < 30_000) await sleep(50);
    const backMs = performance.now() - from;
    for (let more = 0; more < 50; more++) await sendOne();
    exporter.close();
    const all = await unaccounted(collector, ledger.entries(), traffic);
    process.stdout.write(
      `disk full, seed ${seed}: refused after ${storedBefore} exports with ${((bavail * bsize) / 2 ** 20).toFixed(1)} MiB left, ` +
        `back ${backMs.toFixed(0)} ms after space came; retention gave up ${all.missing.length} of the spans acknowledged before\n`,
    );
    expect(refused).toEqual([]);
    expect(backMs).toBeLessThan(5_000);
    // Before it refuses, the collector may give up its oldest spans for room; what it took afterwards has to be there.
    const since = await unaccounted(collector, ledger.entries().slice(storedBefore), traffic);
    expect(since).toEqual({ missing: [], repeated: [] });
    expect(all.repeated).toEqual([]);
    await collector.kill();
  });
});
