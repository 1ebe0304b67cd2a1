import { FIELD_COUNT, fieldId, type Value } from '@spanwarden/rules';
import {
  type Resource,
  type Scope,
  type SpanBatch,
  TAG_BOOLEAN,
  TAG_LIST,
  TAG_NUMBER,
  TAG_STRING,
} from './span-batch.ts';
import { StringTable } from './string-table.ts';

const SPANS_FIRST = 64;
const ATTRS_FIRST = 512;
const EVENTS_FIRST = 32;
/** A builder keeps columns of at most this many spans for its next batch; one giant batch must not pin its memory. */
const SPANS_KEPT_MAX = 16_384;
const ATTRS_KEPT_MAX = 32 * SPANS_KEPT_MAX;

function grownU32(from: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(length);
  grown.set(from);
  return grown;
}

function grownU8(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(length);
  grown.set(from);
  return grown;
}

function grownF64(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(length);
  grown.set(from);
  return grown;
}

/** (key, tag, value) triples that grow by doubling. */
class AttributeColumns {
  key = new Uint32Array(ATTRS_FIRST);
  tag = new Uint8Array(ATTRS_FIRST);
  value = new Float64Array(ATTRS_FIRST);
  length = 0;

  push(key: number, tag: number, value: number): void {
    if (this.length === this.key.length) this.#grow();
    const at = this.length++;
    this.key[at] = key;
    this.tag[at] = tag;
    this.value[at] = value;
  }

  #grow(): void {
    const length = this.key.length * 2;
    this.key = grownU32(this.key, length);
    this.tag = grownU8(this.tag, length);
    this.value = grownF64(this.value, length);
  }

  reset(): void {
    this.length = 0;
    if (this.key.length <= ATTRS_KEPT_MAX) return;
    this.key = new Uint32Array(ATTRS_FIRST);
    this.tag = new Uint8Array(ATTRS_FIRST);
    this.value = new Float64Array(ATTRS_FIRST);
  }
}

/**
 * Fills a SpanBatch row by row. Call `span(...)`, then `attr`, `event`, `eventAttr`, `link` for that span, then the next
 * span. After `build()`, `reset()` starts another batch in the same memory; the built one is a copy and stays whole.
 */
export class BatchBuilder {
  readonly #strings = new StringTable();
  #keys: string[] = [];
  #lists: (readonly (string | number | boolean)[])[] = [];
  #resources: Resource[] = [];
  #scopes: Scope[] = [];
  readonly #keyIds = new Map<string, number>();
  #spans = 0;
  #traceId = new Uint32Array(SPANS_FIRST * 4);
  #spanId = new Uint32Array(SPANS_FIRST * 2);
  #parentId = new Uint32Array(SPANS_FIRST * 2);
  #kind = new Uint8Array(SPANS_FIRST);
  #status = new Uint8Array(SPANS_FIRST);
  #flags = new Uint32Array(SPANS_FIRST);
  #startUs = new Float64Array(SPANS_FIRST);
  #endUs = new Float64Array(SPANS_FIRST);
  #eventUs = new Float64Array(SPANS_FIRST);
  #name = new Uint32Array(SPANS_FIRST);
  #resource = new Uint32Array(SPANS_FIRST);
  #scope = new Uint32Array(SPANS_FIRST);
  // One entry more than rows; build() writes the last.
  #attrFrom = new Uint32Array(SPANS_FIRST + 1);
  #eventFrom = new Uint32Array(SPANS_FIRST + 1);
  #linkFrom = new Uint32Array(SPANS_FIRST + 1);
  readonly #attrs = new AttributeColumns();
  #events = 0;
  #eventTimeUs = new Float64Array(EVENTS_FIRST);
  #eventName = new Uint32Array(EVENTS_FIRST);
  #eventAttrFrom = new Uint32Array(EVENTS_FIRST + 1);
  readonly #eventAttrs = new AttributeColumns();
  #links = 0;
  #linkTraceId = new Uint32Array(EVENTS_FIRST * 4);
  #linkSpanId = new Uint32Array(EVENTS_FIRST * 2);

  /** Spans so far. */
  get count(): number {
    return this.#spans;
  }

  /** Position of `text` in the batch's string table. */
  string(text: string): number {
    return this.#strings.add(text);
  }

  /** Key id of an attribute name: its field id, or one of this batch. */
  key(name: string): number {
    const known = fieldId(name) ?? this.#keyIds.get(name);
    if (known !== undefined) return known;
    const id = FIELD_COUNT + this.#keys.push(name) - 1;
    this.#keyIds.set(name, id);
    return id;
  }

  /** Position of a list value in the batch's table. */
  list(items: readonly (string | number | boolean)[]): number {
    return this.#lists.push(items) - 1;
  }

  addResource(resource: Resource): number {
    return this.#resources.push(resource) - 1;
  }

  addScope(scope: Scope): number {
    return this.#scopes.push(scope) - 1;
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
    if (this.#spans === this.#kind.length) this.#growSpans();
    const row = this.#spans++;
    const words = row * 4;
    this.#traceId[words] = t0;
    this.#traceId[words + 1] = t1;
    this.#traceId[words + 2] = t2;
    this.#traceId[words + 3] = t3;
    this.#spanId[row * 2] = s0;
    this.#spanId[row * 2 + 1] = s1;
    this.#parentId[row * 2] = p0;
    this.#parentId[row * 2 + 1] = p1;
    this.#kind[row] = kind;
    this.#status[row] = status;
    this.#flags[row] = flags;
    this.#startUs[row] = startUs;
    this.#endUs[row] = endUs;
    this.#eventUs[row] = eventUs;
    this.#name[row] = name;
    this.#resource[row] = resource;
    this.#scope[row] = scope;
    this.#attrFrom[row] = this.#attrs.length;
    this.#eventFrom[row] = this.#events;
    this.#linkFrom[row] = this.#links;
  }

  #growSpans(): void {
    const length = this.#kind.length * 2;
    this.#traceId = grownU32(this.#traceId, length * 4);
    this.#spanId = grownU32(this.#spanId, length * 2);
    this.#parentId = grownU32(this.#parentId, length * 2);
    this.#kind = grownU8(this.#kind, length);
    this.#status = grownU8(this.#status, length);
    this.#flags = grownU32(this.#flags, length);
    this.#startUs = grownF64(this.#startUs, length);
    this.#endUs = grownF64(this.#endUs, length);
    this.#eventUs = grownF64(this.#eventUs, length);
    this.#name = grownU32(this.#name, length);
    this.#resource = grownU32(this.#resource, length);
    this.#scope = grownU32(this.#scope, length);
    this.#attrFrom = grownU32(this.#attrFrom, length + 1);
    this.#eventFrom = grownU32(this.#eventFrom, length + 1);
    this.#linkFrom = grownU32(this.#linkFrom, length + 1);
  }

  attr(key: number, tag: number, value: number): void {
    this.#attrs.push(key, tag, value);
  }

  event(timeUs: number, name: number): void {
    if (this.#events === this.#eventName.length) {
      const length = this.#events * 2;
      this.#eventTimeUs = grownF64(this.#eventTimeUs, length);
      this.#eventName = grownU32(this.#eventName, length);
      this.#eventAttrFrom = grownU32(this.#eventAttrFrom, length + 1);
    }
    const row = this.#events++;
    this.#eventTimeUs[row] = timeUs;
    this.#eventName[row] = name;
    this.#eventAttrFrom[row] = this.#eventAttrs.length;
  }

  eventAttr(key: number, tag: number, value: number): void {
    this.#eventAttrs.push(key, tag, value);
  }

  link(t0: number, t1: number, t2: number, t3: number, s0: number, s1: number): void {
    if (this.#links * 2 === this.#linkSpanId.length) {
      this.#linkTraceId = grownU32(this.#linkTraceId, this.#links * 8);
      this.#linkSpanId = grownU32(this.#linkSpanId, this.#links * 4);
    }
    const row = this.#links++;
    this.#linkTraceId[row * 4] = t0;
    this.#linkTraceId[row * 4 + 1] = t1;
    this.#linkTraceId[row * 4 + 2] = t2;
    this.#linkTraceId[row * 4 + 3] = t3;
    this.#linkSpanId[row * 2] = s0;
    this.#linkSpanId[row * 2 + 1] = s1;
  }

  /** Adds `value` under `key` to the last span. */
  attrValueOf(key: number, value: Value): void {
    this.#valueOf(this.#attrs, key, value);
  }

  /** Adds `value` under `key` to the last event. */
  eventAttrValueOf(key: number, value: Value): void {
    this.#valueOf(this.#eventAttrs, key, value);
  }

  #valueOf(columns: AttributeColumns, key: number, value: Value): void {
    if (typeof value === 'string') columns.push(key, TAG_STRING, this.string(value));
    else if (typeof value === 'number') columns.push(key, TAG_NUMBER, value);
    else if (typeof value === 'boolean') columns.push(key, TAG_BOOLEAN, value ? 1 : 0);
    else columns.push(key, TAG_LIST, this.list(value));
  }

  /** A batch that shares no column with the builder. */
  build(): SpanBatch {
    const n = this.#spans;
    const events = this.#events;
    const attrs = this.#attrs;
    const eventAttrs = this.#eventAttrs;
    this.#attrFrom[n] = attrs.length;
    this.#eventFrom[n] = events;
    this.#eventAttrFrom[events] = eventAttrs.length;
    this.#linkFrom[n] = this.#links;
    return {
      count: n,
      strings: this.#strings.texts,
      keys: this.#keys,
      lists: this.#lists,
      resources: this.#resources,
      scopes: this.#scopes,
      traceId: this.#traceId.slice(0, n * 4),
      spanId: this.#spanId.slice(0, n * 2),
      parentId: this.#parentId.slice(0, n * 2),
      kind: this.#kind.slice(0, n),
      status: this.#status.slice(0, n),
      flags: this.#flags.slice(0, n),
      startUs: this.#startUs.slice(0, n),
      endUs: this.#endUs.slice(0, n),
      eventUs: this.#eventUs.slice(0, n),
      name: this.#name.slice(0, n),
      resource: this.#resource.slice(0, n),
      scope: this.#scope.slice(0, n),
      attrFrom: this.#attrFrom.slice(0, n + 1),
      attrKey: attrs.key.slice(0, attrs.length),
      attrTag: attrs.tag.slice(0, attrs.length),
      attrValue: attrs.value.slice(0, attrs.length),
      eventFrom: this.#eventFrom.slice(0, n + 1),
      eventTimeUs: this.#eventTimeUs.slice(0, events),
      eventName: this.#eventName.slice(0, events),
      eventAttrFrom: this.#eventAttrFrom.slice(0, events + 1),
      eventAttrKey: eventAttrs.key.slice(0, eventAttrs.length),
      eventAttrTag: eventAttrs.tag.slice(0, eventAttrs.length),
      eventAttrValue: eventAttrs.value.slice(0, eventAttrs.length),
      linkFrom: this.#linkFrom.slice(0, n + 1),
      linkTraceId: this.#linkTraceId.slice(0, this.#links * 4),
      linkSpanId: this.#linkSpanId.slice(0, this.#links * 2),
    };
  }

  /** Forgets all rows; the memory stays for the next batch unless it has become unusually large. */
  reset(): void {
    this.#strings.reset();
    this.#keys = [];
    this.#lists = [];
    this.#resources = [];
    this.#scopes = [];
    this.#keyIds.clear();
    this.#spans = 0;
    this.#events = 0;
    this.#links = 0;
    this.#attrs.reset();
    this.#eventAttrs.reset();
    if (this.#kind.length > SPANS_KEPT_MAX) this.#dropSpanColumns();
    if (this.#eventName.length > SPANS_KEPT_MAX) {
      this.#eventTimeUs = new Float64Array(EVENTS_FIRST);
      this.#eventName = new Uint32Array(EVENTS_FIRST);
      this.#eventAttrFrom = new Uint32Array(EVENTS_FIRST + 1);
    }
    if (this.#linkSpanId.length > SPANS_KEPT_MAX) {
      this.#linkTraceId = new Uint32Array(EVENTS_FIRST * 4);
      this.#linkSpanId = new Uint32Array(EVENTS_FIRST * 2);
    }
  }

  #dropSpanColumns(): void {
    this.#traceId = new Uint32Array(SPANS_FIRST * 4);
    this.#spanId = new Uint32Array(SPANS_FIRST * 2);
    this.#parentId = new Uint32Array(SPANS_FIRST * 2);
    this.#kind = new Uint8Array(SPANS_FIRST);
    this.#status = new Uint8Array(SPANS_FIRST);
    this.#flags = new Uint32Array(SPANS_FIRST);
    this.#startUs = new Float64Array(SPANS_FIRST);
    this.#endUs = new Float64Array(SPANS_FIRST);
    this.#eventUs = new Float64Array(SPANS_FIRST);
    this.#name = new Uint32Array(SPANS_FIRST);
    this.#resource = new Uint32Array(SPANS_FIRST);
    this.#scope = new Uint32Array(SPANS_FIRST);
    this.#attrFrom = new Uint32Array(SPANS_FIRST + 1);
    this.#eventFrom = new Uint32Array(SPANS_FIRST + 1);
    this.#linkFrom = new Uint32Array(SPANS_FIRST + 1);
  }
}
