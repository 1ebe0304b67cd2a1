import { RE2JS } from 're2js';
import type { FieldTest, Operator } from '../model/ast.ts';
import { parseCidr } from '../model/cidr.ts';
import { FIELD_NAMES } from '../model/field.ts';
import { isKnownName } from '../model/signal-group.ts';
import type { Scalar } from '../model/value.ts';
import { LANGUAGE_LIMITS } from './limits.ts';
import type { ListTable } from './list-table.ts';
import type { Place, Problems } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { Entry, Node, ScalarNode } from './yaml-node.ts';

const OPERATORS: readonly Operator[] = [
  'contains',
  'startswith',
  'endswith',
  're',
  'cidr',
  'gt',
  'gte',
  'lt',
  'lte',
  'exists',
];
const FLAGS = ['ci', 'all', 'ne', 'fieldref'];
const MODIFIERS: readonly string[] = [...OPERATORS, ...FLAGS];
const ORDERED: readonly Operator[] = ['gt', 'gte', 'lt', 'lte'];
const WITHOUT_CASE: readonly Operator[] = [...ORDERED, 'exists', 'cidr'];

/** A map, or a list of maps, of fields -> alternatives of tests. */
export function parseAlternatives(
  node: Node,
  what: string,
  lists: ListTable,
  problems: Problems,
): readonly (readonly FieldTest[])[] {
  const maps = node.kind === 'list' ? node.items : [node];
  if (maps.length === 0) {
    problems.add(node.at, 'E_TYPE', `${what} must not be empty`);
  }
  return maps.map((map) => {
    if (map.kind !== 'map') {
      problems.add(map.at, 'E_TYPE', `${what} must be a map of fields, or a list of such maps`);
      return [];
    }
    if (map.entries.length === 0) {
      problems.add(map.at, 'E_TYPE', `${what} must not be empty`);
    }
    return map.entries.flatMap((entry) => parseFieldTest(entry, lists, problems) ?? []);
  });
}

/** Reports a field name that nothing ever sets. */
export function checkField(field: string, place: Place, problems: Problems): void {
  if (!/^[A-Za-z][A-Za-z0-9_\-.]*$/.test(field)) {
    problems.add(place, 'E_FIELD', `"${field}" is not a field name`);
  } else if (!isKnownName(field)) {
    problems.add(place, 'E_FIELD', `nothing sets "${field}"${didYouMean(field, FIELD_NAMES)}`);
  }
}

function parseFieldTest(entry: Entry, lists: ListTable, problems: Problems): FieldTest | undefined {
  const before = problems.count;
  const [field = '', ...modifiers] = entry.key.split('|');
  checkField(field, entry.keyAt, problems);
  for (const modifier of modifiers) {
    if (!MODIFIERS.includes(modifier)) {
      const hint = didYouMean(modifier, MODIFIERS);
      problems.add(entry.keyAt, 'E_FIELD', `"${modifier}" is not a modifier${hint}`);
    }
  }
  const operators = OPERATORS.filter((candidate) => modifiers.includes(candidate));
  const operator = operators[0] ?? 'equals';
  const test = {
    field,
    operator,
    negated: modifiers.includes('ne'),
    ignoreCase: modifiers.includes('ci'),
    all: modifiers.includes('all'),
    fieldref: modifiers.includes('fieldref'),
  };
  const clash = findClash(operators, test);
  if (clash !== undefined) {
    problems.add(entry.keyAt, 'E_FIELD', clash);
  }
  const values = readValues(entry.value, lists, problems);
  if (problems.count > before) {
    return undefined;
  }
  for (const { value, place } of values) {
    checkValue(test, value, place, problems);
  }
  return problems.count > before ? undefined : { ...test, values: values.map(({ value }) => value) };
}

function findClash(
  operators: readonly Operator[],
  test: { operator: Operator; negated: boolean; ignoreCase: boolean; all: boolean; fieldref: boolean },
): string | undefined {
  if (operators.length > 1) {
    return `"${operators.join('" and "')}" cannot stand together`;
  }
  if (test.ignoreCase && WITHOUT_CASE.includes(test.operator)) {
    return `"ci" has no meaning with "${test.operator}"`;
  }
  if (test.operator === 'exists' && (test.negated || test.all || test.fieldref)) {
    return '"exists" stands alone; say true or false';
  }
  if (test.fieldref && (test.operator === 're' || test.operator === 'cidr')) {
    return `"fieldref" has no meaning with "${test.operator}"`;
  }
  if (test.negated && ORDERED.includes(test.operator)) {
    return `"ne" has no meaning with "${test.operator}"; turn the comparison round`;
  }
  return test.negated && test.all ? '"ne" already holds for all values' : undefined;
}

interface PlacedValue {
  readonly value: Scalar;
  readonly place: Place;
}

function readValues(node: Node, lists: ListTable, problems: Problems): readonly PlacedValue[] {
  const items = node.kind === 'list' ? node.items : [node];
  if (node.kind === 'list' && items.length === 0) {
    problems.add(node.at, 'E_TYPE', 'an empty list of values can never match');
  }
  return items.flatMap((item) => {
    if (item.kind !== 'scalar' || item.value === null) {
      problems.add(item.at, 'E_TYPE', 'a value must be a text, a number, true or false');
      return [];
    }
    return expand(item, item.value, lists, problems);
  });
}

function expand(node: ScalarNode, value: Scalar, lists: ListTable, problems: Problems): readonly PlacedValue[] {
  if (typeof value !== 'string' || !value.startsWith('$')) {
    return [{ value, place: node.at }];
  }
  const name = value.slice(1);
  const items = lists.items(name);
  if (items === undefined) {
    problems.add(node.at, 'E_LIST', `there is no list "${name}"${didYouMean(name, lists.names())}`);
    return [];
  }
  return items.map((item) => ({ value: item, place: node.at }));
}

function checkValue(
  test: { operator: Operator; fieldref: boolean },
  value: Scalar,
  place: Place,
  problems: Problems,
): void {
  if (test.fieldref) {
    checkField(String(value), place, problems);
    return;
  }
  if (test.operator === 'exists' && typeof value !== 'boolean') {
    problems.add(place, 'E_TYPE', '"exists" takes true or false');
  }
  if (ORDERED.includes(test.operator) && typeof value !== 'number') {
    problems.add(place, 'E_TYPE', `"${test.operator}" takes a number`);
  }
  if (test.operator === 'cidr' && parseCidr(String(value)) === undefined) {
    problems.add(place, 'E_TYPE', `"${value}" is not an address block such as 10.0.0.0/8 or fe80::/10`);
  }
  if (test.operator === 're') {
    checkRegex(String(value), place, problems);
  }
}

function checkRegex(pattern: string, place: Place, problems: Problems): void {
  if (pattern.length > LANGUAGE_LIMITS.regexCharsMax) {
    problems.add(place, 'E_LIMIT', `a regex of ${pattern.length} characters, at most ${LANGUAGE_LIMITS.regexCharsMax}`);
    return;
  }
  try {
    RE2JS.compile(pattern);
  } catch (error) {
    problems.add(place, 'E_REGEX', error instanceof Error ? error.message : 'not RE2 syntax');
  }
}
