import type { CallPath, Hop } from '../model/call-path.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** Clocks of two hosts are never trusted to agree better than this. */
const SKEW_US_MIN = 100_000;

/**
 * Did `b` start at or after the end of `a`? In this order: (1) timestamps of one clock; (2) the two branches below the
 * lowest common ancestor, if one clock timed their first spans; (3) timestamps further apart than the estimated skew;
 * else unknown. Between ancestor and descendant only (1) can say. `onSteps` hears how many hops were walked.
 */
export function startsAfter(path: CallPath, a: number, b: number, onSteps: (steps: number) => void): Verdict {
  if (a === b) {
    return NO;
  }
  const { hops } = path;
  const first = hops[a]!;
  const second = hops[b]!;
  if (isOneClock(first, second)) {
    return second.startUs >= first.endUs ? YES : NO;
  }
  const branches = branchesBelow(hops, first, second, onSteps);
  if (branches === undefined) {
    return UNKNOWN;
  }
  const [ofFirst, ofSecond] = branches;
  if (isOneClock(ofFirst, ofSecond)) {
    return ofSecond.startUs >= ofFirst.endUs ? YES : NO;
  }
  const gapUs = second.startUs - first.endUs;
  if (Math.abs(gapUs) <= Math.max(SKEW_US_MIN, path.skewUs(a, b))) {
    return UNKNOWN;
  }
  return gapUs > 0 ? YES : NO;
}

function isOneClock(a: Hop, b: Hop): boolean {
  return a.clock !== '' && a.clock === b.clock;
}

/** The ancestors-or-selves of both that share a parent; undefined when one hop is above the other. */
function branchesBelow(
  hops: readonly Hop[],
  a: Hop,
  b: Hop,
  onSteps: (steps: number) => void,
): readonly [Hop, Hop] | undefined {
  let steps = 0;
  let [left, right] = [a, b];
  while (left.depth > right.depth) {
    left = hops[left.parent]!;
    steps++;
  }
  while (right.depth > left.depth) {
    right = hops[right.parent]!;
    steps++;
  }
  const isLine = left === right;
  while (!isLine && left.parent !== right.parent) {
    left = hops[left.parent]!;
    right = hops[right.parent]!;
    steps++;
  }
  onSteps(steps);
  return isLine ? undefined : [left, right];
}
