import { RejectedError } from '../base/errors.ts';
import { microsToNanos, toHexId } from './foreign-ids.ts';
import { isObject, type Json, type JsonObject } from './json-values.ts';

// Zipkin v2 JSON comes in and OTLP/JSON goes out. Client and server halves keep the span id that they share: whoever
// builds the tree knows by their kinds which is inside which.

const KINDS: ReadonlyMap<string, number> = new Map([
  ['SERVER', 2],
  ['CLIENT', 3],
  ['PRODUCER', 4],
  ['CONSUMER', 5],
]);

function text(object: JsonObject | undefined, name: string): string {
  const value = object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === 'string' ? value : '';
}

function number(object: JsonObject | undefined, name: string): number {
  const value = object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === 'number' ? value : typeof value === 'string' && /^\d{1,17}$/.test(value) ? Number(value) : 0;
}

function child(object: JsonObject, name: string): JsonObject | undefined {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return isObject(value) ? value : undefined;
}

const stringAttribute = (key: string, value: string): JsonObject => ({ key, value: { stringValue: value } });

/** True for one Zipkin v2 span. */
export function isZipkinSpan(value: Json): boolean {
  return isObject(value) && typeof value['traceId'] === 'string' && typeof value['id'] === 'string';
}

/** A list of Zipkin v2 spans as an OTLP/JSON request. @throws RejectedError 'malformed'. */
export function zipkinToOtlp(spans: readonly Json[], where: string): JsonObject {
  const byEndpoint = new Map<string, { resource: JsonObject; spans: Json[] }>();
  for (const [i, span] of spans.entries()) {
    if (!isObject(span)) throw new RejectedError('malformed', `${where}[${i}] is not an object`);
    const local = child(span, 'localEndpoint');
    const service = text(local, 'serviceName');
    const address = text(local, 'ipv4') || text(local, 'ipv6');
    const key = `${service}\n${address}`;
    let group = byEndpoint.get(key);
    if (group === undefined) {
      group = { resource: toResource(service, address), spans: [] };
      byEndpoint.set(key, group);
    }
    group.spans.push(toSpan(span, `${where}[${i}]`));
  }
  const resourceSpans = [...byEndpoint.values()].map((group) => ({
    resource: group.resource,
    scopeSpans: [{ spans: group.spans }],
  }));
  return { resourceSpans };
}

function toResource(service: string, address: string): JsonObject {
  const attributes: JsonObject[] = [];
  if (service !== '') attributes.push(stringAttribute('service.name', service));
  // The address tells whose clock timed the spans.
  if (address !== '')
    attributes.push(stringAttribute('host.ip', address), stringAttribute('service.instance.id', address));
  return { attributes };
}

function toSpan(span: JsonObject, where: string): JsonObject {
  const attributes: JsonObject[] = [];
  const tags = child(span, 'tags') ?? {};
  for (const [key, value] of Object.entries(tags)) {
    if (key !== 'error')
      attributes.push(stringAttribute(key, typeof value === 'string' ? value : JSON.stringify(value)));
  }
  const remote = child(span, 'remoteEndpoint');
  const peer = text(remote, 'serviceName');
  const address = text(remote, 'ipv4') || text(remote, 'ipv6');
  const port = number(remote, 'port');
  if (peer !== '') attributes.push(stringAttribute('peer.service', peer));
  if (address !== '') attributes.push(stringAttribute('network.peer.address', address));
  if (port > 0) attributes.push({ key: 'network.peer.port', value: { intValue: port } });
  const startUs = number(span, 'timestamp');
  const parent = text(span, 'parentId');
  return {
    traceId: toHexId(text(span, 'traceId'), 32),
    spanId: toHexId(text(span, 'id'), 16),
    parentSpanId: parent === '' ? '' : toHexId(parent, 16),
    name: text(span, 'name'),
    kind: KINDS.get(text(span, 'kind').toUpperCase()) ?? 0,
    startTimeUnixNano: microsToNanos(startUs),
    endTimeUnixNano: microsToNanos(startUs + number(span, 'duration')),
    attributes,
    events: toEvents(span, where),
    status: { code: Object.hasOwn(tags, 'error') ? 2 : 0 },
  };
}

function toEvents(span: JsonObject, where: string): Json[] {
  const annotations = Object.hasOwn(span, 'annotations') ? span['annotations'] : undefined;
  if (annotations === undefined || annotations === null) return [];
  if (!Array.isArray(annotations)) throw new RejectedError('malformed', `${where}.annotations is not an array`);
  return (annotations as readonly Json[]).filter(isObject).map((annotation) => ({
    timeUnixNano: microsToNanos(number(annotation, 'timestamp')),
    name: text(annotation, 'value'),
  }));
}
