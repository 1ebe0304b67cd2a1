import type { StoreDelta } from '../../base/outcome.ts';
import { findingIdOf, SECOND_US, START_US, toDelta, toEdge, toMatch, toOperation } from '../../store/testing/deltas.ts';

/** Enough of everything that each filter has something to choose and each list has several pages. */

export const FINDINGS = 60;
export const OPERATIONS = 40;
export const FIRST_ID = findingIdOf(1);
const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;

export const sampleEstate: StoreDelta = toDelta({
  matches: Array.from({ length: FINDINGS }, (_, i) =>
    toMatch({
      fingerprint: 1 + i,
      trace: 1 + i,
      // pairs with one time, so that pages have to break ties
      eventUs: START_US + Math.floor(i / 2) * 60 * SECOND_US,
      rule: i % 3 === 0 ? 'access/principal-swap' : 'exposure/unauthenticated-sensitive-read',
      level: SEVERITIES[i % 4]!,
      principal: i % 5 === 0 ? undefined : `principal-${i % 5}`,
      operation: `accounts GET /v1/${i % 6}`,
    }),
  ),
  operations: Array.from({ length: OPERATIONS }, (_, i) =>
    toOperation(i, {
      service: i % 2 === 0 ? 'accounts' : 'orders',
      style: i % 4 === 0 ? 'graphql' : 'rest',
      method: i % 3 === 0 ? 'POST' : 'GET',
      firstUs: START_US + i * 60 * SECOND_US,
      lastUs: START_US + i * 60 * SECOND_US,
      facets: [
        { facet: 'exposure', value: ['external', 'internal', 'partner'][i % 3]!, calls: 1, records: 0 },
        ...(i % 4 === 1 ? [] : [{ facet: 'authn', value: ['none', 'bearer'][i % 2]!, calls: 1, records: 0 }]),
        ...(i % 5 === 0 ? [{ facet: 'response-type', value: 'email', calls: 1, records: 20 }] : []),
        ...(i % 7 === 0 ? [{ facet: 'request-type', value: 'us_ssn', calls: 1, records: 1 }] : []),
        { facet: 'verified', value: 'no', calls: 1, records: 0 },
        { facet: 'version', value: '1.2.0', calls: 1, records: 0 },
        { facet: 'caller', value: 'gateway', calls: 1, records: 0 },
      ],
    }),
  ),
  edges: [
    toEdge('gateway', 'accounts', { calls: 20, dataTypes: [{ type: 'email', records: 4 }] }),
    toEdge('accounts', 'pg-customers', {
      toKind: 'store',
      calls: 20,
      firstUs: START_US + 3_600 * SECOND_US,
      lastUs: START_US + 3_600 * SECOND_US,
    }),
    toEdge('0000000000000001', '0000000000000002', { level: 'operation', fromKind: 'operation', toKind: 'operation' }),
  ],
});
