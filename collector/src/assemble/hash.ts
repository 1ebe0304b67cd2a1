import { randomBytes } from 'node:crypto';

/**
 * Tabulation hashing of trace and span ids. Ids are chosen by whoever sends a request, so a fixed hash would let a
 * caller fill one bucket; here every byte picks a random word that only this process knows (Zobrist 1970; Patrascu and
 * Thorup, "The power of simple tabulation hashing", 2012). The choice of words never shows in any result.
 */

const BYTES = 256;

export interface IdHash {
  /** 32 unsigned bits of a trace id. */
  trace(w0: number, w1: number, w2: number, w3: number): number;
  /** 32 unsigned bits of two words; independent of `trace`. */
  pair(w0: number, w1: number): number;
  /** 32 bits of a short text. */
  text(text: string): number;
}

export function createIdHash(): IdHash {
  const table = new Uint32Array(24 * BYTES);
  randomBytes(table.byteLength).copy(new Uint8Array(table.buffer));
  const word = (w: number, at: number): number =>
    table[at + (w & 255)]! ^
    table[at + 256 + ((w >>> 8) & 255)]! ^
    table[at + 512 + ((w >>> 16) & 255)]! ^
    table[at + 768 + (w >>> 24)]!;
  return {
    trace: (w0, w1, w2, w3) => (word(w0, 0) ^ word(w1, 1024) ^ word(w2, 2048) ^ word(w3, 3072)) >>> 0,
    pair: (w0, w1) => (word(w0, 4096) ^ word(w1, 5120)) >>> 0,
    text(text) {
      // A polynomial over the characters at a secret point.
      const point = table[0]! | 1;
      let hashed = table[1]!;
      for (let i = 0; i < text.length; i++) hashed = Math.imul(hashed ^ text.charCodeAt(i), point);
      return hashed >>> 0;
    },
  };
}
