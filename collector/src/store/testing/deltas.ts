import type { EdgeDelta, MatchDelta, OperationDelta, StoreDelta } from '../../base/outcome.ts';

/** Small deltas for tests: every part has a default, a test states what it is about. */

export const START_US = Date.UTC(2026, 0, 5, 8) * 1000;
export const SECOND_US = 1_000_000;
export const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

export interface MatchParts {
  readonly sign?: 1 | -1;
  /** Fingerprints, traces and entries are numbered. */
  readonly fingerprint?: number;
  readonly trace?: number;
  readonly entry?: number;
  readonly eventUs?: number;
  readonly pathEventUs?: number;
  readonly records?: number;
  readonly windowMs?: number;
  readonly explanation?: string;
  readonly principal?: string | undefined;
  readonly operation?: string | undefined;
  readonly rule?: string;
  readonly level?: 'info' | 'low' | 'medium' | 'high' | 'critical';
  readonly status?: 'experimental' | 'test' | 'stable' | 'deprecated';
}

export const fingerprintOf = (number: number): string => `v1:${hex(number, 4).repeat(16)}`;
export const findingIdOf = (number: number): string => `F-${hex(number, 4).repeat(3)}`;

export function toMatch(parts: MatchParts): MatchDelta {
  const eventUs = parts.eventUs ?? START_US;
  const sign = parts.sign ?? 1;
  const principal = 'principal' in parts ? parts.principal : 'QdH5CAWJgqVT4rOr0qtumf';
  const operation = 'operation' in parts ? parts.operation : 'accounts GET /v1/{id}/lines';
  const rule = parts.rule ?? 'exposure/unauthenticated-sensitive-read';
  return {
    sign,
    traceId: hex(parts.trace ?? 1, 32),
    entrySpanId: hex(parts.entry ?? 1, 16),
    pathEventUs: parts.pathEventUs ?? eventUs,
    match: {
      rule: {
        id: rule,
        version: 1,
        engineVersion: 1,
        title: `Title of ${rule}`,
        level: parts.level ?? 'high',
        status: parts.status ?? 'experimental',
        hash: hex(rule.length, 64),
        tags: ['owasp.api2-2023'],
        respond: ['Require a credential'],
      },
      fingerprint: fingerprintOf(parts.fingerprint ?? 1),
      key: [
        ['apisec.principal.id', principal ?? 'unknown'],
        ['apisec.endpoint', operation ?? 'unknown'],
      ],
      evidence: [{ hop: 0, roles: ['entry'] }],
      explanation: parts.explanation ?? 'read without a credential',
      clauses: [{ clause: 'apisec.auth.scheme: none', observed: 'none' }],
      windowMs: parts.windowMs ?? 3_600_000,
      eventUs,
      principal,
      operation,
      records: parts.records ?? 1,
    },
    evidence:
      sign === -1
        ? []
        : [
            {
              spanId: hex(parts.entry ?? 1, 16),
              parentSpanId: '',
              service: 'accounts',
              kind: 'server',
              name: 'GET /v1/{id}/lines',
              operation: operation ?? '',
              roles: ['entry'],
              startUnixUs: eventUs - 1000,
              durationUs: 1000,
              status: 'unset',
              attributes: { 'apisec.auth.scheme': 'none' },
            },
          ],
  };
}

export function toOperation(number: number, parts: Partial<OperationDelta> = {}): OperationDelta {
  return {
    id: hex(number, 16),
    service: 'accounts',
    style: 'rest',
    method: 'GET',
    route: `/v1/${number}`,
    calls: 1,
    errors: 0,
    firstUs: START_US,
    lastUs: START_US,
    facets: [],
    ...parts,
  };
}

export function toEdge(from: string, to: string, parts: Partial<EdgeDelta> = {}): EdgeDelta {
  return {
    level: 'service',
    from,
    fromKind: 'service',
    to,
    toKind: 'service',
    calls: 1,
    errors: 0,
    firstUs: START_US,
    lastUs: START_US,
    dataTypes: [],
    ...parts,
  };
}

export function toDelta(parts: Partial<StoreDelta> = {}): StoreDelta {
  return {
    operations: [],
    edges: [],
    matches: [],
    unknowns: [],
    traceMarks: [],
    checkpoint: { nextOffset: 0, horizonOffset: 0, openTraces: new Uint8Array() },
    ...parts,
  };
}
