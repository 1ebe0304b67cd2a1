import type { Scalar } from '../model/value.ts';
import { LANGUAGE_LIMITS } from './limits.ts';
import { MapReader } from './reader.ts';
import type { Place, Problems } from './rule-error.ts';
import type { MapNode } from './yaml-node.ts';

interface List {
  readonly items: readonly Scalar[];
  readonly isDefault: boolean;
  readonly at: Place;
}

/** Named lists: those of the operator's settings, else of documents; a `default: true` list yields to any other. */
export class ListTable {
  readonly #settings: ReadonlyMap<string, readonly Scalar[]>;
  readonly #lists = new Map<string, List>();
  readonly #problems: Problems;

  constructor(settings: Readonly<Record<string, readonly Scalar[]>>, problems: Problems) {
    this.#settings = new Map(Object.entries(settings));
    this.#problems = problems;
  }

  /** Takes in a document `{list, items, default, description}`. */
  add(map: MapNode): void {
    const reader = new MapReader(map, ['list', 'items', 'default', 'description'], this.#problems);
    const name = reader.requiredText('list');
    const node = reader.required('items');
    const isDefault = reader.boolean('default') ?? false;
    const items = reader.asList(node, '"items"').flatMap((item): Scalar[] => {
      if (item.kind === 'scalar' && item.value !== null) {
        return [item.value];
      }
      reader.fail(item.at, 'E_LIST', 'an item must be a text, a number, true or false');
      return [];
    });
    if (node !== undefined && items.length > LANGUAGE_LIMITS.listItemsMax) {
      reader.fail(node.at, 'E_LIMIT', `${items.length} items, at most ${LANGUAGE_LIMITS.listItemsMax}`);
    }
    if (name === undefined) {
      return;
    }
    if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(name)) {
      reader.fail(map.at, 'E_LIST', `"${name}" is not a name: letters, digits and "_" only`);
      return;
    }
    const known = this.#lists.get(name);
    if (known !== undefined && known.isDefault === isDefault) {
      reader.fail(map.at, 'E_LIST', `list "${name}" exists already (${known.at.path}:${known.at.line})`);
      return;
    }
    if (known === undefined || known.isDefault) {
      this.#lists.set(name, { items, isDefault, at: map.at });
    }
  }

  items(name: string): readonly Scalar[] | undefined {
    return this.#settings.get(name) ?? this.#lists.get(name)?.items;
  }

  names(): Iterable<string> {
    return new Set([...this.#settings.keys(), ...this.#lists.keys()]);
  }
}
