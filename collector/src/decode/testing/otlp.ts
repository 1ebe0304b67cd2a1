import { fileURLToPath } from 'node:url';
import type { Value } from '@spanwarden/rules';
import protobuf from 'protobufjs';
import { keyName, type SpanBatch, spanIdHex, toHex, toValue, traceIdHex } from '../../base/batch.ts';
import { Counters } from '../../base/counters.ts';
import { DEFAULT_LIMITS } from '../../base/limits.ts';
import { createPseudonym } from '../../base/pseudonym.ts';
import { Secret } from '../../base/secret.ts';
import { createDecoder, type Decoded, type DecodeSettings } from '../decoder.ts';

// Test support: requests as OTLP/JSON objects, encoded by protobufjs from proto/, decoded, and shown as plain values.

export type AnyValue = Record<string, unknown>;
export interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}
export interface TestSpan {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly startTimeUnixNano?: string;
  readonly endTimeUnixNano?: string;
  readonly attributes?: readonly KeyValue[];
  readonly events?: readonly {
    readonly timeUnixNano?: string;
    readonly name?: string;
    readonly attributes?: readonly KeyValue[];
  }[];
  readonly links?: readonly {
    readonly traceId?: string;
    readonly spanId?: string;
    readonly attributes?: readonly KeyValue[];
  }[];
  readonly status?: { readonly code?: number; readonly message?: string };
  readonly flags?: number;
  readonly traceState?: string;
}
export interface TestRequest {
  readonly resourceSpans: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans: readonly {
      readonly scope?: { readonly name?: string; readonly version?: string };
      readonly spans: readonly TestSpan[];
    }[];
  }[];
}

export const KIND_SERVER = 2;
export const KIND_CLIENT = 3;
export const RECEIVED_US = 1_760_000_000_000_000;
const END_NS = '1760000000000000000';

const protoFolder = fileURLToPath(new URL('../../../../proto/', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => `${protoFolder}${target}`;
root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
/** The oracle's view of the protocol. */
export const RequestType = root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');

/** Attributes from a plain object: strings, numbers, booleans and lists of them. */
export function attributes(values: Readonly<Record<string, unknown>>): KeyValue[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { kvlistValue: { values: attributes(value as Record<string, unknown>) } };
}

export function testSpan(span: TestSpan): TestSpan {
  return {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    name: 'op',
    startTimeUnixNano: END_NS,
    endTimeUnixNano: END_NS,
    ...span,
  };
}

export function requestOf(
  spans: readonly TestSpan[],
  resource: Readonly<Record<string, unknown>> = { 'service.name': 'shop' },
): TestRequest {
  return {
    resourceSpans: [
      { resource: { attributes: attributes(resource) }, scopeSpans: [{ scope: { name: 'lib' }, spans }] },
    ],
  };
}

const hexBytes = (id: string | undefined): Buffer | undefined =>
  id === undefined ? undefined : Buffer.from(id, 'hex');

/** The halves of a 64-bit integer, which protobufjs writes without rounding. */
function halves(value: unknown): { low: number; high: number } {
  const bits = BigInt.asUintN(64, BigInt(value as string));
  return { low: Number(bits & 0xffffffffn) | 0, high: Number(bits >> 32n) | 0 };
}

/** OTLP/JSON values as what protobufjs encodes: only 64-bit integers are written differently. */
function encodable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(encodable);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  const entries = Object.entries(value).filter(([, held]) => held !== undefined);
  return Object.fromEntries(
    entries.map(([key, held]) => [
      key,
      key.endsWith('UnixNano') || key === 'intValue' ? halves(held) : encodable(held),
    ]),
  );
}

/** Encodes with protobufjs; ids are hex in the request. */
export function toProtobuf(request: TestRequest): Uint8Array {
  const withBytes = {
    resourceSpans: request.resourceSpans.map((resourceSpans) => ({
      ...resourceSpans,
      scopeSpans: resourceSpans.scopeSpans.map((scopeSpans) => ({
        ...scopeSpans,
        spans: scopeSpans.spans.map((span) => ({
          ...span,
          traceId: hexBytes(span.traceId),
          spanId: hexBytes(span.spanId),
          parentSpanId: hexBytes(span.parentSpanId),
          links: span.links?.map((link) => ({
            ...link,
            traceId: hexBytes(link.traceId),
            spanId: hexBytes(link.spanId),
          })),
        })),
      })),
    })),
  };
  return RequestType.encode(encodable(withBytes) as Record<string, unknown>).finish();
}

export const toJson = (request: unknown): Uint8Array => Buffer.from(JSON.stringify(request));

export function testSettings(change: Partial<DecodeSettings> = {}): DecodeSettings & { counters: Counters } {
  const counters = change.counters ?? new Counters();
  return {
    limits: DEFAULT_LIMITS,
    pseudonym: createPseudonym(new Secret('0123456789abcdef0123456789abcdef')),
    pseudonymKeyId: 'k1',
    eventTime: 'clamped',
    ...change,
    counters,
  };
}

const BYTES_MAX = 64 * 1024 * 1024;

export function decodeProtobuf(bytes: Uint8Array, settings: DecodeSettings = testSettings()): Decoded {
  return createDecoder(settings).decode(
    { bytes, encoding: 'protobuf', compression: 'none', bytesMax: BYTES_MAX },
    RECEIVED_US,
  );
}

export function decodeJson(bytes: Uint8Array, settings: DecodeSettings = testSettings()): Decoded {
  return createDecoder(settings).decode(
    { bytes, encoding: 'json', compression: 'none', bytesMax: BYTES_MAX },
    RECEIVED_US,
  );
}

export interface SeenSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly kind: number;
  readonly status: number;
  readonly flags: number;
  readonly startUs: number;
  readonly endUs: number;
  readonly eventUs: number;
  readonly service: string;
  readonly attributes: Record<string, Value>;
  readonly events: { readonly timeUs: number; readonly name: string; readonly attributes: Record<string, Value> }[];
  readonly links: string[];
}

/** A batch as plain values, independent of the order and numbering of its tables. */
export function seen(batch: SpanBatch): SeenSpan[] {
  const resourceOf = (row: number) => batch.resources[batch.resource[row]!]!;
  return Array.from({ length: batch.count }, (_, row) => ({
    traceId: traceIdHex(batch, row),
    spanId: spanIdHex(batch, row),
    parentId: toHex(batch.parentId, row * 2, 2),
    name: batch.strings[batch.name[row]!]!,
    kind: batch.kind[row]!,
    status: batch.status[row]!,
    flags: batch.flags[row]!,
    startUs: batch.startUs[row]!,
    endUs: batch.endUs[row]!,
    eventUs: batch.eventUs[row]!,
    service: resourceOf(row).service,
    attributes: attributesOf(batch, row),
    events: eventsOf(batch, row),
    links: linksOf(batch, row),
  }));
}

function attributesOf(batch: SpanBatch, row: number): Record<string, Value> {
  const entries: [string, Value][] = [];
  for (let i = batch.attrFrom[row]!; i < batch.attrFrom[row + 1]!; i++) {
    entries.push([keyName(batch, batch.attrKey[i]!), toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!)]);
  }
  return Object.fromEntries(entries);
}

function eventsOf(batch: SpanBatch, row: number): SeenSpan['events'] {
  const events: SeenSpan['events'] = [];
  for (let e = batch.eventFrom[row]!; e < batch.eventFrom[row + 1]!; e++) {
    const entries: [string, Value][] = [];
    for (let i = batch.eventAttrFrom[e]!; i < batch.eventAttrFrom[e + 1]!; i++) {
      entries.push([
        keyName(batch, batch.eventAttrKey[i]!),
        toValue(batch, batch.eventAttrTag[i]!, batch.eventAttrValue[i]!),
      ]);
    }
    const name = batch.strings[batch.eventName[e]!]!;
    events.push({ timeUs: batch.eventTimeUs[e]!, name, attributes: Object.fromEntries(entries) });
  }
  return events;
}

function linksOf(batch: SpanBatch, row: number): string[] {
  const links: string[] = [];
  for (let l = batch.linkFrom[row]!; l < batch.linkFrom[row + 1]!; l++) {
    links.push(`${toHex(batch.linkTraceId, l * 4, 4)}:${toHex(batch.linkSpanId, l * 2, 2)}`);
  }
  return links;
}

/** The stored attributes of one span with these attributes, decoded from protobuf. */
export function stored(
  values: Readonly<Record<string, unknown>>,
  kind = KIND_SERVER,
  settings: DecodeSettings = testSettings(),
): Record<string, Value> {
  const request = requestOf([testSpan({ kind, attributes: attributes(values) })]);
  return seen(decodeProtobuf(toProtobuf(request), settings).batch)[0]!.attributes;
}

/** Every text that a batch holds anywhere: values, names, keys, resources, scopes. */
export function allTexts(batch: SpanBatch): string[] {
  const texts: string[] = [...batch.strings, ...batch.keys];
  const add = (value: Value): void => {
    if (Array.isArray(value)) for (const item of value) texts.push(String(item));
    else texts.push(String(value));
  };
  for (const list of batch.lists) add(list);
  for (const resource of batch.resources) {
    texts.push(resource.service, resource.version, resource.clock);
    for (const [name, value] of resource.attributes) {
      texts.push(name);
      add(value);
    }
  }
  for (const scope of batch.scopes) texts.push(scope.name, scope.version);
  for (let i = 0; i < batch.attrValue.length; i++) if (batch.attrTag[i] === 1) texts.push(String(batch.attrValue[i]));
  return texts;
}
