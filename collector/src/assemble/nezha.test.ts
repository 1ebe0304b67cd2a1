import { describe, expect, it } from 'vitest';
import { spanIdHex, traceIdHex } from '../base/batch.ts';
import { Counters } from '../base/counters.ts';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import { type ClosedTrace, createAssembler } from './assembler.ts';
import { buildPaths } from './paths.ts';
import { hasNezha, type NezhaSpan, readNezha, toNezhaBatch } from './testing/nezha.ts';
import { describeTree } from './testing/spans.ts';

/** Distinct spans by (trace, id, service): what the source really says. */
function distinct(spans: readonly NezhaSpan[]): NezhaSpan[] {
  const seen = new Map<string, NezhaSpan>();
  for (const span of spans) {
    const key = `${span.trace} ${span.id} ${span.service}`;
    if (!seen.has(key)) seen.set(key, span);
  }
  return [...seen.values()];
}

/** A shuffle that needs no randomness: every `step`-th, wrapping around. */
function* strided<T>(items: readonly T[], step: number): Iterable<T> {
  for (let from = 0; from < step; from++) for (let i = from; i < items.length; i += step) yield items[i]!;
}

function assemble(exports: readonly (readonly NezhaSpan[])[]): { closed: ClosedTrace[]; stored: number } {
  const closed: ClosedTrace[] = [];
  const history = { readTrace: () => undefined, mark: () => undefined };
  const settings = { limits: DEFAULT_LIMITS, counters: new Counters() };
  const assembler = createAssembler(settings, history, (trace) => closed.push(trace));
  let stored = 0;
  exports.forEach((spans, offset) => {
    stored += spans.length - assembler.accept(toNezhaBatch(spans), offset, offset).duplicates;
  });
  assembler.flush();
  return { closed, stored };
}

/** Exports of a few hundred spans in another order, every span twice. */
function disturbed(spans: readonly NezhaSpan[]): NezhaSpan[][] {
  const twice = [...strided(spans, 11), ...strided(spans, 7)];
  const exports: NezhaSpan[][] = [];
  for (let from = 0; from < twice.length; from += 257) exports.push(twice.slice(from, from + 257));
  return exports;
}

describe.skipIf(!hasNezha)('TrainTicket traces (left out without shared data)', () => {
  it('give every parent-child edge of the source and each span once, shuffled and repeated as they are', () => {
    const files = readNezha();
    expect(files.length).toBeGreaterThanOrEqual(40);
    for (const spans of files) {
      const source = distinct(spans);
      const ids = new Set(source.map(({ trace, id }) => `${trace} ${id}`));
      const expected = source
        .filter(({ trace, parent }) => ids.has(`${trace} ${parent}`))
        .map(({ trace, id, service, parent }) => `${trace} ${parent} ${id} ${service}`);

      const { closed, stored } = assemble(disturbed(spans));
      expect(stored).toBe(source.length);
      const edges: string[] = [];
      let counted = 0;
      for (const tree of closed.flatMap((trace) => buildPaths(trace))) {
        counted += tree.row.length;
        for (let i = 0; i < tree.row.length; i++) {
          const up = tree.parent[i]!;
          if (up === -1) continue;
          const batch = tree.batch[i]!;
          const { service } = batch.resources[batch.resource[tree.row[i]!]!]!;
          const parent = spanIdHex(tree.batch[up]!, tree.row[up]!);
          edges.push(`${traceIdHex(batch, tree.row[i]!)} ${parent} ${spanIdHex(batch, tree.row[i]!)} ${service}`);
        }
      }
      expect(counted).toBe(source.length);
      expect(edges.sort()).toEqual(expected.sort());
    }
  });

  it('give the same call paths in any order', () => {
    for (const spans of readNezha().slice(0, 6)) {
      const describeAll = ({ closed }: { closed: ClosedTrace[] }) =>
        closed
          .map((trace) => ({ id: trace.traceId, trees: buildPaths(trace).map(describeTree) }))
          .sort((a, b) => (a.id < b.id ? -1 : 1));
      expect(describeAll(assemble(disturbed(spans)))).toEqual(describeAll(assemble([distinct(spans)])));
    }
  });
});
