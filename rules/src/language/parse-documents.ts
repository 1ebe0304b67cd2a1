import type { PathRule } from '../model/ast.ts';
import type { Scalar } from '../model/value.ts';
import { applyOverride, type Override, parseOverride } from './apply-override.ts';
import { ListTable } from './list-table.ts';
import { type PlacedException, parseException } from './parse-exception.ts';
import { parsePathRule } from './parse-path-rule.ts';
import { MapReader } from './reader.ts';
import { Problems, type RuleError } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import { type MapNode, type Node, parseYaml, type RuleSource } from './yaml-node.ts';

/** A rule as written, and what changes its meaning from outside: the ground of its content hash. */
export interface ParsedRule {
  readonly rule: PathRule;
  /** Plain data of the rule's document with overrides applied, without `tests`. */
  readonly content: unknown;
}

export interface ParsedDocuments {
  /** Ordered by id. */
  readonly rules: readonly ParsedRule[];
  readonly errors: readonly RuleError[];
}

type Kind = 'path' | 'correlation' | 'baseline' | 'list' | 'exception' | 'override';

/** Texts -> rules with their lists, exceptions and overrides, and every mistake in any of them. */
export function parseDocuments(
  sources: readonly RuleSource[],
  settingsLists: Readonly<Record<string, readonly Scalar[]>>,
): ParsedDocuments {
  const problems = new Problems();
  const lists = new ListTable(settingsLists, problems);
  const byKind = new Map<Kind, MapNode[]>();
  for (const source of sources) {
    for (const map of parseYaml(source, problems)) {
      const kind = kindOf(map, problems);
      if (kind !== undefined) {
        byKind.set(kind, [...(byKind.get(kind) ?? []), map]);
      }
    }
  }
  for (const map of byKind.get('list') ?? []) {
    lists.add(map);
  }
  const envelopes = [...(byKind.get('correlation') ?? []), ...(byKind.get('baseline') ?? [])];
  for (const map of envelopes) {
    refuse(map, problems);
  }
  const documents = byKind.get('path') ?? [];
  const known = new Set([...documents, ...envelopes].flatMap((map) => textAt(map, 'id') ?? []));
  const overrides = (byKind.get('override') ?? []).flatMap(
    (map) => checkRule(parseOverride(inner(map, 'override', problems), problems), known, problems) ?? [],
  );
  const exceptions = (byKind.get('exception') ?? []).flatMap(
    (map) =>
      checkRule(parseException(inner(map, 'exception', problems), undefined, lists, problems), known, problems) ?? [],
  );
  checkIds([...documents, ...envelopes], problems);
  const rules = documents.flatMap((map) => {
    const changed = overridden(map, overrides, problems);
    const rule = parsePathRule(changed, lists, problems);
    return rule === undefined ? [] : [withExceptions(rule, changed, exceptions)];
  });
  return { rules: rules.toSorted((a, b) => (a.rule.id < b.rule.id ? -1 : 1)), errors: problems.sorted() };
}

function kindOf(map: MapNode, problems: Problems): Kind | undefined {
  const kinds: Kind[] = [];
  for (const side of ['list', 'exception', 'override', 'correlation', 'baseline'] as const) {
    if (nodeAt(map, side) !== undefined) {
      kinds.push(side);
    }
  }
  const detection = nodeAt(map, 'detection');
  if (detection?.kind === 'map' && nodeAt(detection, 'condition') !== undefined) {
    kinds.push('path');
  }
  if (kinds.length > 1) {
    problems.add(map.at, 'E_KIND', `one body sets the kind of a document, found ${kinds.join(' and ')}`);
    return undefined;
  }
  // A rule without any body is read as a path rule, so that the author sees everything else that it lacks, too.
  if (kinds.length === 0 && (nodeAt(map, 'id') !== undefined || detection !== undefined)) {
    return 'path';
  }
  if (kinds.length === 0) {
    problems.add(
      map.at,
      'E_KIND',
      'a document needs detection.condition, correlation, baseline, list, exception or override',
    );
  }
  return kinds[0];
}

function refuse(map: MapNode, problems: Problems): void {
  const reader = new MapReader(
    map,
    map.entries.map((entry) => entry.key),
    problems,
  );
  const kind = reader.node('correlation') === undefined ? 'baseline' : 'correlation';
  for (const key of ['id', 'title', 'question', 'level']) {
    reader.requiredText(key);
  }
  const entry = map.entries.find((candidate) => candidate.key === kind)!;
  reader.fail(entry.keyAt, 'E_KIND', `this engine version evaluates path rules only, not ${kind} rules`);
}

function checkIds(maps: readonly MapNode[], problems: Problems): void {
  const seen = new Map<string, string>();
  for (const map of maps) {
    const id = textAt(map, 'id');
    const at = nodeAt(map, 'id')?.at ?? map.at;
    if (id === undefined) {
      continue;
    }
    const expected = map.at.path.replace(/\.ya?ml$/, '');
    if (id !== expected) {
      problems.add(at, 'E_ID', `"${id}" must be the file's path below the rules folder, "${expected}"`);
    }
    const first = seen.get(id);
    if (first !== undefined) {
      problems.add(at, 'E_ID', `"${id}" exists already in ${first}`);
    }
    seen.set(id, first ?? map.at.path);
  }
}

function checkRule<T extends { readonly rule: string | undefined; readonly map: MapNode }>(
  side: T | undefined,
  known: ReadonlySet<string>,
  problems: Problems,
): T | undefined {
  if (side?.rule !== undefined && !known.has(side.rule)) {
    const at = nodeAt(side.map, 'rule')?.at ?? side.map.at;
    problems.add(at, 'E_NAME', `there is no rule "${side.rule}"${didYouMean(side.rule, known)}`);
  }
  return side;
}

function overridden(map: MapNode, overrides: readonly Override[], problems: Problems): MapNode {
  const id = textAt(map, 'id');
  return overrides
    .filter((override) => override.rule === id)
    .reduce((changed, override) => applyOverride(changed, override, problems), map);
}

function withExceptions(rule: PathRule, map: MapNode, placed: readonly PlacedException[]): ParsedRule {
  const added = placed.filter((candidate) => candidate.rule === rule.id).map(({ exception }) => exception);
  const content = toPlain({ ...map, entries: map.entries.filter((entry) => entry.key !== 'tests') });
  return { rule: { ...rule, exceptions: [...rule.exceptions, ...added] }, content };
}

function inner(map: MapNode, key: string, problems: Problems): MapNode {
  const reader = new MapReader(map, [key], problems);
  return reader.asMap(reader.node(key), `"${key}"`) ?? { ...map, entries: [] };
}

function nodeAt(map: MapNode, key: string): Node | undefined {
  return map.entries.find((entry) => entry.key === key)?.value;
}

function textAt(map: MapNode, key: string): string | undefined {
  const node = nodeAt(map, key);
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined;
}

function toPlain(node: Node): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(toPlain);
    case 'map':
      return Object.fromEntries(node.entries.map((entry) => [entry.key, toPlain(entry.value)]));
  }
}
