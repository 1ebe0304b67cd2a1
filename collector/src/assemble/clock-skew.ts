import { KIND_CLIENT, KIND_SERVER } from '../base/batch.ts';
import { clockOf, type PathTree } from '../base/trace.ts';

/** Two clocks are never believed to agree better than this. */
const SKEW_MIN_US = 100_000;

type Timed = Pick<PathTree, 'batch' | 'row' | 'parent' | 'topDown'>;

/**
 * How far the clocks of a call path may differ, judged by spans that do not lie within their parents: a child that
 * starts before its parent, or a served request that ends after the call that waited for it, shows a difference. The
 * method is Jaeger's clock-skew adjuster turned into a bound: nothing is moved, since structure comes from ids alone.
 */
export class ClockSkew {
  readonly #tree: Timed;
  /** Estimate per pair of clocks that met as parent and child. */
  readonly #pairUs = new Map<string, number>();
  /** Estimates added up from the root, per span: bounds clocks that never met. */
  readonly #fromRootUs: number[] = [];

  constructor(tree: Timed) {
    this.#tree = tree;
    for (let i = 0; i < tree.parent.length; i++) {
      const up = tree.parent[i]!;
      if (up === -1) continue;
      const key = this.#pair(up, i);
      if (key !== undefined) this.#pairUs.set(key, Math.max(this.#pairUs.get(key) ?? 0, outsideUs(tree, up, i)));
    }
    for (const i of tree.topDown) {
      const up = tree.parent[i]!;
      const key = up === -1 ? undefined : this.#pair(up, i);
      const above = up === -1 ? 0 : this.#fromRootUs[up]!;
      this.#fromRootUs[i] = above + (key === undefined ? 0 : this.#pairUs.get(key)!);
    }
  }

  /** Upper estimate for two spans, microseconds; 0 on one clock. */
  betweenUs(a: number, b: number): number {
    const key = this.#pair(a, b);
    if (key === undefined) return 0;
    const estimate = this.#pairUs.get(key) ?? this.#fromRootUs[a]! + this.#fromRootUs[b]!;
    return Math.max(SKEW_MIN_US, estimate);
  }

  /** Names the pair of clocks; undefined when it is one clock. */
  #pair(a: number, b: number): string | undefined {
    const clockA = clockOf(this.#tree.batch[a]!, this.#tree.row[a]!);
    const clockB = clockOf(this.#tree.batch[b]!, this.#tree.row[b]!);
    if (clockA === clockB) return undefined;
    return clockA < clockB ? `${clockA}\u0000${clockB}` : `${clockB}\u0000${clockA}`;
  }
}

/** The largest difference of clocks that explains how a child lies outside of its parent; 0 when it lies within. */
function outsideUs({ batch, row }: Timed, parent: number, child: number): number {
  const above = batch[parent]!;
  const below = batch[child]!;
  const i = row[parent]!;
  const j = row[child]!;
  const early = above.startUs[i]! - below.startUs[j]!;
  // Only a waiting caller must outlive what it called.
  const waits = above.kind[i] === KIND_CLIENT && below.kind[j] === KIND_SERVER;
  const late = waits ? below.endUs[j]! - above.endUs[i]! : 0;
  if (early <= 0 && late <= 0) return 0;
  return Math.max(Math.abs(early), Math.abs(late));
}
