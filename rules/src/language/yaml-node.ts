import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  Scalar,
  type Node as YamlNode,
} from 'yaml';
import { LANGUAGE_LIMITS } from './limits.ts';
import type { Place, Problems } from './rule-error.ts';

/** A YAML document with every value's place, aliases resolved: what the readers of this folder work on. */
export type Node = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly at: Place;
  /** Place of the character at an offset of the text value, also inside quotes and block scalars. */
  placeOf(offset: number): Place;
}
export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly Node[];
  readonly at: Place;
}
export interface MapNode {
  readonly kind: 'map';
  readonly entries: readonly Entry[];
  readonly at: Place;
}
export interface Entry {
  readonly key: string;
  readonly keyAt: Place;
  readonly value: Node;
}

/** One text with its path below the rules folder. */
export interface RuleSource {
  readonly path: string;
  readonly text: string;
}

/** The documents of one text that are maps; everything else is reported. */
export function parseYaml(source: RuleSource, problems: Problems): readonly MapNode[] {
  if (new TextEncoder().encode(source.text).length > LANGUAGE_LIMITS.fileBytesMax) {
    const start = { path: source.path, line: 1, column: 1 };
    problems.add(start, 'E_LIMIT', `the file is longer than ${LANGUAGE_LIMITS.fileBytesMax} bytes`);
    return [];
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(source.text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  return Array.from(documents).flatMap((document) => {
    const reader = new NodeReader(source, lines, problems, document);
    for (const error of document.errors) {
      problems.add(reader.place(error.pos[0]), 'E_YAML', error.message.replace(/\s+/g, ' ').trim());
    }
    if (document.errors.length > 0 || document.contents === null) {
      return [];
    }
    const node = reader.read(document.contents as YamlNode, 0);
    if (node === undefined || (node.kind === 'scalar' && node.value === null)) {
      return [];
    }
    if (node.kind !== 'map') {
      problems.add(node.at, 'E_YAML', 'a document must be a map');
      return [];
    }
    return [node];
  });
}

class NodeReader {
  readonly #source: RuleSource;
  readonly #lines: LineCounter;
  readonly #problems: Problems;
  readonly #document: Document.Parsed | Document;
  #aliases = 0;

  constructor(source: RuleSource, lines: LineCounter, problems: Problems, document: Document.Parsed | Document) {
    this.#source = source;
    this.#lines = lines;
    this.#problems = problems;
    this.#document = document;
  }

  place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { path: this.#source.path, line, column: col };
  }

  read(node: YamlNode, depth: number): Node | undefined {
    const at = this.place(node.range?.[0] ?? 0);
    if (depth > LANGUAGE_LIMITS.depthMax) {
      this.#problems.add(at, 'E_LIMIT', `values are nested deeper than ${LANGUAGE_LIMITS.depthMax} levels`);
      return undefined;
    }
    if (isAlias(node)) {
      return this.#readAlias(node, at, depth);
    }
    if (isMap(node)) {
      return { kind: 'map', at, entries: node.items.flatMap((pair) => this.#readPair(pair, depth)) };
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as YamlNode, depth + 1));
      return { kind: 'list', at, items: items.filter((item) => item !== undefined) };
    }
    return isScalar(node) ? this.#readScalar(node, at) : undefined;
  }

  #readAlias(node: Alias, at: Place, depth: number): Node | undefined {
    this.#aliases++;
    if (this.#aliases > LANGUAGE_LIMITS.aliasesMax) {
      // Said once: an alias bomb would otherwise be as many errors as it is nodes.
      if (this.#aliases === LANGUAGE_LIMITS.aliasesMax + 1) {
        this.#problems.add(at, 'E_LIMIT', `more than ${LANGUAGE_LIMITS.aliasesMax} aliases are followed`);
      }
      return undefined;
    }
    const target = node.resolve(this.#document);
    if (target === undefined) {
      this.#problems.add(at, 'E_YAML', `alias "${node.source}" has no anchor`);
      return undefined;
    }
    return this.read(target, depth + 1);
  }

  #readPair(pair: Pair, depth: number): Entry[] {
    const key = pair.key as YamlNode | null;
    const keyAt = this.place(key?.range?.[0] ?? 0);
    if (!isScalar(key) || key.value === null || typeof key.value === 'object') {
      this.#problems.add(keyAt, 'E_YAML', 'a key must be a plain text');
      return [];
    }
    const value =
      pair.value === null ? this.#readScalar(new Scalar(null), keyAt) : this.read(pair.value as YamlNode, depth + 1);
    return value === undefined ? [] : [{ key: String(key.value), keyAt, value }];
  }

  #readScalar(node: Scalar, at: Place): ScalarNode {
    const raw = node.value;
    const value = typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean' ? raw : null;
    const [from, to] = node.range ?? [0, 0];
    const text = this.#source.text;
    return {
      kind: 'scalar',
      value,
      at,
      placeOf: (offset) => (typeof value === 'string' ? this.place(rawOffset(text, from, to, value, offset)) : at),
    };
  }
}

const BLANK = /\s/;

/**
 * Where in the raw text the character at `offset` of a scalar's value stands. Quotes, block headers, indentation and
 * folded line breaks are in the raw text only, so both are walked together and white space may differ in length.
 */
function rawOffset(text: string, from: number, to: number, value: string, offset: number): number {
  let at = from;
  if (text[at] === '|' || text[at] === '>') {
    at = text.indexOf('\n', at) + 1;
  } else if (text[at] === '"' || text[at] === "'") {
    at++;
  }
  for (let i = 0; at < to; i++) {
    if (BLANK.test(value[i] ?? '')) {
      if (i >= offset) {
        return at;
      }
      while (BLANK.test(value[i + 1] ?? '')) {
        i++;
      }
      while (at < to && BLANK.test(text[at]!)) {
        at++;
      }
      continue;
    }
    while (at < to && text[at] !== value[i] && i < value.length) {
      at++;
    }
    if (i >= offset) {
      return at;
    }
    at++;
  }
  return Math.min(at, to);
}
