import { gunzipSync } from 'node:zlib';
import { RejectedError } from '../base/errors.ts';

const CHUNK_MIN = 1024;
const CHUNK_MAX = 1024 * 1024;

/** True when the bytes begin as gzip data does (RFC 1952, section 2.3.1). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Inflates gzip data of at most `bytesMax` bytes. The size that the sender wrote into the trailer only chooses the
 * first buffer, within bounds: it is a hint that may lie.
 * @throws RejectedError 'too-large' above `bytesMax`, 'malformed' when the bytes are no whole gzip data.
 */
export function inflate(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (!isGzip(bytes) || bytes.length < 18) throw new RejectedError('malformed', 'the body is declared gzip but is not');
  const at = bytes.length - 4;
  const declared = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
  const chunkSize = Math.min(Math.max(declared + 1, CHUNK_MIN), CHUNK_MAX, Math.max(bytesMax, CHUNK_MIN));
  try {
    return gunzipSync(bytes, { maxOutputLength: bytesMax, chunkSize });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new RejectedError('too-large', `the body inflates to more than ${bytesMax} bytes`);
    }
    throw new RejectedError('malformed', `the gzip data cannot be inflated: ${(error as Error).message}`);
  }
}
