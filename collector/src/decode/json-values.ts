import { RejectedError } from '../base/errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own member under its camelCase or snake_case name; null is absent. Inherited names are never seen. */
export function member(object: JsonObject, name: string, snake: string): Json | undefined {
  if (Object.hasOwn(object, name)) return object[name] ?? undefined;
  if (snake !== name && Object.hasOwn(object, snake)) return object[snake] ?? undefined;
  return undefined;
}

function malformed(where: string, expected: string): RejectedError {
  return new RejectedError('malformed', `${where} is not ${expected}`);
}

export function readText(value: Json | undefined, where: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw malformed(where, 'a string');
  return value;
}

const SPECIAL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** A number, or its text as proto3 JSON allows. */
export function readNumber(value: Json | undefined, where: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') throw malformed(where, 'a number');
  const number = SPECIAL_NUMBERS.get(value) ?? Number(value);
  if (Number.isNaN(number) && value !== 'NaN') throw malformed(where, 'a number');
  return number;
}

const INTEGER = /^-?\d{1,20}$/;

/** An int64: a number when exact in a double, else its decimal digits. */
export function toInt64(value: Json, where: string): number | string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw malformed(where, 'an integer');
    const whole = Math.trunc(value);
    return Number.isSafeInteger(whole) ? whole : BigInt.asIntN(64, BigInt(whole)).toString();
  }
  if (typeof value !== 'string' || !INTEGER.test(value)) throw malformed(where, 'an integer');
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt.asIntN(64, BigInt(value)).toString();
}

/** Nanoseconds since the epoch, as text or number, as integer microseconds. */
export function readMicros(value: Json | undefined, where: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return bounded(Math.floor(value / 1000), where);
  if (typeof value !== 'string' || !/^\d{0,20}$/.test(value)) throw malformed(where, 'a time in nanoseconds');
  // The last three digits are below a microsecond; the rest is exact in a double.
  return bounded(Number(value.slice(0, -3)), where);
}

function bounded(micros: number, where: string): number {
  if (!(micros >= 0)) throw malformed(where, 'a time in nanoseconds');
  return Math.min(micros, Number.MAX_SAFE_INTEGER);
}

/** An enum by number or by name; unknown names are -1. */
export function readEnum(value: Json | undefined, names: readonly string[], where: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return Number.isInteger(value) ? value : -1;
  if (typeof value !== 'string') throw malformed(where, 'an enum');
  return /^\d+$/.test(value) ? Number(value) : names.indexOf(value);
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

function readHex(text: string, ids: Uint32Array, at: number, words: number): boolean {
  for (let word = 0; word < words; word++) {
    let value = 0;
    for (let i = word * 8; i < word * 8 + 8; i++) {
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0) return false;
      value = (value << 4) | digit;
    }
    ids[at + word] = value;
  }
  return true;
}

/** Length in characters of base64 of 16 and 8 bytes. */
const BASE64_CHARS: Readonly<Record<number, number>> = { 4: 24, 2: 12 };

/**
 * Reads an id of `words` 32-bit words from hex (any case) or base64 to `ids[at]`. False for any other length, other
 * characters, and zero, which names nothing.
 */
export function readId(value: Json | undefined, ids: Uint32Array, at: number, words: number): boolean {
  if (typeof value !== 'string') return false;
  if (value.length === words * 8) {
    if (!readHex(value, ids, at, words)) return false;
  } else if (value.length === BASE64_CHARS[words] && /^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) {
    const bytes = Buffer.from(value, 'base64');
    if (bytes.length !== words * 4) return false;
    for (let i = 0; i < words; i++) ids[at + i] = bytes.readUInt32BE(i * 4);
  } else return false;
  let any = 0;
  for (let i = at; i < at + words; i++) any |= ids[i]!;
  return any !== 0;
}
