import { FIELD_COUNT, FIELD_NAMES } from '@spanwarden/rules';
import type { Resource, Scope, SpanBatch } from '../base/batch.ts';
import { writeAttributes } from './attribute-columns.ts';
import type { ByteWriter } from './byte-writer.ts';
import { SpanTable } from './id-table.ts';
import { writeNumbers } from './number-column.ts';
import { type RefNumbering, writeRefs } from './ref-column.ts';
import { growDoubles, growWords } from './scratch.ts';
import { writeStrings } from './string-column.ts';
import { writeValues } from './value-column.ts';

/**
 * Spans as columns, for records and for blocks of segments; FORMAT.md draws it. Ids go into a section of their own that
 * no compressor sees: they are random. Everything else is brought close to its neighbours: parents as rows, times as
 * distances from the first span of the trace, attributes by shape.
 */
export interface SpanSections {
  /** Trace, span, parent and link ids: incompressible. */
  readonly ids: ByteWriter;
  readonly tables: ByteWriter;
  readonly columns: ByteWriter;
}

/** Field ids belong to this process, so what lasts is the name. */
class KeyNames {
  readonly names: string[];
  readonly #keys: readonly string[];
  readonly #positions = new Map<number, number>();

  /** `kept` of the batch's own keys are written whether an attribute has them or not. */
  constructor(keys: readonly string[], kept: number) {
    this.names = keys.slice(0, kept);
    this.#keys = keys;
    for (let i = 0; i < kept; i++) this.#positions.set(FIELD_COUNT + i, i);
  }

  /** Position in `names` of an attribute key. */
  positionOf(key: number): number {
    let position = this.#positions.get(key);
    if (position === undefined) {
      position = this.names.push(key < FIELD_COUNT ? FIELD_NAMES[key]! : this.#keys[key - FIELD_COUNT]!) - 1;
      this.#positions.set(key, position);
    }
    return position;
  }
}

type Numbering<T> = RefNumbering & { readonly table: readonly T[] };

/** New tables for a batch that hold what its columns refer to and nothing else, in the order of reference. */
export interface TableNumbering {
  readonly strings: Numbering<string>;
  readonly lists: Numbering<SpanBatch['lists'][number]>;
  readonly resources: Numbering<Resource>;
  readonly scopes: Numbering<Scope>;
}

/** What `parent` codes mean: none, an id kept among the ids, or from here on a row of the same batch. */
export const NO_PARENT = 0;
export const FOREIGN_PARENT = 1;
export const PARENT_ROW = 2;

/** Times up to here differ exactly; others are stored as they are. */
const EXACT_TIME_MAX = 2 ** 52;
export const AS_IS = 0;
export const RELATIVE = 1;

const spans = new SpanTable();
let doubles = new Float64Array(4096);
let bases = new Float64Array(1024);
let codes = new Uint32Array(4096);
let counts = new Uint32Array(4096);

/** `traceOf[row]` is a position in a table of trace ids that the caller keeps; `traceCount` its size. */
export function writeSpans(
  sections: SpanSections,
  batch: SpanBatch,
  traceOf: Uint32Array,
  traceCount: number,
  numbering?: TableNumbering,
): void {
  const { ids, columns } = sections;
  const { count } = batch;
  columns.varint(count);
  writeNumbers(columns, traceOf, 0, count);
  ids.words(batch.spanId.subarray(0, count * 2));
  writeParents(ids, columns, batch);
  writeNumbers(columns, batch.kind, 0, count);
  writeNumbers(columns, batch.status, 0, count);
  writeNumbers(columns, batch.flags, 0, count);
  writeStarts(columns, batch.startUs, count, traceOf, traceCount);
  writeRelative(columns, batch.endUs, batch.startUs, count);
  writeRelative(columns, batch.eventUs, batch.endUs, count);
  writePositions(columns, batch.name, count, numbering?.strings);
  writePositions(columns, batch.resource, count, numbering?.resources);
  writePositions(columns, batch.scope, count, numbering?.scopes);
  const keys = new KeyNames(batch.keys, numbering === undefined ? batch.keys.length : 0);
  const { attrFrom: from, attrKey: key, attrTag: tag, attrValue: value } = batch;
  writeAttributes(columns, { from, key, tag, value }, count, keys, numbering);
  writeEvents(columns, batch, keys, numbering);
  writeLinks(ids, columns, batch);
  writeTables(sections.tables, batch, keys, numbering);
}

function writeParents(ids: ByteWriter, columns: ByteWriter, { count, spanId, parentId }: SpanBatch): void {
  spans.fill(spanId, count);
  codes = growWords(codes, count);
  ids.reserve(count * 8);
  for (let row = 0; row < count; row++) {
    const p0 = parentId[row * 2]!;
    const p1 = parentId[row * 2 + 1]!;
    if (p0 === 0 && p1 === 0) {
      codes[row] = NO_PARENT;
      continue;
    }
    const parent = spans.rowOf(p0, p1);
    if (parent < 0) {
      codes[row] = FOREIGN_PARENT;
      ids.length = ids.bytes.writeUInt32LE(p0, ids.length);
      ids.length = ids.bytes.writeUInt32LE(p1, ids.length);
    } else {
      codes[row] = PARENT_ROW + zigzag(row - parent);
    }
  }
  writeNumbers(columns, codes, 0, count);
}

const zigzag = (value: number): number => (value < 0 ? -value * 2 - 1 : value * 2);

function isExact(values: Float64Array, count: number): boolean {
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (!(value >= -EXACT_TIME_MAX && value <= EXACT_TIME_MAX) || Math.floor(value) !== value) return false;
    if (value === 0 && 1 / value < 0) return false;
  }
  return true;
}

/** Starts as distances from the first span of the trace in this batch, which is kept once per trace. */
function writeStarts(
  columns: ByteWriter,
  startUs: Float64Array,
  count: number,
  traceOf: Uint32Array,
  traceCount: number,
): void {
  if (!isExact(startUs, count)) {
    columns.byte(AS_IS);
    writeNumbers(columns, startUs, 0, count);
    return;
  }
  columns.byte(RELATIVE);
  doubles = growDoubles(doubles, count);
  bases = growDoubles(bases, traceCount);
  bases.fill(Number.NaN, 0, traceCount);
  for (let row = 0; row < count; row++) {
    const trace = traceOf[row]!;
    const start = startUs[row]!;
    const base = bases[trace]!;
    if (Number.isNaN(base)) {
      bases[trace] = start;
      doubles[row] = 0;
    } else {
      doubles[row] = start - base;
    }
  }
  for (let trace = 0; trace < traceCount; trace++) if (Number.isNaN(bases[trace]!)) bases[trace] = 0;
  writeNumbers(columns, bases, 0, traceCount);
  writeNumbers(columns, doubles, 0, count);
}

function writeRelative(columns: ByteWriter, values: Float64Array, to: Float64Array, count: number): void {
  if (!isExact(values, count) || !isExact(to, count)) {
    columns.byte(AS_IS);
    writeNumbers(columns, values, 0, count);
    return;
  }
  columns.byte(RELATIVE);
  doubles = growDoubles(doubles, count);
  for (let row = 0; row < count; row++) doubles[row] = values[row]! - to[row]!;
  writeNumbers(columns, doubles, 0, count);
}

function writePositions(columns: ByteWriter, refs: Uint32Array, count: number, numbering?: RefNumbering): void {
  doubles = growDoubles(doubles, count);
  for (let i = 0; i < count; i++) doubles[i] = refs[i]!;
  writeRefs(columns, doubles, 0, count, numbering);
}

/** How many entries each row has, and the most common case, none at all, in one byte. */
function writeCounts(columns: ByteWriter, from: Uint32Array, rows: number): void {
  counts = growWords(counts, rows);
  for (let row = 0; row < rows; row++) counts[row] = from[row + 1]! - from[row]!;
  writeNumbers(columns, counts, 0, rows);
}

function writeEvents(columns: ByteWriter, batch: SpanBatch, keys: KeyNames, numbering?: TableNumbering): void {
  const { eventFrom, eventTimeUs, eventName } = batch;
  const events = eventName.length;
  writeCounts(columns, eventFrom, batch.count);
  if (events === 0) return;
  writeRelative(columns, eventTimeUs, startsOfEvents(batch.startUs, eventFrom, events), events);
  writePositions(columns, eventName, events, numbering?.strings);
  const { eventAttrFrom: from, eventAttrKey: key, eventAttrTag: tag, eventAttrValue: value } = batch;
  writeAttributes(columns, { from, key, tag, value }, events, keys, numbering);
}

function startsOfEvents(startUs: Float64Array, eventFrom: Uint32Array, events: number): Float64Array {
  const starts = new Float64Array(events);
  for (let row = 0; row + 1 < eventFrom.length; row++) starts.fill(startUs[row]!, eventFrom[row]!, eventFrom[row + 1]!);
  return starts;
}

function writeLinks(
  ids: ByteWriter,
  columns: ByteWriter,
  { count, linkFrom, linkTraceId, linkSpanId }: SpanBatch,
): void {
  writeCounts(columns, linkFrom, count);
  ids.words(linkTraceId);
  ids.words(linkSpanId);
}

function writeTables(tables: ByteWriter, batch: SpanBatch, keys: KeyNames, numbering?: TableNumbering): void {
  writeStrings(tables, numbering?.strings.table ?? batch.strings);
  writeValues(tables, numbering?.lists.table ?? batch.lists);
  tables.varint(numbering === undefined ? batch.keys.length : 0);
  writeStrings(tables, keys.names);
  writeResources(tables, numbering?.resources.table ?? batch.resources);
  const scopes = numbering?.scopes.table ?? batch.scopes;
  writeStrings(
    tables,
    scopes.flatMap((scope) => [scope.name, scope.version]),
  );
}

function writeResources(tables: ByteWriter, resources: readonly Resource[]): void {
  tables.varint(resources.length);
  for (const resource of resources) {
    const { service, version, clock, signals, droppedSpans, attributes } = resource;
    writeValues(tables, [service, version, clock, signals, droppedSpans, ...attributes.map(([, value]) => value)]);
    writeStrings(
      tables,
      attributes.map(([name]) => name),
    );
  }
}
