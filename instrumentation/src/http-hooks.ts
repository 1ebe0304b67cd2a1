/**
 * Incoming HTTP: Node's own announcement of a request in, the security attributes of its SERVER span out. It adds no listener to
 * the request and reads no body that the application did not read.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { TLSSocket } from 'node:tls';
import type { Attributes } from '@opentelemetry/api';
import { inRanges, isPublicAddress, toPrefix } from './client-address.ts';
import { objectAttributes } from './objects.ts';
import { forwardedPrincipal, frameworkUser, identityAttributes } from './principal.ts';
import { authzAttributes, mark } from './record.ts';
import type { IncomingRequest, RequestState } from './request-state.ts';
import { responseAttributes, routeKey, watchResponses } from './response.ts';
import { routeObject } from './route-mapping.ts';
import { guarded, type HttpExchange, type Runtime, shared } from './runtime.ts';
import { ATTR, REQUEST_DATA_PREFIX } from './semconv.ts';
import { queryFacts } from './url-scrub.ts';

let watching = false;

/**
 * Notes each HTTP exchange as it arrives, so that the SERVER span which any instrumentation starts for it, in the same turn, can be
 * joined with it.
 */
export function watchRequests(): void {
  if (watching) return;
  watching = true;
  watchResponses();
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as HttpExchange;
    const arriving = { request, response };
    shared.arriving = arriving;
    process.nextTick(() => {
      if (shared.arriving === arriving) shared.arriving = undefined;
    });
  });
}

/** Takes the exchange that the span being started belongs to. */
export function takeArriving(): HttpExchange | undefined {
  const { arriving } = shared;
  shared.arriving = undefined;
  return arriving;
}

const ERROR_STATUS = 400;

/** Everything that is known about a request when its SERVER span ends. Each part that fails is left out, alone. */
export function serverAttributes(state: RequestState, http: IncomingRequest, route: string | undefined): Attributes {
  const parts = [
    () => clientAttributes(http, state.runtime),
    () => identity(state, http),
    () => requestAttributes(state, http),
    () => responseAttributes(state),
    () => (state.authz === undefined ? {} : authzAttributes(state.authz)),
    () => eventAttributes(state, http),
    () => objectsAttributes(state, http, route),
  ];
  const attributes: Attributes = {};
  for (const part of parts) Object.assign(attributes, guarded(part));
  return attributes;
}

function clientAttributes(http: IncomingRequest, { settings, pseudonym }: Runtime): Attributes {
  const { request } = http.exchange;
  const peer = request.socket?.remoteAddress ?? '';
  const trusted = http.client !== undefined && (http.client.hops > 0 || inRanges(peer, settings.trustedProxies));
  const secure = (request.socket as Partial<TLSSocket> | undefined)?.encrypted === true;
  const tls = secure || (trusted && /^https\b/i.test(String(request.headers['x-forwarded-proto'] ?? '')));
  const mask = (address: string): string | undefined => {
    if (settings.clientAddress === 'full') return address;
    return settings.clientAddress === 'hash' ? pseudonym?.('ip', address) : toPrefix(address);
  };
  const attributes: Attributes = { [ATTR.tls]: tls, [ATTR.urlScheme]: tls ? 'https' : 'http' };
  const protocol = secure ? (request.socket as TLSSocket).getProtocol?.() : undefined;
  if (protocol) attributes[ATTR.tlsProtocolVersion] = protocol.replace(/^TLSv/, '');
  if (!trusted) Object.assign(attributes, ownHost(request.headers.host, request.socket?.localPort));
  attributes[ATTR.networkPeerAddress] = isPublicAddress(peer) ? (mask(peer) ?? '') : peer.replace(/^::ffff:/, '');
  if (http.client === undefined) return attributes;
  attributes[ATTR.clientAddress] = mask(http.client.address) ?? '';
  attributes[ATTR.clientSource] = http.client.source;
  attributes[ATTR.clientPublic] = http.client.public;
  attributes[ATTR.clientHops] = http.client.hops;
  return attributes;
}

/** The `host` header instead of the forwarding headers, which anybody may send. */
function ownHost(header: string | undefined, localPort: number | undefined): Attributes {
  const match = /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/.exec(header ?? '');
  if (match === null) return { [ATTR.serverAddress]: 'unknown' };
  const port = match[2] === undefined ? localPort : Number(match[2]);
  return { [ATTR.serverAddress]: match[1]!.toLowerCase(), ...(port === undefined ? {} : { [ATTR.serverPort]: port }) };
}

function identity(state: RequestState, http: IncomingRequest): Attributes {
  const { settings, pseudonym, previousPseudonym } = state.runtime;
  const { request } = http.exchange;
  const facts = {
    credential: http.credential,
    declared: state.declared,
    checked: state.checked,
    hooked: shared.authHooks.size > 0,
    framework: guarded(() => frameworkUser(state.framework ?? request)),
    forwarded: forwardedPrincipal(request, settings),
  };
  return identityAttributes(facts, settings, pseudonym, previousPseudonym, Date.now());
}

function requestAttributes(state: RequestState, http: IncomingRequest): Attributes {
  const facts = queryFacts(http.query);
  const attributes: Attributes = {};
  if (facts.params.length > 0) attributes[ATTR.requestParams] = [...facts.params];
  if (facts.secrets.length > 0) attributes[ATTR.requestSecretInUrl] = [...facts.secrets];
  if (facts.pageSize !== undefined) attributes[ATTR.requestPageSize] = facts.pageSize;
  const dataTypes = new Map(facts.dataTypes);
  const body = guarded(() => (state.framework ?? http.exchange.request) as { body?: unknown })?.body;
  if (typeof body === 'object' && body !== null && state.runtime.settings.classify !== 'off') {
    const { dataTypes: inBody } = state.runtime.profiles.facts(`request ${routeKey(state)}`, body);
    for (const [type, count] of inBody) dataTypes.set(type, Math.max(dataTypes.get(type) ?? 0, count));
  }
  for (const [type, count] of dataTypes) attributes[REQUEST_DATA_PREFIX + type] = count;
  const size = Number(http.exchange.request.headers['content-length']);
  if (Number.isSafeInteger(size) && size >= 0) attributes[ATTR.httpRequestBodySize] = size;
  return attributes;
}

const LOGIN_KEYS = ['username', 'email', 'login', 'user', 'user_name', 'phone'] as const;

function eventAttributes(state: RequestState, http: IncomingRequest): Attributes {
  const mapped = http.mapped.event;
  const event =
    state.event ??
    (mapped && {
      name: mapped,
      outcome: http.exchange.response.statusCode < ERROR_STATUS ? 'success' : 'failure',
      subject: loginOf((state.framework ?? http.exchange.request) as { body?: unknown }),
    });
  if (event === undefined) return {};
  const attributes: Attributes = { [ATTR.event]: event.name, [ATTR.eventOutcome]: event.outcome };
  const { pseudonym } = state.runtime;
  if (event.subject !== undefined && pseudonym !== undefined)
    attributes[ATTR.eventSubject] = pseudonym('login', event.subject.trim().toLowerCase());
  return attributes;
}

function loginOf(request: { body?: unknown }): string | undefined {
  const body = request.body as Record<string, unknown> | undefined;
  if (typeof body !== 'object' || body === null) return undefined;
  return LOGIN_KEYS.map((key) => body[key]).find((value): value is string => typeof value === 'string' && value !== '');
}

/**
 * One span names objects of one type: the SERVER span those of the route, else the first that the application named; further types
 * become marker spans. Where nobody named any, the route's last parameter is taken for one.
 */
function objectsAttributes(state: RequestState, http: IncomingRequest, route: string | undefined): Attributes {
  const { mapped } = http;
  const { pseudonym, gaps } = state.runtime;
  if (mapped.object === undefined && state.objects.size === 0 && route !== undefined) {
    const found = routeObject(route, http.path);
    if (found !== undefined) state.objects.set(found.type, [found.id]);
  }
  if (mapped.object !== undefined) {
    const { type, ids } = mapped.object;
    state.objects.set(type, [...ids, ...(state.objects.get(type) ?? [])]);
  }
  const main = mapped.object?.type ?? state.objects.keys().next().value;
  const ids = main === undefined ? undefined : state.objects.get(main);
  if (mapped.effect !== undefined && http.exchange.response.statusCode < ERROR_STATUS) {
    const object = main !== undefined && ids !== undefined ? objectAttributes(main, ids, pseudonym) : {};
    mark(state, `effect ${mapped.effect}`, { [ATTR.effect]: mapped.effect, ...object }, state.span);
  }
  if (main === undefined || ids === undefined || ids[0] === undefined) return {};
  for (const [type, others] of state.objects)
    if (type !== main) mark(state, `objects ${type}`, objectAttributes(type, others, pseudonym), state.span);
  const who = http.credential.secret ?? state.declared?.id ?? http.client?.address ?? '';
  return {
    ...objectAttributes(main, ids, pseudonym),
    [ATTR.objectGap]: gaps.next(`${who}|${main}|${http.method}`, ids[0]),
  };
}
