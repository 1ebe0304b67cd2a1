import type Database from 'better-sqlite3';
import { MiB } from '../base/limits.ts';
import type { DamageTable } from './damage.ts';
import type { DiskGuard } from './disk-guard.ts';
import { Merger } from './merger.ts';
import { Purge } from './purge.ts';
import { Retention } from './retention.ts';
import { RetentionClock } from './retention-clock.ts';
import type { SegmentRow, SegmentTable } from './segments.ts';
import { LOG_DEFAULTS, type SpanLogSettings } from './settings.ts';

const DAY_US = 86_400_000_000;
/** Removed spans are erased from the write-ahead file at most this often: it costs a whole checkpoint. */
const ERASE_EVERY_US = 60_000_000;
/** Bytes written since the last checkpoint after which one is made; small ones keep each wait short. */
const CHECKPOINT_BYTES = 8 * MiB;
/** Pages given back to a full disk in one step. */
const STEP_PAGES = 64;

export interface Space {
  /** Bytes of the file that hold something. */
  readonly usedBytes: number;
  /** Bytes of the file that the next appends can use again. */
  readonly reusableBytes: number;
}

/**
 * Everything that is done to the log between appends, in the order of urgency: purges, retention, checkpoints, merging,
 * erasing, giving room back. One bounded step at a time; it never accepts spans and never answers questions.
 */
export class Maintenance {
  readonly merger: Merger;
  readonly purge: Purge;
  /** Set when a write found the disk full; cleared when retention has made room. */
  isFull = false;
  readonly #database: Database.Database;
  readonly #segments: SegmentTable;
  readonly #guard: DiskGuard;
  readonly #retention: Retention;
  readonly #clock: RetentionClock;
  readonly #pages: Database.Statement;
  readonly #pageBytes: number;
  readonly #retentionUs: number;
  readonly #maxBytes: number;
  readonly #roomBytes: number;
  readonly #busyTimeoutMs: number;
  #unwrittenBytes = 0;
  /** The write-ahead file has grown since it was last emptied for want of room. */
  #reclaimDue = true;
  #eraseDue = false;
  #erasedUs = 0;
  #joinDue = true;

  constructor(
    database: Database.Database,
    segments: SegmentTable,
    damage: DamageTable,
    guard: DiskGuard,
    settings: SpanLogSettings,
  ) {
    const { segmentSpans, retentionDays, maxBytes, reserveBytes, busyTimeoutMs } = { ...LOG_DEFAULTS, ...settings };
    this.#database = database;
    this.#segments = segments;
    this.#guard = guard;
    this.merger = new Merger(database, segments, damage, segmentSpans);
    this.#retention = new Retention(database, segments, damage, segmentSpans);
    this.purge = new Purge(database, segments, this.#retention);
    this.#clock = new RetentionClock(settings.steadyUs);
    this.#pages = database.prepare(
      'SELECT page_count AS used, freelist_count AS free FROM pragma_page_count, pragma_freelist_count',
    );
    this.#pageBytes = database.pragma('page_size', { simple: true }) as number;
    this.#retentionUs = retentionDays * DAY_US;
    this.#maxBytes = maxBytes;
    this.#roomBytes = reserveBytes;
    this.#busyTimeoutMs = busyTimeoutMs;
  }

  /** True while removed spans may still be found in the write-ahead file. */
  get eraseDue(): boolean {
    return this.#eraseDue;
  }

  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  wrote(bytes: number): void {
    this.#reclaimDue = true;
    this.#unwrittenBytes += bytes;
  }

  space(): Space {
    const { used, free } = this.#pages.get() as { used: number; free: number };
    return { usedBytes: (used - free) * this.#pageBytes, reusableBytes: free * this.#pageBytes };
  }

  /** True when there is more to do. */
  step(horizonOffset: number, wallUs: number): boolean {
    const nowUs = this.#clock.advance(wallUs);
    if (this.purge.isPending) return this.#stepPurge(wallUs);
    const oldest = this.#segments.oldest();
    if (this.#reclaimDue && (this.isFull || this.#guard.mustRetain(this.space().reusableBytes))) {
      // the write-ahead file may be most of what is missing: empty it before anything is removed for its sake
      this.#reclaimDue = false;
      this.#unwrittenBytes = 0;
      this.#erase();
      return true;
    }
    if (oldest !== undefined && this.#isTooMuch(oldest.lastReceivedUs, nowUs)) {
      this.#remove(oldest, wallUs);
      return true;
    }
    if (this.#unwrittenBytes >= CHECKPOINT_BYTES) {
      this.checkpoint();
      return true;
    }
    // what is too old but too little for a segment is merged now, so that there is one way of removing
    const waiting = this.merger.oldest;
    const force = oldest === undefined && waiting !== undefined && this.#isTooMuch(waiting.receivedUs, nowUs);
    const mergedBytes = this.merger.step(horizonOffset, wallUs, force);
    this.#unwrittenBytes += mergedBytes ?? 0;
    if (mergedBytes !== undefined) return true;
    if (this.#joinDue) {
      this.#joinDue = this.#retention.joinPinned(wallUs);
      return true;
    }
    if (this.#eraseDue && wallUs - this.#erasedUs >= ERASE_EVERY_US) {
      this.#erasedUs = wallUs;
      this.#eraseDue = !this.#erase();
    }
    return !this.isFull && !this.#guard.hasReserve() && this.#restoreReserve();
  }

  /** A purge is over when nothing of it is left in the write-ahead file; a reader in the way is waited for. */
  #stepPurge(wallUs: number): boolean {
    if (!this.purge.hasPassed) {
      this.purge.step(wallUs);
      return true;
    }
    if (!this.#erase()) return false;
    this.#eraseDue = false;
    this.purge.finish();
    return true;
  }

  #isTooMuch(receivedUs: number, nowUs: number): boolean {
    const { usedBytes, reusableBytes } = this.space();
    return (
      this.isFull ||
      receivedUs < nowUs - this.#retentionUs ||
      usedBytes > this.#maxBytes ||
      this.#guard.mustRetain(reusableBytes)
    );
  }

  #remove(oldest: SegmentRow, wallUs: number): void {
    this.#retention.removeSegment(oldest, wallUs);
    this.#reclaimDue = true;
    this.#eraseDue = true;
    this.#joinDue = true;
    if (this.isFull && this.space().reusableBytes >= this.#roomBytes) this.isFull = false;
  }

  /** Brings the write-ahead file over into the database, as far as readers allow. */
  checkpoint(): void {
    this.#unwrittenBytes = 0;
    this.#database.pragma('wal_checkpoint(PASSIVE)');
  }

  /** Empties the write-ahead file, which still holds what was removed; false while a reader is in its way. */
  #erase(): boolean {
    // appends must not wait for that reader
    this.#database.pragma('busy_timeout = 0');
    try {
      const [result] = this.#database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      return result?.busy === 0;
    } finally {
      this.#database.pragma(`busy_timeout = ${this.#busyTimeoutMs}`);
    }
  }

  /** Gives pages back to a full disk until the reserve fits again; true when there is more to do. */
  #restoreReserve(): boolean {
    if (this.#guard.restoreReserve()) return false;
    const before = this.space().reusableBytes;
    if (before < this.#roomBytes) return false;
    this.#database.pragma(`incremental_vacuum(${STEP_PAGES})`);
    this.#erase();
    return this.space().reusableBytes < before;
  }
}
