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
  copySpans(out, sources, sourceOf, rowOf, from, to);
  copyAttributes(out, sources, sourceOf, rowOf, from, to);
  if (out.eventName.length > 0) copyEvents(out, sources, sourceOf, rowOf, from, to);
  if (out.linkSpanId.length > 0) copyLinks(out, sources, sourceOf, rowOf, from, to);
  return out;
}

type CopyPart = (
  out: SpanBatch,
  sources: readonly Source[],
  sourceOf: Uint32Array,
  rowOf: Uint32Array,
  from: number,
  to: number,
) => void;

const copySpans: CopyPart = (out, sources, sourceOf, rowOf, from, to) => {
  const { traceId, spanId, parentId, kind, status, flags, startUs, endUs, eventUs, name, resource, scope } = out;
  for (let i = from; i < to; i++) {
    const { batch, positions } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    const at = i - from;
    traceId[at * 4] = batch.traceId[row * 4]!;
    traceId[at * 4 + 1] = batch.traceId[row * 4 + 1]!;
    traceId[at * 4 + 2] = batch.traceId[row * 4 + 2]!;
    traceId[at * 4 + 3] = batch.traceId[row * 4 + 3]!;
    spanId[at * 2] = batch.spanId[row * 2]!;
    spanId[at * 2 + 1] = batch.spanId[row * 2 + 1]!;
    parentId[at * 2] = batch.parentId[row * 2]!;
    parentId[at * 2 + 1] = batch.parentId[row * 2 + 1]!;
    kind[at] = batch.kind[row]!;
    status[at] = batch.status[row]!;
    flags[at] = batch.flags[row]!;
    startUs[at] = batch.startUs[row]!;
    endUs[at] = batch.endUs[row]!;
    eventUs[at] = batch.eventUs[row]!;
    name[at] = positions.string[batch.name[row]!]!;
    resource[at] = positions.resource[batch.resource[row]!]!;
    scope[at] = positions.scope[batch.scope[row]!]!;
  }
};

const copyAttributes: CopyPart = (out, sources, sourceOf, rowOf, from, to) => {
  let at = 0;
  for (let i = from; i < to; i++) {
    const { batch, positions } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    out.attrFrom[i - from] = at;
    const { attrKey, attrTag, attrValue } = batch;
    const end = batch.attrFrom[row + 1]!;
    const start = batch.attrFrom[row]!;
    copyEntries(out.attrKey, out.attrTag, out.attrValue, at, attrKey, attrTag, attrValue, start, end, positions);
    at += end - start;
  }
  out.attrFrom[to - from] = at;
};

/** Attributes `[start, end)` of one row, spelled out by column: it runs once per span of everything stored. */
function copyEntries(
  outKey: Uint32Array,
  outTag: Uint8Array,
  outValue: Float64Array,
  to: number,
  key: Uint32Array,
  tag: Uint8Array,
  value: Float64Array,
  start: number,
  end: number,
  positions: TablePositions,
): void {
  const { string, list, key: keys } = positions;
  let at = to;
  for (let i = start; i < end; i++, at++) {
    const k = key[i]!;
    const t = tag[i]!;
    const v = value[i]!;
    outKey[at] = k < FIELD_COUNT ? k : keys[k - FIELD_COUNT]!;
    outTag[at] = t;
    outValue[at] = t === TAG_STRING ? string[v]! : t === TAG_LIST ? list[v]! : v;
  }
}

const copyEvents: CopyPart = (out, sources, sourceOf, rowOf, from, to) => {
  let event = 0;
  let at = 0;
  for (let i = from; i < to; i++) {
    const { batch, positions } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    out.eventFrom[i - from] = event;
    for (let e = batch.eventFrom[row]!; e < batch.eventFrom[row + 1]!; e++, event++) {
      out.eventTimeUs[event] = batch.eventTimeUs[e]!;
      out.eventName[event] = positions.string[batch.eventName[e]!]!;
      out.eventAttrFrom[event] = at;
      const { eventAttrKey: key, eventAttrTag: tag, eventAttrValue: value } = batch;
      const start = batch.eventAttrFrom[e]!;
      const end = batch.eventAttrFrom[e + 1]!;
      copyEntries(out.eventAttrKey, out.eventAttrTag, out.eventAttrValue, at, key, tag, value, start, end, positions);
      at += end - start;
    }
  }
  out.eventFrom[to - from] = event;
  out.eventAttrFrom[event] = at;
};

const copyLinks: CopyPart = (out, sources, sourceOf, rowOf, from, to) => {
  let link = 0;
  for (let i = from; i < to; i++) {
    const { batch } = sources[sourceOf[i]!]!;
    const row = rowOf[i]!;
    const start = batch.linkFrom[row]!;
    const end = batch.linkFrom[row + 1]!;
    out.linkFrom[i - from] = link;
    out.linkTraceId.set(batch.linkTraceId.subarray(start * 4, end * 4), link * 4);
    out.linkSpanId.set(batch.linkSpanId.subarray(start * 2, end * 2), link * 2);
    link += end - start;
  }
  out.linkFrom[to - from] = link;
};

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
