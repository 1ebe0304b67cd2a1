/**
 * Settings: environment and an optional JSON file in, a complete frozen value out; wrong input becomes a listed problem and
 * the safer default, because an application must start whatever its telemetry is told.
 */
import { readFileSync } from 'node:fs';
import { type AddressRange, parseRanges } from './client-address.ts';
import { HASH_KEY_BYTES_MIN } from './pseudonym.ts';
import { parseRouteMapping, type RouteMapping, type RouteMappingInput } from './route-mapping.ts';
import { SIGNALS, type Signal } from './semconv.ts';

/** Where a credential may travel besides `authorization`; names in lower case. */
export interface CarrierSettings {
  readonly apiKeyHeaders: readonly string[];
  readonly apiKeyQueryNames: readonly string[];
  readonly sessionCookies: readonly string[];
}

export interface Settings {
  readonly hashKey: Uint8Array | undefined;
  readonly hashKeyId: string;
  /** The key before the last rotation: pseudonyms under it are sent along, so that histories can be joined. */
  readonly previousHashKey: Uint8Array | undefined;
  readonly trustedProxies: readonly AddressRange[];
  /** This many proxies in front of us are ours, whatever their addresses. */
  readonly trustedHops: number;
  readonly clientAddress: 'full' | 'prefix' | 'hash';
  readonly edge: boolean;
  /** In edge mode: senders whose trace context is believed. */
  readonly trustIncoming: 'none' | 'all' | readonly AddressRange[];
  /** A header that names the principal, believed only from `trustedProxies`. */
  readonly principalHeader: string | undefined;
  readonly principalIssuer: string;
  readonly tenantHeader: string | undefined;
  readonly carriers: CarrierSettings;
  /** Host names, or suffixes beginning with a dot, that are ours although their addresses are public. */
  readonly internalHosts: readonly string[];
  /** `host` or `host:port` that are third parties although their addresses are private. */
  readonly thirdPartyHosts: readonly string[];
  /** Hosts that may see our trace context. */
  readonly propagateTo: 'internal' | 'all';
  readonly routes: readonly RouteMapping[];
  /** Groups declared complete; undefined: those that have been seen active. */
  readonly signals: readonly Signal[] | undefined;
  /** `full` looks into every response; `sampled` into those that are new or unusual and estimates the rest. */
  readonly classify: 'full' | 'sampled' | 'off';
  readonly classifyIntervalMs: number;
  /** Further attribute names that may leave although they are not part of a convention that is known to be harmless. */
  readonly allowAttributes: ReadonlySet<string>;
  readonly debug: boolean;
  /** What was wrong with the input, one sentence each. */
  readonly problems: readonly string[];
}

/** What code may pass; each wins over the file, the file over the environment. */
export interface SettingsInput {
  readonly hashKey?: string | Uint8Array;
  readonly hashKeyId?: string;
  readonly previousHashKey?: string | Uint8Array;
  readonly trustedProxies?: readonly string[];
  readonly trustedHops?: number;
  readonly clientAddress?: 'full' | 'prefix' | 'hash';
  readonly edge?: boolean;
  readonly trustIncoming?: 'none' | 'all' | readonly string[];
  readonly principalHeader?: string;
  readonly principalIssuer?: string;
  readonly tenantHeader?: string;
  readonly apiKeyHeaders?: readonly string[];
  readonly apiKeyQueryNames?: readonly string[];
  readonly sessionCookies?: readonly string[];
  readonly internalHosts?: readonly string[];
  readonly thirdPartyHosts?: readonly string[];
  readonly propagateTo?: 'internal' | 'all';
  readonly routes?: readonly RouteMappingInput[];
  readonly signals?: readonly Signal[];
  readonly classify?: 'full' | 'sampled' | 'off';
  readonly classifyIntervalMs?: number;
  readonly allowAttributes?: readonly string[];
  readonly debug?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_API_KEY_HEADERS = ['x-api-key', 'api-key', 'apikey', 'x-auth-token', 'x-access-token', 'x-functions-key'];
const DEFAULT_API_KEY_QUERY = ['api_key', 'apikey', 'key', 'access_token', 'token', 'auth_token'];
const DEFAULT_COOKIES = [
  'session',
  'sessionid',
  'sid',
  'connect.sid',
  'jsessionid',
  'phpsessid',
  'auth',
  'token',
  'jwt',
];

/** Never throws. @param environment usually `process.env` */
export function parseSettings(environment: Environment, input: SettingsInput = {}): Settings {
  const problems: string[] = [];
  const given = { ...fromEnvironment(environment, problems), ...fromFile(environment, problems), ...input };
  const hashKey = toKey(given.hashKey, 'APISEC_HASH_KEY', problems);
  const { trustIncoming = 'none' } = given;
  return Object.freeze({
    hashKey,
    hashKeyId: given.hashKeyId ?? 'k1',
    previousHashKey: toKey(given.previousHashKey, 'APISEC_PREVIOUS_HASH_KEY', problems),
    trustedProxies: parseRanges(given.trustedProxies ?? [], problems),
    trustedHops: Math.min(16, Math.max(0, Math.trunc(given.trustedHops ?? 0) || 0)),
    clientAddress: oneOf(given.clientAddress, ['full', 'prefix', 'hash'], 'prefix', 'APISEC_CLIENT_ADDRESS', problems),
    edge: given.edge ?? false,
    trustIncoming: typeof trustIncoming === 'string' ? trustIncoming : parseRanges(trustIncoming, problems),
    principalHeader: given.principalHeader?.toLowerCase(),
    principalIssuer: given.principalIssuer ?? '',
    tenantHeader: given.tenantHeader?.toLowerCase(),
    carriers: {
      apiKeyHeaders: lower([...DEFAULT_API_KEY_HEADERS, ...(given.apiKeyHeaders ?? [])]),
      apiKeyQueryNames: lower([...DEFAULT_API_KEY_QUERY, ...(given.apiKeyQueryNames ?? [])]),
      sessionCookies: lower([...DEFAULT_COOKIES, ...(given.sessionCookies ?? [])]),
    },
    internalHosts: lower(given.internalHosts ?? []),
    thirdPartyHosts: lower(given.thirdPartyHosts ?? []),
    propagateTo: oneOf(given.propagateTo, ['internal', 'all'], 'internal', 'APISEC_PROPAGATE_TO', problems),
    routes: (given.routes ?? []).flatMap((route) => parseRouteMapping(route, problems) ?? []),
    signals: given.signals?.filter((signal) => SIGNALS.includes(signal)),
    classify: oneOf(given.classify, ['full', 'sampled', 'off'], 'sampled', 'APISEC_CLASSIFY', problems),
    classifyIntervalMs: Math.max(0, given.classifyIntervalMs ?? 30_000),
    allowAttributes: new Set(given.allowAttributes ?? []),
    debug: given.debug ?? false,
    problems,
  });
}

function fromEnvironment(environment: Environment, problems: string[]): SettingsInput {
  const list = (name: string) => {
    const text = environment[name];
    return text === undefined ? undefined : splitList(text);
  };
  const trust = environment['APISEC_TRUST_INCOMING'];
  const routes = [
    ...splitList(environment['APISEC_OBJECTS']).map((entry) => toRoute('object', entry)),
    ...splitList(environment['APISEC_EFFECTS']).map((entry) => toRoute('effect', entry)),
    ...splitList(environment['APISEC_EVENTS']).map((entry) => toRoute('event', entry)),
  ];
  return withoutUndefined({
    hashKey: environment['APISEC_HASH_KEY'] ?? readKeyFile(environment['APISEC_HASH_KEY_FILE'], problems),
    hashKeyId: environment['APISEC_HASH_KEY_ID'],
    previousHashKey: environment['APISEC_PREVIOUS_HASH_KEY'],
    trustedProxies: list('APISEC_TRUSTED_PROXIES'),
    trustedHops: toNumber(environment['APISEC_TRUSTED_HOPS']),
    clientAddress: environment['APISEC_CLIENT_ADDRESS'] as Settings['clientAddress'] | undefined,
    edge: toBoolean(environment['APISEC_EDGE']),
    trustIncoming: trust === undefined || trust === 'none' || trust === 'all' ? trust : splitList(trust),
    principalHeader: environment['APISEC_PRINCIPAL_HEADER'],
    principalIssuer: environment['APISEC_PRINCIPAL_ISSUER'],
    tenantHeader: environment['APISEC_TENANT_HEADER'],
    apiKeyHeaders: list('APISEC_API_KEY_HEADERS'),
    apiKeyQueryNames: list('APISEC_API_KEY_QUERY'),
    sessionCookies: list('APISEC_SESSION_COOKIES'),
    internalHosts: list('APISEC_INTERNAL_HOSTS'),
    thirdPartyHosts: list('APISEC_THIRD_PARTY_HOSTS'),
    propagateTo: environment['APISEC_PROPAGATE_TO'] as Settings['propagateTo'] | undefined,
    routes: routes.length > 0 ? routes : undefined,
    signals: list('APISEC_SIGNALS') as Signal[] | undefined,
    classify: environment['APISEC_CLASSIFY'] as Settings['classify'] | undefined,
    classifyIntervalMs: toNumber(environment['APISEC_CLASSIFY_INTERVAL_MS']),
    allowAttributes: list('APISEC_ALLOW_ATTRIBUTES'),
    debug: toBoolean(environment['APISEC_DEBUG']),
  });
}

function fromFile(environment: Environment, problems: string[]): SettingsInput {
  const path = environment['APISEC_CONFIG'];
  if (path === undefined || path === '') return {};
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as SettingsInput;
    problems.push('APISEC_CONFIG: the file holds no JSON object');
  } catch (error) {
    problems.push(`APISEC_CONFIG: cannot read the file (${(error as NodeJS.ErrnoException).code ?? 'invalid JSON'})`);
  }
  return {};
}

/** `account=GET /accounts/:id` */
function toRoute(key: 'object' | 'effect' | 'event', entry: string): RouteMappingInput {
  const split = entry.indexOf('=');
  const name = entry.slice(0, split).trim();
  return { match: entry.slice(split + 1).trim(), [key]: name } as unknown as RouteMappingInput;
}

function toKey(key: string | Uint8Array | undefined, name: string, problems: string[]): Uint8Array | undefined {
  if (key === undefined || key.length === 0) return undefined;
  const bytes = typeof key === 'string' ? Buffer.from(key, 'utf8') : key;
  if (bytes.length >= HASH_KEY_BYTES_MIN) return bytes;
  problems.push(
    `${name}: ${bytes.length} bytes, at least ${HASH_KEY_BYTES_MIN} are needed; without a key only presence is reported`,
  );
  return undefined;
}

function readKeyFile(path: string | undefined, problems: string[]): string | undefined {
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    problems.push(`APISEC_HASH_KEY_FILE: cannot read the file (${(error as NodeJS.ErrnoException).code ?? 'error'})`);
    return undefined;
  }
}

function oneOf<T extends string>(
  value: string | undefined,
  allowed: readonly T[],
  fallback: T,
  name: string,
  problems: string[],
): T {
  if (value === undefined || value === '') return fallback;
  if ((allowed as readonly string[]).includes(value)) return value as T;
  problems.push(`${name}: one of ${allowed.join(', ')} is expected; ${fallback} is used`);
  return fallback;
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function lower(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase());
}

function toBoolean(text: string | undefined): boolean | undefined {
  return text === undefined ? undefined : ['1', 'true', 'yes', 'on'].includes(text.toLowerCase());
}

function toNumber(text: string | undefined): number | undefined {
  const number = Number(text);
  return text === undefined || text === '' || !Number.isFinite(number) ? undefined : number;
}

function withoutUndefined(input: { [K in keyof SettingsInput]: SettingsInput[K] | undefined }): SettingsInput {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as SettingsInput;
}
