import { mix32 } from './random.ts';

/** Trace and span ids of synthetic traffic: everything follows from one 32-bit word per trace, so nothing is remembered. */

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

const traceWords = (word: number): readonly [number, number, number, number] => [
  word,
  mix32(word + 0x1000_0001),
  mix32(word + 0x2000_0003),
  (mix32(word + 0x3000_0005) | 1) >>> 0,
];
const spanHi = (word: number, span: number): number => mix32(word ^ Math.imul(span + 1, 0x9e3779b9));
/** The position in the trace is part of the id: ids inside a trace never collide and are never zero. */
const spanLo = (word: number, span: number): number => ((mix32(word + span + 1) & ~31) | (span + 1)) >>> 0;
/** 32 hex digits. */
export const traceIdHex = (word: number): string => traceWords(word).map(hex).join('');
/** 16 hex digits. */
export const spanIdHex = (word: number, span: number): string => hex(spanHi(word, span)) + hex(spanLo(word, span));

function writeWord(bytes: Buffer, at: number, word: number): void {
  bytes[at] = word >>> 24;
  bytes[at + 1] = word >>> 16;
  bytes[at + 2] = word >>> 8;
  bytes[at + 3] = word;
}

/** The bytes of `traceIdHex(word)` at an offset. */
export function writeTraceId(bytes: Buffer, at: number, word: number): void {
  writeWord(bytes, at, word);
  writeWord(bytes, at + 4, mix32(word + 0x1000_0001));
  writeWord(bytes, at + 8, mix32(word + 0x2000_0003));
  writeWord(bytes, at + 12, mix32(word + 0x3000_0005) | 1);
}

/** The bytes of `spanIdHex(word, span)` at an offset. */
export function writeSpanId(bytes: Buffer, at: number, word: number, span: number): void {
  writeWord(bytes, at, spanHi(word, span));
  writeWord(bytes, at + 4, spanLo(word, span));
}

/** The fixed64 `hi * 2^32 + lo + offsetNs`, little-endian, without a BigInt per span. */
export function writeTime(bytes: Buffer, at: number, lo: number, hi: number, offsetNs: number): void {
  const sum = lo + offsetNs;
  const carry = sum >= 0x1_0000_0000 ? 1 : 0;
  const low = sum - carry * 0x1_0000_0000;
  bytes[at] = low;
  bytes[at + 1] = low >>> 8;
  bytes[at + 2] = low >>> 16;
  bytes[at + 3] = low >>> 24;
  const high = hi + carry;
  bytes[at + 4] = high;
  bytes[at + 5] = high >>> 8;
  bytes[at + 6] = high >>> 16;
  bytes[at + 7] = high >>> 24;
}
