import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSpanLogReader } from 'spanwarden/internal/log/reader';
import { openSpanLog } from 'spanwarden/internal/log/span-log';
import { afterAll, describe, expect, it } from 'vitest';
import { chosenSeed, createRandom } from '../support/random.ts';
import { emitted } from '../support/repo-root.ts';
import { buildRecorder, ReplayDisk, readRecords, recording } from './power-loss.ts';

const FAILURES = 20;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-eio-'));
const recorder = buildRecorder(folder);
const seed = chosenSeed();
afterAll(() => rmSync(folder, { recursive: true, force: true }));
if ('missing' in recorder) process.stderr.write(`skipped: failing syncs, because ${recorder.missing}\n`);

describe.skipIf('missing' in recorder)('a sync that fails with EIO', () => {
  it('is never acknowledged, and the next start has all that was', () => {
    if ('missing' in recorder) throw new Error(recorder.missing);
    const random = createRandom(seed);
    let acknowledged = 0;
    for (let failure = 0; failure < FAILURES; failure++) {
      const data = join(folder, `data-${failure}`);
      const recorded = join(folder, `log-${failure}`);
      mkdirSync(data);
      const env = {
        ...recording(recorder.library, data, recorded),
        POWER_LOSS_FAIL_SYNC: String(15 + random.below(80)),
      };
      const ran = spawnSync(
        process.execPath,
        [emitted('faults/log-workload.js'), data, recorded, String(seed), '300'],
        {
          env: { ...process.env, ...env },
          encoding: 'utf8',
        },
      );
      expect({ status: ran.status, code: /code: '([\w-]+)'/.exec(ran.stderr)?.[1] }).toEqual({
        status: 1,
        code: 'store-failed',
      });
      // The machine goes down with the failed disk: what was not synced may be gone, what was acknowledged must not be.
      const disk = new ReplayDisk();
      for (const record of readRecords(recorded)) disk.feed(record);
      const left = join(folder, `left-${failure}`);
      disk.cut(left, random);
      openSpanLog(left).close();
      const reader = openSpanLogReader(left);
      const offsets = new Set(Array.from(reader.replay(0), ({ offset }) => offset));
      reader.close();
      const durable = Number(disk.acks.at(-1) ?? 0);
      for (let offset = 0; offset < durable; offset++) expect(offsets.has(offset)).toBe(true);
      acknowledged += durable;
    }
    process.stdout.write(
      `failing syncs, seed ${seed}: ${FAILURES} failures, ${acknowledged} acknowledged records, none lost\n`,
    );
    expect(acknowledged).toBeGreaterThan(0);
  });
});
