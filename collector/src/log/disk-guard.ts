import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../base/limits.ts';
import { syncDirectory } from './database.ts';
import { type DiskSpace, LOG_DEFAULTS, type SpanLogSettings } from './settings.ts';

const RESERVE_FILE = 'spans.reserve';

/**
 * Keeps an eye on the free disk. On a full disk SQLite can neither delete nor checkpoint, so a reserve file of random
 * bytes (no file system can store them in less) lies ready: removing it gives retention the room to make more.
 */
export class DiskGuard {
  readonly #directory: string;
  readonly #retainShare: number;
  readonly #refuseShare: number;
  readonly #reserveBytes: number;
  readonly #diskSpace: (directory: string) => DiskSpace;

  constructor(directory: string, settings: SpanLogSettings) {
    this.#directory = directory;
    this.#retainShare = settings.retainFreeShare ?? LOG_DEFAULTS.retainFreeShare;
    this.#refuseShare = settings.refuseFreeShare ?? LOG_DEFAULTS.refuseFreeShare;
    this.#reserveBytes = settings.reserveBytes ?? LOG_DEFAULTS.reserveBytes;
    this.#diskSpace = settings.diskSpace ?? diskSpaceOf;
  }

  /** `reusableBytes` of the database file count as free: appends fill them before the file grows. */
  #freeShare(reusableBytes: number): number {
    const { freeBytes, totalBytes } = this.#diskSpace(this.#directory);
    return totalBytes === 0 ? 1 : (freeBytes + reusableBytes) / totalBytes;
  }

  mustRefuse(reusableBytes: number): boolean {
    return this.#freeShare(reusableBytes) < this.#refuseShare;
  }

  mustRetain(reusableBytes: number): boolean {
    return this.#freeShare(reusableBytes) < this.#retainShare;
  }

  hasReserve(): boolean {
    const path = join(this.#directory, RESERVE_FILE);
    return existsSync(path) && statSync(path).size >= this.#reserveBytes;
  }

  /** Gives the reserve back to the file system; true when there was one. */
  releaseReserve(): boolean {
    const path = join(this.#directory, RESERVE_FILE);
    if (!existsSync(path)) return false;
    rmSync(path);
    syncDirectory(this.#directory);
    return true;
  }

  /** Writes the reserve anew; false when there is no room for it. */
  restoreReserve(): boolean {
    const path = join(this.#directory, RESERVE_FILE);
    const { freeBytes } = this.#diskSpace(this.#directory);
    if (freeBytes < this.#reserveBytes * 2) return false;
    const partial = `${path}.partial`;
    const handle = openSync(partial, 'w', 0o600);
    try {
      const chunk = new Uint8Array(Math.min(MiB, this.#reserveBytes));
      for (let written = 0; written < this.#reserveBytes; ) {
        randomFillSync(chunk);
        written += writeSync(handle, chunk, 0, Math.min(chunk.length, this.#reserveBytes - written));
      }
      fsyncSync(handle);
    } catch (error) {
      rmSync(partial, { force: true });
      // no room for it is nothing new; a disk that fails to sync is
      if ((error as NodeJS.ErrnoException).code === 'EIO') throw error;
      return false;
    } finally {
      closeSync(handle);
    }
    renameSync(partial, path);
    syncDirectory(this.#directory);
    return true;
  }
}

function diskSpaceOf(directory: string): DiskSpace {
  const { bavail, blocks, bsize } = statfsSync(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}
