import type { Scalar } from '@spanwarden/rules';
import type { Category } from './findings.ts';
import { markOf } from './findings.ts';
import { scrubText } from './scrub-text.ts';
import { categoryOfName } from './sensitive-names.ts';

/** An OTLP AnyValue that is no scalar, as both front ends build it: bounded in depth and size, names still raw. */
export type Tree = Scalar | null | Tree[] | TreeMap;
export type TreeMap = Map<string, Tree>;

/** Stands for what was nested too deep. */
export const DEEP_MARK = '{deep}';
/** Stands for bytes, which nobody can scrub. */
export const BYTES_MARK = '{bytes}';

/** The items of an array that holds nothing but scalars; undefined for any other value. */
export function toScalars(tree: Tree[]): Scalar[] | undefined {
  const scalars: Scalar[] = [];
  for (const item of tree) {
    if (item === null) continue;
    if (typeof item === 'object') return undefined;
    scalars.push(item);
  }
  return scalars;
}

/** JSON text of a nested value with every leaf and name scrubbed on its own. */
export function toScrubbedText(tree: Tree, found: Category[]): string {
  return JSON.stringify(scrubTree(tree, found));
}

// The depth of a tree is bounded where it is built, so recursion is bounded here.
function scrubTree(tree: Tree, found: Category[]): unknown {
  if (typeof tree === 'string') return scrubText(tree, found);
  if (tree === null || typeof tree !== 'object') return tree;
  if (Array.isArray(tree)) return tree.map((item) => scrubTree(item, found));
  const clean = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of tree) {
    const category = typeof value === 'boolean' ? undefined : categoryOfName(name);
    if (category !== undefined && value !== null) found.push(category);
    const key = scrubText(name, found);
    Object.defineProperty(clean, key, {
      value: category === undefined ? scrubTree(value, found) : markOf(category),
      enumerable: true,
      configurable: true,
    });
  }
  return clean;
}
