import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { UnavailableError } from '../base/errors.ts';
import { toStoreFailure } from './store-failure.ts';

function caught(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('a failure of the store', () => {
  it('because the disk is full is one to try again after', () => {
    const database = new Database(':memory:');
    database.exec('CREATE TABLE wide (thing BLOB)');
    database.pragma('max_page_count = 4');
    const failure = toStoreFailure(caught(() => database.exec('INSERT INTO wide VALUES (zeroblob(100000))')));
    expect(failure).toBeInstanceOf(UnavailableError);
    expect(failure).toMatchObject({ code: 'disk-full' });
  });

  it('because the disk fails is one to try again after', () => {
    const failure = toStoreFailure(new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC'));
    expect(failure).toMatchObject({ code: 'store-failed', message: expect.stringContaining('SQLITE_IOERR_FSYNC') });
  });

  it('for any other reason is a bug, and stays what it is', () => {
    const database = new Database(':memory:');
    const bug = caught(() => database.exec('SELECT * FROM nothing'));
    expect(toStoreFailure(bug)).toBe(bug);
    const other = new TypeError('no');
    expect(toStoreFailure(other)).toBe(other);
  });
});
