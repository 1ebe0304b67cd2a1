import type { IncomingMessage } from 'node:http';
import { RejectedError } from '../base/errors.ts';
import { type Failure, GRPC_NOT_FOUND, GRPC_UNIMPLEMENTED } from './failure.ts';
import { IGNORED_SIGNALS, type Signal, TRACES } from './signals.ts';

export type Encoding = 'protobuf' | 'json';

/** Wrong path or wrong method: answers that only HTTP has. */
export class RouteError extends Error {
  readonly failure: Failure;
  /** Stable, machine-readable: not-found, method-not-allowed. */
  readonly code: 'not-found' | 'method-not-allowed';
  constructor(code: 'not-found' | 'method-not-allowed', message: string) {
    super(message);
    this.code = code;
    this.failure =
      code === 'not-found'
        ? { grpcCode: GRPC_NOT_FOUND, httpStatus: 404, message, retryAfterMs: 0 }
        : { grpcCode: GRPC_UNIMPLEMENTED, httpStatus: 405, message, retryAfterMs: 0 };
  }
}

const SIGNALS = new Map([TRACES, ...IGNORED_SIGNALS].map((signal) => [signal.httpPath, signal]));

/**
 * What the request line asks for.
 *
 * @throws RouteError for a wrong path or method; RejectedError `forbidden` for a browser: a page from elsewhere must not
 * write into a collector on loopback, and telemetry of web pages has to come through a gateway that checks it.
 */
export function parseSignal(request: IncomingMessage): Signal {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const signal = SIGNALS.get(path);
  if (signal === undefined)
    throw new RouteError('not-found', `nothing is received here; traces go to ${TRACES.httpPath}`);
  if (request.method !== 'POST') throw new RouteError('method-not-allowed', `${signal.httpPath} takes POST only`);
  if (request.headers.origin !== undefined)
    throw new RejectedError('forbidden', 'browsers may not send telemetry here');
  return signal;
}

/** The encoding a content type names (media type without case, parameters ignored), if it is one of OTLP's two. */
export function toEncoding(contentType: string | undefined): Encoding | undefined {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'application/x-protobuf') return 'protobuf';
  return mediaType === 'application/json' ? 'json' : undefined;
}

/** @throws RejectedError `unsupported-media-type` */
export function parseEncoding(contentType: string | undefined): Encoding {
  const encoding = toEncoding(contentType);
  if (encoding !== undefined) return encoding;
  throw new RejectedError(
    'unsupported-media-type',
    'the content type has to be application/x-protobuf or application/json',
  );
}

/** @throws RejectedError `unsupported-encoding` for anything but gzip, identity and nothing. */
export function parseCompression(contentEncoding: string | undefined): 'none' | 'gzip' {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  if (encoding === '' || encoding === 'identity') return 'none';
  if (encoding === 'gzip') return 'gzip';
  throw new RejectedError('unsupported-encoding', 'the content encoding has to be gzip or none');
}
