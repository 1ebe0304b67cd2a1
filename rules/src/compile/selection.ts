import type { FieldTest, Selection } from '../model/ast.ts';
import type { Hop } from '../model/call-path.ts';
import { missingName } from '../model/signal-group.ts';
import { compileFieldTest } from './field-test.ts';
import type { Sheet } from './sheet.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** A selection as numbers of tests on the rule set's sheet, likeliest and cheapest "no" first. */
export interface CompiledSelection {
  readonly name: string;
  /** Tests that all alternatives share. */
  readonly common: readonly number[];
  /** The rest of each alternative; empty when there is only one. */
  readonly alternatives: readonly (readonly number[])[];
  /** For a hop that may match: the signal groups or fields whose absence keeps it from being sure. */
  missingOn(hop: number): readonly string[];
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
  const answer = (ids: readonly number[], hop: number): number =>
    Math.min(YES, ...ids.map((id) => sheet.answer(id, hop)));
  return {
    name: selection.name,
    common,
    // An alternative without further tests holds whenever the common ones do.
    alternatives: rests.some((ids) => ids.length === 0) ? [] : rests,
    missingOn: (hop) => {
      const open = alternatives.filter((_, i) => answer(numbers[i]!, hop) === UNKNOWN);
      const unsure = open.flatMap((tests) => tests.filter(({ id }) => sheet.answer(id, hop) === UNKNOWN));
      return [...new Set(unsure.map(({ test }) => missingName(test.field)))];
    },
    passedOn: (hop) => {
      const passed = alternatives.find((_, i) => answer(numbers[i]!, hop) === YES) ?? alternatives[0] ?? [];
      return passed.map(({ test }) => test);
    },
  };
}

/** What one hop answers to a selection, without a sheet. */
export function answerSelection(alternatives: Selection['alternatives'], hop: Hop): Verdict {
  return Math.max(NO, ...alternatives.map((tests) => answerAll(tests, hop))) as Verdict;
}

function answerAll(tests: readonly FieldTest[], hop: Hop): Verdict {
  return Math.min(YES, ...tests.map((test) => compileFieldTest(test)(hop))) as Verdict;
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
