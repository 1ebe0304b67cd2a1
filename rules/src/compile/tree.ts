import type { CallPath } from '../model/call-path.ts';

/**
 * Answers "is b below a" for one call path in constant time. Numbers are given in one pass over the hops by depth and
 * only when the first rule asks: most call paths never do. Arrays are kept from call path to call path.
 */
export class Tree {
  #path: CallPath | undefined;
  #isNumbered = false;
  /** Position in a walk of the tree, parents first. */
  #enter = new Int32Array(64);
  /** Hops in the sub-tree, the hop itself included. */
  #size = new Int32Array(64);
  #free = new Int32Array(64);
  #byDepth = new Int32Array(64);

  reset(path: CallPath): void {
    this.#path = path;
    this.#isNumbered = false;
  }

  isBelow(above: number, below: number): boolean {
    if (!this.#isNumbered) {
      this.#number(this.#path!);
    }
    const first = this.#enter[above]!;
    const at = this.#enter[below]!;
    return at > first && at < first + this.#size[above]!;
  }

  #number(path: CallPath): void {
    const { hops } = path;
    const count = hops.length;
    if (this.#enter.length < count) {
      this.#enter = new Int32Array(count * 2);
      this.#size = new Int32Array(count * 2);
      this.#free = new Int32Array(count * 2);
      this.#byDepth = new Int32Array(count * 2);
    }
    this.#sortByDepth(path);
    this.#size.fill(1, 0, count);
    for (let i = count - 1; i >= 0; i--) {
      const hop = this.#byDepth[i]!;
      const parent = hops[hop]!.parent;
      if (parent >= 0) {
        this.#size[parent] = this.#size[parent]! + this.#size[hop]!;
      }
    }
    let roots = 0;
    for (let i = 0; i < count; i++) {
      const hop = this.#byDepth[i]!;
      const parent = hops[hop]!.parent;
      const enter = parent < 0 ? roots : this.#free[parent]!;
      this.#enter[hop] = enter;
      this.#free[hop] = enter + 1;
      if (parent < 0) {
        roots += this.#size[hop]!;
      } else {
        this.#free[parent] = enter + this.#size[hop]!;
      }
    }
    this.#isNumbered = true;
  }

  /** Counting sort: parents come before their children. */
  #sortByDepth({ hops }: CallPath): void {
    let deepest = 0;
    for (const hop of hops) {
      deepest = Math.max(deepest, hop.depth);
    }
    const starts = new Int32Array(deepest + 2);
    for (const hop of hops) {
      starts[hop.depth + 1]!++;
    }
    for (let depth = 0; depth <= deepest; depth++) {
      starts[depth + 1] = starts[depth + 1]! + starts[depth]!;
    }
    for (const hop of hops) {
      this.#byDepth[starts[hop.depth]!++] = hop.index;
    }
  }
}
