import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRig, describeTrace, distinctSpans, identity, SECOND, schedule } from './testing/rig.ts';
import { labels, type SpanSpec } from './testing/spans.ts';

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
