import { gunzipSync } from 'node:zlib';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { RejectedError } from '../base/errors.ts';
import { toFailure } from './failure.ts';

/** Messages of services other than exports (health checks) are this small, inflated or not. */
const SMALL_MESSAGE_BYTES_MAX = 4096;
/** Compressed flag and length in front of each gRPC message. */
const FRAME_HEAD_BYTES = 5;

/**
 * Keeps export messages compressed until the pipeline inflates them, one at a time and bounded.
 *
 * grpc-js inflates every message as soon as it is there, all calls side by side: fifty bombs of 16 kB made a gigabyte,
 * unseen by any limit. It has no option for that, so the inflating step of each call is replaced. Should that step
 * disappear from the library, messages arrive inflated again and `isCompressed` says so.
 */
export class GrpcCompression {
  readonly #compressed = new WeakSet<Uint8Array>();

  /** True when the message is still gzip. */
  isCompressed(message: Uint8Array): boolean {
    return this.#compressed.has(message);
  }

  /** To be called before the call is started. */
  takeOver(call: ServerInterceptingCallInterface, isExport: boolean): void {
    const inflate = (framed: Buffer, encoding: string): Buffer => {
      const message = framed.subarray(FRAME_HEAD_BYTES);
      if (encoding === 'identity') return message;
      if (encoding !== 'gzip')
        throw toThrownStatus('unsupported-encoding', 'messages have to be gzip or not compressed');
      if (!isExport) return inflateSmall(message);
      this.#compressed.add(message);
      return message;
    };
    Reflect.set(call, 'decompressMessage', inflate);
  }
}

function inflateSmall(message: Buffer): Buffer {
  try {
    return gunzipSync(message, { maxOutputLength: SMALL_MESSAGE_BYTES_MAX });
  } catch {
    throw toThrownStatus('malformed', `the message is not gzip of at most ${SMALL_MESSAGE_BYTES_MAX} bytes`);
  }
}

/** grpc-js turns what this step throws into the status of the call. */
function toThrownStatus(code: 'unsupported-encoding' | 'malformed', message: string): object {
  const { grpcCode } = toFailure(new RejectedError(code, message));
  return { code: grpcCode, details: message, metadata: null };
}
