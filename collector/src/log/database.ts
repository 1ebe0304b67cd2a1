import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { MiB } from '../base/limits.ts';
import { DamagedError } from './byte-reader.ts';
import { damageIn } from './damage.ts';
import { LogOpenError } from './open-error.ts';

/** The file `spans.db`: its schema and the settings without which nothing may be acknowledged. */
export const LOG_FILE = 'spans.db';

/** Kept in `user_version`; FORMAT.md says what each version holds. */
const SCHEMA_VERSION = 1;
const FULL = 2;
const ON = 1;
const PAGE_BYTES = 16_384;
/** What is left of the WAL after a checkpoint; it is written over, not given back, so that appends find room. */
const WAL_BYTES_KEPT = 64 * MiB;

const SCHEMA = `
  CREATE TABLE record (
    offset       INTEGER PRIMARY KEY,
    received_us  INTEGER NOT NULL,
    span_count   INTEGER NOT NULL,
    min_event_us REAL NOT NULL,
    max_event_us REAL NOT NULL,
    trace_keys   BLOB NOT NULL,
    body         BLOB NOT NULL
  ) STRICT;
  CREATE TABLE segment (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    first_offset      INTEGER NOT NULL,
    last_offset       INTEGER NOT NULL,
    last_received_us  INTEGER NOT NULL,
    span_count        INTEGER NOT NULL,
    min_event_us      REAL NOT NULL,
    max_event_us      REAL NOT NULL,
    is_pinned         INTEGER NOT NULL,
    bloom             BLOB NOT NULL,
    directory         BLOB NOT NULL,
    body              BLOB NOT NULL
  ) STRICT;
  CREATE INDEX segment_by_age ON segment (is_pinned, first_offset);
  CREATE TABLE pin (
    trace_id BLOB PRIMARY KEY
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE purge (
    trace_id BLOB PRIMARY KEY
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE damage (
    what     TEXT NOT NULL,
    id       INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    found_us INTEGER NOT NULL,
    PRIMARY KEY (what, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** Opens or creates the database for the one writer. Throws LogOpenError; SQLite's own error when it is damaged. */
export function openForWriting(directory: string, busyTimeoutMs: number): Database.Database {
  const path = join(directory, LOG_FILE);
  const isNew = !existsSync(path);
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { timeout: busyTimeoutMs });
    // the write-ahead files take the mode of the database
    chmodSync(path, 0o600);
    if (isNew) {
      database.pragma(`page_size = ${PAGE_BYTES}`);
      database.pragma('auto_vacuum = INCREMENTAL');
    }
    database.pragma('journal_mode = WAL');
    harden(database);
    database.pragma('secure_delete = ON');
    // checkpoints wait on the disk: the log makes them between appends
    database.pragma('wal_autocheckpoint = 0');
    database.pragma(`journal_size_limit = ${WAL_BYTES_KEPT}`);
    migrate(database, path);
    verify(database, path);
  } catch (error) {
    database?.close();
    if (error instanceof LogOpenError || damageIn(error) !== undefined) throw error;
    throw toOpenError(path, error);
  }
  // a directory entry that is not on disk takes the whole file with it at a power cut
  syncDirectory(directory);
  syncDirectory(dirname(directory));
  return database;
}

/** Opens an existing database for queries only. Throws LogOpenError. */
export function openForReading(directory: string, busyTimeoutMs: number): Database.Database {
  const path = join(directory, LOG_FILE);
  if (!existsSync(path)) throw new LogOpenError('missing', `there is no span log at ${path}`);
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { readonly: true, timeout: busyTimeoutMs });
    harden(database);
    database.pragma('query_only = ON');
    const version = database.pragma('user_version', { simple: true }) as number;
    if (version !== SCHEMA_VERSION) throw newerFormat(path, version);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof LogOpenError) throw error;
    throw toOpenError(path, error);
  }
}

/** better-sqlite3 opens an existing WAL file with synchronous=NORMAL, which loses acknowledged spans at a power cut. */
function harden(database: Database.Database): void {
  database.pragma('synchronous = FULL');
  database.pragma('trusted_schema = OFF');
}

function verify(database: Database.Database, path: string): void {
  const wanted: readonly (readonly [name: string, value: string | number])[] = [
    ['journal_mode', 'wal'],
    ['synchronous', FULL],
    ['secure_delete', ON],
    ['trusted_schema', 0],
  ];
  for (const [name, value] of wanted) {
    const actual = database.pragma(name, { simple: true });
    if (actual !== value) {
      throw new LogOpenError('not-durable', `${path}: ${name} is ${String(actual)} and must be ${value}`);
    }
  }
}

function migrate(database: Database.Database, path: string): void {
  const version = database.pragma('user_version', { simple: true }) as number;
  if (version === SCHEMA_VERSION) {
    checkSchema(database);
    return;
  }
  if (version !== 0) throw newerFormat(path, version);
  database.transaction(() => {
    database.exec(SCHEMA);
    database.pragma(`user_version = ${SCHEMA_VERSION}`);
  })();
}

const TABLES = 'SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name';

/** A flipped bit in the schema would let SQLite read rows as something else. Throws DamagedError. */
function checkSchema(database: Database.Database): void {
  const wanted = new Database(':memory:');
  wanted.exec(SCHEMA);
  const differs = JSON.stringify(wanted.prepare(TABLES).all()) !== JSON.stringify(database.prepare(TABLES).all());
  wanted.close();
  if (differs) throw new DamagedError('the schema is not the one that was created');
}

function newerFormat(path: string, version: number): LogOpenError {
  return new LogOpenError(
    'newer-format',
    `${path} has schema version ${version}, this program knows ${SCHEMA_VERSION}: it was written by a newer release`,
  );
}

function toOpenError(path: string, error: unknown): LogOpenError {
  const { code, message } = error as { code?: string; message: string };
  if (code === 'SQLITE_BUSY') {
    return new LogOpenError('locked', `${path} is locked by another program (a backup?): ${message}`);
  }
  return new LogOpenError('not-writable', `cannot open ${path}: ${message}`);
}

/** Creates the data directory, for its owner only. Throws LogOpenError. */
export function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  } catch (error) {
    throw new LogOpenError('not-writable', `cannot use ${directory}: ${(error as Error).message}`);
  }
}

export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
