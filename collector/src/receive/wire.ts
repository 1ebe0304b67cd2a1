import type { ExportAnswer } from './export-request.ts';
import type { Failure } from './failure.ts';

/**
 * The few protobuf messages an OTLP receiver answers with, written by hand, and their proto3 JSON forms.
 * Sources: opentelemetry/proto/collector/*\/v1 (Export…ServiceResponse has the same field numbers for every signal),
 * google/rpc/status.proto, google/rpc/error_details.proto.
 */

const RETRY_INFO_TYPE = 'type.googleapis.com/google.rpc.RetryInfo';
const EMPTY = Buffer.alloc(0);

/** `ExportTraceServiceResponse { partial_success = 1 { rejected_spans = 1; error_message = 2 } }`; empty for full success. */
export function encodeExportResponse(answer: ExportAnswer): Buffer {
  const partial = Buffer.concat([varintField(1, answer.rejectedSpans), bytesField(2, Buffer.from(answer.message))]);
  return bytesField(1, partial);
}

/** The same as proto3 JSON; int64 is a string there. */
export function toExportResponseJson(answer: ExportAnswer): object {
  if (answer.rejectedSpans === 0 && answer.message === '') return {};
  const partialSuccess: Record<string, string> = {};
  if (answer.rejectedSpans > 0) partialSuccess['rejectedSpans'] = String(answer.rejectedSpans);
  if (answer.message !== '') partialSuccess['errorMessage'] = answer.message;
  return { partialSuccess };
}

/** `google.rpc.Status { code = 1; message = 2; details = 3 }`, with one `RetryInfo` in `details` when a retry is worth it. */
export function encodeStatus(failure: Failure): Buffer {
  return Buffer.concat([
    varintField(1, failure.grpcCode),
    bytesField(2, Buffer.from(failure.message)),
    failure.retryAfterMs > 0 ? bytesField(3, encodeRetryInfoAny(failure.retryAfterMs)) : EMPTY,
  ]);
}

/** The same as proto3 JSON. */
export function toStatusJson(failure: Failure): object {
  const status = { code: failure.grpcCode, message: failure.message };
  if (failure.retryAfterMs === 0) return status;
  return {
    ...status,
    details: [{ '@type': RETRY_INFO_TYPE, retryDelay: `${(failure.retryAfterMs / 1000).toFixed(3)}s` }],
  };
}

function encodeRetryInfoAny(retryAfterMs: number): Buffer {
  const duration = Buffer.concat([
    varintField(1, Math.floor(retryAfterMs / 1000)),
    varintField(2, (retryAfterMs % 1000) * 1_000_000),
  ]);
  return Buffer.concat([bytesField(1, Buffer.from(RETRY_INFO_TYPE)), bytesField(2, bytesField(1, duration))]);
}

/** proto3 leaves a zero scalar out. */
function varintField(field: number, value: number): Buffer {
  return value === 0 ? EMPTY : Buffer.from([field << 3, ...varint(value)]);
}

function bytesField(field: number, value: Buffer): Buffer {
  if (value.length === 0) return EMPTY;
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(value.length)]), value]);
}

/** A non-negative safe integer; division instead of shifts because those stop at 32 bits. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
