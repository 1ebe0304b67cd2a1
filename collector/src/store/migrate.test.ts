import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STORE_FILE } from './database.ts';
import { migrate, StoreVersionError, schemaVersion } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';
import { openStoreReader } from './reader.ts';
import { openStore } from './store.ts';

const SETTINGS = { assembleIdleMs: 15_000 };
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spanwarden-store-'));
  file = join(directory, STORE_FILE);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const schemaOf = (database: Database.Database): unknown =>
  database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all();

describe('migrations', () => {
  it('are numbered without a gap', () => {
    expect(MIGRATIONS.map(({ version }) => version)).toEqual(MIGRATIONS.map((_, i) => i + 1));
  });

  it('give the same schema from every earlier version as from an empty file', () => {
    const fresh = new Database(':memory:');
    migrate(fresh, 'fresh');
    for (let from = 0; from < MIGRATIONS.length; from++) {
      const older = new Database(':memory:');
      migrate(older, 'older', MIGRATIONS.slice(0, from));
      migrate(older, 'older');
      expect(schemaOf(older)).toEqual(schemaOf(fresh));
      expect(schemaVersion(older, 'older')).toBe(MIGRATIONS.length);
    }
  });

  const add = (version: number, sql: string) => ({ version, name: `v${version}`, sql });
  const one = add(1, "CREATE TABLE kept (thing TEXT); INSERT INTO kept VALUES ('old');");

  it('keep what an older version stored', () => {
    const database = new Database(file);
    migrate(database, file, [one]);
    migrate(database, file, [one, add(2, 'ALTER TABLE kept ADD COLUMN more TEXT')]);
    expect(database.prepare('SELECT * FROM kept').all()).toEqual([{ thing: 'old', more: null }]);
    database.close();
  });

  it('that fail leave the file at the version before', () => {
    const database = new Database(file);
    const broken = add(2, 'ALTER TABLE kept ADD COLUMN more TEXT; ALTER TABLE missing ADD COLUMN more TEXT');
    expect(() => migrate(database, file, [one, broken])).toThrow(/missing/);
    expect(schemaVersion(database, file)).toBe(1);
    expect(database.prepare('SELECT * FROM kept').all()).toEqual([{ thing: 'old' }]);
    database.close();
  });
});

describe('a file that is not for this version', () => {
  it('is refused when it is newer, and left as it is', () => {
    openStore(directory, SETTINGS).close();
    const newer = new Database(file);
    newer.pragma(`user_version = ${MIGRATIONS.length + 6}`);
    newer.close();
    const message = `schema version ${MIGRATIONS.length + 6}, this version of Spanwarden knows up to ${MIGRATIONS.length}`;
    expect(() => openStore(directory, SETTINGS)).toThrow(StoreVersionError);
    expect(() => openStore(directory, SETTINGS)).toThrow(message);
    expect(() => openStoreReader(directory, SETTINGS)).toThrow(StoreVersionError);
    const after = new Database(file);
    expect(after.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 6);
    after.close();
  });

  it('is refused when it is the database of another program', () => {
    const foreign = new Database(file);
    foreign.exec('CREATE TABLE bookmarks (url TEXT)');
    foreign.close();
    expect(() => openStore(directory, SETTINGS)).toThrow(/not one of Spanwarden's/);
  });

  it('is not migrated by a reader', () => {
    const older = new Database(file);
    migrate(older, file, []);
    older.close();
    expect(() => openStoreReader(directory, SETTINGS)).toThrow(/let the collector open it first/);
  });
});
