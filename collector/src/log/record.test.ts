import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DamagedError } from './byte-reader.ts';
import { decodeBatch, encodeBatch, toLogRecord } from './record.ts';
import { arbitraryBatch } from './testing/arbitrary-batch.ts';
import { hasTraceKey } from './trace-keys.ts';

describe('a batch as bytes', () => {
  it('comes back exactly, whatever is in it', () => {
    const comesBack = fc.property(arbitraryBatch(), (batch) => {
      expect(decodeBatch(encodeBatch(batch))).toEqual(batch);
    });
    fc.assert(comesBack, { numRuns: 500 });
  });

  it('is the same bytes each time', () => {
    fc.assert(
      fc.property(arbitraryBatch(), (batch) => {
        expect(encodeBatch(batch)).toEqual(encodeBatch(batch));
      }),
    );
  });

  it('is never read past its end: cut or lengthened bytes are damaged', () => {
    fc.assert(
      fc.property(arbitraryBatch(5), fc.nat(), fc.boolean(), (batch, at, longer) => {
        const bytes = encodeBatch(batch);
        const wrong = longer
          ? Buffer.concat([bytes, Buffer.alloc(1 + (at % 9))])
          : bytes.subarray(0, at % bytes.length);
        expect(() => decodeBatch(wrong)).toThrow(DamagedError);
      }),
    );
  });
});

describe('a log record', () => {
  it('names every trace in it once, in order, and bounds the event times', () => {
    fc.assert(
      fc.property(arbitraryBatch(), (batch) => {
        const record = toLogRecord(batch, 7, 1_000);
        const keys = new Set<string>();
        for (let row = 0; row < batch.count; row++) {
          const high = batch.traceId[row * 4 + 2]!;
          const low = batch.traceId[row * 4 + 3]!;
          keys.add(`${high}:${low}`);
          expect(hasTraceKey(record.traceKeys, high, low)).toBe(true);
          expect(batch.eventUs[row]).toBeGreaterThanOrEqual(record.minEventUs);
          expect(batch.eventUs[row]).toBeLessThanOrEqual(record.maxEventUs);
        }
        const sorted = Array.from({ length: record.traceKeys.length / 2 }, (_, at) => [
          record.traceKeys[at * 2]!,
          record.traceKeys[at * 2 + 1]!,
        ]);
        expect(sorted.length).toBe(keys.size);
        expect(sorted).toEqual(sorted.toSorted(([a0 = 0, a1 = 0], [b0 = 0, b1 = 0]) => a0 - b0 || a1 - b1));
        expect(record).toMatchObject({ offset: 7, receivedUs: 1_000, spanCount: batch.count });
      }),
    );
  });
});
