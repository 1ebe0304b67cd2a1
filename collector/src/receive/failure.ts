import { type RejectedCode, RejectedError, UnavailableError } from '../base/errors.ts';

/** gRPC status codes this receiver answers with (google.rpc.Code). */
export const GRPC_OK = 0;
export const GRPC_INVALID_ARGUMENT = 3;
export const GRPC_DEADLINE_EXCEEDED = 4;
export const GRPC_NOT_FOUND = 5;
export const GRPC_PERMISSION_DENIED = 7;
export const GRPC_RESOURCE_EXHAUSTED = 8;
export const GRPC_UNIMPLEMENTED = 12;
export const GRPC_INTERNAL = 13;
export const GRPC_UNAVAILABLE = 14;
export const GRPC_UNAUTHENTICATED = 16;

/** What a sender is told when its export was not taken; both transports say the same in their own way. */
export interface Failure {
  readonly grpcCode: number;
  readonly httpStatus: number;
  readonly message: string;
  /** When to try again; 0 = the same bytes would fail again, so never. */
  readonly retryAfterMs: number;
}

const REJECTED: Readonly<Record<RejectedCode, readonly [grpcCode: number, httpStatus: number]>> = {
  malformed: [GRPC_INVALID_ARGUMENT, 400],
  'too-large': [GRPC_RESOURCE_EXHAUSTED, 413],
  'unsupported-encoding': [GRPC_UNIMPLEMENTED, 400],
  'unsupported-media-type': [GRPC_INVALID_ARGUMENT, 415],
  unauthenticated: [GRPC_UNAUTHENTICATED, 401],
  forbidden: [GRPC_PERMISSION_DENIED, 403],
};

/** Longest text that goes into a status; gRPC carries it percent-encoded in a header. */
const MESSAGE_CHARS_MAX = 1024;

/**
 * The answer to an error, as the OTLP specification wants it: RESOURCE_EXHAUSTED means "retry" only together with
 * RetryInfo, so too large comes without and a rate limit with it.
 */
export function toFailure(error: unknown): Failure {
  if (error instanceof RejectedError) {
    const [grpcCode, httpStatus] = REJECTED[error.code];
    return { grpcCode, httpStatus, message: toStatusText(error.message), retryAfterMs: 0 };
  }
  if (error instanceof UnavailableError) {
    const rateLimited = error.code === 'rate-limited';
    return {
      grpcCode: rateLimited ? GRPC_RESOURCE_EXHAUSTED : GRPC_UNAVAILABLE,
      httpStatus: rateLimited ? 429 : 503,
      message: toStatusText(error.message),
      retryAfterMs: Math.max(1, Math.ceil(error.retryAfterMs)),
    };
  }
  return { grpcCode: GRPC_INTERNAL, httpStatus: 500, message: 'internal error', retryAfterMs: 0 };
}

/** Bounded and well-formed: grpc-js throws on an unpaired surrogate, and messages may quote what a sender wrote. */
function toStatusText(message: string): string {
  return Buffer.from(message.slice(0, MESSAGE_CHARS_MAX), 'utf8').toString('utf8');
}
