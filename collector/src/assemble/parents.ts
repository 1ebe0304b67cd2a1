import { KIND_CONSUMER } from '../base/batch.ts';
import type { MissingParent } from '../base/trace.ts';
import { FROM_OUTSIDE, type SortedSpans } from './sorted-spans.ts';

/** OTLP span flags: whether the parent's process is known, and whether it is another one. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** Who called whom: every span has at most one parent, and following parents always ends at a root. */
export interface Parents {
  /** Position of the parent, -1 for a root. */
  readonly parent: Int32Array;
  /** Roots that were part of a cycle. */
  readonly cycleRoots: ReadonlySet<number>;
}

/**
 * Finds each span's parent by ids alone: clocks may lie. A cycle is broken at its first span in (start, span id).
 *
 * A serving span whose caller is outside of the estate stays a root even if the span it names did arrive: the name came
 * from that caller, who must not be able to hang a request under somebody else's.
 */
export function findParents(spans: SortedSpans): Parents {
  const parent = new Int32Array(spans.count);
  for (let i = 0; i < spans.count; i++) parent[i] = parentOf(spans, i);
  return { parent, cycleRoots: breakCycles(parent) };
}

function parentOf(spans: SortedSpans, i: number): number {
  if (spans.marks[i]! & FROM_OUTSIDE) return -1;
  if (spans.hasSharedIds) {
    const half = spans.callingHalf(i);
    if (half !== -1) return half;
  }
  const p0 = spans.parentId[2 * i]!;
  const p1 = spans.parentId[2 * i + 1]!;
  if (p0 !== 0 || p1 !== 0) {
    const found = spans.hasSharedIds ? spans.parentOf(i, p0, p1) : spans.find(p0, p1);
    // A span that names itself is a cycle of one.
    if (found !== -1) return found;
    if (p0 === spans.spanId[2 * i] && p1 === spans.spanId[2 * i + 1]) return i;
  }
  return spans.kind[i] === KIND_CONSUMER ? linkedParent(spans, i) : -1;
}

/** What a consumer with exactly one link was started by, if that is in the same trace. Several links mean a batch. */
function linkedParent(spans: SortedSpans, i: number): number {
  const batch = spans.batch[i]!;
  const row = spans.row[i]!;
  const link = batch.linkFrom[row]!;
  if (batch.linkFrom[row + 1]! - link !== 1) return -1;
  for (let word = 0; word < 4; word++) {
    if (batch.linkTraceId[4 * link + word] !== batch.traceId[4 * row + word]) return -1;
  }
  return spans.parentOf(i, batch.linkSpanId[2 * link]!, batch.linkSpanId[2 * link + 1]!);
}

function breakCycles(parent: Int32Array): Set<number> {
  const roots = new Set<number>();
  /** 1 + the span from which it was first walked over, 0 when not yet. */
  const walk = new Int32Array(parent.length);
  for (let i = 0; i < parent.length; i++) {
    let at = i;
    while (at !== -1 && walk[at] === 0) {
      walk[at] = i + 1;
      at = parent[at]!;
    }
    if (at === -1 || walk[at] !== i + 1) continue;
    let first = at;
    for (let j = parent[at]!; j !== at; j = parent[j]!) if (j < first) first = j;
    parent[first] = -1;
    roots.add(first);
  }
  return roots;
}

/** Why `root` has no parent. */
export function missingParentOf(spans: SortedSpans, root: number, isCycleRoot: boolean): MissingParent {
  if (isCycleRoot || (spans.parentId[2 * root] === 0 && spans.parentId[2 * root + 1] === 0)) return 'none';
  if (spans.marks[root]! & FROM_OUTSIDE) return 'outside';
  const flags = spans.batch[root]!.flags[spans.row[root]!]!;
  if ((flags & HAS_IS_REMOTE) === 0) return 'unknown';
  return (flags & IS_REMOTE) !== 0 ? 'remote' : 'local';
}
