/**
 * What the caller presents: request headers in, the kind of credential and the claims of a token out; nothing is verified
 * here and nothing but the facts of {@link TokenFacts} may leave.
 */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { CarrierSettings } from './config.ts';
import { memo } from './memo.ts';
import type { AuthScheme } from './record.ts';

/** The claims we read, as the token states them. */
export interface TokenClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly clientId?: string;
  readonly tenant?: string;
  readonly sid?: string;
  readonly jti?: string;
  readonly actor?: { readonly iss?: string; readonly sub: string };
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly exp?: number;
  readonly iat?: number;
  readonly alg?: string;
}

export interface Credential {
  readonly scheme: AuthScheme;
  /** The secret itself; hashed or compared, never sent. */
  readonly secret: string | undefined;
  readonly claims: TokenClaims | undefined;
  /** The name in HTTP Basic, or the subject of a client certificate. */
  readonly name: string | undefined;
  readonly nameIssuer: string | undefined;
  /** The session cookie's value, whatever proves the caller. */
  readonly session: string | undefined;
  /** Proved before any application code ran: a client certificate that TLS accepted. */
  readonly proved: boolean;
}

const NONE: Credential = {
  scheme: 'none',
  secret: undefined,
  claims: undefined,
  name: undefined,
  nameIssuer: undefined,
  session: undefined,
  proved: false,
};

/** The strongest carrier that the request uses. */
export function readCredential(
  request: IncomingMessage,
  query: URLSearchParams,
  carriers: CarrierSettings,
): Credential {
  const cookies = parseCookies(request.headers.cookie);
  const cookie = carriers.sessionCookies.map((name) => cookies.get(name)).find((value) => value !== undefined);
  const found =
    fromAuthorization(request.headers.authorization) ??
    fromApiKey(request, carriers) ??
    fromCertificate(request) ??
    (cookie === undefined
      ? undefined
      : { ...NONE, scheme: 'cookie' as const, secret: cookie, claims: parseToken(cookie) }) ??
    fromQuery(query, carriers);
  return { ...(found ?? NONE), session: cookie };
}

function fromAuthorization(header: string | undefined): Credential | undefined {
  if (header === undefined || header === '') return undefined;
  const space = header.indexOf(' ');
  const scheme = (space < 0 ? '' : header.slice(0, space)).toLowerCase();
  const secret = header.slice(space + 1).trim();
  if (scheme === 'bearer') return { ...NONE, scheme: 'bearer', secret, claims: parseToken(secret) };
  if (scheme === 'basic') return { ...NONE, scheme: 'basic', secret, name: basicName(secret) };
  if (scheme === 'digest') return { ...NONE, scheme: 'digest', secret: undefined };
  if (/^(?:apikey|api-key|token|key)$/.test(scheme)) return { ...NONE, scheme: 'apikey', secret };
  if (/hmac|^signature$|^aws4-/.test(scheme)) return { ...NONE, scheme: 'hmac', secret: undefined };
  return { ...NONE, scheme: 'other', secret, claims: parseToken(secret) };
}

function fromApiKey(request: IncomingMessage, carriers: CarrierSettings): Credential | undefined {
  for (const name of carriers.apiKeyHeaders) {
    const value = request.headers[name];
    if (typeof value === 'string' && value !== '')
      return { ...NONE, scheme: 'apikey', secret: value, claims: parseToken(value) };
  }
  return undefined;
}

function fromQuery(query: URLSearchParams, carriers: CarrierSettings): Credential | undefined {
  for (const [name, value] of query) {
    if (value.length >= 8 && carriers.apiKeyQueryNames.includes(name.toLowerCase()))
      return { ...NONE, scheme: 'apikey', secret: value, claims: parseToken(value) };
  }
  return undefined;
}

function fromCertificate(request: IncomingMessage): Credential | undefined {
  const socket = request.socket as Partial<TLSSocket> | undefined;
  if (socket?.encrypted !== true || typeof socket.getPeerCertificate !== 'function') return undefined;
  const { subject, issuer, fingerprint256 } = socket.getPeerCertificate();
  if (fingerprint256 === undefined) return undefined;
  const name = [subject?.CN].flat()[0];
  return {
    ...NONE,
    scheme: 'mtls',
    secret: fingerprint256,
    name: name ?? fingerprint256,
    nameIssuer: [issuer?.CN].flat()[0] ?? '',
    proved: socket.authorized === true,
  };
}

function basicName(encoded: string): string | undefined {
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon > 0 ? text.slice(0, colon) : undefined;
}

const COOKIE_HEADER_CHARS_MAX = 16_384;

function parseCookies(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  if (header === undefined || header.length > COOKIE_HEADER_CHARS_MAX) return cookies;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0) cookies.set(pair.slice(0, equals).trim().toLowerCase(), pair.slice(equals + 1).trim());
  }
  return cookies;
}

const TOKEN_CHARS_MAX = 8192;
const TOKENS_MAX = 500;

/** The header and claims of a compact JWT, decoded without checking anything; undefined for any other text. */
export const parseToken = memo(
  (token): TokenClaims | undefined => {
    if (token.length > TOKEN_CHARS_MAX || !token.startsWith('eyJ')) return undefined;
    const [header, payload] = token.split('.', 2).map(parseSegment);
    if (header === undefined || payload === undefined) return undefined;
    return toClaims(payload, header);
  },
  TOKENS_MAX,
  TOKEN_CHARS_MAX,
);

function parseSegment(segment: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads claims from a decoded payload, or from what an authentication middleware put on the request. */
export function toClaims(payload: Record<string, unknown>, header: Record<string, unknown> = {}): TokenClaims {
  const act = payload['act'] as Record<string, unknown> | undefined;
  const actorSub = act === undefined ? undefined : text(act?.['sub']);
  const actorIss = actorSub === undefined ? undefined : text(act?.['iss']);
  return defined({
    iss: text(payload['iss']),
    sub: text(payload['sub']),
    clientId: text(payload['client_id']) ?? text(payload['azp']),
    tenant: text(payload['tenant_id']) ?? text(payload['tid']) ?? text(payload['org_id']) ?? text(payload['tenant']),
    sid: text(payload['sid']),
    jti: text(payload['jti']),
    actor: actorSub === undefined ? undefined : defined({ iss: actorIss, sub: actorSub }),
    roles: names(payload['roles'] ?? payload['role']),
    scopes: names(payload['scope'] ?? payload['scp'] ?? payload['scopes']),
    exp: number(payload['exp']),
    iat: number(payload['iat']),
    alg: /^[A-Za-z0-9_-]{1,16}$/.test(String(header['alg'])) ? String(header['alg']) : undefined,
  }) as unknown as TokenClaims;
}

const NAMES_MAX = 16;
const SAFE_NAME = /^[A-Za-z][\w:./*-]{0,63}$/;

/** Roles and scopes are chosen by programmers; anything that does not look so is left out. */
export function names(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? value.split(/[ ,]/) : Array.isArray(value) ? value : [];
  return list.filter((item): item is string => typeof item === 'string' && SAFE_NAME.test(item)).slice(0, NAMES_MAX);
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function defined(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
