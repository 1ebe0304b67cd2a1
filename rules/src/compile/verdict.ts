/** Three-valued answer, ordered so that AND is the least and OR the greatest. */
export type Verdict = 0 | 1 | 2;
export const NO: Verdict = 0;
export const UNKNOWN: Verdict = 1;
export const YES: Verdict = 2;

/**
 * Which reading of a condition: `STRICT` accepts only what is certain, `GENEROUS` what is possible. The number is the
 * least verdict that passes. Under a negation the other one applies.
 */
export type Reading = 1 | 2;
export const STRICT: Reading = 2;
export const GENEROUS: Reading = 1;

export function opposite(reading: Reading): Reading {
  return reading === STRICT ? GENEROUS : STRICT;
}
