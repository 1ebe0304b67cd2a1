import { FIELD_COUNT } from '@spanwarden/rules';
import type { Resource, Scope, SpanBatch } from '../base/batch.ts';
import type { RefNumbering } from './ref-column.ts';

/**
 * One set of tables for the batches that a segment is built from: equal strings, lists, resources, scopes and keys of
 * several batches become one. Positions are valid for all batches that were added.
 */
export class SharedTables {
  readonly strings: string[] = [];
  readonly lists: SpanBatch['lists'][number][] = [];
  readonly resources: Resource[] = [];
  readonly scopes: Scope[] = [];
  readonly keys: string[] = [];
  readonly #stringIds = new Map<string, number>();
  readonly #listIds = new Map<string, number>();
  readonly #resourceIds = new Map<string, number>();
  readonly #scopeIds = new Map<string, number>();
  readonly #keyIds = new Map<string, number>();

  /** Spelled out, not `intern`: it runs for every string of everything stored. */
  #addStrings(texts: readonly string[]): Uint32Array {
    const ids = this.#stringIds;
    const table = this.strings;
    const positions = new Uint32Array(texts.length);
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!;
      let id = ids.get(text);
      if (id === undefined) {
        id = table.length;
        table.push(text);
        ids.set(text, id);
      }
      positions[i] = id;
    }
    return positions;
  }

  /** The positions here of a batch's own tables. */
  add(batch: SpanBatch): TablePositions {
    return {
      string: this.#addStrings(batch.strings),
      list: Uint32Array.from(batch.lists, (list) => intern(this.#listIds, this.lists, toKey(list), list)),
      resource: Uint32Array.from(batch.resources, (resource) =>
        intern(this.#resourceIds, this.resources, toKey(resource), resource),
      ),
      scope: Uint32Array.from(batch.scopes, (scope) =>
        intern(this.#scopeIds, this.scopes, toKey([scope.name, scope.version]), scope),
      ),
      key: Uint32Array.from(batch.keys, (key) => FIELD_COUNT + intern(this.#keyIds, this.keys, key, key)),
    };
  }
}

export interface TablePositions {
  readonly string: Uint32Array;
  readonly list: Uint32Array;
  readonly resource: Uint32Array;
  readonly scope: Uint32Array;
  /** Attribute key for each key of the batch's own. */
  readonly key: Uint32Array;
}

function intern<T>(ids: Map<string, number>, table: T[], key: string, value: T): number {
  const known = ids.get(key);
  if (known !== undefined) return known;
  const id = table.push(value) - 1;
  ids.set(key, id);
  return id;
}

/** Text that is equal for equal values only: JSON knows neither NaN nor -0, so those become what no scalar can be; no JSON text of ours begins with 1. */
function toKey(value: unknown): string {
  if (Array.isArray(value) && value.length === 1 && typeof value[0] === 'string') return `1${value[0]}`;
  return JSON.stringify(value, (_, part) => (isOdd(part) ? { odd: Object.is(part, -0) ? '-0' : String(part) } : part));
}

const isOdd = (part: unknown): boolean => typeof part === 'number' && (!Number.isFinite(part) || Object.is(part, -0));

/** Numbers the entries of a table in the order in which they are first asked for; used again for the next block. */
export class LocalNumbering<T> implements RefNumbering {
  table: T[] = [];
  readonly #from: readonly T[];
  #locals: Int32Array;

  constructor(from: readonly T[]) {
    this.#from = from;
    this.#locals = new Int32Array(from.length).fill(-1);
  }

  get size(): number {
    return this.table.length;
  }

  renumber(ref: number): number {
    const known = this.#locals[ref]!;
    if (known >= 0) return known;
    const local = this.table.push(this.#from[ref]!) - 1;
    this.#locals[ref] = local;
    return local;
  }

  reset(): void {
    this.#locals.fill(-1);
    this.table = [];
  }
}
