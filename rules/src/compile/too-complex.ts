import type { CallPath } from '../model/call-path.ts';
import { ENGINE_VERSION } from '../model/engine-version.ts';
import { Field } from '../model/field.ts';
import type { RuleMatch, RuleRef } from '../model/finding.ts';
import { fingerprintOf } from './build-match.ts';
import { entryOf, serviceOf } from './entry.ts';
import { JOIN_LIMITS } from './run.ts';
import { sha256Hex } from './sha256.ts';

/** Built in: a caller could hide behind a call path that is too large to search, so that is a finding itself. */
export const TOO_COMPLEX: RuleRef = {
  id: 'engine/trace-too-complex',
  version: 1,
  engineVersion: ENGINE_VERSION,
  title: 'Call path too complex to answer',
  level: 'medium',
  status: 'stable',
  hash: sha256Hex(`engine/trace-too-complex ${JSON.stringify(JOIN_LIMITS)}`),
  tags: ['owasp.api4-2023'],
  respond: ['Look at the call path by hand', 'Bound how many calls one request of this endpoint may cause'],
};

const DAY_MS = 86_400_000;

/** The finding that rules gave up on a call path; `rules` are their ids. */
export function tooComplexMatch(path: CallPath, rules: readonly string[]): RuleMatch {
  const entry = entryOf(path);
  const principal = entry.field(Field.principalId);
  const endpoint = entry.field(Field.endpoint);
  const key = [
    ['apisec.principal.id', typeof principal === 'string' ? principal : 'unknown'],
    ['apisec.endpoint', typeof endpoint === 'string' ? endpoint : 'unknown'],
  ] as const;
  const who = typeof principal === 'string' ? `principal ${principal}` : 'an unknown principal';
  const where = typeof endpoint === 'string' ? endpoint : serviceOf(entry);
  const visits = JOIN_LIMITS.visitsMax;
  return {
    rule: TOO_COMPLEX,
    fingerprint: fingerprintOf(TOO_COMPLEX.id, key),
    key,
    evidence: [{ hop: entry.index, roles: ['entry'] }],
    explanation:
      `A call by ${who} through ${where} made ${path.hops.length} spans; ` +
      `${rules.join(', ')} gave up after ${visits} candidates and cannot say what happened in it.`,
    clauses: rules.map((rule) => ({
      clause: `${rule}: at most ${visits} candidates`,
      observed: `more than ${visits}`,
    })),
    windowMs: DAY_MS,
    eventUs: path.eventUs,
    principal: typeof principal === 'string' ? principal : undefined,
    operation: typeof endpoint === 'string' ? endpoint : undefined,
    records: 0,
  };
}
