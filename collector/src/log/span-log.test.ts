import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { traceIdHex } from '../base/batch.ts';
import { openSpanLogReader } from './reader.ts';
import { toLogRecord } from './record.ts';
import { openSpanLog } from './span-log.ts';
import { arbitraryBatch } from './testing/arbitrary-batch.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'span-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('the span log', () => {
  it('gives back what was appended, in order', () => {
    const batches = fc.sample(arbitraryBatch(), { numRuns: 20, seed: 1 });
    const log = openSpanLog(directory);
    const reader = openSpanLogReader(directory);
    log.append(batches.map((batch, offset) => toLogRecord(batch, offset, 1_000 + offset)));
    expect(log.nextOffset()).toBe(20);
    expect([...reader.replay(5)]).toEqual(
      batches.map((batch, offset) => ({ offset, receivedUs: 1_000 + offset, batch })).slice(5),
    );
    for (const batch of batches) {
      for (let row = 0; row < batch.count; row++) expect(reader.readTrace(traceIdHex(batch, row))).toBeDefined();
    }
    reader.close();
    log.close();
    expect(openSpanLog(directory).nextOffset()).toBe(20);
  });
});
