import { FIELD_COUNT } from '@spanwarden/rules';
import { type SpanBatch, TAG_LIST, TAG_STRING } from '../base/batch.ts';
import type { SharedTables, TablePositions } from './shared-tables.ts';

/** A batch whose rows go into a segment, and where its tables are in the shared ones. */
export interface Source {
  readonly batch: SpanBatch;
  readonly positions: TablePositions;
}

/**
 * Copies rows of several batches into one over the shared tables. Row `i` is row `rowOf[from + i]` of source
 * `sourceOf[from + i]`. References go to the shared tables, whole, so the result is for writing, not for keeping.
 */
export function gatherRows(
  sources: readonly Source[],
  tables: SharedTables,
  sourceOf: Uint32Array,
  rowOf: Uint32Array,
  from: number,
  to: number,
): SpanBatch {
  const out = allocate(sources, tables, sourceOf, rowOf, from, to);
  const cursor = { attribute: 0, event: 0, eventAttribute: 0, link: 0 };
  for (let i = from; i < to; i++) {
    const { batch, positions } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    const at = i - from;
    copySpan(out, at, batch, row, positions);
    out.attrFrom[at] = cursor.attribute;
    for (let a = batch.attrFrom[row]!; a < batch.attrFrom[row + 1]!; a++) {
      const tag = batch.attrTag[a]!;
      out.attrKey[cursor.attribute] = toSharedKey(batch.attrKey[a]!, positions);
      out.attrTag[cursor.attribute] = tag;
      out.attrValue[cursor.attribute++] = toSharedValue(tag, batch.attrValue[a]!, positions);
    }
    out.eventFrom[at] = cursor.event;
    for (let e = batch.eventFrom[row]!; e < batch.eventFrom[row + 1]!; e++) copyEvent(out, cursor, batch, e, positions);
    out.linkFrom[at] = cursor.link;
    for (let l = batch.linkFrom[row]!; l < batch.linkFrom[row + 1]!; l++, cursor.link++) {
      out.linkTraceId.set(batch.linkTraceId.subarray(l * 4, l * 4 + 4), cursor.link * 4);
      out.linkSpanId.set(batch.linkSpanId.subarray(l * 2, l * 2 + 2), cursor.link * 2);
    }
  }
  out.attrFrom[out.count] = cursor.attribute;
  out.eventFrom[out.count] = cursor.event;
  out.eventAttrFrom[cursor.event] = cursor.eventAttribute;
  out.linkFrom[out.count] = cursor.link;
  return out;
}

function toSharedKey(key: number, positions: TablePositions): number {
  return key < FIELD_COUNT ? key : positions.key[key - FIELD_COUNT]!;
}

function toSharedValue(tag: number, value: number, positions: TablePositions): number {
  if (tag === TAG_STRING) return positions.string[value]!;
  return tag === TAG_LIST ? positions.list[value]! : value;
}

function copySpan(out: SpanBatch, at: number, batch: SpanBatch, row: number, positions: TablePositions): void {
  for (let word = 0; word < 4; word++) out.traceId[at * 4 + word] = batch.traceId[row * 4 + word]!;
  for (let word = 0; word < 2; word++) {
    out.spanId[at * 2 + word] = batch.spanId[row * 2 + word]!;
    out.parentId[at * 2 + word] = batch.parentId[row * 2 + word]!;
  }
  out.kind[at] = batch.kind[row]!;
  out.status[at] = batch.status[row]!;
  out.flags[at] = batch.flags[row]!;
  out.startUs[at] = batch.startUs[row]!;
  out.endUs[at] = batch.endUs[row]!;
  out.eventUs[at] = batch.eventUs[row]!;
  out.name[at] = positions.string[batch.name[row]!]!;
  out.resource[at] = positions.resource[batch.resource[row]!]!;
  out.scope[at] = positions.scope[batch.scope[row]!]!;
}

function copyEvent(
  out: SpanBatch,
  cursor: { event: number; eventAttribute: number },
  batch: SpanBatch,
  event: number,
  positions: TablePositions,
): void {
  out.eventTimeUs[cursor.event] = batch.eventTimeUs[event]!;
  out.eventName[cursor.event] = positions.string[batch.eventName[event]!]!;
  out.eventAttrFrom[cursor.event++] = cursor.eventAttribute;
  for (let a = batch.eventAttrFrom[event]!; a < batch.eventAttrFrom[event + 1]!; a++) {
    const tag = batch.eventAttrTag[a]!;
    out.eventAttrKey[cursor.eventAttribute] = toSharedKey(batch.eventAttrKey[a]!, positions);
    out.eventAttrTag[cursor.eventAttribute] = tag;
    out.eventAttrValue[cursor.eventAttribute++] = toSharedValue(tag, batch.eventAttrValue[a]!, positions);
  }
}

function allocate(
  sources: readonly Source[],
  tables: SharedTables,
  sourceOf: Uint32Array,
  rowOf: Uint32Array,
  from: number,
  to: number,
): SpanBatch {
  let attributes = 0;
  let events = 0;
  let eventAttributes = 0;
  let links = 0;
  for (let i = from; i < to; i++) {
    const { batch } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    attributes += batch.attrFrom[row + 1]! - batch.attrFrom[row]!;
    links += batch.linkFrom[row + 1]! - batch.linkFrom[row]!;
    const firstEvent = batch.eventFrom[row]!;
    const endEvent = batch.eventFrom[row + 1]!;
    if (endEvent === firstEvent) continue;
    events += endEvent - firstEvent;
    eventAttributes += batch.eventAttrFrom[endEvent]! - batch.eventAttrFrom[firstEvent]!;
  }
  const count = to - from;
  return {
    count,
    strings: tables.strings,
    keys: tables.keys,
    lists: tables.lists,
    resources: tables.resources,
    scopes: tables.scopes,
    traceId: new Uint32Array(count * 4),
    spanId: new Uint32Array(count * 2),
    parentId: new Uint32Array(count * 2),
    kind: new Uint8Array(count),
    status: new Uint8Array(count),
    flags: new Uint32Array(count),
    startUs: new Float64Array(count),
    endUs: new Float64Array(count),
    eventUs: new Float64Array(count),
    name: new Uint32Array(count),
    resource: new Uint32Array(count),
    scope: new Uint32Array(count),
    attrFrom: new Uint32Array(count + 1),
    attrKey: new Uint32Array(attributes),
    attrTag: new Uint8Array(attributes),
    attrValue: new Float64Array(attributes),
    eventFrom: new Uint32Array(count + 1),
    eventTimeUs: new Float64Array(events),
    eventName: new Uint32Array(events),
    eventAttrFrom: new Uint32Array(events + 1),
    eventAttrKey: new Uint32Array(eventAttributes),
    eventAttrTag: new Uint8Array(eventAttributes),
    eventAttrValue: new Float64Array(eventAttributes),
    linkFrom: new Uint32Array(count + 1),
    linkTraceId: new Uint32Array(links * 4),
    linkSpanId: new Uint32Array(links * 2),
  };
}
