import type { ApiStyle, EvidenceSpan, NodeKind } from '../base/outcome.ts';

/**
 * What queries give: the shapes of the REST contract, times as RFC 3339 UTC with milliseconds. Absent is null, because
 * these are JSON.
 */

export type FindingStatus = 'open' | 'triaged' | 'confirmed' | 'resolved' | 'archived';
export type ArchiveReason =
  | 'false_positive'
  | 'expected'
  | 'testing'
  | 'accepted_risk'
  | 'remediated'
  | 'duplicate'
  | 'other';
export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical';
export type Confidence = 'low' | 'medium' | 'high';

export interface FindingView {
  /** `F-` and the first 12 hex digits of the fingerprint's hash. */
  readonly id: string;
  readonly fingerprint: string;
  readonly rule: { readonly id: string; readonly version: number; readonly title: string };
  readonly severity: Severity;
  readonly confidence: Confidence;
  readonly status: FindingStatus;
  readonly summary: string;
  readonly subject: { readonly kind: string; readonly id: string };
  readonly operation: string | null;
  readonly principal: string | null;
  readonly firstSeen: string;
  readonly detectableAt: string;
  readonly raisedAt: string;
  readonly lastSeen: string;
  readonly dwellMs: number;
  readonly count: number;
  readonly records: number;
  readonly traceIds: readonly string[];
}

export interface FindingDetail extends FindingView {
  /** Grows with every change of the stored finding; operational, the only part that depends on how spans arrived. */
  readonly revision: number;
  readonly episodes: number;
  readonly explanation: string;
  readonly key: readonly { readonly field: string; readonly value: string }[];
  readonly evidence: {
    readonly traceId: string;
    readonly entrySpanId: string;
    readonly spans: readonly EvidenceSpan[];
    readonly measures: readonly { readonly clause: string; readonly observed: string }[];
    readonly baseline: null;
  } | null;
  readonly ruleDetail: {
    readonly status: string;
    readonly hash: string;
    readonly engineVersion: number;
    readonly tags: readonly string[];
  };
  readonly responseAdvice: readonly string[];
  readonly suggestedRateLimit: null;
  readonly triage: {
    readonly reason: ArchiveReason | null;
    readonly until: string | null;
    readonly note: string | null;
    readonly changedAt: string | null;
  };
  readonly history: readonly AuditView[];
}

export interface AuditView {
  readonly entry: number;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly change: Readonly<Record<string, string | null>>;
}

export interface OperationView {
  readonly id: string;
  readonly service: string;
  readonly style: ApiStyle;
  readonly method: string;
  readonly route: string;
  readonly exposure: Exposure;
  /** Calls per observed exposure, the reason for `exposure`. */
  readonly exposures: readonly { readonly exposure: string; readonly calls: number }[];
  readonly authn: AuthnView;
  readonly dataTypes: readonly string[];
  readonly dataFlows: readonly {
    readonly type: string;
    readonly direction: 'request' | 'response';
    readonly calls: number;
    readonly records: number;
  }[];
  readonly versions: readonly string[];
  readonly callers: readonly string[];
  readonly documented: null;
  readonly state: null;
  readonly risk: { readonly score: number; readonly reasons: readonly RiskReason[] };
  readonly calls: number;
  readonly errors: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
}

export type Exposure = 'external' | 'partner' | 'third-party' | 'internal' | 'unknown';

export interface AuthnView {
  /** `not observed` is no "no": nothing on this operation's calls says which credential they carried. */
  readonly state: 'authenticated' | 'mixed' | 'none' | 'not observed';
  readonly schemes: readonly { readonly scheme: string; readonly calls: number }[];
  readonly verified: readonly { readonly verified: string; readonly calls: number }[];
}

export interface RiskReason {
  readonly factor: string;
  /** By how much the score falls without this factor. */
  readonly points: number;
}

export interface CallGraphView {
  readonly nodes: readonly {
    readonly id: string;
    readonly kind: NodeKind;
    readonly name: string;
    /** Service of an operation, null elsewhere. */
    readonly service: string | null;
  }[];
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    readonly kind: 'service' | 'operation';
    readonly fromKind: NodeKind;
    readonly toKind: NodeKind;
    readonly calls: number;
    readonly errors: number;
    readonly dataTypes: readonly { readonly type: string; readonly records: number }[];
    readonly firstSeen: string;
    readonly lastSeen: string;
  }[];
  /** True when a limit left edges out; the ones with most calls were kept. */
  readonly truncated: boolean;
}

/** Integer microseconds since the Unix epoch as RFC 3339 UTC with milliseconds. */
export function toRfc3339(us: number): string {
  return new Date(Math.floor(us / 1000)).toISOString();
}
