import {
  type CallPath,
  type Completeness,
  type Hop,
  Signal,
  type SignalName,
  type SpanKind,
  type SpanStatus,
} from './call-path.ts';
import { Field, fieldId } from './field.ts';
import type { Value } from './value.ts';

/** One span of a sketched call path; what is left out gets a plain value. */
export interface SpanSketch {
  readonly service: string;
  readonly kind?: SpanKind;
  readonly name?: string;
  readonly status?: SpanStatus;
  /** Milliseconds after the start of the call path. */
  readonly start?: number;
  readonly end?: number;
  /** Spans with equal clocks compare exactly; default is the service's own. */
  readonly clock?: string;
  /** Signal groups whose absence is a "no"; default all. An empty list is a span without our instrumentation. */
  readonly signals?: readonly SignalName[];
  readonly attributes?: Readonly<Record<string, Value>>;
  readonly children?: readonly SpanSketch[];
}

export interface PathSketch {
  readonly traceId?: string;
  readonly completeness?: Partial<Completeness>;
  readonly skewUs?: number;
  /** Event time in microseconds; the start of the sketch too. */
  readonly atUs?: number;
}

const ALL_SIGNALS = Object.keys(Signal) as SignalName[];
const WHOLE: Completeness = {
  complete: true,
  score: 1,
  reasons: [],
  missingParents: 0,
  missingAnswers: 0,
  droppedSpans: 0,
};

/**
 * A call path from a sketch of its tree: for tests of rules and of what works on call paths. Children follow each other
 * in time unless they say otherwise; derived fields (`apisec.entry` ...) are set like any attribute.
 */
export function callPathOf(root: SpanSketch, sketch: PathSketch = {}): CallPath {
  const atUs = sketch.atUs ?? 1_750_000_000_000_000;
  const spans: Draft[] = [];
  collect(root, -1, 0, 0, spans);
  // Hops are ordered by (start, span id), as assembly does it; ids grow with the order of the sketch.
  const order = spans.map((_, i) => i).toSorted((a, b) => spans[a]!.startMs - spans[b]!.startMs || a - b);
  const position = new Map(order.map((draft, hop) => [draft, hop]));
  const hops = order.map((draft, index) => toHop(spans[draft]!, index, position, atUs));
  const latestUs = hops.reduce((latest, hop) => Math.max(latest, hop.endUs), 0);
  return {
    traceId: sketch.traceId ?? '0af7651916cd43dd8448eb211c80319c',
    entrySpanId: spans[0]!.spanId,
    revision: 1,
    hops,
    completeness: { ...WHOLE, ...sketch.completeness },
    eventUs: latestUs,
    skewUs: (a, b) => (hops[a]?.clock === hops[b]?.clock ? 0 : (sketch.skewUs ?? 100_000)),
  };
}

interface Draft {
  readonly sketch: SpanSketch;
  readonly parent: number;
  readonly depth: number;
  readonly spanId: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Adds a span and what is below it; gives the end of the span in milliseconds. */
function collect(sketch: SpanSketch, parent: number, depth: number, fromMs: number, spans: Draft[]): number {
  const index = spans.length;
  const startMs = sketch.start ?? fromMs;
  const spanId = (0xb7ad_6b71_6920_0000n + BigInt(index)).toString(16).padStart(16, '0');
  spans.push({ sketch, parent, depth, spanId, startMs, endMs: startMs });
  let atMs = startMs + 1;
  for (const child of sketch.children ?? []) {
    atMs = collect(child, index, depth + 1, atMs, spans) + 1;
  }
  const endMs = sketch.end ?? atMs;
  spans[index] = { ...spans[index]!, endMs };
  return endMs;
}

function toHop(draft: Draft, index: number, position: ReadonlyMap<number, number>, atUs: number): Hop {
  const { sketch, depth, spanId } = draft;
  const signals = sketch.signals ?? ALL_SIGNALS;
  const kind = sketch.kind ?? 'server';
  const childCount = sketch.children?.length ?? 0;
  const known = new Map<number, Value>([
    [Field.spanKind, kind],
    [Field.spanName, sketch.name ?? `${sketch.service} ${kind}`],
    [Field.spanStatus, sketch.status ?? 'unset'],
    [Field.spanDepth, depth],
    [Field.spanChildCount, childCount],
    [Field.spanDurationMs, draft.endMs - draft.startMs],
    [Field.spanRoot, draft.parent < 0],
    [Field.serviceName, sketch.service],
    ...(signals.length > 0
      ? ([
          [Field.apisecVersion, '1'],
          [Field.signals, signals],
        ] as const)
      : []),
  ]);
  const others = new Map<string, Value>();
  for (const [name, value] of Object.entries(sketch.attributes ?? {})) {
    const id = fieldId(name);
    if (id === undefined) {
      others.set(name, value);
    } else {
      known.set(id, value);
    }
  }
  return {
    index,
    parent: draft.parent < 0 ? -1 : position.get(draft.parent)!,
    spanId,
    startUs: atUs + draft.startMs * 1000,
    endUs: atUs + draft.endMs * 1000,
    depth,
    childCount,
    clock: sketch.clock ?? sketch.service,
    coverage: signals.reduce((bits, group) => bits | Signal[group], 0),
    field: (id) => known.get(id),
    named: (name) => others.get(name),
  };
}
