import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';

/** A folder in, an open SQLite connection with every safety setting verified out; it never knows what is in the file. */

export const STORE_FILE = 'store.db';

const BUSY_MS = 5_000;
const JOURNAL_BYTES = 64 * 1024 * 1024;
/** Pages kept in memory per connection, in KiB (negative is KiB to SQLite). */
const CACHE_KIB = 32 * 1024;

/**
 * Opens the store for writing; creates folder (0700) and file (0600) when absent, and makes the new directory entries
 * durable before anything is written, because a resurrected journal would otherwise undo the whole database.
 *
 * @throws Error when the disk cannot give what durability needs
 */
export function openWritable(directory: string): Database.Database {
  const created = mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, STORE_FILE);
  // SQLite gives -wal and -shm the mode of the main file.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const database = new Database(file);
  try {
    database.pragma('journal_mode = WAL');
    configure(database);
    // A re-opened WAL file starts at NORMAL in this build of SQLite; NORMAL loses committed rows on power loss.
    database.pragma('synchronous = FULL');
    database.pragma('secure_delete = ON');
    database.pragma(`journal_size_limit = ${JOURNAL_BYTES}`);
    verify(database, file, { journal_mode: 'wal', synchronous: 2, secure_delete: 1, trusted_schema: 0 });
    syncDirectory(directory);
    if (created !== undefined) syncDirectory(dirname(created));
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** Opens the store for queries only; the handle can change nothing. */
export function openReadOnly(directory: string): Database.Database {
  const file = join(directory, STORE_FILE);
  const database = new Database(file, { readonly: true, fileMustExist: true });
  try {
    configure(database);
    database.pragma('query_only = ON');
    verify(database, file, { query_only: 1, trusted_schema: 0 });
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** A store that lives and dies with its connection: for an analysis of a file, where the result is printed. */
export function openInMemory(): Database.Database {
  const database = new Database(':memory:');
  configure(database);
  return database;
}

function configure(database: Database.Database): void {
  database.pragma(`busy_timeout = ${BUSY_MS}`);
  database.pragma('trusted_schema = OFF');
  database.pragma('temp_store = MEMORY');
  database.pragma(`cache_size = -${CACHE_KIB}`);
}

function verify(database: Database.Database, file: string, expected: Readonly<Record<string, string | number>>): void {
  for (const [setting, value] of Object.entries(expected)) {
    const found = database.pragma(setting, { simple: true });
    if (found !== value)
      throw new Error(`${file}: ${setting} is ${found}, must be ${value}; refusing to run without it`);
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
