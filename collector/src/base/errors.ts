/** The only errors that cross stages. Anything else is a bug: counted and logged at the stage boundary. */

/** The same bytes would fail again: the sender gets INVALID_ARGUMENT / 400 (or the status named by `code`) and must not retry. */
export class RejectedError extends Error {
  /** Stable, machine-readable: malformed, too-large, unsupported-encoding, unsupported-media-type, unauthenticated, forbidden. */
  readonly code: RejectedCode;
  constructor(code: RejectedCode, message: string) {
    super(message);
    this.name = 'RejectedError';
    this.code = code;
  }
}
export type RejectedCode =
  | 'malformed'
  | 'too-large'
  | 'unsupported-encoding'
  | 'unsupported-media-type'
  | 'unauthenticated'
  | 'forbidden';

/** Full or shutting down: the sender gets UNAVAILABLE / 503 (RESOURCE_EXHAUSTED / 429 for `rate-limited`) with a hint when to try again. */
export class UnavailableError extends Error {
  /** Stable, machine-readable: overloaded, rate-limited, not-ready, shutting-down, store-failed, disk-full. */
  readonly code: UnavailableCode;
  /** Milliseconds after which a retry is worth it. */
  readonly retryAfterMs: number;
  constructor(code: UnavailableCode, message: string, retryAfterMs = 1000) {
    super(message);
    this.name = 'UnavailableError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}
export type UnavailableCode =
  | 'overloaded'
  | 'rate-limited'
  | 'not-ready'
  | 'shutting-down'
  | 'store-failed'
  | 'disk-full';
