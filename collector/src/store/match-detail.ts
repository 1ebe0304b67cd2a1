import type { EvidenceSpan, MatchDelta } from '../base/outcome.ts';

/** What is kept of a match to be shown, one JSON text; kept for the earliest matches of a finding only. */
export interface MatchDetail {
  readonly explanation: string;
  readonly principal: string | null;
  readonly operation: string | null;
  readonly key: readonly (readonly [field: string, value: string])[];
  readonly clauses: readonly { readonly clause: string; readonly observed: string }[];
  readonly spans: readonly EvidenceSpan[];
}

export function toDetail({ match, evidence }: MatchDelta): MatchDetail {
  const { explanation, principal, operation, key, clauses } = match;
  return {
    explanation,
    principal: principal ?? null,
    operation: operation ?? null,
    key,
    clauses,
    spans: evidence,
  };
}

/** Kinds of subject by the dedup key field that names them, the most telling first. */
const SUBJECT_FIELDS: readonly (readonly [field: string, kind: string])[] = [
  ['apisec.principal.id', 'principal'],
  ['user.hash', 'principal'],
  ['session.id', 'session'],
  ['client.address', 'client'],
  ['apisec.endpoint', 'operation'],
  ['apisec.operation', 'operation'],
  ['service.name', 'service'],
];
const UNKNOWN = 'unknown';

/** Who or what a finding is about: the principal when known, else the best that the dedup key names. */
export function toSubject({ key, principal, operation }: MatchDetail): { readonly kind: string; readonly id: string } {
  const named = (wanted: string): string | undefined => {
    const value = key.find(([field]) => field === wanted)?.[1];
    return value === undefined || value === UNKNOWN ? undefined : value;
  };
  for (const [field, kind] of SUBJECT_FIELDS) {
    if (kind !== 'principal' && principal !== null) break;
    const id = named(field);
    if (id !== undefined) return { kind, id };
  }
  if (principal !== null) return { kind: 'principal', id: principal };
  if (operation !== null) return { kind: 'operation', id: operation };
  return { kind: UNKNOWN, id: UNKNOWN };
}
