import { type ByteReader, DamagedError } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { readNumbers, writeNumbers } from './number-column.ts';

/**
 * A column of positions in a table. Where the table is written in the order in which columns first refer to it, a
 * position is stored as the distance back from the next fresh one, 0 for the fresh one itself: values that never
 * repeat then cost nothing, and values that repeat within a trace cost a small number.
 *
 * ```
 * order byte: 0 as is | 1 fresh-first, then: next varint
 * number column
 * ```
 */
const AS_IS = 0;
const FRESH_FIRST = 1;

/** Gives the position in the new table for a position in the old one; fresh ones in ascending order. */
export interface RefNumbering {
  readonly size: number;
  renumber(ref: number): number;
}

/** With a numbering, `values[from, to)` are overwritten. */
export function writeRefs(
  writer: ByteWriter,
  values: Float64Array,
  from: number,
  to: number,
  numbering: RefNumbering | undefined,
): void {
  if (from === to) return;
  if (numbering === undefined) {
    writer.byte(AS_IS);
  } else {
    writer.byte(FRESH_FIRST);
    let next = numbering.size;
    writer.varint(next);
    for (let i = from; i < to; i++) {
      const ref = numbering.renumber(values[i]!);
      values[i] = next - ref;
      if (ref === next) next++;
    }
  }
  writeNumbers(writer, values, from, to);
}

/** Reads `count` positions below `size` into `into` from `at`. */
export function readRefs(
  reader: ByteReader,
  into: Float64Array | Uint32Array,
  at: number,
  count: number,
  size: number,
): void {
  if (count === 0) return;
  const order = reader.byte();
  if (order > FRESH_FIRST) throw new DamagedError(`references of order ${order} are unknown`);
  let next = order === FRESH_FIRST ? reader.varint() : 0;
  readNumbers(reader, into, at, count);
  for (let i = at; i < at + count; i++) {
    let ref = into[i]!;
    if (order === FRESH_FIRST) {
      ref = next - ref;
      if (ref === next) next++;
      into[i] = ref;
    }
    if (!(ref >= 0 && ref < size && Math.floor(ref) === ref))
      throw new DamagedError(`a reference to ${ref} of ${size}`);
  }
}
