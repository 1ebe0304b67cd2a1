import type { Counters } from '../base/counters.ts';
import { MiB } from '../base/limits.ts';

/** Something on disk is not what was written there. It is left out of every answer, and counted. */
export interface Damage {
  readonly what: 'record' | 'segment' | 'database';
  /** Offset of the record, id of the segment, 0 for the database. */
  readonly id: number;
  readonly reason: string;
}

export interface SpanLogReaderSettings {
  readonly counters?: Counters;
  /** Told once of each damaged record or segment, for the operator's log. */
  readonly onDamage?: (damage: Damage) => void;
  /** Milliseconds to wait for a lock of another process (a backup, say). */
  readonly busyTimeoutMs?: number;
}

export interface SpanLogSettings extends SpanLogReaderSettings {
  /** Spans received longer ago are removed. */
  readonly retentionDays?: number;
  /** The oldest spans are removed until the rest takes no more bytes than this. */
  readonly maxBytes?: number;
  /**
   * Offsets below this are taken: the store has conclusions from them. When the file does not know them any more, that
   * is reported as damage.
   */
  readonly nextOffsetAtLeast?: number;
  /** Spans that a segment is built from. */
  readonly segmentSpans?: number;
  /** Below this share of free disk the oldest spans are removed. */
  readonly retainFreeShare?: number;
  /** Below this share of free disk nothing more is accepted. */
  readonly refuseFreeShare?: number;
  /** Size of the file whose removal makes room for deleting when the disk is full. */
  readonly reserveBytes?: number;
  /** Free and total bytes of the disk under a folder; the operating system's figures unless a test says otherwise. */
  readonly diskSpace?: (directory: string) => DiskSpace;
  /** A clock in microseconds that never jumps; the process's own unless a test says otherwise. */
  readonly steadyUs?: () => number;
  /** Pages the file may grow to; SQLite's own limit unless a test says otherwise. */
  readonly pagesMax?: number;
}

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export const LOG_DEFAULTS = {
  retentionDays: 7,
  maxBytes: 20_000 * MiB,
  segmentSpans: 8192,
  retainFreeShare: 0.15,
  refuseFreeShare: 0.05,
  reserveBytes: 16 * MiB,
  busyTimeoutMs: 5000,
} as const;
