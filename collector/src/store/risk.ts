import type { RiskReason } from './views.ts';

/**
 * What is known of an operation in, a risk score from 0 to 100 with its reasons out; unknown never counts as bad.
 *
 * R = 100 sqrt(L I). Likelihood L = 1 - prod(1 - w) over the factors that hold. Impact
 * I = 1 - (1-s)(1 - .1 [3+ data types])(1 - .25 min(1,2s) v)(1 - .2 [writes]), with s the highest sensitivity of the
 * data types it returns or takes and v = min(1, log10(1 + records/day) / 7). An operation that strangers reach without a
 * credential and that returns highly sensitive data scores 90 at least. The weights are judgement, not calibrated.
 */
export interface RiskFacts {
  readonly external: boolean;
  /** Calls without a credential were seen. */
  readonly unauthenticated: boolean;
  /** Credentials were sent that nothing verified, or passwords with each call. */
  readonly weaklyAuthenticated: boolean;
  readonly dataTypes: readonly string[];
  readonly recordsPerDay: number;
  readonly writes: boolean;
}

const LIKELIHOOD = { unauthenticated: 0.45, external: 0.35, weaklyAuthenticated: 0.2 } as const;
const SENSITIVITY_NONE = 0.05;
/** Of a data type that the table does not know. */
const SENSITIVITY_UNKNOWN = 0.3;
export const SENSITIVITY: ReadonlyMap<string, number> = new Map([
  ['ip_address', 0.25],
  ['person_name', 0.3],
  ['postal_code', 0.3],
  ['email', 0.45],
  ['phone', 0.45],
  ['street_address', 0.5],
  ['date_of_birth', 0.5],
  ['iban', 0.7],
  ['bank_account', 0.7],
  ['us_ssn', 0.85],
  ['passport', 0.85],
  ['driver_license', 0.85],
  ['payment_card', 0.85],
  ['medical_record_number', 0.85],
  ['diagnosis', 0.85],
  ['card_verification', 0.95],
  ['jwt', 0.95],
  ['password', 0.95],
  ['secret', 0.95],
]);
const HIGHLY_SENSITIVE = 0.8;
const FLOOR_OPEN_AND_SENSITIVE = 90;

export function toRisk(facts: RiskFacts): { readonly score: number; readonly reasons: readonly RiskReason[] } {
  const full = score(facts);
  const without: readonly (readonly [factor: string, facts: RiskFacts])[] = [
    ['unauthenticated', { ...facts, unauthenticated: false }],
    ['external', { ...facts, external: false }],
    ['weak-authentication', { ...facts, weaklyAuthenticated: false }],
    ['sensitive-data', { ...facts, dataTypes: [] }],
    ['volume', { ...facts, recordsPerDay: 0 }],
    ['writes', { ...facts, writes: false }],
  ];
  const reasons = without
    .map(([factor, less]) => ({ factor, points: Math.round(full) - Math.round(score(less)) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points);
  return { score: Math.round(full), reasons };
}

function score(facts: RiskFacts): number {
  let unlikely = 1;
  for (const factor of ['unauthenticated', 'external', 'weaklyAuthenticated'] as const) {
    if (facts[factor]) unlikely *= 1 - LIKELIHOOD[factor];
  }
  const sensitivity = Math.max(SENSITIVITY_NONE, ...facts.dataTypes.map(sensitivityOf));
  const volume = Math.min(1, Math.log10(1 + Math.max(0, facts.recordsPerDay)) / 7);
  const harmless =
    (1 - sensitivity) *
    (facts.dataTypes.length >= 3 ? 0.9 : 1) *
    (1 - 0.25 * Math.min(1, 2 * sensitivity) * volume) *
    (facts.writes ? 0.8 : 1);
  const risk = 100 * Math.sqrt((1 - unlikely) * (1 - harmless));
  const isOpen = facts.unauthenticated && facts.external && sensitivity >= HIGHLY_SENSITIVE;
  return isOpen ? Math.max(FLOOR_OPEN_AND_SENSITIVE, risk) : risk;
}

function sensitivityOf(type: string): number {
  return SENSITIVITY.get(type.replaceAll('-', '_')) ?? SENSITIVITY_UNKNOWN;
}
