import { crc32 } from 'node:zlib';
import { DamagedError } from './byte-reader.ts';

/**
 * A Bloom filter over the traces of a segment: "not here" for certain, or "perhaps". 12 bits a trace and 6 probes are
 * wrong for 0.3 % of the absent ones, so that a look at 10,000 segments opens about 30.
 *
 * ```
 * crc32 4 | bits, 32 to a word
 * ```
 */
const BITS_PER_TRACE = 12;
const PROBES = 6;
const HEADER_BYTES = 4;

/** Two independent hashes of one trace id, the same for every filter. */
export interface TraceHash {
  readonly first: number;
  readonly second: number;
}

export function hashTrace(words: Uint32Array, at = 0): TraceHash {
  let first = Math.imul(words[at + 3]! ^ Math.imul(words[at + 1]!, 0x85ebca6b), 0xc2b2ae35);
  let second = Math.imul(words[at + 2]! ^ Math.imul(words[at]!, 0x9e3779b1), 0x85ebca6b);
  first = Math.imul(first ^ (first >>> 15) ^ second, 0x9e3779b1);
  second = Math.imul(second ^ (second >>> 13) ^ first, 0xc2b2ae35);
  return { first: (first ^ (first >>> 16)) >>> 0, second: ((second ^ (second >>> 15)) | 1) >>> 0 };
}

/** `traces` has four words per trace. */
export function writeBloom(traces: Uint32Array): Buffer {
  const bits = new Uint32Array(Math.max(1, Math.ceil(((traces.length / 4) * BITS_PER_TRACE) / 32)));
  for (let at = 0; at < traces.length; at += 4) {
    const { first, second } = hashTrace(traces, at);
    let hash = first;
    for (let probe = 0; probe < PROBES; probe++, hash = (hash + second) >>> 0) {
      const bit = bitOf(hash, bits.length);
      bits[bit >>> 5]! |= 1 << (bit & 31);
    }
  }
  const stored = Buffer.alloc(HEADER_BYTES + bits.byteLength);
  stored.set(new Uint8Array(bits.buffer), HEADER_BYTES);
  stored.writeUInt32LE(crc32(stored.subarray(HEADER_BYTES)));
  return stored;
}

/** The bits of a stored filter. Throws DamagedError. */
export function readBloom(stored: Buffer): Uint32Array {
  if (stored.length <= HEADER_BYTES || stored.readUInt32LE() !== crc32(stored.subarray(HEADER_BYTES))) {
    throw new DamagedError('the checksum of its trace filter does not fit');
  }
  const bits = new Uint32Array((stored.length - HEADER_BYTES) >>> 2);
  new Uint8Array(bits.buffer).set(stored.subarray(HEADER_BYTES, HEADER_BYTES + bits.byteLength));
  return bits;
}

export function mayHold(bits: Uint32Array, { first, second }: TraceHash): boolean {
  let hash = first;
  for (let probe = 0; probe < PROBES; probe++, hash = (hash + second) >>> 0) {
    const bit = bitOf(hash, bits.length);
    if ((bits[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
  }
  return true;
}

const bitOf = (hash: number, words: number): number => Math.floor((hash / 0x1_0000_0000) * words * 32);
