import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { damageIn, type ReportDamage } from './damage.ts';
import { LOG_FILE, syncDirectory } from './database.ts';

/**
 * When the database itself is damaged (not one of our blobs, which have checksums), it is set aside under another name
 * and whatever can still be read goes into a new one. Nothing is deleted.
 */
export function setAside(directory: string): string {
  let number = 1;
  while (existsSync(join(directory, `${LOG_FILE}.damaged-${number}`))) number++;
  const path = join(directory, `${LOG_FILE}.damaged-${number}`);
  for (const suffix of ['-wal', '-shm', '']) {
    const from = join(directory, LOG_FILE + suffix);
    if (existsSync(from)) renameSync(from, path + suffix);
  }
  syncDirectory(directory);
  return path;
}

const TABLES = [
  { name: 'record', key: 'offset' },
  { name: 'segment', key: 'id' },
  { name: 'pin', key: 'trace_id' },
  { name: 'purge', key: 'trace_id' },
  { name: 'meta', key: 'name' },
] as const;

/** Copies the rows that can be read from a damaged database into a new one. */
export function salvage(path: string, into: Database.Database, report: ReportDamage, reason: string): void {
  let rows = 0;
  try {
    const from = new Database(path, { readonly: true });
    try {
      for (const table of TABLES) rows += copyTable(from, into, table.name, table.key);
    } finally {
      from.close();
    }
  } catch (error) {
    if (!isReadError(error)) throw error;
  }
  report({ what: 'database', id: 0, reason: `${reason}; it was moved to ${path}, ${rows} rows of it were saved` });
}

/** From both ends towards the damage, so that only what lies between is lost. */
function copyTable(from: Database.Database, into: Database.Database, table: string, key: string): number {
  let rows = 0;
  for (const direction of ['ASC', 'DESC']) {
    const copied = copyInOrder(from, into, table, `ORDER BY ${key} ${direction}`);
    rows += copied.rows;
    if (copied.reachedEnd) break;
  }
  return rows;
}

/** Rows of one commit: enough to be quick, few enough for the write-ahead file. */
const ROWS_AT_ONCE = 64;

function copyInOrder(
  from: Database.Database,
  into: Database.Database,
  table: string,
  order: string,
): { rows: number; reachedEnd: boolean } {
  let rows = 0;
  into.exec('BEGIN');
  try {
    for (const row of from.prepare(`SELECT * FROM ${table} ${order}`).iterate()) {
      const names = Object.keys(row as object);
      const values = names.map((name) => `@${name}`).join(', ');
      const { changes } = into
        .prepare(`INSERT OR IGNORE INTO ${table} (${names.join(', ')}) VALUES (${values})`)
        .run(row);
      // met what came from the other end
      if (changes === 0) return { rows, reachedEnd: true };
      if (++rows % ROWS_AT_ONCE === 0) {
        into.exec('COMMIT');
        into.pragma('wal_checkpoint(PASSIVE)');
        into.exec('BEGIN');
      }
    }
    return { rows, reachedEnd: true };
  } catch (error) {
    if (!isReadError(error)) throw error;
    return { rows, reachedEnd: false };
  } finally {
    into.exec('COMMIT');
  }
}

/** What reading a damaged file can raise; a damaged schema also makes statements wrong and values odd. */
function isReadError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return damageIn(error) !== undefined || code === 'SQLITE_ERROR' || String(code).startsWith('SQLITE_CONSTRAINT');
}
