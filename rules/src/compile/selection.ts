import type { FieldTest, Selection } from '../model/ast.ts';
import type { Hop } from '../model/call-path.ts';
import { missingName } from '../model/signal-group.ts';
import { compileFieldTest, type HopTest } from './field-test.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';

/** A selection as a test of one hop, and the reason where it cannot say. */
export interface CompiledSelection {
  readonly name: string;
  readonly test: HopTest;
  /** For a hop that may match: the signal groups or fields whose absence keeps it from being sure. */
  missingOn(hop: Hop): readonly string[];
  /** For a hop that matches: the tests it passed. */
  passedOn(hop: Hop): readonly FieldTest[];
}

interface CompiledTest {
  readonly source: FieldTest;
  readonly test: HopTest;
}

export function compileSelection(selection: Selection): CompiledSelection {
  const alternatives = selection.alternatives.map(compileAlternative);
  const [only] = alternatives.map(({ test }) => test);
  const tests = alternatives.map(({ test }) => test);
  const test: HopTest =
    tests.length === 1 && only !== undefined
      ? only
      : (hop) => {
          let best: Verdict = NO;
          for (let i = 0; i < tests.length && best !== YES; i++) {
            best = Math.max(best, tests[i]!(hop)) as Verdict;
          }
          return best;
        };
  return {
    name: selection.name,
    test,
    missingOn: (hop) => {
      const open = alternatives.filter((alternative) => alternative.test(hop) === UNKNOWN);
      const fields = open.flatMap(({ parts }) => parts.filter((part) => part.test(hop) === UNKNOWN));
      return [...new Set(fields.map(({ source }) => missingName(source.field)))];
    },
    passedOn: (hop) => {
      const best = alternatives.find((alternative) => alternative.test(hop) === YES) ?? alternatives[0]!;
      return best.parts.map(({ source }) => source);
    },
  };
}

function compileAlternative(tests: readonly FieldTest[]): { readonly test: HopTest; readonly parts: CompiledTest[] } {
  const parts = tests
    .toSorted((a, b) => costOf(a) - costOf(b))
    .map((source) => ({ source, test: compileFieldTest(source) }));
  const inOrder = parts.map(({ test }) => test);
  return {
    parts,
    test: (hop) => {
      let least: Verdict = YES;
      for (let i = 0; i < inOrder.length; i++) {
        const verdict = inOrder[i]!(hop);
        if (verdict === NO) {
          return NO;
        }
        if (verdict < least) {
          least = verdict;
        }
      }
      return least;
    },
  };
}

/** Rough cost of a test, so that one cheap "no" spares the others. */
function costOf(test: FieldTest): number {
  if (test.operator === 're') {
    return 100;
  }
  if (test.operator === 'cidr') {
    return 50;
  }
  const isPlain = test.operator === 'equals' && !test.ignoreCase && !test.fieldref;
  const isAlwaysKnown = test.field.startsWith('span.') || test.field === 'apisec.entry';
  return (isAlwaysKnown ? 0 : 5) + (isPlain || test.operator === 'exists' ? 0 : 10) + Math.min(4, test.values.length);
}
