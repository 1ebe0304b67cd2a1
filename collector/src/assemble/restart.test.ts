import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRig, describeTrace, SECOND, schedule } from './testing/rig.ts';

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
