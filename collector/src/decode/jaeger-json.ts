import { RejectedError } from '../base/errors.ts';
import { integerToHex, microsToNanos, toHexId } from './foreign-ids.ts';
import { isObject, type Json, type JsonObject } from './json-values.ts';

// Jaeger's JSON comes in and OTLP/JSON goes out, one request per trace: the UI and query API form ({data: [{traceID,
// spans, processes}]}), single traces of it, Elasticsearch documents (one span each, process inside), and the JSON of
// Jaeger's protobuf and Thrift models. Values are not looked at here; scrubbing is the reader's business.

type Attribute = { key: string; value: JsonObject };

interface Parts {
  readonly span: JsonObject;
  readonly traceId: string;
  readonly process: JsonObject;
  readonly where: string;
}

function own(object: JsonObject, ...names: string[]): Json | undefined {
  for (const name of names) if (Object.hasOwn(object, name)) return object[name] ?? undefined;
  return undefined;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

function listOf(value: Json | undefined, where: string): readonly Json[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new RejectedError('malformed', `${where} is not an array`);
  return value as readonly Json[];
}

function objectOf(value: Json | undefined, where: string): JsonObject {
  if (!isObject(value)) throw new RejectedError('malformed', `${where} is not an object`);
  return value;
}

/** True for one trace: an object with a list of spans. */
export function isJaegerTrace(value: Json): boolean {
  return isObject(value) && Array.isArray(value['spans']);
}

/** True for one span that carries its own process, as Jaeger writes to Elasticsearch. */
export function isJaegerSpan(value: Json): boolean {
  return isObject(value) && own(value, 'spanID', 'spanId') !== undefined && own(value, 'operationName') !== undefined;
}

/** One Jaeger trace (or list of spans with their processes) as an OTLP/JSON request. @throws RejectedError 'malformed'. */
export function jaegerTraceToOtlp(trace: Json, where: string): JsonObject {
  const object = objectOf(trace, where);
  const processes = own(object, 'processes');
  const shared = own(object, 'process');
  const parts = listOf(own(object, 'spans'), `${where}.spans`).map((item, i): Parts => {
    const place = `${where}.spans[${i}]`;
    const span = objectOf(item, place);
    const processId = textOf(own(span, 'processID', 'processId'));
    const named = isObject(processes) && Object.hasOwn(processes, processId) ? processes[processId] : undefined;
    const process = own(span, 'process') ?? named ?? shared;
    const traceId = traceIdOf(span) || traceIdOf(object);
    return { span, traceId, process: isObject(process) ? process : {}, where: place };
  });
  return toRequest(parts);
}

/** One span with its process inside as an OTLP/JSON request. */
export function jaegerSpanToOtlp(span: Json, where: string): JsonObject {
  return jaegerTraceToOtlp({ spans: [span] }, where);
}

function traceIdOf(object: JsonObject): string {
  const id = own(object, 'traceID', 'traceId');
  if (id !== undefined) return toHexId(textOf(id), 32);
  const low = own(object, 'traceIdLow');
  if (typeof low !== 'string' && typeof low !== 'number') return '';
  const high = own(object, 'traceIdHigh');
  return integerToHex(typeof high === 'string' || typeof high === 'number' ? high : 0) + integerToHex(low);
}

/** Thrift ids are 64-bit integers, all others texts. */
function spanIdOf(value: Json | undefined): string {
  if (typeof value === 'number' || (typeof value === 'string' && /^-?\d{17,20}$/.test(value)))
    return integerToHex(value);
  return value === undefined ? '' : toHexId(textOf(value), 16);
}

function toRequest(parts: readonly Parts[]): JsonObject {
  const byProcess = new Map<JsonObject, Map<string, Json[]>>();
  for (const part of parts) {
    let byScope = byProcess.get(part.process);
    if (byScope === undefined) {
      byScope = new Map();
      byProcess.set(part.process, byScope);
    }
    const { span, scope } = toSpan(part);
    const spans = byScope.get(scope);
    if (spans === undefined) byScope.set(scope, [span]);
    else spans.push(span);
  }
  const resourceSpans = [...byProcess].map(([process, byScope]) => ({
    resource: toResource(process),
    scopeSpans: [...byScope].map(([scope, spans]) => {
      const [name = '', version = ''] = scope.split('\n');
      return { scope: { name, version }, spans };
    }),
  }));
  return { resourceSpans };
}

const PROCESS_NAMES: ReadonlyMap<string, string> = new Map([
  ['hostname', 'host.name'],
  ['ip', 'host.ip'],
]);

function toResource(process: JsonObject): JsonObject {
  const attributes: Attribute[] = [];
  const service = textOf(own(process, 'serviceName'));
  for (const tag of listOf(own(process, 'tags'), 'process.tags')) {
    const attribute = toAttribute(tag);
    if (attribute === undefined) continue;
    attributes.push({ key: PROCESS_NAMES.get(attribute.key) ?? attribute.key, value: attribute.value });
  }
  if (service !== '') attributes.push({ key: 'service.name', value: { stringValue: service } });
  return { attributes };
}

function toSpan({ span, traceId, where }: Parts): { span: JsonObject; scope: string } {
  const attributes: Attribute[] = [];
  let kind = 0;
  let status = 0;
  let scopeName = '';
  let scopeVersion = '';
  for (const tag of listOf(own(span, 'tags'), `${where}.tags`)) {
    const attribute = toAttribute(tag);
    if (attribute === undefined) continue;
    const text = String(Object.values(attribute.value)[0]);
    if (attribute.key === 'span.kind') kind = KINDS.indexOf(text.toLowerCase());
    else if (attribute.key === 'error') status = text === 'false' ? status : 2;
    else if (attribute.key === 'otel.status_code') status = Math.max(0, STATUSES.indexOf(text.toUpperCase()));
    else if (SCOPE_NAMES.has(attribute.key)) scopeName = text;
    else if (SCOPE_VERSIONS.has(attribute.key)) scopeVersion = text;
    else attributes.push(attribute);
  }
  const { parent, links } = references(span, traceId, where);
  const startUs = timeOf(own(span, 'startTime'), `${where}.startTime`);
  const endUs = startUs + durationOf(own(span, 'duration'), `${where}.duration`);
  return {
    scope: `${scopeName.replaceAll('\n', ' ')}\n${scopeVersion.replaceAll('\n', ' ')}`,
    span: {
      traceId,
      spanId: spanIdOf(own(span, 'spanID', 'spanId')),
      parentSpanId: parent,
      name: textOf(own(span, 'operationName')),
      kind: Math.max(0, kind),
      startTimeUnixNano: microsToNanos(startUs),
      endTimeUnixNano: microsToNanos(endUs),
      attributes,
      events: listOf(own(span, 'logs'), `${where}.logs`).map((log, i) => toEvent(log, `${where}.logs[${i}]`)),
      links,
      status: { code: status },
    },
  };
}

const KINDS = ['', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUSES = ['UNSET', 'OK', 'ERROR'];
const SCOPE_NAMES = new Set(['otel.scope.name', 'otel.library.name']);
const SCOPE_VERSIONS = new Set(['otel.scope.version', 'otel.library.version']);

/** The parent is the first CHILD_OF within the trace, else the first FOLLOWS_FROM; all other references are links. */
function references(span: JsonObject, traceId: string, where: string): { parent: string; links: JsonObject[] } {
  const refs = listOf(own(span, 'references'), `${where}.references`)
    .filter(isObject)
    .map((ref) => ({
      childOf: own(ref, 'refType') !== 'FOLLOWS_FROM',
      traceId: traceIdOf(ref) || traceId,
      spanId: spanIdOf(own(ref, 'spanID', 'spanId')),
    }));
  const legacy = own(span, 'parentSpanID', 'parentSpanId');
  if (legacy !== undefined && legacy !== 0 && legacy !== '' && legacy !== '0') {
    return { parent: spanIdOf(legacy), links: refs.map(({ traceId: trace, spanId }) => ({ traceId: trace, spanId })) };
  }
  const within = refs.filter((ref) => ref.traceId === traceId);
  const parent = within.find((ref) => ref.childOf) ?? within[0];
  const links = refs.filter((ref) => ref !== parent).map((ref) => ({ traceId: ref.traceId, spanId: ref.spanId }));
  return { parent: parent?.spanId ?? '', links };
}

function toEvent(log: Json, where: string): JsonObject {
  const object = objectOf(log, where);
  const attributes: Attribute[] = [];
  let name = '';
  for (const field of listOf(own(object, 'fields'), `${where}.fields`)) {
    const attribute = toAttribute(field);
    if (attribute === undefined) continue;
    if (attribute.key === 'event' && name === '') name = String(Object.values(attribute.value)[0]);
    else attributes.push(attribute);
  }
  return { timeUnixNano: microsToNanos(timeOf(own(object, 'timestamp'), `${where}.timestamp`)), name, attributes };
}

/** A tag in any of the four spellings of its type and value. */
function toAttribute(tag: Json): Attribute | undefined {
  if (!isObject(tag)) return undefined;
  const key = textOf(own(tag, 'key'));
  const type = textOf(own(tag, 'type', 'vType')).toLowerCase();
  const value = own(tag, 'value', 'vStr', 'vBool', 'vInt64', 'vLong', 'vFloat64', 'vDouble', 'vBinary');
  return { key, value: toValue(type, value) };
}

function toValue(type: string, value: Json | undefined): JsonObject {
  if (type === 'binary') return { bytesValue: '' };
  if (type === 'bool' || typeof value === 'boolean') return { boolValue: value === true || value === 'true' };
  const text = textOf(value);
  if ((type === 'int64' || type === 'long') && /^-?\d{1,19}$/.test(text)) return { intValue: text };
  if ((type === 'float64' || type === 'double') && Number.isFinite(Number(text))) return { doubleValue: Number(text) };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
  return { stringValue: isObject(value) || Array.isArray(value) ? JSON.stringify(value) : text };
}

/** Microseconds since the epoch from a number of them or an RFC 3339 time. */
function timeOf(value: Json | undefined, where: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') throw new RejectedError('malformed', `${where} is not a time`);
  if (/^\d{1,17}$/.test(value)) return Number(value);
  // The fraction is cut off before parsing: Date knows milliseconds only.
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(value);
  const seconds = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(seconds)) throw new RejectedError('malformed', `${where} is not a time`);
  return seconds * 1000 + Number((match![2] ?? '').padEnd(6, '0').slice(0, 6));
}

const UNIT_US: Readonly<Record<string, number>> = { ns: 1e-3, us: 1, µs: 1, ms: 1e3, s: 1e6, m: 6e7, h: 3.6e9 };

/** Microseconds from a number of them or a duration such as `5000ns`, `0.25s`. */
function durationOf(value: Json | undefined, where: string): number {
  if (value === undefined) return 0;
  if (typeof value === 'number') return Math.max(0, value);
  const match = typeof value === 'string' ? /^(\d{1,18}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)?$/.exec(value) : null;
  if (match === null) throw new RejectedError('malformed', `${where} is not a duration`);
  return Math.round(Number(match[1]) * UNIT_US[match[2] ?? 'us']!);
}
