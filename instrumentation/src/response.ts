/**
 * Responses: what a server writes in, the facts of its body out. Bytes pass through unchanged; nothing is delayed but by the
 * look itself, which comes after the bytes were handed on.
 */
import { ServerResponse } from 'node:http';
import type { Attributes } from '@opentelemetry/api';
import { bodyFormat } from './raw-body.ts';
import type { RequestState, ResponseSight } from './request-state.ts';
import type { BodyFacts } from './response-profile.ts';
import { guarded, shared } from './runtime.ts';
import { ATTR, RESPONSE_DATA_PREFIX } from './semconv.ts';

const PATCHED = Symbol.for('spanwarden.instrumentation.response');

/** Wraps `write`, `end` and `writeHead` once per process; responses that belong to no request of ours pass straight through. */
export function watchResponses(): void {
  const prototype = ServerResponse.prototype as ServerResponse & { [PATCHED]?: true };
  if (prototype[PATCHED]) return;
  prototype[PATCHED] = true;
  const { write, end, writeHead } = prototype;
  const patch = (name: string, value: unknown) =>
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  patch('write', function (this: ServerResponse, ...parameters: unknown[]) {
    const result = Reflect.apply(write, this, parameters) as boolean;
    const state = shared.responses.get(this);
    if (state !== undefined) guarded(() => observeChunk(state, this, parameters[0], parameters[1]));
    return result;
  });
  patch('end', function (this: ServerResponse, ...parameters: unknown[]) {
    const state = shared.responses.get(this);
    if (state !== undefined) guarded(() => observeChunk(state, this, parameters[0], parameters[1]));
    const result = Reflect.apply(end, this, parameters) as ServerResponse;
    if (state !== undefined) guarded(() => observeEnd(state, this));
    return result;
  });
  patch('writeHead', function (this: ServerResponse, ...parameters: unknown[]) {
    const state = shared.responses.get(this);
    if (state?.http !== undefined) guarded(() => observeHead(state.http!.response, parameters));
    return Reflect.apply(writeHead, this, parameters) as ServerResponse;
  });
}

/** Headers that only `writeHead` is given are invisible to `getHeader`. */
function observeHead(sight: ResponseSight, parameters: readonly unknown[]): void {
  const headers = typeof parameters[1] === 'string' ? parameters[2] : parameters[1];
  if (typeof headers !== 'object' || headers === null) return;
  const pairs = Array.isArray(headers) ? pairUp(headers.flat()) : Object.entries(headers);
  for (const [name, value] of pairs) {
    const key = String(name).toLowerCase();
    if (key === 'content-type') sight.contentType = String(value);
    else if (key === 'content-encoding') sight.encoding = String(value);
  }
}

function pairUp(flat: readonly unknown[]): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) pairs.push([flat[index], flat[index + 1]]);
  return pairs;
}

function observeChunk(state: RequestState, response: ServerResponse, chunk: unknown, encoding: unknown): void {
  const sight = state.http?.response;
  if (sight === undefined || sight.ended) return;
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return;
  readHeaders(sight, response);
  const format = bodyFormat(sight.contentType);
  const charset = typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : undefined;
  if (sight.facts !== undefined || format === undefined || isEncoded(sight)) sight.body.skip(chunk, charset);
  else sight.body.add(chunk, format, charset);
}

function readHeaders(sight: ResponseSight, response: ServerResponse): void {
  const type = response.getHeader('content-type');
  const encoding = response.getHeader('content-encoding');
  if (type !== undefined) sight.contentType = String(type);
  if (encoding !== undefined) sight.encoding = String(encoding);
}

function isEncoded(sight: ResponseSight): boolean {
  return sight.encoding !== undefined && sight.encoding !== '' && sight.encoding !== 'identity';
}

function observeEnd(state: RequestState, response: ServerResponse): void {
  const sight = state.http?.response;
  if (sight === undefined || sight.ended) return;
  sight.ended = true;
  sight.facts ??= rawFacts(state, sight, response);
}

const NOTHING = { records: 0, dataTypes: new Map<string, number>(), fields: [], schemaHash: undefined };

function rawFacts(state: RequestState, sight: ResponseSight, response: ServerResponse): BodyFacts {
  if (sight.body.bytes === 0) return { ...NOTHING, classified: 'full' };
  const format = bodyFormat(sight.contentType);
  if (format === undefined) return { ...NOTHING, records: 1, classified: 'skipped_type' };
  if (isEncoded(sight)) return { ...NOTHING, records: 1, classified: 'skipped_encoding' };
  const counted = sight.body.countedRecords;
  if (counted !== undefined) return { ...NOTHING, records: counted, classified: 'skipped_size' };
  try {
    return observedFacts(state, response, sight.body.take(format));
  } catch {
    return { ...NOTHING, records: 1, classified: 'error' };
  }
}

/** Called by framework hooks with the value that becomes the body, after it was written. */
export function observeObject(state: RequestState, response: ServerResponse, body: unknown): void {
  const sight = state.http?.response;
  if (sight === undefined) return;
  sight.facts = observedFacts(state, response, body);
}

function observedFacts(state: RequestState, response: ServerResponse, body: unknown): BodyFacts {
  const status = response.statusCode;
  const scheme = state.http?.credential.scheme ?? 'none';
  const facts = state.runtime.profiles.facts(`${routeKey(state)} ${status} ${scheme}`, body);
  return status >= 400 ? { ...facts, records: 0 } : facts;
}

/** Which kind of response this is, before the span knows its route. */
export function routeKey(state: RequestState): string {
  const { http } = state;
  if (http === undefined) return '';
  const request = http.exchange.request as { baseUrl?: unknown; route?: { path?: unknown } };
  const route = state.route ?? (typeof request.route?.path === 'string' ? request.route.path : undefined);
  if (route === undefined) return `${http.method} ?${http.path.split('/').length}`;
  return `${http.method} ${typeof request.baseUrl === 'string' ? request.baseUrl.split('/').length : ''}${route}`;
}

/** Tells a framework hook that the body will come as an object, so that its bytes need not be kept. */
export function expectObject(state: RequestState): void {
  const sight = state.http?.response;
  if (sight !== undefined && sight.facts === undefined) sight.facts = PENDING;
}

/** The object could not be written; what is written instead is looked at as bytes. */
export function forgetObject(state: RequestState): void {
  const sight = state.http?.response;
  if (sight?.facts === PENDING) sight.facts = undefined;
}

const PENDING: BodyFacts = { ...NOTHING, classified: 'error' };

const ERROR_STATUS = 400;

export function responseAttributes(state: RequestState): Attributes {
  const { http } = state;
  if (http === undefined) return {};
  const { response } = http.exchange;
  const sight = http.response;
  if (http.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304)
    return { [ATTR.httpResponseBodySize]: 0, [ATTR.responseRecordCount]: 0, [ATTR.responseClassified]: 'full' };
  const attributes: Attributes = { [ATTR.httpResponseBodySize]: sight.body.bytes };
  const aborted = !response.writableFinished;
  if (aborted) attributes[ATTR.responseAborted] = true;
  const facts = sight.facts ?? rawFacts(state, sight, response);
  attributes[ATTR.responseRecordCount] = response.statusCode >= ERROR_STATUS ? 0 : facts.records;
  attributes[ATTR.responseClassified] = facts.classified;
  if (sight.contentType !== undefined)
    attributes[ATTR.responseContentType] = sight.contentType.split(';', 1)[0]!.trim().toLowerCase().slice(0, 64);
  if (facts.schemaHash !== undefined) attributes[ATTR.responseSchemaHash] = facts.schemaHash;
  if (facts.fields.length > 0) attributes[ATTR.responseFields] = [...facts.fields];
  for (const [type, count] of facts.dataTypes) attributes[RESPONSE_DATA_PREFIX + type] = count;
  return attributes;
}
