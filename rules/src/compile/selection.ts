import type { FieldTest, Selection } from '../model/ast.ts';
import { Signal } from '../model/call-path.ts';
import { missingName } from '../model/signal-group.ts';
import type { Sheet } from './sheet.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** A selection as numbers of tests on the rule set's sheet, likeliest and cheapest "no" first. */
export interface CompiledSelection {
  readonly name: string;
  /** Tests that all alternatives share. */
  readonly common: readonly number[];
  /** The rest of each alternative; empty when there is only one. */
  readonly alternatives: readonly (readonly number[])[];
  /**
   * For a hop that may match: tells the signal groups whose absence keeps it from being sure, or where no group is to
   * blame, the fields.
   */
  missingOn(hop: number, tell: (missing: string) => void): void;
  /** For a hop that matches: the tests it passed. */
  passedOn(hop: number): readonly FieldTest[];
}

export function compileSelection(selection: Selection, sheet: Sheet): CompiledSelection {
  const alternatives = selection.alternatives.map((tests) =>
    tests.toSorted((a, b) => rankOf(a) - rankOf(b)).map((test) => ({ test, id: sheet.intern(test) })),
  );
  const numbers = alternatives.map((tests) => tests.map(({ id }) => id));
  const [first = [], ...others] = numbers;
  const common = first.filter((id) => others.every((ids) => ids.includes(id)));
  const rests = numbers.map((ids) => ids.filter((id) => !common.includes(id)));
  const answer = (ids: readonly number[], hop: number): Verdict => answerAll(sheet, ids, hop);
  const named = alternatives.flatMap((tests, i) =>
    tests.map(({ test, id }) => ({ id, missing: missingName(test.field), ids: numbers[i]! })),
  );
  const groups = named.filter(({ missing }) => missing in Signal);
  const fields = named.filter(({ missing }) => !(missing in Signal));

  function tellMissing(tests: typeof named, hop: number, tell: (missing: string) => void): boolean {
    let isTold = false;
    for (const { id, ids, missing } of tests) {
      if (sheet.answer(id, hop) === UNKNOWN && answer(ids, hop) === UNKNOWN) {
        tell(missing);
        isTold = true;
      }
    }
    return isTold;
  }

  return {
    name: selection.name,
    common,
    // An alternative without further tests holds whenever the common ones do.
    alternatives: rests.some((ids) => ids.length === 0) ? [] : rests,
    missingOn: (hop, tell) => {
      if (!tellMissing(groups, hop, tell)) {
        tellMissing(fields, hop, tell);
      }
    },
    passedOn: (hop) => {
      const passed = alternatives.find((_, i) => answer(numbers[i]!, hop) === YES) ?? alternatives[0] ?? [];
      return passed.map(({ test }) => test);
    },
  };
}

/** The least answer of a hop to several tests. */
export function answerAll(sheet: Sheet, tests: readonly number[], hop: number): Verdict {
  let least: Verdict = YES;
  for (let i = 0; i < tests.length && least !== NO; i++) {
    const verdict = sheet.answer(tests[i]!, hop);
    if (verdict < least) {
      least = verdict;
    }
  }
  return least;
}

/** Fields that most spans of a kind have, with values that many share: a test of them rarely rules anything out. */
const COMMON_FIELDS = ['apisec.outcome', 'apisec.exposure', 'apisec.signals', 'apisec.operation', 'service.name'];

/** Order in which tests are asked: what is free to read, then what few spans pass, among those the cheap ones. */
function rankOf(test: FieldTest): number {
  if (test.field === 'span.kind' || test.field === 'apisec.entry') {
    return 0;
  }
  const isWeak = test.negated || test.operator === 'exists' || COMMON_FIELDS.includes(test.field);
  const isCostly = test.operator === 're' || test.operator === 'cidr';
  return (isWeak ? 3 : 1) + (isCostly ? 1 : 0);
}
