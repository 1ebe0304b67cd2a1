import type { NamePlan, Route } from './attribute-names.ts';
import { BYTES_MARK, DEEP_MARK, type Tree, type TreeMap } from './attribute-tree.ts';
import { ByteTable } from './byte-table.ts';
import type { SpanWriter } from './span-writer.ts';
import type { Verdict } from './verdict.ts';
import { bytesTag, WIRE_FIXED64, WIRE_VARINT, WireReader } from './wire.ts';

/** Tags of opentelemetry-proto v1 `common`: (field number << 3) | wire type. */
const LIST_1 = bytesTag(1);
const FIELD_2 = bytesTag(2);
const VALUE_STRING = bytesTag(1);
const VALUE_BOOL = (2 << 3) | WIRE_VARINT;
const VALUE_INT = (3 << 3) | WIRE_VARINT;
const VALUE_DOUBLE = (4 << 3) | WIRE_FIXED64;
const VALUE_ARRAY = bytesTag(5);
const VALUE_MAP = bytesTag(6);
const VALUE_BYTES = bytesTag(7);

const NAME_ENTRIES = 4096;
const NAME_BYTES_MAX = 96;
const VALUE_ENTRIES = 16_384;
const VALUE_BYTES_MAX = 256;
/** A name whose values miss this often, and more than every third time, holds ids: looking them up costs more than it saves. */
const MISSES_MAX = 2048;
/** So many uncached values later it gets another chance. */
const RAW_MAX = 1 << 20;

/**
 * Reads KeyValue and AnyValue into the writer. Names and values that were seen before are recognised by their bytes, so
 * that text is made and judged once per distinct value.
 */
export class ProtobufAttributes {
  readonly #writer: SpanWriter;
  readonly #depthMax: number;
  readonly #itemsMax: number;
  readonly #names = new ByteTable<NamePlan>(NAME_ENTRIES, NAME_BYTES_MAX);
  readonly #values = new ByteTable<Verdict>(VALUE_ENTRIES, VALUE_BYTES_MAX);
  #reader = new WireReader(new Uint8Array(0));
  #bytes = this.#reader.bytes;

  constructor(writer: SpanWriter, depthMax: number, itemsMax: number) {
    this.#writer = writer;
    this.#depthMax = depthMax;
    this.#itemsMax = itemsMax;
  }

  /** Turns to the bytes of another request. */
  open(reader: WireReader): void {
    this.#reader = reader;
    this.#bytes = reader.bytes;
  }

  /** Names were forgotten: whatever points to their slots must go. */
  forget(): void {
    this.#names.clear();
    this.#values.clear();
  }

  /** One KeyValue. `kind` is the span's, -1 on a resource. */
  attribute(from: number, end: number, kind: number): void {
    const bytes = this.#bytes;
    // What every encoder writes: the key, then the value, both shorter than 128 bytes, and nothing else.
    const keyFrom = from + 2;
    const keyTo = keyFrom + bytes[from + 1]!;
    const valueFrom = keyTo + 2;
    const usual =
      bytes[from] === LIST_1 &&
      keyTo < from + 130 &&
      valueFrom <= end &&
      bytes[keyTo] === FIELD_2 &&
      valueFrom + bytes[keyTo + 1]! === end;
    if (usual && end - valueFrom < 128) this.#pair(keyFrom, keyTo, valueFrom, end, kind);
    else this.#anyPair(from, end, kind);
  }

  #anyPair(from: number, end: number, kind: number): void {
    const reader = this.#reader;
    let keyFrom = 0;
    let keyTo = 0;
    let valueFrom = 0;
    let valueTo = -1;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === LIST_1) {
        keyTo = reader.length(end);
        keyFrom = reader.pos;
        reader.pos = keyTo;
      } else if (tag === FIELD_2) {
        valueTo = reader.length(end);
        valueFrom = reader.pos;
        reader.pos = valueTo;
      } else reader.skip(tag, end);
    }
    if (valueTo >= 0) this.#pair(keyFrom, keyTo, valueFrom, valueTo, kind);
  }

  #pair(keyFrom: number, keyTo: number, valueFrom: number, valueTo: number, kind: number): void {
    const plan = this.#plan(keyFrom, keyTo);
    if (plan === undefined) return;
    if (plan.found.length > 0) this.#writer.row.tally(plan.found);
    const route = kind < 0 ? plan.onResource : plan.bySpanKind[kind]!;
    const bytes = this.#bytes;
    const textFrom = valueFrom + 2;
    const length = valueTo - textFrom;
    if (length >= 0 && length < 128 && bytes[valueFrom] === VALUE_STRING && bytes[valueFrom + 1] === length) {
      this.#writer.judged(route, this.verdict(route, textFrom, valueTo));
    } else this.#value(route, valueFrom, valueTo);
  }

  #plan(from: number, to: number): NamePlan | undefined {
    const known = this.#names.find(this.#reader.view, from, to, 0);
    if (known !== undefined) return known;
    const plan = this.#writer.plan(this.#text(from, to, this.#names.ascii));
    if (plan !== undefined) this.#names.insert(this.#bytes, from, to, 0, plan);
    return plan;
  }

  #text(from: number, to: number, ascii: boolean): string {
    return ascii ? this.#bytes.latin1Slice(from, to) : this.#bytes.utf8Slice(from, to);
  }

  /** An AnyValue under a known route; an empty one is no attribute. */
  #value(route: Route, from: number, end: number): void {
    const reader = this.#reader;
    const writer = this.#writer;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === VALUE_STRING) {
        const to = reader.length(end);
        const textFrom = reader.pos;
        reader.pos = to;
        if (to === end) writer.judged(route, this.verdict(route, textFrom, to));
        else writer.judged(route, writer.judge(route, this.#bytes.utf8Slice(textFrom, to)));
      } else if (tag === VALUE_INT) {
        const value = reader.int64(end);
        if (typeof value === 'number') writer.number(route, value);
        else writer.judged(route, writer.judge(route, value));
      } else if (tag === VALUE_BOOL) writer.boolean(route, reader.enumValue(end) !== 0);
      else if (tag === VALUE_DOUBLE) writer.number(route, reader.double(end));
      else if (tag === VALUE_ARRAY || tag === VALUE_MAP) {
        const to = reader.length(end);
        writer.tree(route, tag === VALUE_ARRAY ? this.#array(to, 1) : this.#map(to, 1));
        reader.pos = to;
      } else if (tag === VALUE_BYTES) {
        reader.skip(tag, end);
        writer.judged(route, writer.judgeText(route, BYTES_MARK));
      } else reader.skip(tag, end);
    }
  }

  /** The verdict on a text under a route. */
  verdict(route: Route, from: number, to: number): Verdict {
    if (route.misses > MISSES_MAX && route.misses * 2 > route.hits) return this.#rawVerdict(route, from, to);
    const known = this.#values.find(this.#reader.view, from, to, route.id);
    if (known !== undefined) {
      route.hits++;
      return known;
    }
    route.misses++;
    const verdict = this.#writer.judge(route, this.#text(from, to, this.#values.ascii));
    this.#values.insert(this.#bytes, from, to, route.id, verdict);
    return verdict;
  }

  #rawVerdict(route: Route, from: number, to: number): Verdict {
    if (++route.misses > RAW_MAX) {
      route.misses = 0;
      route.hits = 0;
    }
    return this.#writer.judge(route, this.#bytes.utf8Slice(from, to));
  }

  // Depth is bounded, so recursion is.
  #array(end: number, depth: number): Tree[] {
    const reader = this.#reader;
    const items: Tree[] = [];
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag !== LIST_1 || items.length >= this.#itemsMax) {
        if (tag === LIST_1) this.#writer.droppedItems++;
        reader.skip(tag, end);
        continue;
      }
      const to = reader.length(end);
      items.push(this.#tree(to, depth));
      reader.pos = to;
    }
    return items;
  }

  #map(end: number, depth: number): TreeMap {
    const reader = this.#reader;
    const map: TreeMap = new Map();
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag !== LIST_1 || map.size >= this.#itemsMax) {
        if (tag === LIST_1) this.#writer.droppedItems++;
        reader.skip(tag, end);
        continue;
      }
      const to = reader.length(end);
      this.#entry(to, map, depth);
      reader.pos = to;
    }
    return map;
  }

  #entry(end: number, map: TreeMap, depth: number): void {
    const reader = this.#reader;
    let key = '';
    let value: Tree = null;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag !== LIST_1 && tag !== FIELD_2) {
        reader.skip(tag, end);
        continue;
      }
      const to = reader.length(end);
      if (tag === LIST_1) key = this.#bytes.utf8Slice(reader.pos, to);
      else value = this.#tree(to, depth);
      reader.pos = to;
    }
    map.set(key, value);
  }

  #tree(end: number, depth: number): Tree {
    const reader = this.#reader;
    if (depth >= this.#depthMax) {
      this.#writer.deepValues++;
      return DEEP_MARK;
    }
    let tree: Tree = null;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === VALUE_STRING) {
        const to = reader.length(end);
        tree = this.#bytes.utf8Slice(reader.pos, to);
        reader.pos = to;
      } else if (tag === VALUE_BOOL) tree = reader.enumValue(end) !== 0;
      else if (tag === VALUE_INT) tree = reader.int64(end);
      else if (tag === VALUE_DOUBLE) tree = reader.double(end);
      else if (tag === VALUE_ARRAY || tag === VALUE_MAP) {
        const to = reader.length(end);
        tree = tag === VALUE_ARRAY ? this.#array(to, depth + 1) : this.#map(to, depth + 1);
        reader.pos = to;
      } else {
        reader.skip(tag, end);
        if (tag === VALUE_BYTES) tree = BYTES_MARK;
      }
    }
    return tree;
  }
}
