import type { Condition, Each, Selection, Where } from '../model/ast.ts';
import { checkNames } from './check-names.ts';
import { LANGUAGE_LIMITS } from './limits.ts';
import type { ListTable } from './list-table.ts';
import { parseCondition, RESERVED_NAMES } from './parse-condition.ts';
import { checkField, parseAlternatives } from './parse-selection.ts';
import { parseWhere } from './parse-where.ts';
import { MapReader } from './reader.ts';
import type { Place, Problems } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { Entry, MapNode, Node } from './yaml-node.ts';

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const BODY_KEYS = ['each', 'where', 'condition'];

export interface Detection {
  readonly selections: readonly Selection[];
  readonly each: Each | undefined;
  readonly where: readonly Where[];
  readonly condition: Condition;
  /** A name is negative or an aggregate has an upper bound: `requires` must be said. */
  readonly asksAbsence: boolean;
}

/** The `detection` map of a path rule; undefined after an error. */
export function parseDetection(map: MapNode, lists: ListTable, problems: Problems): Detection | undefined {
  const before = problems.count;
  const entries = map.entries.filter((entry) => !BODY_KEYS.includes(entry.key));
  const names = entries.map((entry) => entry.key);
  const reader = new MapReader(map, [...BODY_KEYS, ...names], problems);
  const selections = parseSelections(entries, map, lists, problems);
  const each = parseEach(reader, names, problems);
  const wheres = parseWheres(reader, names, each, problems);
  const node = reader.asText(reader.required('condition'), '"condition"');
  const condition = node === undefined ? undefined : parseCondition(node, names, problems);
  if (node === undefined || condition === undefined || problems.count > before) {
    return undefined;
  }
  const use = checkNames(condition, each, wheres, node.at, problems);
  return problems.count > before
    ? undefined
    : { selections, each, where: wheres.map(({ where }) => where), condition, asksAbsence: use.asksAbsence };
}

function parseSelections(
  entries: readonly Entry[],
  map: MapNode,
  lists: ListTable,
  problems: Problems,
): readonly Selection[] {
  if (entries.length > LANGUAGE_LIMITS.selectionsMax) {
    problems.add(map.at, 'E_LIMIT', `${entries.length} selections, at most ${LANGUAGE_LIMITS.selectionsMax}`);
  }
  return entries.map((entry) => {
    if (!NAME.test(entry.key) || RESERVED_NAMES.includes(entry.key)) {
      const why = RESERVED_NAMES.includes(entry.key) ? 'a word of the language' : 'not letters, digits and "_"';
      problems.add(entry.keyAt, 'E_NAME', `"${entry.key}" cannot name a selection: it is ${why}`);
    }
    const alternatives = parseAlternatives(entry.value, `selection "${entry.key}"`, lists, problems);
    return { name: entry.key, alternatives };
  });
}

function parseEach(reader: MapReader, names: readonly string[], problems: Problems): Each | undefined {
  const node = reader.asText(reader.node('each'), '"each"');
  if (node === undefined) {
    return undefined;
  }
  const text = String(node.value).trim();
  const dot = text.indexOf('.');
  const name = dot < 0 ? text : text.slice(0, dot);
  if (!names.includes(name)) {
    problems.add(node.at, 'E_NAME', `"${name}" is not a selection${didYouMean(name, names)}`);
    return undefined;
  }
  const field = dot < 0 ? '' : text.slice(dot + 1);
  checkField(field, node.at, problems);
  return { name, field };
}

interface PlacedWhere {
  readonly where: Where;
  readonly at: Place;
}

function parseWheres(
  reader: MapReader,
  names: readonly string[],
  each: Each | undefined,
  problems: Problems,
): readonly PlacedWhere[] {
  const node = reader.node('where');
  const items: readonly Node[] = node?.kind === 'list' ? node.items : node === undefined ? [] : [node];
  return items.flatMap((item) => {
    const text = reader.asText(item, 'a where clause');
    const where = text === undefined ? undefined : parseWhere(text, names, each, problems);
    return where === undefined ? [] : [{ where, at: item.at }];
  });
}
