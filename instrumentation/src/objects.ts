/**
 * Objects a request touches: raw ids in, kind, gap to the previous id and keyed pseudonyms out.
 */
import type { Attributes } from '@opentelemetry/api';
import type { Pseudonym } from './pseudonym.ts';
import { ATTR } from './semconv.ts';

export type IdKind = 'int' | 'uuid' | 'random' | 'email' | 'phone' | 'other';
export type IdGap = 'same' | 'one' | 'le64' | 'gt64' | 'na';

/** More ids than this are counted, not sent. */
export const OBJECT_IDS_MAX = 16;

export function idKindOf(id: string): IdKind {
  if (/^\d{1,18}$/.test(id)) return 'int';
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(id)) return 'uuid';
  if (/^[^@\s]{1,64}@[^@\s]{1,255}$/.test(id)) return 'email';
  if (/^\+[1-9]\d{6,14}$/.test(id)) return 'phone';
  return id.length >= 16 && /\d/.test(id) && /[A-Za-z]/.test(id) ? 'random' : 'other';
}

/**
 * Distance from the previous id of the same principal on the same route: hashing destroys sequence, so walking through ids
 * must be seen before it. Bounded; the oldest principals are forgotten first.
 */
export class IdGaps {
  readonly #last = new Map<string, number>();
  readonly #principalsMax: number;

  constructor(principalsMax = 10_000) {
    this.#principalsMax = principalsMax;
  }

  /** @param key principal and route */
  next(key: string, id: string): IdGap {
    if (idKindOf(id) !== 'int') return 'na';
    const value = Number(id);
    const previous = this.#last.get(key);
    this.#last.delete(key);
    this.#last.set(key, value);
    if (this.#last.size > this.#principalsMax) this.#last.delete(this.#last.keys().next().value as string);
    if (previous === undefined) return 'na';
    const distance = Math.abs(value - previous);
    if (distance === 0) return 'same';
    if (distance === 1) return 'one';
    return distance <= 64 ? 'le64' : 'gt64';
  }
}

/** Attributes of objects of one type; without a key only how many and of what kind. */
export function objectAttributes(type: string, ids: readonly string[], pseudonym: Pseudonym | undefined): Attributes {
  const distinct = [...new Set(ids)];
  const attributes: Attributes = { [ATTR.objectType]: type, [ATTR.objectCount]: distinct.length };
  if (distinct[0] !== undefined) attributes[ATTR.objectIdKind] = idKindOf(distinct[0]);
  if (pseudonym !== undefined)
    attributes[ATTR.objectIds] = distinct.slice(0, OBJECT_IDS_MAX).map((id) => pseudonym(`object:${type}`, id));
  return attributes;
}
