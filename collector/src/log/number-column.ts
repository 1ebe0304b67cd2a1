import type { ByteReader } from './byte-reader.ts';
import { DamagedError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';

/**
 * A column of numbers: integers as offsets from their smallest in the fewest whole bytes, lowest bytes of all rows
 * first (bytes that vary alike lie together, which is what the compressor wants); anything else as doubles.
 *
 * ```
 * mode 0..7   bytes per offset; 0 = all equal      then: base (sign byte, varint), mode x count bytes
 * mode 8      doubles                              then: 8 x count bytes
 * ```
 * An empty column is no bytes at all: the reader knows the count.
 */
const MODE_DOUBLES = 8;
const EXACT_MAX = Number.MAX_SAFE_INTEGER;
const TWO_32 = 0x1_0000_0000;

export type Numbers = Float64Array | Uint32Array | Uint8Array;

export function writeNumbers(writer: ByteWriter, values: Numbers, from: number, to: number): void {
  const count = to - from;
  if (count === 0) return;
  let min = values[from]!;
  let max = min;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  const integers = !(values instanceof Float64Array) || areIntegers(values, from, to, min, max);
  if (integers) writeOffsets(writer, values, from, to, min, max - min);
  else writeDoubles(writer, values, from, to);
}

/** -0 must come back as -0, and NaN is found by being equal to nothing. */
function areIntegers(values: Float64Array, from: number, to: number, min: number, max: number): boolean {
  if (!(min >= -EXACT_MAX && max <= EXACT_MAX && max - min <= EXACT_MAX)) return false;
  for (let i = from; i < to; i++) {
    const value = values[i]!;
    if (Math.floor(value) !== value || (value === 0 && 1 / value < 0)) return false;
  }
  return true;
}

function writeDoubles(writer: ByteWriter, values: Numbers, from: number, to: number): void {
  writer.byte(MODE_DOUBLES);
  writer.reserve((to - from) * 8);
  for (let i = from; i < to; i++) writer.length = writer.bytes.writeDoubleLE(values[i]!, writer.length);
}

function widthOf(range: number): number {
  if (range === 0) return 0;
  let width = 1;
  for (let bound = 256; range >= bound; bound *= 256) width++;
  return width;
}

function writeOffsets(writer: ByteWriter, values: Numbers, from: number, to: number, min: number, range: number): void {
  const width = widthOf(range);
  writer.byte(width);
  writer.byte(min < 0 ? 1 : 0);
  writer.varint(Math.abs(min));
  writer.reserve((to - from) * width);
  const { bytes } = writer;
  let at = writer.length;
  for (let plane = 0; plane < Math.min(width, 4); plane++) {
    const shift = plane * 8;
    if (width <= 4) for (let i = from; i < to; i++) bytes[at++] = (values[i]! - min) >>> shift;
    else for (let i = from; i < to; i++) bytes[at++] = ((values[i]! - min) % TWO_32) >>> shift;
  }
  for (let plane = 4; plane < width; plane++) {
    const shift = plane * 8 - 32;
    for (let i = from; i < to; i++) bytes[at++] = Math.floor((values[i]! - min) / TWO_32) >>> shift;
  }
  writer.length = at;
}

/** Reads `count` numbers into `into` from position `at`. */
export function readNumbers(reader: ByteReader, into: Numbers, at: number, count: number): void {
  if (count === 0) return;
  const mode = reader.byte();
  if (mode === MODE_DOUBLES) {
    const from = reader.skip(count * 8);
    for (let i = 0; i < count; i++) into[at + i] = reader.bytes.readDoubleLE(from + i * 8);
    return;
  }
  if (mode > 7) throw new DamagedError(`a column of mode ${mode} is unknown`);
  const sign = reader.byte() === 0 ? 1 : -1;
  const base = sign * reader.varint();
  const { bytes } = reader;
  const from = reader.skip(count * mode);
  if (mode === 0) into.fill(base, at, at + count);
  else if (mode === 1) for (let i = 0; i < count; i++) into[at + i] = base + bytes[from + i]!;
  else if (mode === 2) {
    const high = from + count;
    for (let i = 0; i < count; i++) into[at + i] = base + (bytes[from + i]! | (bytes[high + i]! << 8));
  } else {
    for (let i = 0; i < count; i++) {
      let offset = 0;
      let scale = 1;
      for (let plane = 0; plane < mode; plane++, scale *= 256) offset += bytes[from + plane * count + i]! * scale;
      into[at + i] = base + offset;
    }
  }
}
