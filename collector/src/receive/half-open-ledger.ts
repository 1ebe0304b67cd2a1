import type { Counters } from '../base/counters.ts';
import type { MemoryGuard } from './memory-guard.ts';

/** Something that has begun to arrive and is not complete: a connection with unfinished calls, or an HTTP body. */
export interface HalfOpen {
  /** Memory held for it, as far as known, in bytes. */
  heldBytes(): number;
  /** Never falls; a change means that the sender is still at work. */
  progressBytes(): number;
  /** When its oldest unfinished part began; milliseconds of the monotonic clock. */
  beganMs(): number;
  /** Takes the socket away, and with it everything held. MUST lead to `delete`. */
  destroy(): void;
}

interface Progress {
  bytes: number;
  changedMs: number;
}

/** Checked this often: short enough that a flood overshoots the budget little, long enough to cost nothing. */
const SWEEP_MS = 50;
/** A request may take this many stall times in all, so that a byte now and then does not keep it open for ever. */
export const STALLS_PER_REQUEST = 3;

/** Closing what holds less than this would free nothing and cost a sender its answer. */
const SHED_BYTES_MIN = 64 * 1024;

export interface HalfOpenLimits {
  readonly halfOpenBytesMax: number;
  readonly stallMs: number;
}

/**
 * Bounds what unauthenticated senders can make the process hold by sending halves: over the budget the socket that
 * holds most is closed, and one that makes no progress, or takes too long in all, is closed too. The limits of grpc-js
 * and node:http count per connection, so a few connections together pass any of them.
 */
export class HalfOpenLedger {
  readonly #limits: HalfOpenLimits;
  readonly #memory: MemoryGuard;
  readonly #counters: Counters;
  readonly #entries = new Map<HalfOpen, Progress>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: HalfOpenLimits, memory: MemoryGuard, counters: Counters) {
    this.#limits = limits;
    this.#memory = memory;
    this.#counters = counters;
    this.#timer = setInterval(() => this.#sweep(), Math.min(SWEEP_MS, limits.stallMs / 4));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  add(entry: HalfOpen): void {
    this.#entries.set(entry, { bytes: entry.progressBytes(), changedMs: performance.now() });
  }

  delete(entry: HalfOpen): void {
    this.#entries.delete(entry);
  }

  heldBytes(): number {
    let sum = 0;
    for (const entry of this.#entries.keys()) sum += entry.heldBytes();
    return sum;
  }

  /** Closes the worst sockets until the budget holds. Also called between sweeps when much is added at once. */
  enforceBudget(): void {
    if (this.#entries.size === 0 || this.heldBytes() <= this.#limits.halfOpenBytesMax) return;
    let sum = this.heldBytes();
    for (const [entry, bytes] of this.#worstFirst()) {
      if (sum <= this.#limits.halfOpenBytesMax) return;
      this.#close(entry, 'half-open-budget');
      sum -= bytes;
    }
  }

  #sweep(): void {
    if (this.#entries.size === 0) return;
    const nowMs = performance.now();
    for (const [entry, progress] of this.#entries) {
      const bytes = entry.progressBytes();
      if (bytes !== progress.bytes) {
        progress.bytes = bytes;
        progress.changedMs = nowMs;
      }
      const stalledMs = nowMs - Math.max(progress.changedMs, entry.beganMs());
      const openMs = nowMs - entry.beganMs();
      if (stalledMs >= this.#limits.stallMs) this.#close(entry, 'stalled');
      else if (openMs >= this.#limits.stallMs * STALLS_PER_REQUEST) this.#close(entry, 'too-slow');
    }
    this.enforceBudget();
    if (this.#memory.level() === 'hard') this.#shed();
  }

  /** Estimates may be wrong: when memory runs out all the same, the quarter of the large ones that holds most goes. */
  #shed(): void {
    const large = this.#worstFirst().filter(([, bytes]) => bytes >= SHED_BYTES_MIN);
    for (const [entry] of large.slice(0, Math.ceil(large.length / 4))) this.#close(entry, 'memory');
  }

  #worstFirst(): [HalfOpen, number][] {
    const held = [...this.#entries.keys()].map((entry): [HalfOpen, number] => [entry, entry.heldBytes()]);
    return held.sort((a, b) => b[1] - a[1]);
  }

  #close(entry: HalfOpen, reason: 'half-open-budget' | 'stalled' | 'too-slow' | 'memory'): void {
    this.#entries.delete(entry);
    this.#counters.add('connections_closed_total', 1, reason);
    entry.destroy();
  }
}
