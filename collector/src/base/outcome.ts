import type { RuleMatch } from '@spanwarden/rules';

/**
 * What detection says about closed traces and the store keeps. Everything here is a signed addition: when late spans
 * amend a trace, the contribution of its former revision comes once more with the opposite sign. So counts depend on
 * the set of spans only, not on how they were batched, ordered or repeated.
 */

export type ApiStyle = 'rest' | 'http' | 'graphql' | 'grpc' | 'soap' | 'xml-rpc' | 'json-rpc';

/** One call of one operation. */
export interface OperationFact {
  readonly id: string;
  readonly service: string;
  readonly style: ApiStyle;
  readonly method: string;
  readonly route: string;
  readonly error: boolean;
  /** Event time of the call, microseconds. */
  readonly eventUs: number;
  /** Observed properties of this call. `records` is 0 where it does not apply. */
  readonly facets: readonly { readonly facet: string; readonly value: string; readonly records: number }[];
}

/** One call along one edge of the call graph. */
export interface EdgeFact {
  readonly level: 'service' | 'operation';
  readonly from: string;
  readonly fromKind: NodeKind;
  readonly to: string;
  readonly toKind: NodeKind;
  readonly error: boolean;
  readonly eventUs: number;
  readonly dataTypes: readonly { readonly type: string; readonly records: number }[];
}

/** Calls seen of one operation. */
export interface OperationDelta {
  /** 16 hex digits of SHA-256 over service, style, method and route. */
  readonly id: string;
  readonly service: string;
  readonly style: ApiStyle;
  /** HTTP method, upper case; '' where the style has none. */
  readonly method: string;
  /** Route template, rpc method or GraphQL operation. */
  readonly route: string;
  /** Signed number of calls (server spans). */
  readonly calls: number;
  readonly errors: number;
  /** Event time in microseconds of the first and last call in this delta. */
  readonly firstUs: number;
  readonly lastUs: number;
  /** Signed calls and records per observed property: facet is exposure, authn, verified, response-type, request-type, version, caller. */
  readonly facets: readonly {
    readonly facet: string;
    readonly value: string;
    readonly calls: number;
    readonly records: number;
  }[];
}

export type NodeKind = 'service' | 'operation' | 'store' | 'queue' | 'external' | 'client';

/** Calls seen along one edge of the call graph. */
export interface EdgeDelta {
  /** `service` edges join services (and stores, hosts); `operation` edges join operations by id. */
  readonly level: 'service' | 'operation';
  readonly from: string;
  readonly fromKind: NodeKind;
  readonly to: string;
  readonly toKind: NodeKind;
  readonly calls: number;
  readonly errors: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** Signed records per data type that crossed the edge. */
  readonly dataTypes: readonly { readonly type: string; readonly records: number }[];
}

/** One span of a finding's evidence, ready to show: no raw value in it. */
export interface EvidenceSpan {
  readonly spanId: string;
  /** '' for none. */
  readonly parentSpanId: string;
  readonly service: string;
  readonly kind: string;
  readonly name: string;
  readonly operation: string;
  readonly roles: readonly string[];
  readonly startUnixUs: number;
  readonly durationUs: number;
  readonly status: string;
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>;
}

/** A rule's "yes" about one call path, added (sign 1) or withdrawn (sign -1). */
export interface MatchDelta {
  readonly sign: 1 | -1;
  readonly traceId: string;
  /** Root span of the call path. */
  readonly entrySpanId: string;
  /** Event time of the whole call path, microseconds: when the finding became detectable. */
  readonly pathEventUs: number;
  readonly match: RuleMatch;
  readonly evidence: readonly EvidenceSpan[];
}

/** A rule that could not answer: what it missed, where. */
export interface UnknownDelta {
  readonly rule: string;
  readonly service: string;
  /** Signal group, `completeness` or `join-budget`. */
  readonly missing: string;
  readonly count: number;
}

/** Traces whose revision or closing is not the ordinary (revision 1, closed idle). */
export interface TraceMark {
  readonly traceId: string;
  readonly revision: number;
  readonly closedBy: 'idle' | 'cap' | 'limit';
  /** Event time in microseconds, for retention. */
  readonly eventUs: number;
}

/** How far the log has been worked through; with it, restart gives what an uninterrupted run would have given. */
export interface Checkpoint {
  /** Records below this offset are in the outputs or among the open traces. */
  readonly nextOffset: number;
  /** Lowest offset that an open trace has spans in; replay starts here. Equal to nextOffset when none is open. */
  readonly horizonOffset: number;
  /** Open traces, as assemble serialises them. */
  readonly openTraces: Uint8Array;
}

/** Everything of one stretch of the log, written in one transaction. */
export interface StoreDelta {
  readonly operations: readonly OperationDelta[];
  readonly edges: readonly EdgeDelta[];
  readonly matches: readonly MatchDelta[];
  readonly unknowns: readonly UnknownDelta[];
  readonly traceMarks: readonly TraceMark[];
  readonly checkpoint: Checkpoint;
}
