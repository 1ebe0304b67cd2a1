import type { CallPath } from '../model/call-path.ts';
import type { Scalar } from '../model/value.ts';
import { startsAfter } from './order.ts';
import { answerAll, type CompiledSelection } from './selection.ts';
import type { Sheet } from './sheet.ts';
import type { Tree } from './tree.ts';
import { NO, type Reading, STRICT, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** What one rule may spend on one call path. Reaching the budget is an answer of its own, never silence. */
export const JOIN_LIMITS = { visitsMax: 20_000, matchesMax: 64, eachMax: 16 } as const;

/** Hops walked for one visit: a step up the tree is far cheaper than a candidate. */
const STEPS_PER_VISIT = 16;

/** Which hops a selection holds, found when first asked for in a call path. */
class HopSet {
  verdicts = new Uint8Array(16);
  /** Hops that may match, in order; those that surely match are among them. */
  readonly possible: number[] = [];
  readonly sure: number[] = [];
  epoch = 0;
}

/** The hops that one solution of a condition stands on. */
export interface Solution {
  /** Per selection: the hop, or -1. */
  readonly hops: readonly number[];
  readonly element: Scalar | undefined;
}

/**
 * State of one rule while it reads one call path: which hops each selection holds, which names are bound, what is spent.
 * One object per rule, reset and used again, so that a call path without a match allocates nothing.
 */
export class Run {
  readonly tree: Tree;
  readonly #sheet: Sheet;
  readonly selections: readonly CompiledSelection[];
  /** Per selection: the hop it stands for, or -1. */
  readonly bound: Int32Array;
  /** The element that `each` stands for; undefined when it is not bound or not known. */
  element: Scalar | undefined;
  readonly solutions: Solution[] = [];
  /** How many solutions end the search. */
  wanted: number = JOIN_LIMITS.matchesMax;
  isExhausted = false;
  /** An array was longer than `each` looks at. */
  isEachCut = false;
  /** An order of two hops could not be told. */
  hasUnknownOrder = false;
  /** Some answer was neither yes nor no. While this is false, the generous reading can find nothing that the strict did not. */
  sawUnknown = false;
  #visits = 0;
  readonly #sets: readonly HopSet[];
  readonly #onSteps = (steps: number): void => {
    this.#visits += steps / STEPS_PER_VISIT;
  };

  constructor(selections: readonly CompiledSelection[], tree: Tree, sheet: Sheet) {
    this.selections = selections;
    this.tree = tree;
    this.#sheet = sheet;
    this.bound = new Int32Array(selections.length).fill(-1);
    this.#sets = selections.map(() => new HopSet());
  }

  get path(): CallPath {
    return this.#sheet.path;
  }

  /** Forgets what the search in an earlier call path left; candidates need no reset. */
  reset(): void {
    this.bound.fill(-1);
    this.element = undefined;
    this.solutions.length = 0;
    this.wanted = JOIN_LIMITS.matchesMax;
    this.isExhausted = false;
    this.isEachCut = false;
    this.hasUnknownOrder = false;
    this.sawUnknown = false;
    this.#visits = 0;
  }

  /** Hops that a selection surely holds (strict), or may hold (generous). */
  candidates(selection: number, reading: Reading): readonly number[] {
    const set = this.#fill(selection);
    this.sawUnknown ||= set.possible.length > set.sure.length;
    return reading === STRICT ? set.sure : set.possible;
  }

  verdict(selection: number, hop: number): Verdict {
    const verdict = this.#fill(selection).verdicts[hop] as Verdict;
    this.sawUnknown ||= verdict === UNKNOWN;
    return verdict;
  }

  /** Counts one candidate; true when the budget is spent and the search must end. */
  visit(): boolean {
    this.#visits++;
    this.isExhausted ||= this.#visits > JOIN_LIMITS.visitsMax;
    return this.isExhausted;
  }

  order(a: number, b: number): Verdict {
    const verdict = startsAfter(this.path, a, b, this.#onSteps);
    this.hasUnknownOrder ||= verdict === UNKNOWN;
    this.sawUnknown ||= verdict === UNKNOWN;
    return verdict;
  }

  /** Keeps what is bound now; true when enough is known. */
  keep(): boolean {
    this.solutions.push({ hops: Array.from(this.bound), element: this.element });
    return this.solutions.length >= this.wanted;
  }

  #fill(selection: number): HopSet {
    const set = this.#sets[selection]!;
    if (set.epoch === this.#sheet.epoch) {
      return set;
    }
    const { hops } = this.path;
    if (set.verdicts.length < hops.length) {
      set.verdicts = new Uint8Array(hops.length * 2);
    }
    set.possible.length = 0;
    set.sure.length = 0;
    for (let i = 0; i < hops.length; i++) {
      const verdict = this.#answer(selection, i);
      set.verdicts[i] = verdict;
      if (verdict !== NO) {
        set.possible.push(i);
        if (verdict === YES) {
          set.sure.push(i);
        }
      }
    }
    set.epoch = this.#sheet.epoch;
    return set;
  }

  #answer(selection: number, hop: number): Verdict {
    const { common, alternatives } = this.selections[selection]!;
    const least = answerAll(this.#sheet, common, hop);
    if (least === NO || alternatives.length === 0) {
      return least;
    }
    let best: Verdict = NO;
    for (let i = 0; i < alternatives.length && best < least; i++) {
      const verdict = answerAll(this.#sheet, alternatives[i]!, hop);
      if (verdict > best) {
        best = verdict;
      }
    }
    return best < least ? best : least;
  }
}
