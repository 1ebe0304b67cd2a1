import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, it } from 'vitest';
import { chosenSeed, createRandom } from '../support/random.ts';
import { emitted } from '../support/repo-root.ts';
import { buildRecorder, cutAndCheck, readRecords, recording } from './power-loss.ts';

const CUTS = 300;
const folder = mkdtempSync(join(tmpdir(), 'spanwarden-power-'));
const recorder = buildRecorder(folder);
const seed = chosenSeed();
/** Reconstructed folders need no durability of their own. */
const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'spanwarden-power-'));
afterAll(() => {
  for (const used of [folder, scratch]) rmSync(used, { recursive: true, force: true });
});
if ('missing' in recorder) process.stderr.write(`skipped: power loss, because ${recorder.missing}\n`);

interface Outcome {
  cutsLosingRows: number;
  mostRowsLost: number;
  broken: string[];
}

async function crash(synchronous: 'FULL' | 'NORMAL'): Promise<Outcome> {
  if ('missing' in recorder) throw new Error(recorder.missing);
  const data = join(folder, synchronous);
  const log = join(folder, `${synchronous}.log`);
  mkdirSync(data);
  const ran = spawnSync(
    process.execPath,
    [emitted('faults/sqlite-workload.js'), data, log, synchronous, String(seed), '600'],
    {
      env: { ...process.env, ...recording(recorder.library, data, log) },
      encoding: 'utf8',
    },
  );
  expect(ran.stderr).toBe('');
  const outcome: Outcome = { cutsLosingRows: 0, mostRowsLost: 0, broken: [] };
  const newFolder = (): string => mkdtempSync(join(scratch, 'cut-'));
  await cutAndCheck(readRecords(log), CUTS, createRandom(seed), newFolder, (left, acks, cut) => {
    const acked = Number(acks.at(-1));
    try {
      const db = new Database(join(left, 'rows.db'));
      const integrity = db.pragma('integrity_check', { simple: true });
      const table = db.prepare("SELECT name FROM sqlite_master WHERE name = 'rows'").get();
      const all = table === undefined ? [] : db.prepare('SELECT id, body FROM rows').all();
      const rows = all as { id: number; body: Buffer }[];
      db.close();
      if (integrity !== 'ok') outcome.broken.push(`cut ${cut}: ${String(integrity)}`);
      const kept = rows.filter((row) => row.id <= acked && row.body.every((byte) => byte === row.id % 251)).length;
      if (kept < acked) outcome.cutsLosingRows++;
      outcome.mostRowsLost = Math.max(outcome.mostRowsLost, acked - kept);
    } catch (error) {
      outcome.broken.push(`cut ${cut}: ${String(error)}`);
    }
    rmSync(left, { recursive: true });
  });
  process.stdout.write(
    `power loss, plain SQLite ${synchronous}, seed ${seed}: ${CUTS} cuts, ${outcome.cutsLosingRows} lose acknowledged rows ` +
      `(most ${outcome.mostRowsLost}), ${outcome.broken.length} broken\n`,
  );
  return outcome;
}

describe.skipIf('missing' in recorder)('power loss of a plain SQLite database', () => {
  it('takes no acknowledged row from synchronous=FULL', async () => {
    expect(await crash('FULL')).toEqual({ cutsLosingRows: 0, mostRowsLost: 0, broken: [] });
  });

  it('takes acknowledged rows from synchronous=NORMAL, or this rig proves nothing', async () => {
    const outcome = await crash('NORMAL');
    expect(outcome.broken).toEqual([]);
    expect(outcome.cutsLosingRows).toBeGreaterThan(0);
  });
});
