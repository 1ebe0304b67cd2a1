import type { Value } from './value.ts';

/** Groups of `apisec.*` signals that a service says it records (resource attribute `apisec.signals`), as bits. */
export const Signal = { auth: 1, authz: 2, object: 4, data: 8, session: 16, event: 32 } as const;
export type SignalName = keyof typeof Signal;

/** Span kinds as rules see them in `span.kind`. */
export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
/** Span status as rules see it in `span.status`. */
export type SpanStatus = 'unset' | 'ok' | 'error';

/** One span of a call path, as rules see it. Positions refer to `CallPath.hops`. */
export interface Hop {
  /** Position in `CallPath.hops`. */
  readonly index: number;
  /** Position of the parent, -1 for the root of the call path. */
  readonly parent: number;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Microseconds since the Unix epoch, as the service recorded them (its own clock). */
  readonly startUs: number;
  readonly endUs: number;
  /** Edges to the root: 0 for the root. */
  readonly depth: number;
  readonly childCount: number;
  /** Spans with the same non-empty text were timed by one clock (host or service instance). */
  readonly clock: string;
  /** `Signal` bits whose absence means "no" on this span: it has `apisec.version` and its service lists the group. */
  readonly coverage: number;
  /** The value of a known field (see `Field`), undefined when absent. Intrinsic and derived fields included. */
  field(id: number): Value | undefined;
  /** The value of any other attribute by name, undefined when absent. */
  named(name: string): Value | undefined;
}

/** Why a call path is not known whole; each one makes absence unprovable (rule language, section 4). */
export type IncompleteReason =
  | 'still-open' // closed by the age cap while spans were still arriving
  | 'truncated' // a limit cut it
  | 'missing-parent'
  | 'missing-answer' // a client span aimed at a covered service has no server span
  | 'head-sampled'
  | 'dropped-spans' // a service on it reported drops
  | 'cycle';

export interface Completeness {
  /** True when nothing is known to be missing: absence rules may fire. */
  readonly complete: boolean;
  /** received / (received + missing parents + missing answers + reported drops), 0..1. */
  readonly score: number;
  readonly reasons: readonly IncompleteReason[];
  readonly missingParents: number;
  readonly missingAnswers: number;
  readonly droppedSpans: number;
}

/** The tree of hops under one span that has no parent, or whose parent never arrived. */
export interface CallPath {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** Span id of the root hop. */
  readonly entrySpanId: string;
  /** 1 at the first close; grows each time late spans amend the trace. */
  readonly revision: number;
  /** Ordered by (start, span id); the root is where `parent` is -1, not necessarily first (clock skew). */
  readonly hops: readonly Hop[];
  readonly completeness: Completeness;
  /** Event time of the call path in microseconds: the latest event time of its spans. */
  readonly eventUs: number;
  /** Upper estimate in microseconds of how far the clocks of two hops differ, given their positions. At least 100,000 when the clocks differ. */
  skewUs(a: number, b: number): number;
}
