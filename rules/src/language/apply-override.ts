import { MapReader } from './reader.ts';
import type { Problems } from './rule-error.ts';
import type { Entry, MapNode, Node } from './yaml-node.ts';

/** An `override` document: what to change of one rule before it is read. */
export interface Override {
  readonly rule: string;
  readonly map: MapNode;
  readonly set: readonly Entry[];
  readonly append: readonly Entry[];
}

const FIXED = ['id', 'version', 'tests', 'override'];

export function parseOverride(map: MapNode, problems: Problems): Override | undefined {
  const before = problems.count;
  const reader = new MapReader(map, ['rule', 'set', 'append', 'reason'], problems);
  const rule = reader.requiredText('rule');
  reader.requiredText('reason');
  const set = reader.asMap(reader.node('set'), '"set"')?.entries ?? [];
  const append = reader.asMap(reader.node('append'), '"append"')?.entries ?? [];
  for (const entry of [...set, ...append]) {
    const head = entry.key.split('.')[0]!;
    if (FIXED.includes(head)) {
      reader.fail(entry.keyAt, 'E_KEY', `an override cannot change "${head}"`);
    }
  }
  if (set.length + append.length === 0) {
    reader.fail(map.at, 'E_MISSING', 'an override needs "set" or "append"');
  }
  return problems.count > before || rule === undefined ? undefined : { rule, map, set, append };
}

/** The rule's document with the override in it; places still lead to the text that each value came from. */
export function applyOverride(rule: MapNode, override: Override, problems: Problems): MapNode {
  let changed = rule;
  for (const entry of override.set) {
    changed = setIn(changed, entry.key, entry, () => entry.value);
  }
  for (const entry of override.append) {
    changed = setIn(changed, entry.key, entry, (old) => {
      const added = entry.value.kind === 'list' ? entry.value.items : [entry.value];
      if (old !== undefined && old.kind !== 'list') {
        problems.add(entry.keyAt, 'E_TYPE', `"${entry.key}" is not a list, so nothing can be appended`);
        return old;
      }
      return { kind: 'list', at: old?.at ?? entry.keyAt, items: [...(old?.items ?? []), ...added] };
    });
  }
  return changed;
}

/** Keys may hold dots themselves (`http.request.body.size|gte`), so the longest key that exists goes first. */
function setIn(map: MapNode, path: string, from: Entry, change: (old: Node | undefined) => Node): MapNode {
  const nested = map.entries
    .filter((entry) => path.startsWith(`${entry.key}.`) && entry.value.kind === 'map')
    .toSorted((a, b) => b.key.length - a.key.length)[0];
  const exact = map.entries.find((entry) => entry.key === path);
  if (exact === undefined && nested !== undefined) {
    const value = setIn(nested.value as MapNode, path.slice(nested.key.length + 1), from, change);
    return replace(map, { ...nested, value });
  }
  return replace(map, { key: path, keyAt: exact?.keyAt ?? from.keyAt, value: change(exact?.value) });
}

function replace(map: MapNode, entry: Entry): MapNode {
  const at = map.entries.findIndex((other) => other.key === entry.key);
  const entries = at < 0 ? [...map.entries, entry] : map.entries.with(at, entry);
  return { ...map, entries };
}
