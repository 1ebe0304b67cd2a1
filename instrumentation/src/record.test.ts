import { describe, expect, test } from 'vitest';
import { instant, recordAuthz, recordEffect, recordEvent, recordObjects, setPrincipal } from './record.ts';
import { traceStore } from './store.ts';

describe('the code API where nothing is active', () => {
  test('does nothing and throws nothing, whatever it is given', () => {
    const nonsense = null as never;
    for (const call of [
      () => setPrincipal({ id: 'u-1' }),
      () => setPrincipal(nonsense),
      () => recordAuthz({ decision: 'deny', policy: 'p', object: { type: 'account', ids: [1, 2n, '3'] } }),
      () => recordAuthz(nonsense),
      () => recordEffect('read', { object: { type: 'account', ids: 1 } }),
      () => recordEffect(nonsense, nonsense),
      () => recordObjects('account', [1, 2]),
      () => recordObjects(nonsense, nonsense),
      () => recordEvent('login', 'failure', 'jane'),
      () => recordEvent(nonsense, nonsense, nonsense),
    ])
      expect(call).not.toThrow();
  });

  test('runs what a store call wraps and gives back its result, promise or error', async () => {
    const call = { system: 'sqlite', operation: 'SELECT' };
    const rows = [{ a: 1 }];
    expect(traceStore(call, () => rows)).toBe(rows);
    const promise = Promise.resolve(rows);
    expect(traceStore(call, () => promise)).toBe(promise);
    const failure = Promise.reject(new Error('no'));
    const traced = traceStore(call, () => failure);
    expect(traced).toBe(failure);
    await expect(traced).rejects.toThrow('no');
    expect(() =>
      traceStore(call, () => {
        throw new TypeError('no');
      }),
    ).toThrow(TypeError);
  });
});

test('the clock of marker spans rises strictly', () => {
  const times = Array.from({ length: 1000 }, instant).map(([seconds, nanos]) => seconds * 1e6 + nanos / 1000);
  expect(times.every((time, index) => index === 0 || time > times[index - 1]!)).toBe(true);
});
