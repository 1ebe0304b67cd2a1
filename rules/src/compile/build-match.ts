import type { PathRule } from '../model/ast.ts';
import type { CallPath, Hop } from '../model/call-path.ts';
import { Field, fieldId } from '../model/field.ts';
import type { RuleMatch, RuleRef } from '../model/finding.ts';
import { compileField } from './absence.ts';
import { countedNames, explainClauses } from './clauses.ts';
import { entryOf, printValue } from './entry.ts';
import { recordsOf, selectEvidence, servicesAlong } from './evidence.ts';
import { explain } from './explain.ts';
import type { Run, Solution } from './run.ts';
import { sha256Hex } from './sha256.ts';
import { STRICT } from './verdict.ts';

const UNKNOWN_TEXT = 'unknown';

/** The solutions of one call path that share a dedup key: they become one match. */
export interface Group {
  readonly key: readonly (readonly [field: string, value: string])[];
  readonly solutions: Solution[];
}

/** Solutions in order, by dedup key. */
export function groupSolutions(rule: PathRule, run: Run, solutions: readonly Solution[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const solution of solutions) {
    const key = rule.dedup.key.map((field): readonly [string, string] => [field, keyValue(field, rule, run, solution)]);
    const text = JSON.stringify(key);
    const group = groups.get(text);
    if (group === undefined) {
      groups.set(text, { key, solutions: [solution] });
    } else {
      group.solutions.push(solution);
    }
  }
  return [...groups.values()];
}

/** Hops that a solution stands on: its bound ones and, for a counting rule, all that were counted. */
export function hopsOf(rule: PathRule, run: Run, solution: Solution): readonly number[] {
  const counted = countedNames(rule.condition).flatMap((name) => run.candidates(indexOf(rule, name), STRICT));
  return [...new Set([...solution.hops.filter((hop) => hop >= 0), ...counted])];
}

export function buildMatch(rule: PathRule, ref: RuleRef, run: Run, group: Group): RuleMatch {
  const { path } = run;
  const first = group.solutions[0]!;
  const roles = rolesOf(rule, run, group.solutions);
  const entry = entryOf(path);
  const principal = textOf(entry.field(Field.principalId)) ?? firstText(path, roles.keys(), Field.principalId);
  const operation = textOf(entry.field(Field.endpoint));
  const records = recordsOf(path, roles.keys());
  const latestUs = [...roles.keys()].reduce((latest, hop) => Math.max(latest, path.hops[hop]!.endUs), 0);
  // A clock far in the future must not carry the finding along: the call path's event time is already bounded.
  const eventUs = roles.size === 0 ? path.eventUs : Math.min(latestUs, path.eventUs);
  return {
    rule: ref,
    fingerprint: fingerprintOf(rule.id, group.key),
    key: group.key,
    evidence: selectEvidence(path, roles),
    explanation: explain(rule.explain, {
      path,
      title: rule.title,
      principal,
      endpoint: operation,
      services: servicesAlong(path, roles.keys()),
      records,
      sinceUs: eventUs,
      element: first.element,
      hopOf: (name) => boundHop(name, rule, run, first),
      countOf: (name) => countOf(name, rule, run, roles),
    }),
    clauses: explainClauses(rule, run, first),
    windowMs: rule.dedup.windowMs,
    eventUs,
    principal,
    operation,
    records,
  };
}

export function fingerprintOf(ruleId: string, key: Group['key']): string {
  return `v1:${sha256Hex(JSON.stringify([ruleId, ...key.map(([, value]) => value)]))}`;
}

/** Names by hop; those of the first solution come first, so that what the explanation names is shown. */
function rolesOf(rule: PathRule, run: Run, solutions: readonly Solution[]): ReadonlyMap<number, readonly string[]> {
  const roles = new Map<number, string[]>();
  const add = (hop: number, name: string): void => {
    const names = roles.get(hop) ?? [];
    if (!names.includes(name)) {
      roles.set(hop, [...names, name].toSorted());
    }
  };
  for (const solution of solutions) {
    for (const [selection, hop] of solution.hops.entries()) {
      if (hop >= 0) {
        add(hop, rule.selections[selection]!.name);
      }
    }
  }
  for (const name of countedNames(rule.condition)) {
    for (const hop of run.candidates(indexOf(rule, name), STRICT)) {
      add(hop, name);
    }
  }
  return roles;
}

/** A count over the whole call path for a counted name, else how many hops the match has of it. */
function countOf(name: string, rule: PathRule, run: Run, roles: ReadonlyMap<number, readonly string[]>): number {
  const bound = [...roles.values()].filter((names) => names.includes(name)).length;
  return bound > 0 ? bound : run.candidates(indexOf(rule, name), STRICT).length;
}

/** `selection.field` of its bound hop; a plain field of the entry, else of the first bound hop that has it. */
function keyValue(key: string, rule: PathRule, run: Run, solution: Solution): string {
  const dot = key.indexOf('.');
  const isField = fieldId(key) !== undefined || !rule.selections.some(({ name }) => name === key.slice(0, dot));
  if (!isField) {
    const name = key.slice(0, dot);
    const field = key.slice(dot + 1);
    const value =
      field === 'each' && rule.each?.name === name
        ? solution.element
        : readField(field, boundHop(name, rule, run, solution));
    return value === undefined ? UNKNOWN_TEXT : printValue(value);
  }
  const hops = [entryOf(run.path).index, ...hopsOf(rule, run, solution)];
  for (const hop of hops) {
    const value = readField(key, run.path.hops[hop]);
    if (value !== undefined) {
      return printValue(value);
    }
  }
  return UNKNOWN_TEXT;
}

function readField(field: string, hop: Hop | undefined): ReturnType<Hop['field']> {
  return hop === undefined ? undefined : compileField(field)(hop);
}

/** The hop that a name stands for; `entry` is the call path's entry where no selection has that name. */
function boundHop(name: string, rule: PathRule, run: Run, solution: Solution): Hop | undefined {
  const index = indexOf(rule, name);
  if (index < 0) {
    return name === 'entry' ? entryOf(run.path) : undefined;
  }
  const hop = solution.hops[index] ?? -1;
  return run.path.hops[hop >= 0 ? hop : (run.candidates(index, STRICT)[0] ?? -1)];
}

function firstText(path: CallPath, hops: Iterable<number>, field: number): string | undefined {
  for (const hop of hops) {
    const text = textOf(path.hops[hop]!.field(field));
    if (text !== undefined) {
      return text;
    }
  }
  return undefined;
}

function textOf(value: ReturnType<Hop['field']>): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function indexOf(rule: PathRule, name: string): number {
  return rule.selections.findIndex((selection) => selection.name === name);
}
