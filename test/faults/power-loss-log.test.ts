import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSpanLogReader } from 'spanwarden/internal/log/reader';
import { openSpanLog } from 'spanwarden/internal/log/span-log';
import { afterAll, describe, expect, it } from 'vitest';
import { chosenSeed, createRandom } from '../support/random.ts';
import { emitted } from '../support/repo-root.ts';
import { buildRecorder, cutAndCheck, readRecords, recording } from './power-loss.ts';
import { integrityOf } from './sqlite-integrity.ts';

const CUTS = 300;
const COMMITS = 250;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-power-'));
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spanwarden-power-'));
const recorder = buildRecorder(folder);
const seed = chosenSeed();
afterAll(() => {
  for (const used of [folder, scratch]) rmSync(used, { recursive: true, force: true });
});
if ('missing' in recorder) process.stderr.write(`skipped: power loss of the span log, because ${recorder.missing}\n`);

/** Opens the log as the next start would; spans by record offset. */
function openLeft(left: string): { readonly segments: number; readonly spans: ReadonlyMap<number, number> } {
  const log = openSpanLog(left);
  const { segments } = log.stats();
  log.close();
  const reader = openSpanLogReader(left);
  const spans = new Map<number, number>();
  for (const { batch } of reader.replay(0)) {
    for (let row = 0; row < batch.count; row++) {
      const offset = batch.spanId[row * 2]!;
      spans.set(offset, (spans.get(offset) ?? 0) + 1);
    }
  }
  reader.close();
  return { segments, spans };
}

/** Records below `durable` were acknowledged: each must have exactly its spans. */
function wrongIn(left: string, spans: ReadonlyMap<number, number>, durable: number): string[] {
  const wrong: string[] = [];
  for (let offset = 0; offset < durable; offset++) {
    const found = spans.get(offset) ?? 0;
    if (found !== (offset % 30) + 1) wrong.push(`record ${offset} of ${durable} has ${found} spans`);
  }
  for (const name of readdirSync(left).filter((file) => file.endsWith('.db'))) {
    const verdict = integrityOf(join(left, name));
    if (verdict !== 'ok') wrong.push(`${name}: ${verdict}`);
  }
  return wrong;
}

describe.skipIf('missing' in recorder)('power loss of the span log', () => {
  it('takes no acknowledged span, in the first and the second life, while segments are merged', async () => {
    if ('missing' in recorder) throw new Error(recorder.missing);
    const data = join(folder, 'data');
    const recorded = join(folder, 'log');
    mkdirSync(data);
    for (const _life of [0, 1]) {
      const ran = spawnSync(
        process.execPath,
        [emitted('faults/log-workload.js'), data, recorded, String(seed), String(COMMITS)],
        {
          env: { ...process.env, ...recording(recorder.library, data, recorded) },
          encoding: 'utf8',
        },
      );
      expect({ signal: ran.signal, stderr: ran.stderr }).toEqual({ signal: 'SIGKILL', stderr: '' });
    }
    const records = readRecords(recorded);
    const broken: string[] = [];
    const newFolder = (): string => mkdtempSync(join(scratch, 'cut-'));
    let segments = 0;
    await cutAndCheck(records, CUTS, createRandom(seed), newFolder, (left, acks, cut) => {
      try {
        const seen = openLeft(left);
        segments = Math.max(segments, seen.segments);
        broken.push(...wrongIn(left, seen.spans, Number(acks.at(-1))).map((what) => `cut ${cut}: ${what}`));
      } catch (error) {
        broken.push(`cut ${cut}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      rmSync(left, { recursive: true });
    });
    process.stdout.write(
      `power loss, span log, seed ${seed}: ${records.length} records, ${CUTS} cuts, up to ${segments} segments, ${broken.length} wrong\n`,
    );
    expect(broken.slice(0, 10)).toEqual([]);
    expect(segments, 'nothing was merged').toBeGreaterThan(0);
  });
});
