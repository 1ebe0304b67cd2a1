import { createHash } from 'node:crypto';

const HEX = /^[0-9a-fA-F]+$/;

/**
 * An id of another tracing system as `chars` hex digits. Short hex is padded, base64 of the right length and integers
 * are converted. Any other text becomes a digest of it: equal ids stay equal, so the tree keeps its shape.
 */
export function toHexId(id: string, chars: 16 | 32): string {
  if (id.length <= chars && HEX.test(id)) return id.toLowerCase().padStart(chars, '0');
  const base64Chars = chars === 32 ? 24 : 12;
  if (id.length === base64Chars && id.endsWith('=')) {
    const bytes = Buffer.from(id, 'base64');
    if (bytes.length === chars / 2) return bytes.toString('hex');
  }
  return createHash('sha256').update(id).digest('hex').slice(0, chars);
}

/** A 64-bit integer, signed or not, as 16 hex digits. */
export function integerToHex(value: string | number): string {
  return BigInt.asUintN(64, BigInt(value)).toString(16).padStart(16, '0');
}

/** Microseconds as the decimal nanoseconds of OTLP/JSON; what is no time is 0. */
export function microsToNanos(micros: number): string {
  return micros > 0 && micros < Number.MAX_SAFE_INTEGER ? `${Math.round(micros)}000` : '0';
}
