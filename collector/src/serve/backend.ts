import type { CallGraphView, FindingDetail, FindingPatch, FindingView, OperationView, TraceView } from './contract.ts';

/**
 * What the API needs from whoever keeps the data. Answers are promises because they come from another thread; a rejected
 * one becomes a 500, or a 503 when it is an UnavailableError.
 */
export interface ApiBackend {
  findings(query: FindingsQuery): Promise<Page<FindingView, FindingPlace>>;
  /** By id or fingerprint. */
  finding(id: string): Promise<FindingDetail | undefined>;
  patchFinding(id: string, patch: FindingPatch, ifRevision: number | undefined): Promise<PatchResult>;
  operations(query: OperationsQuery): Promise<Page<OperationView, OperationPlace>>;
  callGraph(query: CallGraphQuery): Promise<CallGraphView>;
  trace(traceId: string): Promise<TraceView | undefined>;
  readiness(): Readiness;
  /** Counters (`…_total`) and gauges, as named in /metrics without the `spanwarden_` prefix. */
  metrics(): Promise<readonly MetricRow[]>;
}

export type MetricRow = readonly [name: string, label: string, value: number];

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface Page<T, P> {
  readonly items: readonly T[];
  /** Where this page ended; undefined when it is the last. */
  readonly next: P | undefined;
}

export interface FindingPlace {
  readonly firstUs: number;
  readonly fingerprint: string;
}

export interface OperationPlace {
  readonly service: string;
  readonly route: string;
  readonly method: string;
  readonly id: string;
}

interface Interval {
  /** Event time in microseconds, inclusive. */
  readonly sinceUs?: number | undefined;
  /** Event time in microseconds, exclusive. */
  readonly untilUs?: number | undefined;
}

export interface FindingsQuery extends Interval {
  readonly status?: readonly string[] | undefined;
  readonly rule?: readonly string[] | undefined;
  readonly severity?: readonly string[] | undefined;
  readonly principal?: string | undefined;
  readonly operation?: string | undefined;
  readonly limit: number;
  readonly after?: FindingPlace | undefined;
}

export interface OperationsQuery extends Interval {
  readonly service?: string | undefined;
  readonly style?: string | undefined;
  readonly method?: string | undefined;
  readonly exposure?: string | undefined;
  readonly authn?: string | undefined;
  readonly dataType?: string | undefined;
  readonly sensitive?: boolean | undefined;
  readonly limit: number;
  readonly after?: OperationPlace | undefined;
}

export interface CallGraphQuery extends Interval {
  readonly level?: 'service' | 'operation' | undefined;
}

export type PatchResult =
  | { readonly outcome: 'changed'; readonly finding: FindingDetail }
  | { readonly outcome: 'not-found' }
  | { readonly outcome: 'conflict'; readonly revision: number };
