import type { Resource } from '../base/batch.ts';
import { ProtobufAttributes } from './protobuf-attributes.ts';
import type { SpanWriter } from './span-writer.ts';
import { bytesTag, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT, WireReader } from './wire.ts';

/** Tags of opentelemetry-proto v1: (field number << 3) | wire type. */
const LIST_1 = bytesTag(1);
const FIELD_2 = bytesTag(2);
const SPAN_TRACE_ID = bytesTag(1);
const SPAN_SPAN_ID = bytesTag(2);
const SPAN_PARENT_ID = bytesTag(4);
const SPAN_NAME = bytesTag(5);
const SPAN_KIND = (6 << 3) | WIRE_VARINT;
const SPAN_START = (7 << 3) | WIRE_FIXED64;
const SPAN_END = (8 << 3) | WIRE_FIXED64;
const SPAN_ATTRIBUTE = bytesTag(9);
const SPAN_EVENT = bytesTag(11);
const SPAN_LINK = bytesTag(13);
const SPAN_STATUS = bytesTag(15);
const SPAN_FLAGS = (16 << 3) | WIRE_FIXED32;
const STATUS_CODE = (3 << 3) | WIRE_VARINT;
const EVENT_TIME = (1 << 3) | WIRE_FIXED64;
const EVENT_ATTRIBUTE = bytesTag(3);
const LINK_ATTRIBUTE = bytesTag(4);

const RESOURCES_MAX = 256;
const RESOURCE_BYTES_MAX = 8192;
/** Growing list of [from, to) pairs of sub-messages that are read later. */
class Ranges {
  #at = new Int32Array(256);
  length = 0;
  push(from: number, to: number): void {
    if (this.length + 2 > this.#at.length) {
      const grown = new Int32Array(this.#at.length * 2);
      grown.set(this.#at);
      this.#at = grown;
    }
    this.#at[this.length++] = from;
    this.#at[this.length++] = to;
  }
  at(index: number): number {
    return this.#at[index]!;
  }
}

/**
 * Reads an ExportTraceServiceRequest from protobuf bytes straight into the writer; no object is made per span. Repeated
 * names and values are recognised by their bytes, so that text is made and judged once. Unknown fields (also the
 * pre-1.0 field 1000) are stepped over.
 */
export class OtlpProtobuf {
  readonly #writer: SpanWriter;
  readonly #values: ProtobufAttributes;
  #resources = new Map<string, Resource>();
  #reader = new WireReader(new Uint8Array(0));
  readonly #scopes = new Ranges();
  readonly #spans = new Ranges();
  readonly #attributes = new Ranges();
  readonly #events = new Ranges();
  readonly #links = new Ranges();
  readonly #ids = new Uint32Array(8);
  readonly #linkIds = new Uint32Array(6);

  constructor(writer: SpanWriter, depthMax: number, itemsMax: number) {
    this.#writer = writer;
    this.#values = new ProtobufAttributes(writer, depthMax, itemsMax);
  }

  /** Names were forgotten: whatever points to their slots must go. */
  forget(): void {
    this.#values.forget();
    this.#resources = new Map();
  }

  /** Reads one request. @returns the number of spans in it. @throws RejectedError 'malformed'. */
  read(bytes: Uint8Array): number {
    this.#reader = new WireReader(bytes);
    this.#values.open(this.#reader);
    const reader = this.#reader;
    const end = bytes.length;
    let spans = 0;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag !== LIST_1) reader.skip(tag, end);
      else {
        const to = reader.length(end);
        spans += this.#resourceSpans(to);
        reader.pos = to;
      }
    }
    return spans;
  }

  #resourceSpans(end: number): number {
    const reader = this.#reader;
    const scopes = this.#scopes;
    scopes.length = 0;
    let from = 0;
    let to = 0;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === LIST_1) {
        to = reader.length(end);
        from = reader.pos;
        reader.pos = to;
      } else if (tag === FIELD_2) {
        const scopeTo = reader.length(end);
        scopes.push(reader.pos, scopeTo);
        reader.pos = scopeTo;
      } else reader.skip(tag, end);
    }
    const resource = this.#writer.addResource(this.#resource(from, to));
    let spans = 0;
    for (let i = 0; i < scopes.length; i += 2) spans += this.#scopeSpans(scopes.at(i), scopes.at(i + 1), resource);
    return spans;
  }

  #resource(from: number, to: number): Resource {
    const cached = to - from <= RESOURCE_BYTES_MAX ? this.#reader.bytes.latin1Slice(from, to) : undefined;
    const known = cached === undefined ? undefined : this.#resources.get(cached);
    if (known !== undefined) return known;
    const reader = this.#reader;
    this.#writer.row.begin();
    reader.pos = from;
    while (reader.pos < to) {
      const tag = reader.tag(to);
      if (tag !== LIST_1) reader.skip(tag, to);
      else {
        const attributeTo = reader.length(to);
        this.#values.attribute(reader.pos, attributeTo, -1);
        reader.pos = attributeTo;
      }
    }
    const resource = this.#writer.resource();
    if (cached !== undefined) {
      if (this.#resources.size >= RESOURCES_MAX) this.#resources.clear();
      this.#resources.set(cached, resource);
    }
    return resource;
  }

  #scopeSpans(from: number, end: number, resource: number): number {
    const reader = this.#reader;
    const spans = this.#spans;
    spans.length = 0;
    let scopeFrom = 0;
    let scopeTo = 0;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === FIELD_2) {
        const to = reader.length(end);
        spans.push(reader.pos, to);
        reader.pos = to;
      } else if (tag === LIST_1) {
        scopeTo = reader.length(end);
        scopeFrom = reader.pos;
        reader.pos = scopeTo;
      } else reader.skip(tag, end);
    }
    const scope = this.#scope(scopeFrom, scopeTo);
    const count = spans.length / 2;
    for (let i = 0; i < spans.length; i += 2) this.#span(spans.at(i), spans.at(i + 1), resource, scope);
    return count;
  }

  #scope(from: number, end: number): number {
    const reader = this.#reader;
    let name = '';
    let version = '';
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === LIST_1 || tag === FIELD_2) {
        const to = reader.length(end);
        const text = this.#reader.bytes.utf8Slice(reader.pos, to);
        if (tag === LIST_1) name = text;
        else version = text;
        reader.pos = to;
      } else reader.skip(tag, end);
    }
    return this.#writer.addScope(name, version);
  }

  #span(from: number, end: number, resource: number, scope: number): void {
    const reader = this.#reader;
    const attributes = this.#attributes;
    const events = this.#events;
    const links = this.#links;
    const ids = this.#ids;
    attributes.length = 0;
    events.length = 0;
    links.length = 0;
    ids.fill(0);
    let traceIdBytes = 0;
    let spanIdBytes = 0;
    let parentIdBytes = 0;
    let nameFrom = 0;
    let nameTo = 0;
    let kind = 0;
    let status = 0;
    let flags = 0;
    let startUs = 0;
    let endUs = 0;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      switch (tag) {
        case SPAN_ATTRIBUTE: {
          const to = reader.length(end);
          attributes.push(reader.pos, to);
          reader.pos = to;
          break;
        }
        case SPAN_TRACE_ID:
          traceIdBytes = this.#id(end, ids, 0, 4);
          break;
        case SPAN_SPAN_ID:
          spanIdBytes = this.#id(end, ids, 4, 2);
          break;
        case SPAN_PARENT_ID:
          parentIdBytes = this.#id(end, ids, 6, 2);
          break;
        case SPAN_NAME:
          nameTo = reader.length(end);
          nameFrom = reader.pos;
          reader.pos = nameTo;
          break;
        case SPAN_KIND:
          kind = reader.enumValue(end);
          break;
        case SPAN_START:
          startUs = reader.micros(end);
          break;
        case SPAN_END:
          endUs = reader.micros(end);
          break;
        case SPAN_EVENT: {
          const to = reader.length(end);
          events.push(reader.pos, to);
          reader.pos = to;
          break;
        }
        case SPAN_LINK: {
          const to = reader.length(end);
          links.push(reader.pos, to);
          reader.pos = to;
          break;
        }
        case SPAN_STATUS: {
          const to = reader.length(end);
          status = this.#status(to);
          reader.pos = to;
          break;
        }
        case SPAN_FLAGS:
          flags = reader.fixed32(end);
          break;
        default:
          reader.skip(tag, end);
      }
    }
    const writer = this.#writer;
    if (traceIdBytes !== 16 || (ids[0]! | ids[1]! | ids[2]! | ids[3]!) === 0) {
      writer.badTraceIds++;
      return;
    }
    if (spanIdBytes !== 8 || (ids[4]! | ids[5]!) === 0) {
      writer.badSpanIds++;
      return;
    }
    if (parentIdBytes !== 8 && parentIdBytes !== 0) {
      writer.badParents++;
      ids[6] = 0;
      ids[7] = 0;
    }
    if (kind < 0 || kind > 5) kind = 0;
    const name = this.#values.verdict(writer.spanName, nameFrom, nameTo);
    writer.span(ids, kind, status, flags, startUs, endUs, name, resource, scope);
    writer.row.begin();
    for (let i = 0; i < attributes.length; i += 2) this.#values.attribute(attributes.at(i), attributes.at(i + 1), kind);
    writer.endSpan();
    for (let i = 0; i < events.length; i += 2) this.#event(events.at(i), events.at(i + 1), kind);
    for (let i = 0; i < links.length; i += 2) this.#link(links.at(i), links.at(i + 1));
  }

  /** Reads an id of `words` words, big-endian, to `ids[at]`; returns how many bytes it had. */
  #id(end: number, ids: Uint32Array, at: number, words: number): number {
    const reader = this.#reader;
    const to = reader.length(end);
    const length = to - reader.pos;
    if (length === words * 4) {
      for (let i = 0; i < words; i++) ids[at + i] = reader.view.getUint32(reader.pos + i * 4);
    }
    reader.pos = to;
    return length;
  }

  #status(end: number): number {
    const reader = this.#reader;
    let code = 0;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === STATUS_CODE) code = reader.enumValue(end);
      else {
        // The message is free text about a failure; nothing of it is kept.
        if (tag === FIELD_2) this.#writer.row.tally(['status_message']);
        reader.skip(tag, end);
      }
    }
    return code;
  }

  #event(from: number, end: number, kind: number): void {
    const reader = this.#reader;
    const attributes = this.#attributes;
    attributes.length = 0;
    let timeUs = 0;
    let nameFrom = 0;
    let nameTo = 0;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === EVENT_TIME) timeUs = reader.micros(end);
      else if (tag === FIELD_2) {
        nameTo = reader.length(end);
        nameFrom = reader.pos;
        reader.pos = nameTo;
      } else if (tag === EVENT_ATTRIBUTE) {
        const to = reader.length(end);
        attributes.push(reader.pos, to);
        reader.pos = to;
      } else reader.skip(tag, end);
    }
    this.#writer.event(timeUs, this.#values.verdict(this.#writer.eventName, nameFrom, nameTo));
    this.#writer.row.begin();
    for (let i = 0; i < attributes.length; i += 2) this.#values.attribute(attributes.at(i), attributes.at(i + 1), kind);
    this.#writer.endEvent();
  }

  #link(from: number, end: number): void {
    const reader = this.#reader;
    const ids = this.#linkIds.fill(0);
    let traceIdBytes = 0;
    let spanIdBytes = 0;
    reader.pos = from;
    while (reader.pos < end) {
      const tag = reader.tag(end);
      if (tag === LIST_1) traceIdBytes = this.#id(end, ids, 0, 4);
      else if (tag === FIELD_2) spanIdBytes = this.#id(end, ids, 4, 2);
      else {
        if (tag === LINK_ATTRIBUTE) this.#writer.row.tally(['link_attribute']);
        reader.skip(tag, end);
      }
    }
    const zero = (ids[0]! | ids[1]! | ids[2]! | ids[3]!) === 0 || (ids[4]! | ids[5]!) === 0;
    if (traceIdBytes !== 16 || spanIdBytes !== 8 || zero) this.#writer.droppedLinks++;
    else this.#writer.link(ids);
  }
}
