import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { LogOpenError } from './open-error.ts';

export interface InstanceLock {
  release(): void;
}

/**
 * One writer per data directory. The lock is SQLite's own on an otherwise empty file, held by an open transaction: the
 * operating system drops it when the process dies, however it dies, so that there is no stale lock to clean up. Throws
 * LogOpenError.
 */
export function acquireInstanceLock(directory: string): InstanceLock {
  const path = join(directory, 'instance.lock');
  let lock: Database.Database | undefined;
  try {
    lock = new Database(path, { timeout: 0 });
    chmodSync(path, 0o600);
    lock.exec('BEGIN IMMEDIATE');
  } catch (error) {
    lock?.close();
    if ((error as { code?: string }).code === 'SQLITE_BUSY') {
      throw new LogOpenError(
        'locked',
        `another spanwarden process is writing to ${directory}: stop it first, or choose another data directory`,
      );
    }
    throw new LogOpenError('not-writable', `cannot lock ${path}: ${(error as Error).message}`);
  }
  const held = lock;
  return { release: () => held.close() };
}
