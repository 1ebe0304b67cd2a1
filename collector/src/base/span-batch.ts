import { FIELD_COUNT, FIELD_NAMES, type SpanKind, type SpanStatus, type Value } from '@spanwarden/rules';

/** OTLP `SpanKind` numbers in order. */
export const SPAN_KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
export const KIND_INTERNAL = 1;
export const KIND_SERVER = 2;
export const KIND_CLIENT = 3;
export const KIND_PRODUCER = 4;
export const KIND_CONSUMER = 5;
/** OTLP `Status.StatusCode` numbers in order. */
export const SPAN_STATUSES: readonly SpanStatus[] = ['unset', 'ok', 'error'];
export const STATUS_ERROR = 2;

/** What `SpanBatch.attrValue` means. */
export const TAG_STRING = 0; // position in `strings`
export const TAG_NUMBER = 1; // the number itself
export const TAG_BOOLEAN = 2; // 0 or 1
export const TAG_LIST = 3; // position in `lists`

/** A sender, as its OTLP Resource describes it, scrubbed and with current attribute names. */
export interface Resource {
  /** `service.name`, "unknown_service" when absent. */
  readonly service: string;
  /** `service.version`, '' when absent. */
  readonly version: string;
  /** Names the clock that timed the spans: host.id, host.name, k8s.pod.uid or service.instance.id; '' unknown. */
  readonly clock: string;
  /** `Signal` bits of `apisec.signals`, 0 when absent. */
  readonly signals: number;
  /** `apisec.dropped_spans` of the resource, 0 when absent. */
  readonly droppedSpans: number;
  readonly attributes: readonly (readonly [name: string, value: Value])[];
}

/** OTLP InstrumentationScope, scrubbed. */
export interface Scope {
  readonly name: string;
  readonly version: string;
}

/**
 * Decoded, scrubbed spans as a struct of arrays: what decode makes, the log stores and assembly reads. There is no
 * object per span. Row `i` of a column belongs to span `i`; `xFrom` columns have one entry more than rows, and the
 * entries of row `i` are `[xFrom[i], xFrom[i + 1])`.
 *
 * Ids are big-endian 32-bit words: a trace id is words `4i..4i+3`, a span id `2i..2i+1`; a parent of two zero words is
 * none. Times are integer microseconds since the Unix epoch, exact in a double.
 * Attribute keys below FIELD_COUNT are field ids; key `k` from there on is named by `keys[k - FIELD_COUNT]`.
 */
export interface SpanBatch {
  readonly count: number;
  readonly strings: readonly string[];
  readonly keys: readonly string[];
  readonly lists: readonly (readonly (string | number | boolean)[])[];
  readonly resources: readonly Resource[];
  readonly scopes: readonly Scope[];

  readonly traceId: Uint32Array;
  readonly spanId: Uint32Array;
  readonly parentId: Uint32Array;
  /** OTLP kind number, 0..5. */
  readonly kind: Uint8Array;
  /** OTLP status code, 0..2. */
  readonly status: Uint8Array;
  /** OTLP flags: 0xFF W3C trace flags, 0x100 has-is-remote, 0x200 is-remote. */
  readonly flags: Uint32Array;
  readonly startUs: Float64Array;
  readonly endUs: Float64Array;
  /** Event time: the end if within [received - 24 h, + 10 min], else the time of receipt. Fixed at receipt. */
  readonly eventUs: Float64Array;
  /** Position of the span name in `strings`. */
  readonly name: Uint32Array;
  /** Position in `resources`. */
  readonly resource: Uint32Array;
  /** Position in `scopes`. */
  readonly scope: Uint32Array;

  readonly attrFrom: Uint32Array;
  readonly attrKey: Uint32Array;
  readonly attrTag: Uint8Array;
  readonly attrValue: Float64Array;

  readonly eventFrom: Uint32Array;
  readonly eventTimeUs: Float64Array;
  readonly eventName: Uint32Array;
  /** Attributes of events: ranges into eventAttrKey/Tag/Value. */
  readonly eventAttrFrom: Uint32Array;
  readonly eventAttrKey: Uint32Array;
  readonly eventAttrTag: Uint8Array;
  readonly eventAttrValue: Float64Array;

  readonly linkFrom: Uint32Array;
  readonly linkTraceId: Uint32Array;
  readonly linkSpanId: Uint32Array;
}

/** The name of an attribute key of this batch. */
export function keyName(batch: SpanBatch, key: number): string {
  return key < FIELD_COUNT ? FIELD_NAMES[key]! : batch.keys[key - FIELD_COUNT]!;
}

/** The value behind a tag and a number. */
export function toValue(batch: SpanBatch, tag: number, value: number): Value {
  if (tag === TAG_STRING) return batch.strings[value]!;
  if (tag === TAG_NUMBER) return value;
  if (tag === TAG_BOOLEAN) return value !== 0;
  return batch.lists[value]!;
}

/** The value of attribute `key` on span `row`; undefined when absent. A span has few attributes: a scan beats a map. */
export function attribute(batch: SpanBatch, row: number, key: number): Value | undefined {
  const to = batch.attrFrom[row + 1]!;
  for (let i = batch.attrFrom[row]!; i < to; i++) {
    if (batch.attrKey[i] === key) return toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
  }
  return undefined;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** `count` big-endian words of `words` from `from` as lower-case hex. */
export function toHex(words: Uint32Array, from: number, count: number): string {
  let text = '';
  for (let i = from; i < from + count; i++) {
    const word = words[i]!;
    text += HEX[word >>> 24]! + HEX[(word >>> 16) & 255]! + HEX[(word >>> 8) & 255]! + HEX[word & 255]!;
  }
  return text;
}

export const traceIdHex = (batch: SpanBatch, row: number): string => toHex(batch.traceId, row * 4, 4);
export const spanIdHex = (batch: SpanBatch, row: number): string => toHex(batch.spanId, row * 2, 2);
