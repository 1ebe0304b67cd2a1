import { DATA_TYPE_CLASSES } from '@spanwarden/instrumentation/data-types';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RiskFacts, SENSITIVITY, toRisk } from './risk.ts';

const QUIET: RiskFacts = {
  external: false,
  unauthenticated: false,
  weaklyAuthenticated: false,
  dataTypes: [],
  recordsPerDay: 0,
  writes: false,
};
const TYPES = ['email', 'us_ssn', 'us-ssn', 'payment_card', 'person_name', 'something_new'];

describe('the risk of an operation', () => {
  it.each([
    ['a health check', { ...QUIET, external: true, unauthenticated: true }, 18],
    ['an internal lookup of names', { ...QUIET, dataTypes: ['person_name'] }, 0],
    ['a public profile', { ...QUIET, external: true, dataTypes: ['email', 'person_name'], recordsPerDay: 1000 }, 42],
    [
      'social security numbers for anybody',
      { ...QUIET, external: true, unauthenticated: true, dataTypes: ['us_ssn'] },
      90,
    ],
    [
      'passwords sent with each call',
      { ...QUIET, external: true, weaklyAuthenticated: true, dataTypes: ['email'] },
      46,
    ],
  ])('of %s', (_name, facts, score) => {
    expect(toRisk(facts).score).toBe(score);
  });

  it('names each factor with what the score loses without it', () => {
    expect(toRisk({ ...QUIET, external: true, unauthenticated: true, dataTypes: ['us_ssn'], writes: true })).toEqual({
      score: 90,
      reasons: [
        { factor: 'sensitive-data', points: 51 },
        { factor: 'unauthenticated', points: 35 },
        { factor: 'external', points: 27 },
      ],
    });
  });

  it('weighs every data type that is recognised', () => {
    expect([...SENSITIVITY.keys()].sort()).toEqual([...DATA_TYPE_CLASSES.keys()].sort());
  });

  it('reads a data type with hyphens as the same one', () => {
    const of = (type: string) => toRisk({ ...QUIET, external: true, dataTypes: [type] }).score;
    expect(of('us-ssn')).toBe(of('us_ssn'));
  });

  it('lies between 0 and 100 and never falls when something is worse', () => {
    const facts = fc.record({
      external: fc.boolean(),
      unauthenticated: fc.boolean(),
      weaklyAuthenticated: fc.boolean(),
      dataTypes: fc.uniqueArray(fc.constantFrom(...TYPES)),
      recordsPerDay: fc.double({ min: 0, max: 1e9, noNaN: true }),
      writes: fc.boolean(),
    });
    fc.assert(
      fc.property(facts, (given) => {
        const { score } = toRisk(given);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100);
        const worse: RiskFacts[] = [
          { ...given, external: true },
          { ...given, unauthenticated: true },
          { ...given, weaklyAuthenticated: true },
          { ...given, dataTypes: [...given.dataTypes, 'secret'] },
          { ...given, recordsPerDay: given.recordsPerDay * 10 + 1 },
          { ...given, writes: true },
        ];
        for (const other of worse) expect(toRisk(other).score).toBeGreaterThanOrEqual(score);
      }),
    );
  });
});
