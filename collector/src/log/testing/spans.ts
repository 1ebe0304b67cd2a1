import type { Value } from '@spanwarden/rules';
import {
  BatchBuilder,
  keyName,
  type Resource,
  type Scope,
  type SpanBatch,
  spanIdHex,
  toHex,
  toValue,
  traceIdHex,
} from '../../base/batch.ts';
import { type LogRecord, toLogRecord } from '../record.ts';

/** One span with nothing left of how its batch laid it out: what two batches must agree on to hold the same span. */
export interface PlainSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly numbers: readonly number[];
  readonly name: string;
  readonly resource: Resource;
  readonly scope: Scope;
  readonly attributes: readonly (readonly [string, Value])[];
  readonly events: readonly (readonly [number, string, readonly (readonly [string, Value])[]])[];
  readonly links: readonly string[];
}

export function toPlainSpans(batch: SpanBatch | undefined): PlainSpan[] {
  if (batch === undefined) return [];
  return Array.from({ length: batch.count }, (_, row) => toPlainSpan(batch, row));
}

function toPlainSpan(batch: SpanBatch, row: number): PlainSpan {
  const range = (from: Uint32Array, at: number): number[] =>
    Array.from({ length: from[at + 1]! - from[at]! }, (_, i) => from[at]! + i);
  return {
    traceId: traceIdHex(batch, row),
    spanId: spanIdHex(batch, row),
    parentId: toHex(batch.parentId, row * 2, 2),
    numbers: [batch.kind, batch.status, batch.flags, batch.startUs, batch.endUs, batch.eventUs].map((c) => c[row]!),
    name: batch.strings[batch.name[row]!]!,
    resource: batch.resources[batch.resource[row]!]!,
    scope: batch.scopes[batch.scope[row]!]!,
    attributes: range(batch.attrFrom, row).map((i) => [
      keyName(batch, batch.attrKey[i]!),
      toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!),
    ]),
    events: range(batch.eventFrom, row).map((e) => [
      batch.eventTimeUs[e]!,
      batch.strings[batch.eventName[e]!]!,
      range(batch.eventAttrFrom, e).map((i) => [
        keyName(batch, batch.eventAttrKey[i]!),
        toValue(batch, batch.eventAttrTag[i]!, batch.eventAttrValue[i]!),
      ]),
    ]),
    links: range(batch.linkFrom, row).map(
      (l) => toHex(batch.linkTraceId, l * 4, 4) + toHex(batch.linkSpanId, l * 2, 2),
    ),
  };
}

export const RECEIVED_US = 1_760_000_000_000_000;
const RESOURCE: Resource = {
  service: 'orders',
  version: '1',
  clock: 'h1',
  signals: 3,
  droppedSpans: 0,
  attributes: [],
};

/** 32 hex digits. */
export const traceIdOf = (trace: number): string => trace.toString(16).padStart(32, 'a');

/** Spans of the given traces, one each, numbered by `offset` and row. */
export function batchOf(offset: number, traces: readonly number[], text = 'plain'): SpanBatch {
  const builder = new BatchBuilder();
  builder.addResource(RESOURCE);
  builder.addScope({ name: 'http', version: '2' });
  traces.forEach((trace, row) => {
    const startUs = RECEIVED_US + offset * 1000 + row;
    const [t0, t1, t2, t3] = [0, 8, 16, 24].map((at) => Number.parseInt(traceIdOf(trace).slice(at, at + 8), 16));
    const parent = row > 0 && traces[row - 1] === trace ? row : 0;
    builder.span(
      t0!,
      t1!,
      t2!,
      t3!,
      offset + 1,
      row + 1,
      parent === 0 ? 0 : offset + 1,
      parent,
      2,
      0,
      1,
      startUs,
      startUs + 100,
      startUs + 100,
      builder.string(`GET /${trace % 3}`),
      0,
      0,
    );
    builder.attrValueOf(builder.key('http.route'), `/${trace % 3}`);
    builder.attrValueOf(builder.key('app.text'), `${text} ${offset}.${row}`);
    builder.attrValueOf(builder.key('apisec.object.ids'), [`o${trace}`]);
  });
  return builder.build();
}

/** Records of which each holds spans of `tracesPerRecord` of all traces, so that traces spread over records. */
export function recordsOf(count: number, spansPerRecord = 20, fromOffset = 0): LogRecord[] {
  return Array.from({ length: count }, (_, i) => {
    const offset = fromOffset + i;
    const traces = Array.from(
      { length: spansPerRecord },
      (_unused, row) => Math.floor(offset / 4) * 10 + ((row * 7) % 20),
    );
    return toLogRecord(batchOf(offset, traces), offset, RECEIVED_US + offset * 1_000_000);
  });
}
