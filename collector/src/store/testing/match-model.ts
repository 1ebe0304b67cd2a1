import type { MatchDelta } from '../../base/outcome.ts';
import { toRfc3339 } from '../views.ts';

/**
 * What findings have to look like, computed from scratch from the matches that are left: no signs, no order, no SQL.
 */
export interface ModelFinding {
  readonly fingerprint: string;
  readonly count: number;
  readonly records: number;
  readonly episodes: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly detectableAt: string;
  readonly dwellMs: number;
  readonly traceIds: readonly string[];
  readonly summary: string;
  readonly principal: string | null;
  readonly evidenceTraceId: string;
}

const compare = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0);

function byPlace(a: MatchDelta, b: MatchDelta): number {
  return (
    compare(a.match.eventUs, b.match.eventUs) || compare(a.traceId, b.traceId) || compare(a.entrySpanId, b.entrySpanId)
  );
}

/** @param left at most one match per call path and fingerprint */
export function toModelFindings(left: readonly MatchDelta[]): ModelFinding[] {
  const groups = new Map<string, MatchDelta[]>();
  for (const delta of left) {
    const group = groups.get(delta.match.fingerprint) ?? [];
    group.push(delta);
    groups.set(delta.match.fingerprint, group);
  }
  return [...groups].map(([fingerprint, group]) => toModelFinding(fingerprint, group.sort(byPlace)));
}

function toModelFinding(fingerprint: string, sorted: readonly MatchDelta[]): ModelFinding {
  const times = sorted.map(({ match }) => match.eventUs);
  const gaps = sorted.slice(1).filter(({ match }, i) => match.eventUs - times[i]! > match.windowMs * 1000);
  const head = sorted[0]!;
  return {
    fingerprint,
    count: sorted.length,
    records: sorted.reduce((sum, { match }) => sum + match.records, 0),
    episodes: gaps.length + 1,
    firstSeen: toRfc3339(times[0]!),
    lastSeen: toRfc3339(times.at(-1)!),
    detectableAt: toRfc3339(head.pathEventUs),
    dwellMs: Math.floor((times.at(-1)! - times[0]!) / 1000),
    traceIds: toTraceIds(sorted.map(({ traceId }) => traceId)),
    summary: head.match.explanation,
    principal: head.match.principal ?? null,
    evidenceTraceId: head.traceId,
  };
}

function toTraceIds(ids: readonly string[]): string[] {
  const front = [...new Set(ids)].slice(0, 10);
  const back = [...new Set([...ids].reverse())].slice(0, 10);
  return [...front, ...back.filter((id) => !front.includes(id)).reverse()];
}
