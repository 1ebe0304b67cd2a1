import type { Scalar, Value } from '@spanwarden/rules';
import { TAG_BOOLEAN, TAG_LIST, TAG_NUMBER, TAG_STRING } from '../base/batch.ts';
import type { Category } from './findings.ts';

/** One attribute of the normalised span: several wire names can fill it. */
export class Slot {
  readonly name: string;
  /** Field id, -1 for an attribute that only carries its own name. */
  readonly field: number;
  /** Held for the end of the span, never stored under this name. */
  readonly hidden: boolean;
  /** Key id in the batch whose number is `epoch`. */
  key = 0;
  epoch = 0;
  /** The span (by serial number) that has a value in this slot, and where. */
  serial = 0;
  at = 0;

  constructor(name: string, field: number, hidden = false) {
    this.name = name;
    this.field = field;
    this.hidden = hidden;
  }
}

/** What a value says about another attribute of the same span. */
export interface Side {
  readonly slot: Slot;
  readonly rank: number;
  readonly verdict: Verdict;
}

const NO_CATEGORIES: readonly Category[] = [];
const NO_SIDES: readonly Side[] = [];

/** What becomes of one value under one name; computed once, then reused for the same bytes. */
export class Verdict {
  readonly tag: number;
  readonly number: number;
  readonly text: string;
  readonly list: readonly Scalar[];
  /** False: nothing is stored under the name itself. */
  readonly stored: boolean;
  readonly sides: readonly Side[];
  readonly found: readonly Category[];
  /** Position of `text` among the strings of the batch whose number is `epoch`. */
  id = 0;
  epoch = 0;

  constructor(value: Value | undefined, found: readonly Category[] = NO_CATEGORIES, sides: readonly Side[] = NO_SIDES) {
    this.stored = value !== undefined;
    this.tag = tagOf(value);
    this.number = typeof value === 'number' ? value : value === true ? 1 : 0;
    this.text = typeof value === 'string' ? value : '';
    this.list = Array.isArray(value) ? value : NO_LIST;
    this.found = found.length === 0 ? NO_CATEGORIES : found;
    this.sides = sides.length === 0 ? NO_SIDES : sides;
  }

  get value(): Value {
    if (this.tag === TAG_STRING) return this.text;
    if (this.tag === TAG_NUMBER) return this.number;
    if (this.tag === TAG_BOOLEAN) return this.number !== 0;
    return this.list;
  }
}

const NO_LIST: readonly Scalar[] = [];

function tagOf(value: Value | undefined): number {
  if (typeof value === 'number') return TAG_NUMBER;
  if (typeof value === 'boolean') return TAG_BOOLEAN;
  return typeof value === 'object' ? TAG_LIST : TAG_STRING;
}
