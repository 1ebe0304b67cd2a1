import type { Place, Problems, RuleErrorCode } from './rule-error.ts';
import { didYouMean } from './suggest.ts';
import type { Entry, MapNode, Node, ScalarNode } from './yaml-node.ts';

const DURATION_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Reads the keys of one map, reporting what is missing, unknown or of the wrong type. */
export class MapReader {
  readonly map: MapNode;
  readonly #problems: Problems;
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(map: MapNode, keys: readonly string[], problems: Problems) {
    this.map = map;
    this.#problems = problems;
    this.#entries = new Map(map.entries.map((entry) => [entry.key, entry]));
    for (const entry of map.entries) {
      if (!keys.includes(entry.key)) {
        this.fail(entry.keyAt, 'E_KEY', `"${entry.key}" is not a key here${didYouMean(entry.key, keys)}`);
      }
    }
  }

  fail(place: Place, code: RuleErrorCode, message: string): void {
    this.#problems.add(place, code, message);
  }

  node(key: string): Node | undefined {
    return this.#entries.get(key)?.value;
  }

  required(key: string): Node | undefined {
    const node = this.node(key);
    if (node === undefined) {
      this.fail(this.map.at, 'E_MISSING', `"${key}" is missing`);
    }
    return node;
  }

  /** A non-empty text, or undefined after an error or where there is none. */
  text(key: string): string | undefined {
    const node = this.node(key);
    return node === undefined ? undefined : this.textOf(node, `"${key}"`);
  }

  requiredText(key: string): string | undefined {
    const node = this.required(key);
    return node === undefined ? undefined : this.textOf(node, `"${key}"`);
  }

  textOf(node: Node, what: string): string | undefined {
    if (node.kind === 'scalar' && typeof node.value === 'string' && node.value.trim() !== '') {
      return node.value;
    }
    this.fail(node.at, 'E_TYPE', `${what} must be a text`);
    return undefined;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const text = this.text(key);
    if (text === undefined || allowed.includes(text as T)) {
      return text as T | undefined;
    }
    const hint = didYouMean(text, allowed) || `; allowed are ${allowed.join(', ')}`;
    this.fail(this.node(key)!.at, 'E_TYPE', `"${key}" cannot be "${text}"${hint}`);
    return undefined;
  }

  boolean(key: string): boolean | undefined {
    const node = this.node(key);
    if (node === undefined || (node.kind === 'scalar' && typeof node.value === 'boolean')) {
      return node?.value as boolean | undefined;
    }
    this.fail(node.at, 'E_TYPE', `"${key}" must be true or false`);
    return undefined;
  }

  positiveInteger(key: string): number | undefined {
    const node = this.node(key);
    if (node === undefined) {
      return undefined;
    }
    if (node.kind === 'scalar' && Number.isSafeInteger(node.value) && (node.value as number) > 0) {
      return node.value as number;
    }
    this.fail(node.at, 'E_TYPE', `"${key}" must be a positive whole number`);
    return undefined;
  }

  /** A list of texts; one text stands for a list of one. */
  texts(key: string): readonly string[] {
    const node = this.node(key);
    if (node === undefined) {
      return [];
    }
    const items = node.kind === 'list' ? node.items : [node];
    return items.flatMap((item) => this.textOf(item, `each entry of "${key}"`) ?? []);
  }

  asMap(node: Node | undefined, what: string): MapNode | undefined {
    if (node === undefined || node.kind === 'map') {
      return node;
    }
    this.fail(node.at, 'E_TYPE', `${what} must be a map`);
    return undefined;
  }

  asList(node: Node | undefined, what: string): readonly Node[] {
    if (node === undefined) {
      return [];
    }
    if (node.kind === 'list') {
      return node.items;
    }
    this.fail(node.at, 'E_TYPE', `${what} must be a list`);
    return [];
  }

  asText(node: Node | undefined, what: string): ScalarNode | undefined {
    if (node !== undefined && this.textOf(node, what) !== undefined) {
      return node as ScalarNode;
    }
    return undefined;
  }

  /** `90s`, `30m`, `24h`, `7d`, `2w` in milliseconds. */
  durationMs(key: string): number | undefined {
    const node = this.node(key);
    return node === undefined ? undefined : this.durationMsOf(node, `"${key}"`);
  }

  durationMsOf(node: Node, what: string): number | undefined {
    const match = node.kind === 'scalar' ? /^([1-9]\d{0,5})([smhdw])$/.exec(String(node.value)) : null;
    if (match === null) {
      this.fail(node.at, 'E_TYPE', `${what} must be a duration such as 90s, 30m, 24h or 7d`);
      return undefined;
    }
    return Number(match[1]) * DURATION_MS[match[2]!]!;
  }
}
