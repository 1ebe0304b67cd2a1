import { FIELD_COUNT, fieldId, type Value } from '@spanwarden/rules';
import type { Resource, Scope, SpanBatch } from '../base/batch.ts';
import { readAttributes } from './attribute-columns.ts';
import { type ByteReader, DamagedError } from './byte-reader.ts';
import { readNumbers } from './number-column.ts';
import { readRefs } from './ref-column.ts';
import { readStrings } from './string-column.ts';
import { readValues } from './value-column.ts';
import { AS_IS, FOREIGN_PARENT, NO_PARENT, PARENT_ROW, RELATIVE } from './write-spans.ts';

/** Above what any batch holds; only damage claims more. */
const ENTRIES_MAX = 0x1000_0000;

/** The sections of one batch: `packed` holds the tables, then the columns. */
export interface StoredSections {
  readonly ids: ByteReader;
  readonly packed: ByteReader;
}

/**
 * The inverse of `writeSpans`; `traces` is the table of trace ids, four words each, and `readBefore` reads what the
 * caller wrote ahead of the columns. Throws DamagedError.
 */
export function readSpans(
  { ids, packed }: StoredSections,
  traces: Uint32Array,
  readBefore?: (packed: ByteReader) => void,
): SpanBatch {
  const strings = readStrings(packed);
  const lists = readLists(packed);
  const { keys, keyIds } = readKeys(packed);
  const resources = readResources(packed);
  const scopes = readScopes(packed);

  readBefore?.(packed);
  const count = packed.count((ids.end - ids.position) / 8);
  const traceCount = traces.length / 4;
  const traceOf = readTraces(packed, count, traceCount);
  const spanId = ids.words(count * 2);
  const parentId = readParents(ids, packed, spanId, count);
  const kind = new Uint8Array(count);
  readNumbers(packed, kind, 0, count);
  const status = new Uint8Array(count);
  readNumbers(packed, status, 0, count);
  const flags = new Uint32Array(count);
  readNumbers(packed, flags, 0, count);
  const startUs = readStarts(packed, count, traceOf, traceCount);
  const endUs = readRelative(packed, startUs);
  const eventUs = readRelative(packed, endUs);
  const name = new Uint32Array(count);
  readRefs(packed, name, 0, count, strings.length);
  const resource = new Uint32Array(count);
  readRefs(packed, resource, 0, count, resources.length);
  const scope = new Uint32Array(count);
  readRefs(packed, scope, 0, count, scopes.length);
  const attributes = readAttributes(packed, count, keyIds, strings.length, lists.length);
  const eventFrom = readCounts(packed, count);
  const events = eventFrom[count]!;
  const eventTimeUs = events === 0 ? new Float64Array(0) : readRelative(packed, startsOfEvents(startUs, eventFrom));
  const eventName = new Uint32Array(events);
  readRefs(packed, eventName, 0, events, strings.length);
  const eventAttributes =
    events === 0 ? NO_ATTRIBUTES : readAttributes(packed, events, keyIds, strings.length, lists.length);
  const linkFrom = readCounts(packed, count);
  const links = linkFrom[count]!;
  const linkTraceId = ids.words(links * 4);
  const linkSpanId = ids.words(links * 2);
  return {
    count,
    strings,
    keys,
    lists,
    resources,
    scopes,
    traceId: toTraceIds(traceOf, traces),
    spanId,
    parentId,
    kind,
    status,
    flags,
    startUs,
    endUs,
    eventUs,
    name,
    resource,
    scope,
    attrFrom: attributes.from,
    attrKey: attributes.key,
    attrTag: attributes.tag,
    attrValue: attributes.value,
    eventFrom,
    eventTimeUs,
    eventName,
    eventAttrFrom: eventAttributes.from,
    eventAttrKey: eventAttributes.key,
    eventAttrTag: eventAttributes.tag,
    eventAttrValue: eventAttributes.value,
    linkFrom,
    linkTraceId,
    linkSpanId,
  };
}

const NO_ATTRIBUTES = {
  from: new Uint32Array(1),
  key: new Uint32Array(0),
  tag: new Uint8Array(0),
  value: new Float64Array(0),
};

function readTraces(packed: ByteReader, count: number, size: number): Uint32Array {
  const positions = new Uint32Array(count);
  readNumbers(packed, positions, 0, count);
  for (let row = 0; row < count; row++) {
    if (positions[row]! >= size) throw new DamagedError(`trace ${positions[row]} of ${size}`);
  }
  return positions;
}

function toTraceIds(traceOf: Uint32Array, traces: Uint32Array): Uint32Array {
  const traceId = new Uint32Array(traceOf.length * 4);
  for (let row = 0; row < traceOf.length; row++) {
    const from = traceOf[row]! * 4;
    traceId[row * 4] = traces[from]!;
    traceId[row * 4 + 1] = traces[from + 1]!;
    traceId[row * 4 + 2] = traces[from + 2]!;
    traceId[row * 4 + 3] = traces[from + 3]!;
  }
  return traceId;
}

function readParents(ids: ByteReader, packed: ByteReader, spanId: Uint32Array, count: number): Uint32Array {
  const codes = new Uint32Array(count);
  readNumbers(packed, codes, 0, count);
  const parentId = new Uint32Array(count * 2);
  for (let row = 0; row < count; row++) {
    const code = codes[row]!;
    if (code === NO_PARENT) continue;
    if (code === FOREIGN_PARENT) {
      const at = ids.skip(8);
      parentId[row * 2] = ids.bytes.readUInt32LE(at);
      parentId[row * 2 + 1] = ids.bytes.readUInt32LE(at + 4);
      continue;
    }
    const parent = row - unzigzag(code - PARENT_ROW);
    if (!(parent >= 0 && parent < count)) throw new DamagedError(`parent row ${parent} of ${count}`);
    parentId[row * 2] = spanId[parent * 2]!;
    parentId[row * 2 + 1] = spanId[parent * 2 + 1]!;
  }
  return parentId;
}

const unzigzag = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);

function readStarts(packed: ByteReader, count: number, traceOf: Uint32Array, traceCount: number): Float64Array {
  const startUs = new Float64Array(count);
  if (readMode(packed) === AS_IS) {
    readNumbers(packed, startUs, 0, count);
    return startUs;
  }
  const base = new Float64Array(traceCount);
  readNumbers(packed, base, 0, traceCount);
  readNumbers(packed, startUs, 0, count);
  for (let row = 0; row < count; row++) startUs[row]! += base[traceOf[row]!]!;
  return startUs;
}

function readRelative(packed: ByteReader, to: Float64Array): Float64Array {
  const values = new Float64Array(to.length);
  const mode = readMode(packed);
  readNumbers(packed, values, 0, values.length);
  if (mode === RELATIVE) for (let row = 0; row < values.length; row++) values[row]! += to[row]!;
  return values;
}

function readMode(packed: ByteReader): number {
  const mode = packed.byte();
  if (mode !== AS_IS && mode !== RELATIVE) throw new DamagedError(`times of mode ${mode} are unknown`);
  return mode;
}

function readCounts(packed: ByteReader, rows: number): Uint32Array {
  const from = new Uint32Array(rows + 1);
  readNumbers(packed, from, 1, rows);
  for (let row = 0; row < rows; row++) {
    const to = from[row]! + from[row + 1]!;
    if (to > ENTRIES_MAX) throw new DamagedError(`${to} entries in one batch`);
    from[row + 1] = to;
  }
  return from;
}

function startsOfEvents(startUs: Float64Array, eventFrom: Uint32Array): Float64Array {
  const starts = new Float64Array(eventFrom[startUs.length]!);
  for (let row = 0; row < startUs.length; row++) starts.fill(startUs[row]!, eventFrom[row]!, eventFrom[row + 1]!);
  return starts;
}

function readLists(packed: ByteReader): SpanBatch['lists'] {
  const values = readValues(packed);
  const lists: (readonly (string | number | boolean)[])[] = [];
  for (const value of values) {
    if (typeof value !== 'object') throw new DamagedError('a scalar among the lists');
    lists.push(value);
  }
  return lists;
}

/** A name that was no field when it was stored may be one now, and the other way round. */
function readKeys(packed: ByteReader): { keys: string[]; keyIds: Uint32Array } {
  const own = packed.varint();
  const names = readStrings(packed);
  if (own > names.length) throw new DamagedError(`${own} keys of ${names.length} names`);
  const keys = names.slice(0, own);
  const keyIds = new Uint32Array(names.length);
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    keyIds[i] = fieldId(name) ?? FIELD_COUNT + (i < own ? i : keys.push(name) - 1);
  }
  return { keys, keyIds };
}

function readResources(packed: ByteReader): Resource[] {
  const count = packed.count(packed.end - packed.position);
  const resources: Resource[] = [];
  for (let i = 0; i < count; i++) {
    const [service, version, clock, signals, droppedSpans, ...values] = readValues(packed);
    const names = readStrings(packed);
    if (names.length !== values.length) throw new DamagedError('resource attributes and their names disagree');
    resources.push({
      service: service as string,
      version: version as string,
      clock: clock as string,
      signals: signals as number,
      droppedSpans: droppedSpans as number,
      attributes: names.map((name, at) => [name, values[at] as Value] as const),
    });
  }
  return resources;
}

function readScopes(packed: ByteReader): Scope[] {
  const texts = readStrings(packed);
  const scopes: Scope[] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) scopes.push({ name: texts[i]!, version: texts[i + 1]! });
  return scopes;
}
