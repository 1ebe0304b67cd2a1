import type { FieldTest } from '../model/ast.ts';
import type { CallPath } from '../model/call-path.ts';
import { canonicalJson } from './canonical-json.ts';
import { compileFieldTest, type HopTest } from './field-test.ts';
import type { Verdict } from './verdict.ts';

/** Answers the field tests of a rule set about one call path, each distinct test once per hop however many rules ask. */
export class Sheet {
  readonly #ids = new Map<string, number>();
  readonly #columns: Column[] = [];
  #path: CallPath | undefined;
  #epoch = 0;

  /** Gives equal tests one number; called while rules are compiled. */
  intern(test: FieldTest): number {
    const key = canonicalJson(test);
    const known = this.#ids.get(key);
    if (known !== undefined) {
      return known;
    }
    const id = this.#columns.length;
    this.#columns.push({ test: compileFieldTest(test), answers: new Int32Array(32) });
    this.#ids.set(key, id);
    return id;
  }

  get path(): CallPath {
    return this.#path!;
  }

  /** Grows with each call path: what was found in an earlier one is stale, so that nothing needs clearing. */
  get epoch(): number {
    return this.#epoch;
  }

  reset(path: CallPath): void {
    this.#path = path;
    this.#epoch++;
    if (this.#epoch > EPOCH_MAX) {
      this.#epoch = 1;
      for (const column of this.#columns) {
        column.answers.fill(0);
      }
    }
  }

  /** What one hop answers to a test. */
  answer(id: number, hop: number): Verdict {
    const column = this.#columns[id]!;
    const known = column.answers[hop];
    if (known !== undefined && known >> VERDICT_BITS === this.#epoch) {
      return (known & VERDICT_MASK) as Verdict;
    }
    const { hops } = this.path;
    if (known === undefined) {
      const grown = new Int32Array(hops.length * 2);
      grown.set(column.answers);
      column.answers = grown;
    }
    const answer = column.test(hops[hop]!);
    column.answers[hop] = (this.#epoch << VERDICT_BITS) | answer;
    return answer;
  }
}

interface Column {
  readonly test: HopTest;
  /** By hop: the epoch of the answer above, the verdict in the lowest bits. */
  answers: Int32Array;
}

const VERDICT_BITS = 2;
const VERDICT_MASK = 3;
const EPOCH_MAX = 2 ** (31 - VERDICT_BITS) - 1;
