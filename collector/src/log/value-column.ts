import type { Value } from '@spanwarden/rules';
import { type ByteReader, DamagedError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readNumbers, writeNumbers } from './number-column.ts';
import { readStrings, writeStrings } from './string-column.ts';

/**
 * Lists of scalars, and values that may be scalars or lists: for what is per resource or per list, not per span.
 *
 * ```
 * values: shape of each (number column: 0 = a scalar, n = a list of n - 1), then their scalars
 * scalars: tag of each (0 string, 1 number, 2 false, 3 true), the numbers, the strings
 * ```
 */
type Scalar = string | number | boolean;
const STRING = 0;
const NUMBER = 1;
const FALSE = 2;
const TRUE = 3;

export function writeValues(writer: ByteWriter, values: readonly Value[]): void {
  writer.varint(values.length);
  const lengths = new Uint32Array(values.length);
  const scalars: Scalar[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (typeof value === 'object') {
      lengths[i] = value.length + 1;
      for (const scalar of value) scalars.push(scalar);
    } else {
      scalars.push(value);
    }
  }
  writeNumbers(writer, lengths, 0, lengths.length);
  writeScalars(writer, scalars);
}

export function readValues(reader: ByteReader): Value[] {
  const count = reader.count(VALUES_MAX);
  const lengths = new Uint32Array(count);
  readNumbers(reader, lengths, 0, count);
  let total = 0;
  for (const length of lengths) total += length === 0 ? 1 : length - 1;
  const scalars = readScalars(reader, total);
  const values: Value[] = [];
  let at = 0;
  for (const length of lengths) {
    if (length === 0) values.push(scalars[at++]!);
    else {
      values.push(scalars.slice(at, at + length - 1));
      at += length - 1;
    }
  }
  return values;
}

function writeScalars(writer: ByteWriter, scalars: readonly Scalar[]): void {
  const tags = new Uint8Array(scalars.length);
  const numbers: number[] = [];
  const strings: string[] = [];
  for (let i = 0; i < scalars.length; i++) {
    const scalar = scalars[i]!;
    if (typeof scalar === 'string') strings.push(scalar);
    else if (typeof scalar === 'number') {
      tags[i] = NUMBER;
      numbers.push(scalar);
    } else tags[i] = scalar ? TRUE : FALSE;
  }
  writeNumbers(writer, tags, 0, tags.length);
  writer.varint(numbers.length);
  writeNumbers(writer, Float64Array.from(numbers), 0, numbers.length);
  writeStrings(writer, strings);
}

/** A column of equal values has no bytes per row, so damage could claim any number of them. */
const VALUES_MAX = 0x1_000_0000;

function readScalars(reader: ByteReader, count: number): Scalar[] {
  if (count > VALUES_MAX) throw new DamagedError(`${count} values`);
  const tags = new Uint8Array(count);
  readNumbers(reader, tags, 0, count);
  const numbers = new Float64Array(reader.count(count));
  readNumbers(reader, numbers, 0, numbers.length);
  const strings = readStrings(reader);
  const scalars = new Array<Scalar>(count);
  let number = 0;
  let string = 0;
  for (let i = 0; i < count; i++) {
    const tag = tags[i]!;
    if (tag === STRING) scalars[i] = strings[string++]!;
    else if (tag === NUMBER) scalars[i] = numbers[number++]!;
    else if (tag === FALSE || tag === TRUE) scalars[i] = tag === TRUE;
    else throw new DamagedError(`a value of tag ${tag} is unknown`);
  }
  if (number !== numbers.length || string !== strings.length) throw new DamagedError('values and their tags disagree');
  return scalars;
}
