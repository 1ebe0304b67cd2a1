import { DERIVED_FIELD_COUNT, Field, type FieldKey } from '@spanwarden/rules';
import { describe, expect, it } from 'vitest';
import { standardEnrichers } from './standard.ts';

const enrichers = standardEnrichers({ estate: { ownHosts: [], exposures: [] } });
/** Fields that a hop computes from its span or place alone. */
const INTRINSIC = 8;

describe('the standard enrichers', () => {
  it('read only what an earlier one wrote', () => {
    const written = new Set<string>();
    for (const { name, reads, writes } of enrichers) {
      for (const field of reads) expect(written, `${name} reads ${field}`).toContain(field);
      for (const field of writes) written.add(field);
    }
  });

  it('write each field once, and every derived field that there is', () => {
    const writes = enrichers.flatMap((enricher) => enricher.writes);
    expect(new Set(writes).size).toBe(writes.length);
    const derived = (Object.keys(Field) as FieldKey[]).filter(
      (key) => Field[key] >= INTRINSIC && Field[key] < DERIVED_FIELD_COUNT,
    );
    expect(writes).toEqual(expect.arrayContaining(derived));
  });

  it('each say why they stand where they stand', () => {
    for (const { because } of enrichers) expect(because.length).toBeGreaterThan(10);
  });
});
