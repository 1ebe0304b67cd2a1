import fc from 'fast-check';
import type { SpanBatch } from '../../base/batch.ts';
import { Counters } from '../../base/counters.ts';
import { DEFAULT_LIMITS, type Limits } from '../../base/limits.ts';
import { type Assembler, buildPaths, type ClosedTrace, createAssembler } from '../assembler.ts';
import { describeTree, labels, MemoryLog, type SpanSpec, toBatch } from './spans.ts';

/** An assembler with a log beside it, and arbitrary exports for it. */

export const SECOND = 1_000_000;

export interface Rig {
  readonly assembler: Assembler;
  readonly closed: ClosedTrace[];
  readonly log: MemoryLog;
  readonly counters: Counters;
  /** Takes spans in as the next record and stores what is new; returns the marks. */
  take(specs: readonly SpanSpec[] | SpanBatch, atSecond: number): readonly number[];
}

export function createRig(limits: Partial<Limits> = {}, log = new MemoryLog(), from = 0): Rig {
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
export function describeTrace({ traceId, revision, closedBy, rows, previous }: ClosedTrace) {
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

export const identity = ({ trace, id, kind, service }: SpanSpec): string => `${trace} ${id} ${kind} ${service}`;

/** Spans with distinct identities: repeats of one identity with other content depend on who came first, by design. */
export const distinctSpans = spans.map((all) => [...new Map(all.map((span) => [identity(span), span])).values()]);

/** Exports over minutes: bursts, silences, and spans that come after their trace closed. */
export const schedule = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 25 }), specs: distinctSpans }), {
  minLength: 1,
  maxLength: 12,
});
