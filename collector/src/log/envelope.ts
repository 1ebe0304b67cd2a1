import { brotliCompressSync, brotliDecompressSync, constants, crc32 } from 'node:zlib';
import { DamagedError } from './byte-reader.ts';

/**
 * What goes around every blob on disk: a format byte, a checksum, and compression of the part that is worth it.
 *
 * ```
 * format 1 | crc32 4 | plain length 4 | packed length when unpacked 4 | plain bytes | packed bytes (brotli)
 * ```
 * The checksum covers all that follows it and the context, the columns of the row that the blob lies in; so a flipped
 * bit anywhere in a row is found.
 */
const FORMAT_BROTLI = 1;
const HEADER_BYTES = 13;
/** Larger than any blob we write: 32 times the largest export. */
const UNPACKED_BYTES_MAX = 0x2000_0000;

/** Quality 1 is what keeps up with ingest; higher ones cost several times the CPU for a few per cent of the bytes. */
const QUALITY = 1;

/** Numbers and bytes of the row that must not change without notice. */
export interface Context {
  readonly numbers: readonly number[];
  readonly bytes?: Uint8Array;
}

function checksum(stored: Uint8Array, { numbers, bytes }: Context): number {
  let sum = crc32(stored.subarray(5));
  sum = crc32(new Uint8Array(Float64Array.from(numbers).buffer), sum);
  return bytes === undefined ? sum : crc32(bytes, sum);
}

/** Compresses `bytes` from `plainBytes` on. */
export function seal(bytes: Uint8Array, plainBytes: number, context: Context): Buffer {
  const unpacked = bytes.subarray(plainBytes);
  const packed = brotliCompressSync(unpacked, {
    // room for the worst case: one pass, no second buffer
    chunkSize: unpacked.length + (unpacked.length >>> 6) + 1024,
    params: {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_LGWIN]: 20,
      [constants.BROTLI_PARAM_SIZE_HINT]: unpacked.length,
    },
  });
  const stored = Buffer.allocUnsafeSlow(HEADER_BYTES + plainBytes + packed.length);
  stored[0] = FORMAT_BROTLI;
  stored.writeUInt32LE(plainBytes, 5);
  stored.writeUInt32LE(unpacked.length, 9);
  stored.set(bytes.subarray(0, plainBytes), HEADER_BYTES);
  stored.set(packed, HEADER_BYTES + plainBytes);
  stored.writeUInt32LE(checksum(stored, context), 1);
  return stored;
}

/** The bytes that were sealed. Throws DamagedError when anything differs. */
export function unseal(stored: Buffer, context: Context): Uint8Array {
  // a flipped bit can make SQLite give a null or a number where a blob was written
  if (!Buffer.isBuffer(stored)) throw new DamagedError('no bytes where a blob was stored');
  if (stored.length < HEADER_BYTES) throw new DamagedError(`${stored.length} bytes are too few`);
  if (stored[0] !== FORMAT_BROTLI) throw new DamagedError(`format ${stored[0]} is unknown`);
  if (stored.readUInt32LE(1) !== checksum(stored, context)) throw new DamagedError('the checksum does not fit');
  const plainBytes = stored.readUInt32LE(5);
  const unpackedBytes = stored.readUInt32LE(9);
  if (plainBytes > stored.length - HEADER_BYTES || unpackedBytes > UNPACKED_BYTES_MAX) {
    throw new DamagedError('its lengths do not fit');
  }
  const unpacked = unpack(stored.subarray(HEADER_BYTES + plainBytes), unpackedBytes);
  const bytes = new Uint8Array(plainBytes + unpackedBytes);
  bytes.set(stored.subarray(HEADER_BYTES, HEADER_BYTES + plainBytes));
  bytes.set(unpacked, plainBytes);
  return bytes;
}

function unpack(packed: Uint8Array, unpackedBytes: number): Uint8Array {
  let unpacked: Uint8Array;
  try {
    unpacked = brotliDecompressSync(packed, {
      chunkSize: Math.max(unpackedBytes, 64),
      maxOutputLength: unpackedBytes + 1,
    });
  } catch (error) {
    throw new DamagedError(`cannot be decompressed: ${(error as Error).message}`);
  }
  if (unpacked.length !== unpackedBytes) throw new DamagedError(`${unpacked.length} bytes instead of ${unpackedBytes}`);
  return unpacked;
}
