/**
 * Every limit of the collector: unit in the name, one sentence why. A limit cuts detail, never a counter; each time one
 * is hit it is counted (`dropped_total` or a counter of its own) and visible in /metrics.
 */
export interface Limits {
  /** One OTLP/HTTP body, decompressed. The OTLP specification recommends 64 MiB. */
  readonly httpBodyBytesMax: number;
  /** One OTLP/gRPC message; a full batch of a stock Collector is about 6 MB. */
  readonly grpcMessageBytesMax: number;
  /** Bytes admitted but not yet durable, over all connections; above it exports are refused retryably. */
  readonly inFlightBytesMax: number;
  /** Bytes held for half-received requests over all sockets of both transports; above it the worst socket is closed. */
  readonly halfOpenBytesMax: number;
  /** A started request that makes no progress for this long loses its socket. */
  readonly stallMs: number;
  /** Nesting of attribute values; deeper values become a mark. */
  readonly valueDepthMax: number;
  /** Attributes kept per span; the rest are counted and dropped. */
  readonly spanAttributesMax: number;
  /** UTF-16 units kept of one attribute value. */
  readonly attributeValueCharsMax: number;
  /** Items kept of one array or map value; the rest are counted and dropped. */
  readonly valueItemsMax: number;
  /** Distinct attribute names outside the model in one export; attributes of further names are counted and dropped. */
  readonly batchAttributeNamesMax: number;
  /** Spans kept in one trace; more are counted, stored, and mark the trace truncated. */
  readonly traceSpansMax: number;
  /** Open traces; beyond it the longest idle is closed early as truncated. */
  readonly openTracesMax: number;
  /** Bytes of columns held for open traces; beyond it the longest idle are closed early as truncated. */
  readonly openBytesMax: number;
  /** A trace closes after this much silence (append time). */
  readonly assembleIdleMs: number;
  /** A trace closes this long after its first span even if spans still arrive. */
  readonly assembleCapMs: number;
  /** Late spans reopen a closed trace, and re-sent spans are recognised, for this long after its close. */
  readonly reopenMs: number;
}

export const MiB = 1024 * 1024;

export const DEFAULT_LIMITS: Limits = {
  httpBodyBytesMax: 64 * MiB,
  grpcMessageBytesMax: 16 * MiB,
  inFlightBytesMax: 128 * MiB,
  halfOpenBytesMax: 128 * MiB,
  stallMs: 10_000,
  valueDepthMax: 100,
  spanAttributesMax: 256,
  attributeValueCharsMax: 4096,
  valueItemsMax: 1024,
  batchAttributeNamesMax: 16_384,
  traceSpansMax: 10_000,
  openTracesMax: 400_000,
  openBytesMax: 768 * MiB,
  assembleIdleMs: 15_000,
  assembleCapMs: 120_000,
  reopenMs: 30 * 60_000,
};
