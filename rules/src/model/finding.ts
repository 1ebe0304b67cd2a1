/** How bad, if true: Sigma's words. */
export type Level = 'info' | 'low' | 'medium' | 'high' | 'critical';
/** How mature the rule is; an experimental rule's findings are stored but not notified. */
export type Maturity = 'experimental' | 'test' | 'stable' | 'deprecated';

/** What a finding says of the rule that made it. */
export interface RuleRef {
  readonly id: string;
  readonly version: number;
  readonly engineVersion: number;
  readonly title: string;
  readonly level: Level;
  readonly status: Maturity;
  /** SHA-256, hex, of the canonical rule with the lists, exceptions and overrides in force. */
  readonly hash: string;
  readonly tags: readonly string[];
  readonly respond: readonly string[];
}

/** A hop that the rule saw, with the names it was bound to; an empty list marks a span that only connects others. */
export interface EvidenceHop {
  /** Position in `CallPath.hops`. */
  readonly hop: number;
  readonly roles: readonly string[];
}

/** One rule's "yes" about one call path, before it is merged into a finding. */
export interface RuleMatch {
  readonly rule: RuleRef;
  /** `v1:` + SHA-256 hex of rule id and dedup key values. */
  readonly fingerprint: string;
  /** Dedup key: field name and its printed value, "unknown" when absent. */
  readonly key: readonly (readonly [field: string, value: string])[];
  /** At most 20 hops, connected, ordered as in the call path. */
  readonly evidence: readonly EvidenceHop[];
  /** One sentence in which the rule's `explain` template is filled in, or the question as a statement. */
  readonly explanation: string;
  /** Clauses and the observed values that met them, values already safe to show. */
  readonly clauses: readonly { readonly clause: string; readonly observed: string }[];
  /** Milliseconds of silence after which a repeat starts a new episode. */
  readonly windowMs: number;
  /** Event time in microseconds when the rule's condition was met: the latest end of a bound hop. */
  readonly eventUs: number;
  /** `apisec.principal.id` of the principal that the match is about, when known. */
  readonly principal: string | undefined;
  /** `apisec.endpoint` of the entry hop, when known. */
  readonly operation: string | undefined;
  /** Records that the matched hops answered or read, 0 when not observed. */
  readonly records: number;
}
