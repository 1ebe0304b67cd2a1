/** `soft`: refuse what has been read; `hard`: refuse before reading, and shed what is half read. */
export type MemoryLevel = 'normal' | 'soft' | 'hard';

export interface MemoryGuard {
  level(): MemoryLevel;
  stop(): void;
}

const SOFT_SHARE = 0.7;
const HARD_SHARE = 0.85;
const SAMPLE_MS = 100;

/**
 * Watches the resident memory of the whole process (all threads) against `bytesMax`; undefined = no cap, always normal.
 * The last line of defence: every known use of memory has a byte limit of its own.
 */
export function createMemoryGuard(
  bytesMax: number | undefined,
  residentBytes: () => number = process.memoryUsage.rss,
): MemoryGuard {
  if (bytesMax === undefined) return { level: () => 'normal', stop: () => undefined };
  let level: MemoryLevel = 'normal';
  const timer = setInterval(() => {
    const share = residentBytes() / bytesMax;
    level = share >= HARD_SHARE ? 'hard' : share >= SOFT_SHARE ? 'soft' : 'normal';
  }, SAMPLE_MS);
  timer.unref();
  return { level: () => level, stop: () => clearInterval(timer) };
}
