import type { Resource } from '../base/batch.ts';
import { RejectedError } from '../base/errors.ts';
import type { NamePlan, Route } from './attribute-names.ts';
import { BYTES_MARK, DEEP_MARK, type Tree } from './attribute-tree.ts';
import {
  isObject,
  type Json,
  type JsonObject,
  member,
  readEnum,
  readId,
  readMicros,
  readNumber,
  readText,
  toInt64,
} from './json-values.ts';
import { type SpanWriter, toWellFormed } from './span-writer.ts';

const KINDS = [
  'SPAN_KIND_UNSPECIFIED',
  'SPAN_KIND_INTERNAL',
  'SPAN_KIND_SERVER',
  'SPAN_KIND_CLIENT',
  'SPAN_KIND_PRODUCER',
  'SPAN_KIND_CONSUMER',
];
const STATUS_CODES = ['STATUS_CODE_UNSET', 'STATUS_CODE_OK', 'STATUS_CODE_ERROR'];
const NO_ITEMS: readonly Json[] = [];

/**
 * Reads a parsed OTLP/JSON ExportTraceServiceRequest into the writer: the same calls in the same order as the protobuf
 * reader makes. Ids are hex (base64 is understood), 64-bit numbers texts or numbers, names camelCase or snake_case,
 * null is absent, unknown members are ignored.
 */
export class OtlpJson {
  readonly #writer: SpanWriter;
  readonly #depthMax: number;
  readonly #itemsMax: number;
  readonly #ids = new Uint32Array(8);
  readonly #linkIds = new Uint32Array(6);

  constructor(writer: SpanWriter, depthMax: number, itemsMax: number) {
    this.#writer = writer;
    this.#depthMax = depthMax;
    this.#itemsMax = itemsMax;
  }

  /** @returns the number of spans in the request. @throws RejectedError 'malformed' naming the member. */
  read(request: Json): number {
    if (!isObject(request)) throw new RejectedError('malformed', 'the request is no JSON object');
    let spans = 0;
    for (const [i, item] of this.#list(request, 'resourceSpans', 'resource_spans', 'request').entries()) {
      const where = `resourceSpans[${i}]`;
      spans += this.#resourceSpans(this.#object(item, where), where);
    }
    return spans;
  }

  #resourceSpans(item: JsonObject, where: string): number {
    const resource = this.#writer.addResource(this.#resource(member(item, 'resource', 'resource'), where));
    let spans = 0;
    const scopes = this.#list(item, 'scopeSpans', 'scope_spans', where);
    for (const [i, scope] of scopes.entries()) {
      const place = `${where}.scopeSpans[${i}]`;
      spans += this.#scopeSpans(this.#object(scope, place), resource, place);
    }
    return spans;
  }

  #resource(resource: Json | undefined, where: string): Resource {
    this.#writer.row.begin();
    if (resource !== undefined) this.#attributes(this.#object(resource, `${where}.resource`), -1, `${where}.resource`);
    return this.#writer.resource();
  }

  #scopeSpans(item: JsonObject, resource: number, where: string): number {
    const scopeValue = member(item, 'scope', 'scope');
    const scope = scopeValue === undefined ? {} : this.#object(scopeValue, `${where}.scope`);
    const name = readText(member(scope, 'name', 'name'), `${where}.scope.name`);
    const version = readText(member(scope, 'version', 'version'), `${where}.scope.version`);
    const scopeIndex = this.#writer.addScope(name, version);
    const spans = this.#list(item, 'spans', 'spans', where);
    for (const [i, span] of spans.entries()) {
      const place = `${where}.spans[${i}]`;
      this.#span(this.#object(span, place), resource, scopeIndex, place);
    }
    return spans.length;
  }

  #span(span: JsonObject, resource: number, scope: number, where: string): void {
    const writer = this.#writer;
    const ids = this.#ids.fill(0);
    if (!readId(member(span, 'traceId', 'trace_id'), ids, 0, 4)) {
      writer.badTraceIds++;
      return;
    }
    if (!readId(member(span, 'spanId', 'span_id'), ids, 4, 2)) {
      writer.badSpanIds++;
      return;
    }
    this.#parent(member(span, 'parentSpanId', 'parent_span_id'));
    const read = readEnum(member(span, 'kind', 'kind'), KINDS, `${where}.kind`);
    const kind = read >= 0 && read <= 5 ? read : 0;
    const status = this.#status(member(span, 'status', 'status'), `${where}.status`);
    const flags = readNumber(member(span, 'flags', 'flags'), `${where}.flags`) >>> 0;
    const startUs = readMicros(member(span, 'startTimeUnixNano', 'start_time_unix_nano'), `${where}.startTimeUnixNano`);
    const endUs = readMicros(member(span, 'endTimeUnixNano', 'end_time_unix_nano'), `${where}.endTimeUnixNano`);
    const name = writer.judgeText(writer.spanName, readText(member(span, 'name', 'name'), `${where}.name`));
    writer.span(ids, kind, status, flags, startUs, endUs, name, resource, scope);
    writer.row.begin();
    this.#attributes(span, kind, where);
    writer.endSpan();
    for (const [i, event] of this.#list(span, 'events', 'events', where).entries()) {
      const place = `${where}.events[${i}]`;
      this.#event(this.#object(event, place), kind, place);
    }
    for (const [i, link] of this.#list(span, 'links', 'links', where).entries()) {
      this.#link(this.#object(link, `${where}.links[${i}]`));
    }
  }

  #parent(value: Json | undefined): void {
    const ids = this.#ids;
    // All zeros and the empty text both say "no parent" without being wrong.
    if (value === undefined || value === '' || value === '0000000000000000') return;
    if (!readId(value, ids, 6, 2)) {
      this.#writer.badParents++;
      ids[6] = 0;
      ids[7] = 0;
    }
  }

  #status(value: Json | undefined, where: string): number {
    if (value === undefined) return 0;
    const status = this.#object(value, where);
    if (member(status, 'message', 'message') !== undefined) this.#writer.row.tally(['status_message']);
    return readEnum(member(status, 'code', 'code'), STATUS_CODES, `${where}.code`);
  }

  #event(event: JsonObject, kind: number, where: string): void {
    const writer = this.#writer;
    const timeUs = readMicros(member(event, 'timeUnixNano', 'time_unix_nano'), `${where}.timeUnixNano`);
    const name = readText(member(event, 'name', 'name'), `${where}.name`);
    writer.event(timeUs, writer.judgeText(writer.eventName, name));
    writer.row.begin();
    this.#attributes(event, kind, where);
    writer.endEvent();
  }

  #link(link: JsonObject): void {
    const ids = this.#linkIds.fill(0);
    for (const _ of this.#list(link, 'attributes', 'attributes', 'link')) this.#writer.row.tally(['link_attribute']);
    const whole =
      readId(member(link, 'traceId', 'trace_id'), ids, 0, 4) && readId(member(link, 'spanId', 'span_id'), ids, 4, 2);
    if (whole) this.#writer.link(ids);
    else this.#writer.droppedLinks++;
  }

  #attributes(holder: JsonObject, kind: number, where: string): void {
    const attributes = this.#list(holder, 'attributes', 'attributes', where);
    for (let i = 0; i < attributes.length; i++) {
      const attribute = attributes[i]!;
      if (!isObject(attribute)) throw this.#malformed(`${where}.attributes[${i}]`, 'an object');
      const value = member(attribute, 'value', 'value');
      if (value === undefined) continue;
      if (!isObject(value)) throw this.#malformed(`${where}.attributes[${i}].value`, 'an object');
      const key = toWellFormed(readText(member(attribute, 'key', 'key'), `${where}.attributes[${i}].key`));
      const plan = this.#writer.plan(key);
      if (plan === undefined) continue;
      this.#attribute(plan, value, kind, `${where}.attributes[${i}]`);
    }
  }

  #attribute(plan: NamePlan, value: JsonObject, kind: number, where: string): void {
    const writer = this.#writer;
    if (plan.found.length > 0) writer.row.tally(plan.found);
    const route = kind < 0 ? plan.onResource : plan.bySpanKind[kind]!;
    const tree = this.#tree(value, 0, where);
    if (tree === null) return;
    if (tree === BYTES_MARK && member(value, 'bytesValue', 'bytes_value') !== undefined) {
      writer.judged(route, writer.judgeText(route, BYTES_MARK));
    } else this.#store(route, tree, value);
  }

  #store(route: Route, tree: Exclude<Tree, null>, value: JsonObject): void {
    const writer = this.#writer;
    if (typeof tree === 'number') writer.number(route, tree);
    else if (typeof tree === 'boolean') writer.boolean(route, tree);
    else if (typeof tree === 'object') writer.tree(route, tree);
    else if (member(value, 'stringValue', 'string_value') === undefined)
      writer.judged(route, writer.judge(route, tree));
    else writer.judged(route, writer.judgeText(route, tree));
  }

  // Depth is bounded, so recursion is.
  #tree(value: JsonObject, depth: number, where: string): Tree {
    if (depth >= this.#depthMax) {
      this.#writer.deepValues++;
      return DEEP_MARK;
    }
    const text = member(value, 'stringValue', 'string_value');
    if (text !== undefined) return readText(text, `${where}.stringValue`);
    const flag = member(value, 'boolValue', 'bool_value');
    if (flag !== undefined) return flag === true || flag === 'true';
    const integer = member(value, 'intValue', 'int_value');
    if (integer !== undefined) return toInt64(integer, `${where}.intValue`);
    const double = member(value, 'doubleValue', 'double_value');
    if (double !== undefined) return readNumber(double, `${where}.doubleValue`);
    if (member(value, 'bytesValue', 'bytes_value') !== undefined) return BYTES_MARK;
    return this.#nested(value, depth, where);
  }

  #nested(value: JsonObject, depth: number, where: string): Tree {
    const array = member(value, 'arrayValue', 'array_value');
    if (array !== undefined) {
      const items = this.#items(array, `${where}.arrayValue`);
      return items.map((item) => (isObject(item) ? this.#tree(item, depth + 1, where) : null));
    }
    const map = member(value, 'kvlistValue', 'kvlist_value');
    if (map === undefined) return null;
    const entries = new Map<string, Tree>();
    for (const item of this.#items(map, `${where}.kvlistValue`)) {
      if (!isObject(item)) continue;
      const inner = member(item, 'value', 'value');
      const tree = isObject(inner) ? this.#tree(inner, depth + 1, where) : null;
      entries.set(readText(member(item, 'key', 'key'), `${where}.kvlistValue.key`), tree);
    }
    return entries;
  }

  #items(holder: Json, where: string): readonly Json[] {
    const items = this.#list(this.#object(holder, where), 'values', 'values', where);
    if (items.length <= this.#itemsMax) return items;
    this.#writer.droppedItems += items.length - this.#itemsMax;
    return items.slice(0, this.#itemsMax);
  }

  #list(holder: JsonObject, name: string, snake: string, where: string): readonly Json[] {
    const value = member(holder, name, snake);
    if (value === undefined) return NO_ITEMS;
    if (!Array.isArray(value)) throw this.#malformed(`${where}.${name}`, 'an array');
    return value as readonly Json[];
  }

  #object(value: Json, where: string): JsonObject {
    if (!isObject(value)) throw this.#malformed(where, 'an object');
    return value;
  }

  #malformed(where: string, expected: string): RejectedError {
    return new RejectedError('malformed', `${where} is not ${expected}`);
  }
}
