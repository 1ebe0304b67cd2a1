import type { Completeness } from '@spanwarden/rules';
import type { SpanBatch } from '../base/batch.ts';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import type { MissingParent, PathTree, TraceRevision } from '../base/trace.ts';
import { ClockSkew } from './clock-skew.ts';
import { Answers, toCompleteness } from './completeness.ts';
import { findParents, missingParentOf } from './parents.ts';
import { SortedSpans } from './sorted-spans.ts';

export interface PathSettings {
  /** Spans of one call path that are judged; the rest is counted. */
  readonly traceSpansMax: number;
  /** `host:port` or `host` of services that send spans: a call to one that has no server span is incomplete. */
  readonly coveredHosts: ReadonlySet<string>;
}

const DEFAULT_SETTINGS: PathSettings = { traceSpansMax: DEFAULT_LIMITS.traceSpansMax, coveredHosts: new Set() };

/**
 * One state of a trace in, its call paths out: one tree per span without an arrived parent, ordered by the root's (span
 * id, kind, service). A pure function of the set of spans and of how the trace closed; time and memory are linear in
 * the spans, but for sorting them.
 */
export function buildPaths(
  trace: Pick<TraceRevision, 'rows' | 'closedBy'>,
  settings: PathSettings = DEFAULT_SETTINGS,
): readonly PathTree[] {
  const spans = new SortedSpans(trace.rows);
  const { parent, cycleRoots } = findParents(spans);
  const forest = plantForest(parent);
  const answers = new Answers(spans, parent, settings.coveredHosts);
  return forest.roots
    .sort((a, b) => compareRoots(spans, a, b))
    .map((root) => {
      const members = forest.members[forest.treeOf[root]!]!;
      const tree = toTree(spans, parent, forest.depth, members, root, settings.traceSpansMax);
      const isCycle = cycleRoots.has(root);
      const missingParent = missingParentOf(spans, root, isCycle);
      const truncated = tree.hopCount < members.length;
      const completeness = toCompleteness(
        { spans, members, answers, closedBy: trace.closedBy, truncated },
        missingParent,
        isCycle,
      );
      return new Tree(tree, missingParent, completeness);
    });
}

interface TreeColumns {
  readonly batch: readonly SpanBatch[];
  readonly row: readonly number[];
  readonly hopCount: number;
  readonly root: number;
  readonly parent: readonly number[];
  readonly depth: readonly number[];
  readonly childCount: readonly number[];
  readonly topDown: readonly number[];
}

class Tree implements PathTree {
  readonly batch: readonly SpanBatch[];
  readonly row: readonly number[];
  readonly hopCount: number;
  readonly root: number;
  readonly parent: readonly number[];
  readonly depth: readonly number[];
  readonly childCount: readonly number[];
  readonly topDown: readonly number[];
  readonly missingParent: MissingParent;
  readonly completeness: Completeness;
  #skew: ClockSkew | undefined;

  constructor(columns: TreeColumns, missingParent: MissingParent, completeness: Completeness) {
    this.batch = columns.batch;
    this.row = columns.row;
    this.hopCount = columns.hopCount;
    this.root = columns.root;
    this.parent = columns.parent;
    this.depth = columns.depth;
    this.childCount = columns.childCount;
    this.topDown = columns.topDown;
    this.missingParent = missingParent;
    this.completeness = completeness;
  }

  skewUs(a: number, b: number): number {
    this.#skew ??= new ClockSkew(this);
    return this.#skew.betweenUs(a, b);
  }
}

interface Forest {
  /** Positions of the roots. */
  readonly roots: number[];
  /** Which tree a span is in: a position in `members`. */
  readonly treeOf: Int32Array;
  /** Spans of each tree, ascending. */
  readonly members: readonly (readonly number[])[];
  readonly depth: Int32Array;
}

/** Follows every span up to its root, without recursion: chains may be as long as a trace. */
function plantForest(parent: Int32Array): Forest {
  const count = parent.length;
  const depth = new Int32Array(count);
  const treeOf = new Int32Array(count).fill(-1);
  const roots: number[] = [];
  const members: number[][] = [];
  const walked: number[] = [];
  for (let i = 0; i < count; i++) {
    let at = i;
    while (treeOf[at] === -1 && parent[at] !== -1) {
      walked.push(at);
      at = parent[at]!;
    }
    if (treeOf[at] === -1) {
      treeOf[at] = roots.length;
      roots.push(at);
      members.push([]);
    }
    for (let child = walked.pop(); child !== undefined; child = walked.pop()) {
      treeOf[child] = treeOf[at]!;
      depth[child] = depth[at]! + 1;
      at = child;
    }
  }
  for (let i = 0; i < count; i++) members[treeOf[i]!]!.push(i);
  return { roots, treeOf, members, depth };
}

function toTree(
  spans: SortedSpans,
  parent: Int32Array,
  depth: Int32Array,
  members: readonly number[],
  root: number,
  hopsMax: number,
): TreeColumns {
  const isCut = members.length > hopsMax;
  const order = isCut ? cutOrder(spans, parent, depth, members, hopsMax) : members;
  const whole = order.length === spans.count && !isCut;
  const position = whole ? undefined : new Map<number, number>();
  if (position !== undefined) for (let i = 0; i < order.length; i++) position.set(order[i]!, i);
  const place = (span: number): number => (position === undefined ? span : position.get(span)!);
  const batch: SpanBatch[] = [];
  const row: number[] = [];
  const parents: number[] = [];
  const depths: number[] = [];
  const childCount: number[] = [];
  for (const span of order) {
    batch.push(spans.batch[span]!);
    row.push(spans.row[span]!);
    parents.push(parent[span] === -1 ? -1 : place(parent[span]!));
    depths.push(depth[span]!);
    childCount.push(0);
  }
  let isTopDown = true;
  for (let i = 0; i < parents.length; i++) {
    const up = parents[i]!;
    if (up !== -1) childCount[up]!++;
    if (up >= i) isTopDown = false;
  }
  return {
    batch,
    row,
    hopCount: Math.min(members.length, hopsMax),
    root: place(root),
    parent: parents,
    depth: depths,
    childCount,
    topDown: isTopDown ? parents.map((_, i) => i) : byDepth(depths),
  };
}

/**
 * The spans that are kept, ascending, then the others. Kept are the first by the latest start between root and span, so
 * that whatever is kept has its parent.
 */
function cutOrder(
  spans: SortedSpans,
  parent: Int32Array,
  depth: Int32Array,
  members: readonly number[],
  hopsMax: number,
): readonly number[] {
  const latestUs = new Map<number, number>();
  for (const index of byDepth(members.map((span) => depth[span]!))) {
    const span = members[index]!;
    const above = latestUs.get(parent[span]!) ?? Number.NEGATIVE_INFINITY;
    latestUs.set(span, Math.max(above, spans.startUs[span]!));
  }
  const ranked = [...members].sort((a, b) => latestUs.get(a)! - latestUs.get(b)! || depth[a]! - depth[b]! || a - b);
  const kept = ranked.slice(0, hopsMax).sort((a, b) => a - b);
  const rest = ranked.slice(hopsMax).sort((a, b) => a - b);
  return [...kept, ...rest];
}

/** Positions by depth, equal depths in order: counting sort. */
function byDepth(depth: readonly number[]): number[] {
  const from: number[] = [];
  for (const d of depth) {
    while (from.length <= d + 1) from.push(0);
    from[d + 1]!++;
  }
  for (let d = 1; d < from.length; d++) from[d]! += from[d - 1]!;
  const order = new Array<number>(depth.length);
  for (let i = 0; i < depth.length; i++) order[from[depth[i]!]!++] = i;
  return order;
}

function compareRoots(spans: SortedSpans, a: number, b: number): number {
  return (
    spans.spanId[2 * a]! - spans.spanId[2 * b]! ||
    spans.spanId[2 * a + 1]! - spans.spanId[2 * b + 1]! ||
    spans.kind[a]! - spans.kind[b]! ||
    (spans.service[a]! < spans.service[b]! ? -1 : spans.service[a]! > spans.service[b]! ? 1 : a - b)
  );
}
