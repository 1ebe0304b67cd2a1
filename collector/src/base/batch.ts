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

/** Grows by doubling; `array` is valid until the next push. */
export class Column<T extends Uint8Array | Uint32Array | Float64Array> {
  array: T;
  length = 0;
  readonly #make: new (
    length: number,
  ) => T;
  constructor(make: new (length: number) => T, capacity = 64) {
    this.#make = make;
    this.array = new make(capacity);
  }
  push(value: number): void {
    if (this.length === this.array.length) {
      const grown = new this.#make(this.length * 2);
      grown.set(this.array);
      this.array = grown;
    }
    this.array[this.length++] = value;
  }
  /** A copy of exactly the pushed values. */
  take(): T {
    return this.array.slice(0, this.length) as T;
  }
}

const u8 = () => new Column<Uint8Array>(Uint8Array);
const u32 = () => new Column<Uint32Array>(Uint32Array);
const f64 = () => new Column<Float64Array>(Float64Array);

/**
 * Fills a SpanBatch row by row. Call `span(...)`, then `attr`, `event`, `eventAttr`, `link` for that span, then the next
 * span.
 */
export class BatchBuilder {
  readonly strings: string[] = [];
  readonly keys: string[] = [];
  readonly lists: (readonly (string | number | boolean)[])[] = [];
  readonly resources: Resource[] = [];
  readonly scopes: Scope[] = [];
  readonly #stringIds = new Map<string, number>();
  readonly #keyIds = new Map<string, number>(FIELD_NAMES.map((name, id) => [name, id]));
  readonly #traceId = u32();
  readonly #spanId = u32();
  readonly #parentId = u32();
  readonly #kind = u8();
  readonly #status = u8();
  readonly #flags = u32();
  readonly #startUs = f64();
  readonly #endUs = f64();
  readonly #eventUs = f64();
  readonly #name = u32();
  readonly #resource = u32();
  readonly #scope = u32();
  readonly #attrFrom = u32();
  readonly #attrKey = u32();
  readonly #attrTag = u8();
  readonly #attrValue = f64();
  readonly #eventFrom = u32();
  readonly #eventTimeUs = f64();
  readonly #eventName = u32();
  readonly #eventAttrFrom = u32();
  readonly #eventAttrKey = u32();
  readonly #eventAttrTag = u8();
  readonly #eventAttrValue = f64();
  readonly #linkFrom = u32();
  readonly #linkTraceId = u32();
  readonly #linkSpanId = u32();

  /** Spans so far. */
  get count(): number {
    return this.#kind.length;
  }

  /** Position of `text` in the batch's string table. */
  string(text: string): number {
    const known = this.#stringIds.get(text);
    if (known !== undefined) return known;
    const id = this.strings.push(text) - 1;
    this.#stringIds.set(text, id);
    return id;
  }

  /** Key id of an attribute name: its field id, or one of this batch. */
  key(name: string): number {
    const known = this.#keyIds.get(name);
    if (known !== undefined) return known;
    const id = FIELD_COUNT + this.keys.push(name) - 1;
    this.#keyIds.set(name, id);
    return id;
  }

  /** Position of a list value in the batch's table. */
  list(items: readonly (string | number | boolean)[]): number {
    return this.lists.push(items) - 1;
  }

  addResource(resource: Resource): number {
    return this.resources.push(resource) - 1;
  }

  addScope(scope: Scope): number {
    return this.scopes.push(scope) - 1;
  }

  /** Words of the ids big-endian; times in integer microseconds; `name` is a position in `strings`. */
  span(
    t0: number,
    t1: number,
    t2: number,
    t3: number,
    s0: number,
    s1: number,
    p0: number,
    p1: number,
    kind: number,
    status: number,
    flags: number,
    startUs: number,
    endUs: number,
    eventUs: number,
    name: number,
    resource: number,
    scope: number,
  ): void {
    this.#traceId.push(t0);
    this.#traceId.push(t1);
    this.#traceId.push(t2);
    this.#traceId.push(t3);
    this.#spanId.push(s0);
    this.#spanId.push(s1);
    this.#parentId.push(p0);
    this.#parentId.push(p1);
    this.#kind.push(kind);
    this.#status.push(status);
    this.#flags.push(flags);
    this.#startUs.push(startUs);
    this.#endUs.push(endUs);
    this.#eventUs.push(eventUs);
    this.#name.push(name);
    this.#resource.push(resource);
    this.#scope.push(scope);
    this.#attrFrom.push(this.#attrKey.length);
    this.#eventFrom.push(this.#eventName.length);
    this.#linkFrom.push(this.#linkSpanId.length / 2);
  }

  attr(key: number, tag: number, value: number): void {
    this.#attrKey.push(key);
    this.#attrTag.push(tag);
    this.#attrValue.push(value);
  }

  event(timeUs: number, name: number): void {
    this.#eventTimeUs.push(timeUs);
    this.#eventName.push(name);
    this.#eventAttrFrom.push(this.#eventAttrKey.length);
  }

  eventAttr(key: number, tag: number, value: number): void {
    this.#eventAttrKey.push(key);
    this.#eventAttrTag.push(tag);
    this.#eventAttrValue.push(value);
  }

  link(t0: number, t1: number, t2: number, t3: number, s0: number, s1: number): void {
    this.#linkTraceId.push(t0);
    this.#linkTraceId.push(t1);
    this.#linkTraceId.push(t2);
    this.#linkTraceId.push(t3);
    this.#linkSpanId.push(s0);
    this.#linkSpanId.push(s1);
  }

  /** Adds `value` under `key` to the last span. */
  attrValueOf(key: number, value: Value): void {
    if (typeof value === 'string') this.attr(key, TAG_STRING, this.string(value));
    else if (typeof value === 'number') this.attr(key, TAG_NUMBER, value);
    else if (typeof value === 'boolean') this.attr(key, TAG_BOOLEAN, value ? 1 : 0);
    else this.attr(key, TAG_LIST, this.lists.push(value) - 1);
  }

  /** Adds `value` under `key` to the last event. */
  eventAttrValueOf(key: number, value: Value): void {
    if (typeof value === 'string') this.eventAttr(key, TAG_STRING, this.string(value));
    else if (typeof value === 'number') this.eventAttr(key, TAG_NUMBER, value);
    else if (typeof value === 'boolean') this.eventAttr(key, TAG_BOOLEAN, value ? 1 : 0);
    else this.eventAttr(key, TAG_LIST, this.lists.push(value) - 1);
  }

  build(): SpanBatch {
    this.#attrFrom.push(this.#attrKey.length);
    this.#eventFrom.push(this.#eventName.length);
    this.#eventAttrFrom.push(this.#eventAttrKey.length);
    this.#linkFrom.push(this.#linkSpanId.length / 2);
    return {
      count: this.count,
      strings: this.strings,
      keys: this.keys,
      lists: this.lists,
      resources: this.resources,
      scopes: this.scopes,
      traceId: this.#traceId.take(),
      spanId: this.#spanId.take(),
      parentId: this.#parentId.take(),
      kind: this.#kind.take(),
      status: this.#status.take(),
      flags: this.#flags.take(),
      startUs: this.#startUs.take(),
      endUs: this.#endUs.take(),
      eventUs: this.#eventUs.take(),
      name: this.#name.take(),
      resource: this.#resource.take(),
      scope: this.#scope.take(),
      attrFrom: this.#attrFrom.take(),
      attrKey: this.#attrKey.take(),
      attrTag: this.#attrTag.take(),
      attrValue: this.#attrValue.take(),
      eventFrom: this.#eventFrom.take(),
      eventTimeUs: this.#eventTimeUs.take(),
      eventName: this.#eventName.take(),
      eventAttrFrom: this.#eventAttrFrom.take(),
      eventAttrKey: this.#eventAttrKey.take(),
      eventAttrTag: this.#eventAttrTag.take(),
      eventAttrValue: this.#eventAttrValue.take(),
      linkFrom: this.#linkFrom.take(),
      linkTraceId: this.#linkTraceId.take(),
      linkSpanId: this.#linkSpanId.take(),
    };
  }
}

/** Copies the given rows of one or more batches, in the given order, into a new batch that shares nothing with them. */
export function copyRows(rows: Iterable<readonly [batch: SpanBatch, row: number]>): SpanBatch {
  const builder = new BatchBuilder();
  const resourceIds = new Map<Resource, number>();
  const scopeIds = new Map<Scope, number>();
  for (const [from, row] of rows) copyRow(builder, from, row, resourceIds, scopeIds);
  return builder.build();
}

function copyRow(
  builder: BatchBuilder,
  from: SpanBatch,
  row: number,
  resourceIds: Map<Resource, number>,
  scopeIds: Map<Scope, number>,
): void {
  const resource = from.resources[from.resource[row]!]!;
  let resourceId = resourceIds.get(resource);
  if (resourceId === undefined) {
    resourceId = builder.addResource(resource);
    resourceIds.set(resource, resourceId);
  }
  const scope = from.scopes[from.scope[row]!]!;
  let scopeId = scopeIds.get(scope);
  if (scopeId === undefined) {
    scopeId = builder.addScope(scope);
    scopeIds.set(scope, scopeId);
  }
  const t = row * 4;
  const s = row * 2;
  builder.span(
    from.traceId[t]!,
    from.traceId[t + 1]!,
    from.traceId[t + 2]!,
    from.traceId[t + 3]!,
    from.spanId[s]!,
    from.spanId[s + 1]!,
    from.parentId[s]!,
    from.parentId[s + 1]!,
    from.kind[row]!,
    from.status[row]!,
    from.flags[row]!,
    from.startUs[row]!,
    from.endUs[row]!,
    from.eventUs[row]!,
    builder.string(from.strings[from.name[row]!]!),
    resourceId,
    scopeId,
  );
  for (let i = from.attrFrom[row]!; i < from.attrFrom[row + 1]!; i++) {
    builder.attrValueOf(
      builder.key(keyName(from, from.attrKey[i]!)),
      toValue(from, from.attrTag[i]!, from.attrValue[i]!),
    );
  }
  for (let e = from.eventFrom[row]!; e < from.eventFrom[row + 1]!; e++) {
    builder.event(from.eventTimeUs[e]!, builder.string(from.strings[from.eventName[e]!]!));
    for (let i = from.eventAttrFrom[e]!; i < from.eventAttrFrom[e + 1]!; i++) {
      const value = toValue(from, from.eventAttrTag[i]!, from.eventAttrValue[i]!);
      builder.eventAttrValueOf(builder.key(keyName(from, from.eventAttrKey[i]!)), value);
    }
  }
  for (let l = from.linkFrom[row]!; l < from.linkFrom[row + 1]!; l++) {
    const w = l * 4;
    builder.link(
      from.linkTraceId[w]!,
      from.linkTraceId[w + 1]!,
      from.linkTraceId[w + 2]!,
      from.linkTraceId[w + 3]!,
      from.linkSpanId[l * 2]!,
      from.linkSpanId[l * 2 + 1]!,
    );
  }
}
