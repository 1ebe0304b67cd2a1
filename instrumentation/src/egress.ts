/**
 * Outgoing HTTP: client requests in, where they go and which data types their bodies carry out. Bodies are looked at only when they
 * are JSON and pass through our hands as text or bytes; streams are left alone.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type Attributes, context, createContextKey, type Span } from '@opentelemetry/api';
import type { UndiciRequest } from '@opentelemetry/instrumentation-undici';
import { isThirdParty } from './hosts.ts';
import { bodyFormat, RAW_BODY_BYTES_MAX, RawBody } from './raw-body.ts';
import { guarded, type Runtime } from './runtime.ts';
import { ATTR, EGRESS_DATA_PREFIX } from './semconv.ts';
import { queryFacts, splitTarget } from './url-scrub.ts';

/** Where a CLIENT span goes and what its URL says; set when the span ends. */
export function clientSpanAttributes(attributes: Attributes, runtime: Runtime): Attributes {
  if (attributes[ATTR.httpRequestMethod] === undefined && attributes['http.method'] === undefined) return {};
  const host = attributes[ATTR.serverAddress] ?? attributes['net.peer.name'];
  const port = attributes[ATTR.serverPort] ?? attributes['net.peer.port'];
  const found: Attributes = {};
  if (typeof host === 'string')
    found[ATTR.egressThirdParty] = isThirdParty(host, typeof port === 'number' ? port : undefined, runtime.settings);
  const url = attributes[ATTR.urlFull] ?? attributes['http.url'];
  if (typeof url === 'string' && url.includes('?')) {
    const { params, secrets } = queryFacts(splitTarget(url).query);
    if (params.length > 0) found[ATTR.requestParams] = [...params];
    if (secrets.length > 0) found[ATTR.requestSecretInUrl] = [...secrets];
  }
  return found;
}

/** For `requestHook` of the http instrumentation: watches the body of an outgoing request. Incoming ones are ignored. */
export function observeClientRequest(span: Span, request: ClientRequest | IncomingMessage, runtime: Runtime): void {
  if (!('getHeader' in request) || runtime.settings.classify === 'off') return;
  const body = new RawBody();
  const { write, end } = request;
  const observe = (chunk: unknown, encoding: unknown) => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return;
    const charset = typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : undefined;
    if (bodyFormat(String(request.getHeader('content-type') ?? '')) === 'json') body.add(chunk, 'json', charset);
    else body.skip(chunk, charset);
  };
  request.write = function (this: ClientRequest, ...parameters: unknown[]) {
    guarded(() => observe(parameters[0], parameters[1]));
    return Reflect.apply(write, this, parameters) as boolean;
  };
  request.end = function (this: ClientRequest, ...parameters: unknown[]) {
    guarded(() => observe(parameters[0], parameters[1]));
    const result = Reflect.apply(end, this, parameters) as ClientRequest;
    guarded(() => {
      if (body.bytes > 0) span.setAttribute(ATTR.httpRequestBodySize, body.bytes);
      if (!body.empty && body.countedRecords === undefined)
        setEgressTypes(span, runtime, `${request.method} ${request.host}`, body.take('json'));
    });
    return result;
  };
}

const FETCH_BODY = createContextKey('spanwarden.fetch-body');

/** For `requestHook` of the undici instrumentation, which `fetch` is built on. */
export function observeUndiciRequest(span: Span, request: UndiciRequest, runtime: Runtime): void {
  if (typeof request.contentLength === 'number') span.setAttribute(ATTR.httpRequestBodySize, request.contentLength);
  if (runtime.settings.classify === 'off') return;
  const body = typeof request.body === 'string' ? request.body : context.active().getValue(FETCH_BODY);
  if (typeof body !== 'string' || body.length > RAW_BODY_BYTES_MAX || !/^\s*[[{]/.test(body)) return;
  setEgressTypes(span, runtime, `${request.method} ${request.origin}`, JSON.parse(body));
}

function setEgressTypes(span: Span, runtime: Runtime, kind: string, body: unknown): void {
  const { dataTypes } = runtime.profiles.facts(`egress ${kind}`, body);
  for (const [type, count] of dataTypes) span.setAttribute(EGRESS_DATA_PREFIX + type, count);
}

const WRAPPED = Symbol.for('spanwarden.instrumentation.fetch');

/** `fetch` turns a text body into a stream before anybody can see it; the text is handed to the hook through the context. */
export function watchFetch(): void {
  const original = globalThis.fetch as typeof fetch & { [WRAPPED]?: true };
  if (typeof original !== 'function' || original[WRAPPED]) return;
  const wrapped = function fetch(input: Parameters<typeof original>[0], init?: RequestInit): Promise<Response> {
    const body = guarded(() => (typeof init?.body === 'string' ? init.body : undefined));
    if (body === undefined) return original(input, init);
    return context.with(context.active().setValue(FETCH_BODY, body), () => original(input, init));
  };
  Object.defineProperty(wrapped, WRAPPED, { value: true });
  Object.defineProperty(globalThis, 'fetch', { value: wrapped, writable: true, configurable: true, enumerable: true });
}
