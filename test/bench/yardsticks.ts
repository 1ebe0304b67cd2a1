import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { createRandom } from '../support/random.ts';
import { quantile } from './process-usage.ts';

/** What this machine can do at all, in the same minute as the figures that are held against it. */

/** Copying 64 MiB blocks, GB/s. */
export function memcpyGigabytesPerSecond(): number {
  const from = Buffer.alloc(64 << 20, 1);
  const to = Buffer.alloc(64 << 20);
  from.copy(to);
  let copies = 0;
  const start = performance.now();
  while (performance.now() - start < 400) {
    from.copy(to);
    copies++;
  }
  return (copies * from.length) / 1e6 / (performance.now() - start);
}

export interface SyncTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly syncs: number;
}

/** Appends of `bytes` followed by fdatasync, `perSecond` of them, for `seconds`. */
export async function fdatasyncTimes(
  folder: string,
  bytes: number,
  perSecond: number,
  seconds: number,
): Promise<SyncTimes> {
  const fd = openSync(join(folder, `sync-${bytes}`), 'w');
  const block = Buffer.alloc(bytes, 7);
  const times: number[] = [];
  const start = performance.now();
  for (let n = 0; n < perSecond * seconds; n++) {
    const waitMs = start + (n * 1000) / perSecond - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const from = performance.now();
    writeSync(fd, block);
    fdatasyncSync(fd);
    times.push(performance.now() - from);
  }
  closeSync(fd);
  times.sort((a, b) => a - b);
  return {
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    p999Ms: quantile(times, 0.999),
    syncs: times.length,
  };
}

export interface AppendRate {
  readonly spansPerSecond: number;
  readonly megabytesPerSecond: number;
}

/** Blobs of incompressible bytes into SQLite (WAL, FULL), four exports a commit: the ceiling of any durable log in one SQLite file. */
export function durableAppend(
  folder: string,
  spansPerExport: number,
  bytesPerSpan: number,
  seconds: number,
): AppendRate {
  const db = new Database(join(folder, 'append.db'));
  db.pragma('page_size = 16384');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE log (offset INTEGER PRIMARY KEY, body BLOB NOT NULL)');
  const insert = db.prepare('INSERT INTO log (body) VALUES (?)');
  const random = createRandom(5);
  const body = Buffer.from(
    Uint32Array.from({ length: (spansPerExport * bytesPerSpan) >> 2 }, () => random.uint32()).buffer,
  );
  const commit = db.transaction(() => {
    for (let i = 0; i < 4; i++) insert.run(body);
  });
  commit();
  let exports = 0;
  const start = performance.now();
  while (performance.now() - start < seconds * 1000) {
    commit();
    exports += 4;
  }
  const tookSeconds = (performance.now() - start) / 1000;
  db.close();
  return {
    spansPerSecond: (exports * spansPerExport) / tookSeconds,
    megabytesPerSecond: (exports * body.length) / 1e6 / tookSeconds,
  };
}
