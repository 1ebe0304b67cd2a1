import type { Database } from 'better-sqlite3';
import { MIGRATIONS, type Migration } from './migrations/index.ts';

/** The file was written by something this version cannot read; nothing in it has been touched. */
export class StoreVersionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'StoreVersionError';
  }
}

/** "SpwS": marks the file as ours in its header, so that a foreign database is never migrated. */
const APPLICATION_ID = 0x53707753;

/**
 * Brings a database file to the newest schema, each step in its own transaction, so that a crash leaves the file at one
 * whole version.
 *
 * @throws StoreVersionError when the file is newer than `migrations`, or not a store
 */
export function migrate(database: Database, file: string, migrations: readonly Migration[] = MIGRATIONS): void {
  const known = migrations.length;
  const current = schemaVersion(database, file);
  if (current > known) {
    throw new StoreVersionError(
      `${file} has schema version ${current}, this version of Spanwarden knows up to ${known}: start the version that wrote it, or restore an older backup`,
    );
  }
  for (const { version, sql } of migrations.slice(current)) {
    const step = database.transaction(() => {
      database.exec(sql);
      database.pragma(`application_id = ${APPLICATION_ID}`);
      database.pragma(`user_version = ${version}`);
    });
    step.immediate();
  }
}

/** 0 for a new file. @throws StoreVersionError when the file holds somebody else's tables */
export function schemaVersion(database: Database, file: string): number {
  const version = Number(database.pragma('user_version', { simple: true }));
  const owner = Number(database.pragma('application_id', { simple: true }));
  const tables = Number(database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get());
  if (owner !== APPLICATION_ID && (version !== 0 || tables !== 0)) {
    throw new StoreVersionError(`${file} is a database, but not one of Spanwarden's: point the data folder elsewhere`);
  }
  return version;
}

/** @throws StoreVersionError unless the file has exactly the newest schema: a reader cannot migrate it */
export function checkVersion(database: Database, file: string): void {
  const version = schemaVersion(database, file);
  if (version !== MIGRATIONS.length) {
    throw new StoreVersionError(
      `${file} has schema version ${version}, reading it needs ${MIGRATIONS.length}: let the collector open it first`,
    );
  }
}
