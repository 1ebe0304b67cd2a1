import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SpanBatch } from '../base/batch.ts';
import { Counters } from '../base/counters.ts';
import { DEFAULT_LIMITS, type Limits } from '../base/limits.ts';
import { type Assembler, buildPaths, type ClosedTrace, createAssembler } from './assembler.ts';
import { describeTree, labels, MemoryLog, type SpanSpec, toBatch } from './testing/spans.ts';

const SECOND = 1_000_000;

interface Rig {
  readonly assembler: Assembler;
  readonly closed: ClosedTrace[];
  readonly log: MemoryLog;
  readonly counters: Counters;
  /** Takes spans in as the next record and stores what is new; returns the marks. */
  take(specs: readonly SpanSpec[] | SpanBatch, atSecond: number): readonly number[];
}

function createRig(limits: Partial<Limits> = {}, log = new MemoryLog(), from = 0): Rig {
  const closed: ClosedTrace[] = [];
  const counters = new Counters();
  const assembler = createAssembler({ limits: { ...DEFAULT_LIMITS, ...limits }, counters }, log, (trace) => {
    closed.push(trace);
    if (trace.revision > 1 || trace.closedBy === 'cap' || trace.closedBy === 'limit') {
      log.marks.set(trace.traceId, { revision: trace.revision, closedBy: trace.closedBy });
    }
  });
  let offset = from;
  return {
    assembler,
    closed,
    log,
    counters,
    take(specs, atSecond) {
      const batch = 'count' in specs ? specs : toBatch(specs);
      const { duplicate } = assembler.accept(batch, offset, atSecond * SECOND);
      log.append(offset++, atSecond * SECOND, batch, duplicate);
      return Array.from(duplicate ?? new Uint8Array(batch.count));
    },
  };
}

/** What consumers of a closed trace can see, less the batches it happens to lie in. */
function describeTrace({ traceId, revision, closedBy, rows, previous }: ClosedTrace) {
  const trees = (of: Pick<ClosedTrace, 'rows' | 'closedBy'>) => buildPaths(of).map(describeTree);
  return {
    traceId,
    revision,
    closedBy,
    spans: labels(rows).sort(),
    trees: trees({ rows, closedBy }),
    previous: previous && {
      revision: previous.revision,
      closedBy: previous.closedBy,
      spans: labels(previous.rows).sort(),
      trees: trees(previous),
    },
  };
}

/** Spans of a few traces with every kind of trouble: lost parents, cycles, shared ids, equal starts. */
const spans: fc.Arbitrary<SpanSpec[]> = fc.array(
  fc.record({
    trace: fc.integer({ min: 1, max: 4 }),
    id: fc.integer({ min: 1, max: 12 }),
    parent: fc.integer({ min: 0, max: 14 }),
    service: fc.constantFrom('a', 'b', 'c'),
    kind: fc.constantFrom('internal', 'server', 'client', 'consumer'),
    start: fc.integer({ min: 0, max: 6 }),
  }),
  { minLength: 1, maxLength: 60 },
);

const identity = ({ trace, id, kind, service }: SpanSpec): string => `${trace} ${id} ${kind} ${service}`;

/** Spans with distinct identities: repeats of one identity with other content depend on who came first, by design. */
const distinctSpans = spans.map((all) => [...new Map(all.map((span) => [identity(span), span])).values()]);

/** Exports over minutes: bursts, silences, and spans that come after their trace closed. */
const schedule = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 25 }), specs: distinctSpans }), {
  minLength: 1,
  maxLength: 12,
});

describe('the assembler', () => {
  it('gives the same call paths for any order, repetition and partition of the same spans', () => {
    fc.assert(
      fc.property(distinctSpans, fc.infiniteStream(fc.nat()), fc.array(fc.nat()), (all, noise, repeats) => {
        const plain = createRig();
        plain.take(all, 0);
        plain.assembler.flush();

        const mixed = [...all, ...repeats.map((n) => all[n % all.length]!)]
          .map((span) => ({ span, at: noise.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ span }) => span);
        const rig = createRig();
        let stored = 0;
        for (let from = 0; from < mixed.length; ) {
          const size = 1 + ((noise.next().value as number) % 9);
          stored += rig.take(mixed.slice(from, from + size), 0).filter((mark) => mark === 0).length;
          from += size;
        }
        rig.assembler.flush();

        expect(stored).toBe(all.length);
        expect(rig.closed.map(describeTrace)).toEqual(plain.closed.map(describeTrace));
      }),
    );
  });

  it('keeps the first content of a span and marks every repeat, in one batch and across batches', () => {
    const rig = createRig();
    expect(rig.take([{ id: 1, name: 'first' }, { id: 1, name: 'second' }, { id: 2 }], 0)).toEqual([0, 1, 0]);
    expect(rig.take([{ id: 2 }, { id: 1, name: 'third' }], 1)).toEqual([1, 1]);
    rig.assembler.flush();
    const { batch, row } = rig.closed[0]!.rows;
    expect(batch.map((of, i) => of.strings[of.name[row[i]!]!])).toEqual(['first', 'span']);
  });

  it('takes the same span id of another kind or service for another span', () => {
    const rig = createRig();
    const marks = rig.take(
      [
        { id: 1, kind: 'client', service: 'a' },
        { id: 1, kind: 'server', service: 'a' },
        { id: 1, kind: 'client', service: 'b' },
        { id: 1, kind: 'client', service: 'a', trace: 2 },
      ],
      0,
    );
    expect(marks).toEqual([0, 0, 0, 0]);
    expect(rig.assembler.openSpans).toBe(4);
  });

  it('closes a trace after silence, whether ticked or not', () => {
    const ticked = createRig();
    ticked.take([{ id: 1 }], 0);
    ticked.assembler.tick(14.9 * SECOND);
    expect(ticked.closed).toEqual([]);
    ticked.assembler.tick(15 * SECOND);
    expect(ticked.closed.map(({ closedBy, revision }) => [closedBy, revision])).toEqual([['idle', 1]]);

    const unticked = createRig();
    unticked.take([{ id: 1 }], 0);
    unticked.take([{ id: 2 }], 15);
    expect(unticked.closed.map((trace) => labels(trace.rows))).toEqual([['a/server:1']]);
  });

  it('closes traces in the order in which they were due, then by id', () => {
    const rig = createRig();
    rig.take(
      [
        { trace: 9, id: 1 },
        { trace: 5, id: 1 },
        { trace: 3, id: 1 },
      ],
      0,
    );
    rig.take([{ trace: 7, id: 1 }], 1);
    rig.take([{ trace: 3, id: 2, parent: 1 }], 2);
    rig.assembler.tick(100 * SECOND);
    expect(rig.closed.map(({ traceId }) => Number.parseInt(traceId.slice(24), 16))).toEqual([5, 9, 7, 3]);
  });

  it('closes a trace that never falls silent by its age', () => {
    const rig = createRig();
    for (let second = 0; second <= 130; second += 10) rig.take([{ id: 1 + second }], second);
    expect(rig.closed.map(({ closedBy, rows }) => [closedBy, rows.row.length])).toEqual([['cap', 12]]);
  });

  it('lets repeats neither prolong a trace nor hide its silence', () => {
    const rig = createRig();
    rig.take([{ id: 1 }], 0);
    rig.take([{ id: 1 }], 10);
    rig.assembler.tick(15 * SECOND);
    expect(rig.closed).toHaveLength(1);
  });

  it('closes everything at the end of a scan, by event time and then by id', () => {
    const rig = createRig();
    rig.take(
      [
        { trace: 2, id: 1, start: 50 },
        { trace: 1, id: 1, start: 90 },
        { trace: 3, id: 1, start: 50 },
      ],
      0,
    );
    rig.assembler.flush();
    expect(rig.closed.map(({ traceId, closedBy }) => [traceId.slice(-1), closedBy])).toEqual([
      ['2', 'flush'],
      ['3', 'flush'],
      ['1', 'flush'],
    ]);
    expect([rig.assembler.openTraces, rig.assembler.openSpans, rig.assembler.openBytes]).toEqual([0, 0, 0]);
  });
});

describe('late spans', () => {
  it('reopen a closed trace as a revision that tells what the former one was made of', () => {
    const rig = createRig();
    rig.take([{ id: 2, parent: 1, kind: 'client' }], 0);
    rig.assembler.tick(20 * SECOND);
    rig.take([{ id: 1 }], 60);
    rig.assembler.tick(80 * SECOND);
    rig.take([{ id: 3, parent: 1 }], 100);
    rig.assembler.flush();
    const seen = rig.closed.map(({ revision, closedBy, rows, previous }) => ({
      revision,
      closedBy,
      spans: labels(rows),
      previous: previous && [previous.revision, previous.closedBy, labels(previous.rows)],
    }));
    expect(seen).toEqual([
      { revision: 1, closedBy: 'idle', spans: ['a/client:2'], previous: undefined },
      { revision: 2, closedBy: 'idle', spans: ['a/client:2', 'a/server:1'], previous: [1, 'idle', ['a/client:2']] },
      {
        revision: 3,
        closedBy: 'flush',
        spans: ['a/client:2', 'a/server:1', 'a/server:3'],
        previous: [2, 'idle', ['a/client:2', 'a/server:1']],
      },
    ]);
  });

  it('that are all repeats reopen nothing, and a storm of them reads the log once', () => {
    const rig = createRig();
    rig.take([{ id: 1 }, { id: 2, parent: 1 }], 0);
    rig.assembler.tick(20 * SECOND);
    for (let n = 0; n < 10; n++) expect(rig.take([{ id: 2, parent: 1 }, { id: 1 }], 30)).toEqual([1, 1]);
    expect(rig.log.reads).toBe(1);
    // Such a trace is none to a checkpoint: nothing new is known of it.
    expect(rig.assembler.openTraces).toBe(1);
    expect(rig.assembler.horizonOffset(11)).toBe(11);
    const restarted = createRig({}, rig.log);
    restarted.assembler.restore(rig.assembler.snapshot(), [], []);
    expect(restarted.assembler.openTraces).toBe(0);
    rig.assembler.tick(90 * SECOND);
    rig.assembler.flush();
    expect(rig.closed).toHaveLength(1);
  });

  it('count from their own arrival, not from that of a repeat before them', () => {
    const rig = createRig();
    rig.take([{ id: 1 }], 0);
    rig.assembler.tick(20 * SECOND);
    rig.take([{ id: 1 }], 30);
    rig.take([{ id: 2, parent: 1 }], 40);
    expect(rig.assembler.horizonOffset(9)).toBe(2);
    for (let second = 50; second < 160; second += 10) rig.take([{ id: second, parent: 1 }], second);
    expect(rig.closed).toHaveLength(1);
    rig.assembler.tick(160 * SECOND);
    expect(rig.closed.map(({ closedBy }) => closedBy)).toEqual(['idle', 'cap']);
  });

  it('leave the last revision as if all spans had come at once, each revision taking back the one before', () => {
    fc.assert(
      fc.property(schedule, (exports) => {
        const rig = createRig({ assembleCapMs: 1e9 });
        const first = new Map<string, SpanSpec>();
        let second = 0;
        for (const { gap, specs } of exports) {
          second += gap;
          rig.take(specs, second);
          for (const span of specs) if (!first.has(identity(span))) first.set(identity(span), span);
        }
        rig.assembler.flush();
        const atOnce = createRig();
        atOnce.take([...first.values()], 0);
        atOnce.assembler.flush();

        const last = new Map<string, ReturnType<typeof describeTrace>>();
        for (const trace of rig.closed.map(describeTrace)) {
          const before = last.get(trace.traceId);
          expect(trace.revision).toBe((before?.revision ?? 0) + 1);
          expect(trace.previous?.trees).toEqual(before?.trees);
          last.set(trace.traceId, trace);
        }
        const expected = atOnce.closed.map(describeTrace).map(({ traceId, trees }) => [traceId, trees]);
        expect(new Map([...last].map(([traceId, { trees }]) => [traceId, trees]))).toEqual(
          new Map(expected as [string, unknown][]),
        );
      }),
    );
  });

  it('amend a trace even when it closes again before its mark reached the store', () => {
    const rig = createRig({ assembleIdleMs: 1000 });
    rig.take([{ id: 1 }], 0);
    rig.take([{ id: 2, parent: 1 }], 2);
    rig.assembler.tick(4 * SECOND);
    rig.log.marks.clear();
    rig.take([{ id: 3, parent: 1 }], 5);
    rig.assembler.flush();
    expect(rig.closed.map(({ revision, previous }) => [revision, previous?.revision])).toEqual([
      [1, undefined],
      [2, 1],
      [3, 2],
    ]);
  });

  it('start a trace of their own once the horizon has passed or nothing is stored any more', () => {
    const gone = createRig();
    gone.take([{ id: 1 }], 0);
    gone.assembler.tick(20 * SECOND);
    gone.log.records.length = 0;
    gone.take([{ id: 2, parent: 1 }], 30);
    gone.assembler.flush();
    expect(gone.closed.map(({ revision, previous }) => [revision, previous])).toEqual([
      [1, undefined],
      [1, undefined],
    ]);

    const late = createRig({ reopenMs: 60_000 });
    late.take([{ id: 1 }], 0);
    for (let second = 20; second < 300; second += 20) late.take([{ trace: 1000 + second, id: 1 }], second);
    const reads = late.log.reads;
    late.take([{ id: 1 }], 300);
    expect(late.log.reads).toBe(reads);
  });
});

describe('restart', () => {
  it('from a snapshot and the log gives what an uninterrupted run gives', () => {
    fc.assert(
      fc.property(schedule, fc.nat(), (exports, cutSeed) => {
        const cut = cutSeed % (exports.length + 1);
        const whole = createRig();
        const first = createRig();
        const times: number[] = [];
        let second = 0;
        for (const { gap, specs } of exports) {
          second += gap;
          times.push(second);
          whole.take(specs, second);
        }
        whole.assembler.flush();

        for (let i = 0; i < cut; i++) first.take(exports[i]!.specs, times[i]!);
        const horizon = first.assembler.horizonOffset(cut);
        const snapshot = first.assembler.snapshot();
        const second2 = createRig({}, first.log, cut);
        second2.assembler.restore(
          snapshot,
          first.log.records.filter(({ offset }) => offset >= horizon && offset < cut),
          first.log.keys(),
        );
        for (let i = cut; i < exports.length; i++) second2.take(exports[i]!.specs, times[i]!);
        second2.assembler.flush();

        const resumed = [...first.closed, ...second2.closed];
        expect(resumed.map(describeTrace)).toEqual(whole.closed.map(describeTrace));
        expect(second2.log.records.length).toBe(whole.log.records.length);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the order of age beside that of silence', () => {
    const rig = createRig();
    for (let second = 0; second <= 100; second += 10) rig.take([{ trace: 1, id: 1 + second }], second);
    rig.take([{ trace: 2, id: 1 }], 106);
    rig.take([{ trace: 1, id: 999 }], 110);
    const restarted = createRig({}, rig.log, 20);
    restarted.assembler.restore(rig.assembler.snapshot(), rig.log.records, []);
    restarted.assembler.tick(120 * SECOND);
    expect(
      restarted.closed.map(({ traceId, closedBy, rows }) => [traceId.slice(-1), closedBy, rows.row.length]),
    ).toEqual([['1', 'cap', 12]]);
  });

  it('gives a segment of a cut trace only its own spans', () => {
    const rig = createRig({ openBytesMax: 1024 * 1024 });
    const note = 'y'.repeat(4000);
    rig.take([{ trace: 2, id: 1 }], 0);
    for (let n = 1; n <= 40; n++) rig.take([{ id: n, attributes: { note: `${n}${note}` } }], 0);
    expect(rig.closed.map(({ closedBy }) => closedBy)).toEqual(['limit']);
    const cut = rig.closed[0]!.rows.row.length;
    const restarted = createRig({ openBytesMax: 1024 * 1024 }, rig.log, 41);
    restarted.assembler.restore(rig.assembler.snapshot(), rig.log.records, []);
    restarted.assembler.flush();
    expect(restarted.closed.map(({ rows, revision }) => [rows.row.length, revision])).toEqual([
      [1, 1],
      [40 - cut, 2],
    ]);
  });

  it('takes nothing from an empty snapshot and refuses a damaged one', () => {
    const rig = createRig();
    rig.assembler.restore(new Uint8Array(0), [], []);
    expect(rig.assembler.openTraces).toBe(0);
    expect(() => createRig().assembler.restore(Uint8Array.of(9, 1), [], [])).toThrow(/format 9, expected 1/);
    rig.take([{ id: 1 }], 1);
    const snapshot = rig.assembler.snapshot();
    expect(() => createRig().assembler.restore(snapshot.subarray(0, 20), [], [])).toThrow(/cut off after 20 bytes/);
  });
});

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
