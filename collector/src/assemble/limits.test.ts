import { describe, expect, it } from 'vitest';
import { createRig } from './testing/rig.ts';
import { labels, type SpanSpec } from './testing/spans.ts';

describe('limits', () => {
  it('close the longest idle trace early, as cut and counted', () => {
    const rig = createRig({ openTracesMax: 3 });
    rig.take([{ trace: 1, id: 1 }], 0);
    rig.take([{ trace: 2, id: 1 }], 1);
    rig.take([{ trace: 3, id: 1 }], 2);
    rig.take([{ trace: 1, id: 2, parent: 1 }], 3);
    rig.take([{ trace: 4, id: 1 }], 4);
    expect(rig.closed.map(({ traceId, closedBy }) => [traceId.slice(-1), closedBy])).toEqual([['2', 'limit']]);
    expect(rig.counters.value('traces_evicted_total', 'open-traces')).toBe(1);
    expect(rig.assembler.openTraces).toBe(3);
  });

  it('hold the memory of open traces below the cap and lose no span', () => {
    const openBytesMax = 2 * 1024 * 1024;
    const rig = createRig({ openBytesMax });
    const text = 'x'.repeat(2000);
    for (let n = 0; n < 3000; n++) {
      rig.take([{ trace: n + 1, id: 1, attributes: { note: `${n}${text}` } }], 0);
      expect(rig.assembler.openBytes).toBeLessThanOrEqual(openBytesMax);
    }
    expect(rig.counters.value('traces_evicted_total', 'open-bytes')).toBeGreaterThan(1000);
    rig.assembler.flush();
    expect(rig.closed).toHaveLength(3000);
  });

  it('cut a trace that takes too large a share into segments, each judged once', () => {
    const rig = createRig({ openBytesMax: 1024 * 1024 });
    const note = 'y'.repeat(4000);
    for (let n = 1; n <= 200; n++) rig.take([{ id: n, attributes: { note: `${n}${note}` } }], 0);
    rig.assembler.flush();
    expect(rig.closed.length).toBeGreaterThan(3);
    expect(rig.closed.flatMap(({ rows }) => labels(rows)).sort()).toEqual(
      Array.from({ length: 200 }, (_, i) => `a/server:${i + 1}`).sort(),
    );
    expect(rig.closed.map(({ revision }) => revision)).toEqual(rig.closed.map((_, i) => i + 1));
    expect(rig.closed.slice(0, -1).every(({ closedBy, previous }) => closedBy === 'limit' && !previous)).toBe(true);
    expect(rig.log.reads).toBe(0);
  });

  it('let few long-lived rows pin no large batches', () => {
    const rig = createRig();
    const note = 'z'.repeat(500);
    const specs = (n: number): SpanSpec[] =>
      Array.from({ length: 400 }, (_, i) => ({ trace: n * 400 + i + 1, id: 1, attributes: { note: `${i}${note}` } }));
    const batchBytes = 400 * 700;
    for (let n = 0; n < 100; n++) {
      const second = n * 14;
      rig.take(specs(n), second);
      // One trace of every batch goes on for as long as it may.
      const going = Array.from({ length: Math.min(n, 7) }, (_, back) => ({
        trace: (n - 1 - back) * 400 + 1,
        id: 2 + back,
        parent: 1,
      }));
      if (going.length > 0) rig.take(going, second);
    }
    expect(rig.assembler.openTraces).toBeGreaterThan(400);
    expect(rig.assembler.openBytes).toBeLessThan(4 * batchBytes + 6 * 1024 * 1024);
    rig.assembler.flush();
    expect(
      rig.closed.reduce((sum, { rows, previous }) => sum + rows.row.length - (previous?.rows.row.length ?? 0), 0),
    ).toBe(rig.log.records.reduce((sum, { batch }) => sum + batch.count, 0));
  });

  it('let many exports of one span cost little more than their spans', () => {
    const rig = createRig();
    for (let n = 0; n < 6_000; n++) rig.take([{ trace: 1 + (n % 1500), id: 1 + n }], 0);
    expect(rig.assembler.openSpans).toBe(6_000);
    expect(rig.assembler.openBytes).toBeLessThan(6_000 * 400 * 3 + 8 * 1024 * 1024);
  });
});
