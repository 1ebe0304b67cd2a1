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
    if (damageIn(error) === undefined) throw error;
  }
  report({ what: 'database', id: 0, reason: `${reason}; it was moved to ${path}, ${rows} rows of it were saved` });
}

/** From both ends towards the damage, so that only what lies between is lost. */
function copyTable(from: Database.Database, into: Database.Database, table: string, key: string): number {
  let insert: Database.Statement | undefined;
  let rows = 0;
  for (const direction of ['ASC', 'DESC']) {
    try {
      for (const row of from.prepare(`SELECT * FROM ${table} ORDER BY ${key} ${direction}`).iterate()) {
        const columns = Object.keys(row as object);
        insert ??= into.prepare(
          `INSERT OR IGNORE INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((name) => `@${name}`).join(', ')})`,
        );
        const { changes } = insert.run(row);
        if (changes === 0) break;
        rows += changes;
      }
      return rows;
    } catch (error) {
      if (damageIn(error) === undefined) throw error;
    }
  }
  return rows;
}
