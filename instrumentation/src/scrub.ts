/**
 * The last gate: an ended span in, the copy that may leave the process out. Attributes pass by name only, and those that can
 * hold a caller's data are rewritten; nothing else passes, so an attribute nobody thought of stays at home.
 */
import type { Attributes, AttributeValue } from '@opentelemetry/api';
import type { Pseudonym } from './pseudonym.ts';
import { ATTR, EGRESS_DATA_PREFIX, REQUEST_DATA_PREFIX, RESPONSE_DATA_PREFIX } from './semconv.ts';
import { scrubGraphql, scrubStatement } from './sql-scrub.ts';
import { scrubPath, scrubUrl } from './url-scrub.ts';

export interface ScrubSettings {
  readonly allowAttributes: ReadonlySet<string>;
  readonly pseudonym: Pseudonym | undefined;
  readonly principalIssuer: string;
}

/** Chosen by programmers or by the runtime, never by a caller. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...Object.values(ATTR),
  'http.request.resend_count',
  'http.request.header.content-length',
  'http.method',
  'http.status_code',
  'http.scheme',
  'http.flavor',
  'http.request_content_length',
  'http.response_content_length',
  'url.template',
  'server.address',
  'network.local.address',
  'network.local.port',
  'network.peer.port',
  'network.protocol.name',
  'network.protocol.version',
  'network.transport',
  'network.type',
  'net.peer.name',
  'net.peer.port',
  'net.host.name',
  'net.host.port',
  'net.transport',
  'db.system',
  'db.name',
  'db.operation',
  'db.sql.table',
  'db.mongodb.collection',
  'db.cassandra.table',
  'db.query.summary',
  'db.operation.batch.size',
  'db.response.status_code',
  'rpc.system',
  'rpc.system.name',
  'rpc.service',
  'rpc.method',
  'rpc.status_code',
  'rpc.grpc.status_code',
  'rpc.response.status_code',
  'messaging.system',
  'messaging.system.name',
  'messaging.operation',
  'messaging.operation.name',
  'messaging.operation.type',
  'messaging.destination.name',
  'messaging.consumer.group.name',
  'messaging.kafka.consumer.group',
  'messaging.batch.message_count',
  'graphql.operation.name',
  'graphql.operation.type',
  'apisec.graphql.depth',
  'apisec.graphql.fields',
  'apisec.graphql.aliases',
  'apisec.graphql.introspection',
  'code.file.path',
  'code.line.number',
  'code.function.name',
  'peer.service',
  'service.peer.name',
  'server.service.name',
  'client.service.name',
]);

type Rewrite = (value: string, route: string | undefined) => string | undefined;

const REWRITES: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  [ATTR.urlPath, (value, route) => scrubPath(value.split('?', 1)[0]!, route)],
  [ATTR.urlFull, scrubUrl],
  [ATTR.urlQuery, () => undefined],
  ['http.url', scrubUrl],
  ['http.target', (value, route) => scrubPath(value.split('?', 1)[0]!, route)],
  ['db.query.text', scrubStatement],
  ['db.statement', scrubStatement],
  ['graphql.document', scrubGraphql],
  ['graphql.source', scrubGraphql],
  [ATTR.userAgent, scrubUserAgent],
  ['http.user_agent', scrubUserAgent],
  [ATTR.errorType, (value) => (/^[\w.$:/-]{1,80}$/.test(value) ? value : 'Error')],
  [ATTR.serverAddress, scrubHost],
  ['net.peer.name', scrubHost],
  ['net.host.name', scrubHost],
  [ATTR.sessionId, (value) => (PSEUDONYM.test(value) ? value : undefined)],
  [ATTR.userHash, (value) => (PSEUDONYM.test(value) ? value : undefined)],
]);

const PSEUDONYM = /^[A-Za-z0-9_-]{22}$/;

function scrubHost(value: string): string | undefined {
  return /^[\w.:[\]-]{1,253}$/.test(value) ? value.toLowerCase() : undefined;
}

/** Product tokens without comments: `Mozilla/5.0 Safari/537.36`. */
function scrubUserAgent(value: string): string | undefined {
  const products = value.slice(0, 512).match(/(?<![^\s])[A-Za-z][A-Za-z0-9_-]{0,30}\/\d[\d.]{0,15}(?![^\s;,)])/g);
  return products === null ? undefined : products.slice(0, 6).join(' ');
}

/** Attributes that other instrumentations or the application set raw, and what they become under our key. */
const RAW_IDENTITIES: ReadonlyMap<string, (value: string, settings: ScrubSettings) => [string, string] | undefined> =
  new Map([
    ['user.id', toUserHash],
    ['enduser.id', toUserHash],
    [
      ATTR.sessionId,
      (value, { pseudonym }) => pseudonym && !PSEUDONYM.test(value) && [ATTR.sessionId, pseudonym('session', value)],
    ],
  ] as [string, (value: string, settings: ScrubSettings) => [string, string] | undefined][]);

function toUserHash(value: string, { pseudonym, principalIssuer }: ScrubSettings): [string, string] | undefined {
  return pseudonym && [ATTR.userHash, pseudonym('user', principalIssuer, value)];
}

export function scrubAttributes(attributes: Attributes, settings: ScrubSettings): Attributes {
  const scrubbed: Attributes = {};
  const route = attributes[ATTR.httpRoute];
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    const kept = scrubAttribute(name, value, typeof route === 'string' ? route : undefined, settings);
    if (kept !== undefined) scrubbed[name] = kept;
    if (typeof value !== 'string') continue;
    const identity = RAW_IDENTITIES.get(name)?.(value, settings);
    if (identity !== undefined) scrubbed[identity[0]] ??= identity[1];
  }
  return scrubbed;
}

function scrubAttribute(
  name: string,
  value: AttributeValue,
  route: string | undefined,
  settings: ScrubSettings,
): AttributeValue | undefined {
  const rewrite = REWRITES.get(name);
  if (rewrite !== undefined) return typeof value === 'string' ? rewrite(value, route) : undefined;
  if (HARMLESS.has(name) || settings.allowAttributes.has(name)) return value;
  return isDataCount(name) && typeof value === 'number' ? value : undefined;
}

function isDataCount(name: string): boolean {
  return (
    name.startsWith(RESPONSE_DATA_PREFIX) || name.startsWith(REQUEST_DATA_PREFIX) || name.startsWith(EGRESS_DATA_PREFIX)
  );
}

/** A span name is code, but code may interpolate: words that hold digits, `@` or odd characters are masked. */
export function scrubSpanName(name: string, path: string | undefined): string {
  const text = path !== undefined && name.includes(path) ? name.replace(path, '{path}') : name;
  return text
    .slice(0, 200)
    .split(' ')
    .map((word) => (/^[\w.:/{}<>*()[\]#-]+$/.test(word) && !/\d{4}/.test(word) ? word : '?'))
    .join(' ');
}

/** The resource without what reveals how the process was started or by whom. */
export function scrubResource(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).filter(([name]) => !/^process\.(?:command|owner|executable|working)/.test(name)),
  );
}
