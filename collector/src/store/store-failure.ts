import Database from 'better-sqlite3';
import { UnavailableError } from '../base/errors.ts';

/**
 * What SQLite says when the disk fails, as what senders are told; every other error is given back as it is. After a
 * failed sync nothing earlier can be trusted: whoever owns the store has to open it anew.
 */
export function toStoreFailure(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  if (error.code === 'SQLITE_FULL') return new UnavailableError('disk-full', `the store cannot grow: ${error.message}`);
  if (error.code.startsWith('SQLITE_IOERR')) {
    return new UnavailableError('store-failed', `the store cannot be written: ${error.code}`);
  }
  return error;
}
