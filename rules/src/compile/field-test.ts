import { RE2JS } from 're2js';
import type { FieldTest } from '../model/ast.ts';
import type { Hop } from '../model/call-path.ts';
import { isInCidr, parseCidr } from '../model/cidr.ts';
import type { Scalar, Value } from '../model/value.ts';
import { compileAbsence, compileField } from './absence.ts';
import { NO, UNKNOWN, type Verdict, YES } from './verdict.ts';
import { compileWildcard, hasWildcard } from './wildcard.ts';

export type HopTest = (hop: Hop) => Verdict;
type ElementTest = (element: Scalar) => boolean;

/** Characters of a value that a regex sees. */
const REGEX_CHARS_MAX = 1024;

/** Answers kept per test; operations, hosts and services are few, and whoever sends many only makes it forget. */
const REMEMBERED_MAX = 1024;

/** One line of a selection -> its answer about one hop. */
export function compileFieldTest(test: FieldTest): HopTest {
  const read = compileField(test.field);
  const absent = compileAbsence(test.field);
  if (test.operator === 'exists') {
    return compileExists(test.values.includes(true), test.values.includes(false), read, absent);
  }
  if (test.fieldref) {
    return compileFieldref(test, read, absent);
  }
  const passes = compileValueTest(test);
  return (hop) => {
    const value = read(hop);
    if (value === undefined) {
      return absent(hop);
    }
    return passes(value) ? YES : NO;
  };
}

function compileExists(
  mayExist: boolean,
  mayMiss: boolean,
  read: (hop: Hop) => Value | undefined,
  absent: HopTest,
): HopTest {
  if (mayExist && mayMiss) {
    return () => YES;
  }
  if (mayExist) {
    return (hop) => (read(hop) === undefined ? absent(hop) : YES);
  }
  return (hop) => {
    if (read(hop) !== undefined) {
      return NO;
    }
    return absent(hop) === NO ? YES : UNKNOWN;
  };
}

/** Compares with other fields of the same span: each of them must be known. */
function compileFieldref(test: FieldTest, read: (hop: Hop) => Value | undefined, absent: HopTest): HopTest {
  const others = test.values.map((name) => ({
    read: compileField(String(name)),
    absent: compileAbsence(String(name)),
  }));
  const compare = (value: Value, other: Value): boolean => {
    const values = typeof other === 'object' ? other : [other];
    return compileValueTest({ ...test, fieldref: false, values: values.map(escapeWildcards) })(value);
  };
  return (hop) => {
    const value = read(hop);
    if (value === undefined) {
      return absent(hop);
    }
    let [least, most]: [Verdict, Verdict] = [YES, NO];
    for (const other of others) {
      const otherValue = other.read(hop);
      const verdict = otherValue === undefined ? other.absent(hop) : compare(value, otherValue) ? YES : NO;
      least = Math.min(least, verdict) as Verdict;
      most = Math.max(most, verdict) as Verdict;
    }
    return test.all || test.negated ? least : most;
  };
}

function escapeWildcards(value: Scalar): Scalar {
  return typeof value === 'string' ? value.replace(/[*?\\]/g, '\\$&') : value;
}

function compileValueTest(test: FieldTest): (value: Value) => boolean {
  const elementTests = test.all
    ? test.values.map((value) => compileElementTest({ ...test, values: [value] }))
    : [compileElementTest(test)];
  const [only] = elementTests;
  if (elementTests.length === 1 && only !== undefined) {
    return test.negated ? (value) => !someElement(value, only) : (value) => someElement(value, only);
  }
  return (value) => elementTests.every((elementTest) => someElement(value, elementTest));
}

function someElement(value: Value, test: ElementTest): boolean {
  if (typeof value !== 'object') {
    return test(value);
  }
  for (let i = 0; i < value.length; i++) {
    if (test(value[i]!)) {
      return true;
    }
  }
  return false;
}

function compileElementTest(test: FieldTest): ElementTest {
  switch (test.operator) {
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      return compileOrdered(test.operator, test.values.map(Number));
    case 'cidr': {
      const blocks = test.values.flatMap((value) => parseCidr(String(value)) ?? []);
      return remember((text) => blocks.some((block) => isInCidr(block, text)));
    }
    case 're': {
      const flags = test.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0;
      const patterns = test.values.map((value) => RE2JS.compile(String(value), flags));
      return remember((text) => patterns.some((pattern) => pattern.matcher(text.slice(0, REGEX_CHARS_MAX)).find()));
    }
    case 'equals':
      return compileEquals(test);
    default:
      return compileTexts(test);
  }
}

/** Against several numbers: any of them, as everywhere a list of values means any. */
function compileOrdered(operator: 'gt' | 'gte' | 'lt' | 'lte', bounds: readonly number[]): ElementTest {
  const isUpper = operator === 'lt' || operator === 'lte';
  const bound = isUpper ? Math.max(...bounds) : Math.min(...bounds);
  switch (operator) {
    case 'gt':
      return (element) => typeof element === 'number' && element > bound;
    case 'gte':
      return (element) => typeof element === 'number' && element >= bound;
    case 'lt':
      return (element) => typeof element === 'number' && element < bound;
    case 'lte':
      return (element) => typeof element === 'number' && element <= bound;
  }
}

/** Numbers and booleans equal their text, since services differ in which of both they send. */
function compileEquals(test: FieldTest): ElementTest {
  const exact = test.values.filter((value) => typeof value !== 'string' || !hasWildcard(value));
  const wild = test.values.filter((value) => typeof value === 'string' && hasWildcard(value));
  if (wild.length === 0 && !test.ignoreCase) {
    const texts = exact.map(String);
    if (texts.length === 1) {
      const [wanted] = exact;
      const text = texts[0];
      return (element) => element === wanted || (typeof element !== typeof wanted && String(element) === text);
    }
    const wanted = new Set<Scalar>([...exact, ...texts]);
    return (element) => wanted.has(element) || (typeof element !== 'string' && wanted.has(String(element)));
  }
  return compileTexts(test);
}

function compileTexts(test: FieldTest): ElementTest {
  const fold = (text: string): string => (test.ignoreCase ? text.toLowerCase() : text);
  const prefix = test.operator === 'contains' || test.operator === 'endswith' ? '*' : '';
  const suffix = test.operator === 'contains' || test.operator === 'startswith' ? '*' : '';
  const tests = test.values.map((value) => compileWildcard(prefix + fold(String(value)) + suffix));
  return remember((text) => {
    const folded = fold(text);
    return tests.some((passes) => passes(folded));
  });
}

/** The same answers, found once per text while it comes again and again. */
function remember(test: (text: string) => boolean): ElementTest {
  const known = new Map<string, boolean>();
  return (element) => {
    const text = String(element);
    let answer = known.get(text);
    if (answer === undefined) {
      answer = test(text);
      if (known.size >= REMEMBERED_MAX) {
        known.clear();
      }
      known.set(text, answer);
    }
    return answer;
  };
}
