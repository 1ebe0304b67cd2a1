import { describe, expect, it } from 'vitest';
import { createIdHash } from './hash.ts';
import { RecentTraces } from './recent-traces.ts';

const HORIZON_US = 1000;

describe('recently closed traces', () => {
  it('are known for a horizon and forgotten after one and a half', () => {
    const recent = new RecentTraces(createIdHash(), HORIZON_US);
    for (let nowUs = 0; nowUs <= 5000; nowUs += 10) {
      recent.add(7, nowUs, nowUs);
      if (nowUs >= HORIZON_US) expect(recent.has(7, nowUs - HORIZON_US)).toBe(true);
      if (nowUs > 1.5 * HORIZON_US) expect(recent.has(7, nowUs - 1.5 * HORIZON_US - 10)).toBe(false);
    }
    expect(recent.evicted).toBe(0);
  });

  it('are all forgotten after a long silence', () => {
    const recent = new RecentTraces(createIdHash(), HORIZON_US);
    recent.add(1, 1, 0);
    recent.add(2, 2, 600);
    recent.add(3, 3, 100_000);
    expect([recent.has(1, 1), recent.has(2, 2), recent.has(3, 3)]).toEqual([false, false, true]);
  });

  it('take any key, zero included, and never more than their share of memory', () => {
    const recent = new RecentTraces(createIdHash(), HORIZON_US);
    expect(recent.has(0, 0)).toBe(false);
    recent.add(0, 0, 0);
    expect(recent.has(0, 0)).toBe(true);
    const keys = 3 * 2 ** 20 + 10;
    for (let n = 1; n <= keys; n++) recent.add(n, 0xffffffff - n, 1);
    expect(recent.evicted).toBe(2 ** 20);
    expect(recent.has(keys, 0xffffffff - keys)).toBe(true);
    expect(recent.has(1, 0xfffffffe)).toBe(false);
  });
});
