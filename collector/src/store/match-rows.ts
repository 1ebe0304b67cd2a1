import { createHash } from 'node:crypto';
import type { MatchDelta } from '../base/outcome.ts';

/**
 * Signed matches of one delta in, one net sum per (finding, call path, content) out; nothing is read or written here.
 *
 * The content digest tells the revisions of one call path's match apart, so that a withdrawal cancels the very match it
 * means, in whatever order both arrive. Evidence spans are left out of it: withdrawals carry none.
 */

export interface NetMatch {
  readonly traceId: Buffer;
  readonly entrySpanId: Buffer;
  readonly content: Buffer;
  net: number;
  /** The delta to take what is shown from: the last one with sign 1, else the last. */
  delta: MatchDelta;
}

/** The call path's matches of one fingerprint, sorted; key is trace id and entry span id. */
export interface NetFinding {
  readonly fingerprint: string;
  readonly paths: readonly (readonly NetMatch[])[];
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export function toNetFindings(matches: readonly MatchDelta[]): NetFinding[] {
  const findings = new Map<string, Map<string, Map<string, NetMatch>>>();
  for (const delta of matches) {
    const paths = entryOf(findings, delta.match.fingerprint);
    const contents = entryOf(paths, delta.traceId + delta.entrySpanId);
    const content = contentOf(delta);
    const key = content.toString('latin1');
    const known = contents.get(key);
    if (known === undefined) {
      const traceId = Buffer.from(delta.traceId, 'hex');
      const entrySpanId = Buffer.from(delta.entrySpanId, 'hex');
      contents.set(key, { traceId, entrySpanId, content, net: delta.sign, delta });
    } else {
      known.net += delta.sign;
      if (delta.sign === 1 || known.delta.sign === -1) known.delta = delta;
    }
  }
  return [...findings]
    .sort(([a], [b]) => byText(a, b))
    .map(([fingerprint, paths]) => ({
      fingerprint,
      paths: [...paths].sort(([a], [b]) => byText(a, b)).map(([, contents]) => [...contents.values()]),
    }));
}

function entryOf<V>(map: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let entry = map.get(key);
  if (entry === undefined) {
    entry = new Map();
    map.set(key, entry);
  }
  return entry;
}

function contentOf({ pathEventUs, match }: MatchDelta): Buffer {
  const { rule, evidence, explanation, clauses, windowMs, eventUs, principal, operation, records } = match;
  const facts = [
    rule.hash,
    eventUs,
    pathEventUs,
    windowMs,
    records,
    principal ?? null,
    operation ?? null,
    explanation,
    clauses.map(({ clause, observed }) => [clause, observed]),
    evidence.map(({ hop, roles }) => [hop, roles]),
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest().subarray(0, 16);
}
