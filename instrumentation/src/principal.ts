/**
 * Who asked and how that was proved: the credential, what the framework and the application said in, span attributes out;
 * ids leave only as pseudonyms, and not at all without a key.
 */
import type { IncomingMessage } from 'node:http';
import type { Attributes } from '@opentelemetry/api';
import { inRanges } from './client-address.ts';
import type { Settings } from './config.ts';
import { type Credential, names, type TokenClaims, toClaims } from './credential.ts';
import type { Pseudonym } from './pseudonym.ts';
import type { AuthScheme, Principal, PrincipalType, Verified } from './record.ts';
import { ATTR } from './semconv.ts';

/** What was learned about the caller while the request was served. */
export interface IdentityFacts {
  readonly credential: Credential;
  /** From `setPrincipal`. */
  readonly declared: Principal | undefined;
  /** From a wrapped verification function that saw this request's token. */
  readonly checked: { readonly verified: Verified; readonly source: string } | undefined;
  /** Whether any verification function of this process is wrapped. */
  readonly hooked: boolean;
  /** `req.user`, `req.auth` and the like. */
  readonly framework: unknown;
  /** From the configured header of a trusted caller. */
  readonly forwarded: { readonly id: string; readonly tenant: string | undefined } | undefined;
}

interface Subject {
  readonly type: PrincipalType;
  readonly parts: readonly string[] | undefined;
}

/** The kind of principal a credential without any subject stands for. */
const TYPE_OF_SCHEME: Readonly<Partial<Record<AuthScheme, PrincipalType>>> = {
  none: 'anonymous',
  apikey: 'api_key',
  mtls: 'service',
};

export function identityAttributes(
  facts: IdentityFacts,
  settings: Settings,
  pseudonym: Pseudonym | undefined,
  previous: Pseudonym | undefined,
  nowMs: number,
): Attributes {
  const { credential, declared } = facts;
  const claims = credential.claims;
  const user = frameworkClaims(facts.framework);
  const subject = subjectOf(facts, user, settings);
  const attributes: Attributes = {
    [ATTR.authScheme]: declared?.scheme ?? schemeOf(facts, user),
    [ATTR.principalType]: subject.type,
  };
  const { verified, source } = verifiedOf(facts, user);
  attributes[ATTR.authVerified] = verified;
  attributes[ATTR.authSource] = source;
  setToken(attributes, claims, nowMs);
  const roles = names(declared?.roles ?? (user?.roles.length ? user.roles : claims?.roles));
  const scopes = names(declared?.scopes ?? (user?.scopes.length ? user.scopes : claims?.scopes));
  if (roles.length > 0) attributes[ATTR.userRoles] = [...roles];
  if (scopes.length > 0) attributes[ATTR.principalScopes] = [...scopes];
  if (pseudonym === undefined) return attributes;

  if (subject.parts !== undefined) {
    const domain = subject.type === 'anonymous' ? 'user' : subject.type;
    attributes[ATTR.userHash] = pseudonym(domain, ...subject.parts);
    attributes[ATTR.principalKeyId] = settings.hashKeyId;
    if (previous !== undefined) attributes[ATTR.principalPrevId] = previous(domain, ...subject.parts);
  }
  const tenant = declared?.tenant ?? facts.forwarded?.tenant ?? user?.tenant ?? claims?.tenant;
  if (tenant !== undefined) attributes[ATTR.principalTenant] = pseudonym('tenant', tenant);
  const actor = declared?.actor !== undefined ? { sub: declared.actor } : (user?.actor ?? claims?.actor);
  if (actor !== undefined)
    attributes[ATTR.principalActor] = pseudonym('user', actor.iss ?? issuerOf(claims, settings), actor.sub);
  const session = declared?.session ?? credential.session ?? claims?.sid;
  if (session !== undefined) attributes[ATTR.sessionId] = pseudonym('session', session);
  const token = claims?.jti ?? credential.secret;
  if (token !== undefined && credential.scheme !== 'cookie' && credential.scheme !== 'basic')
    attributes[ATTR.tokenId] = pseudonym('token', token);
  return attributes;
}

function setToken(attributes: Attributes, claims: TokenClaims | undefined, nowMs: number): void {
  if (claims === undefined) return;
  if (claims.alg !== undefined) attributes[ATTR.tokenAlg] = claims.alg;
  if (claims.exp === undefined) return;
  attributes[ATTR.tokenExpired] = claims.exp * 1000 < nowMs;
  attributes[ATTR.tokenTtlS] = Math.trunc(claims.exp - (claims.iat ?? nowMs / 1000));
}

/** The application's word first, then the configured header, then its middleware, then the credential itself. */
function subjectOf(facts: IdentityFacts, user: TokenClaims | undefined, settings: Settings): Subject {
  const { credential, declared } = facts;
  const { claims } = credential;
  const issuer = issuerOf(claims, settings);
  if (declared !== undefined && (declared.id !== undefined || declared.type !== undefined)) {
    const type = declared.type ?? 'user';
    const parts = declared.id === undefined ? undefined : [declared.issuer ?? issuer, declared.id];
    return { type, parts: type === 'api_key' && declared.id !== undefined ? [declared.id] : parts };
  }
  if (facts.forwarded !== undefined) return { type: 'user', parts: [issuer, facts.forwarded.id] };
  if (user?.sub !== undefined) {
    const own = claims?.sub === user.sub ? claims : undefined;
    return { type: typeOfClaims(own ?? user), parts: [user.iss ?? issuer, user.sub] };
  }
  return subjectOfCredential(credential, settings);
}

function subjectOfCredential(credential: Credential, settings: Settings): Subject {
  const { claims, name, scheme, secret } = credential;
  const id = claims?.sub ?? claims?.clientId;
  if (claims !== undefined && id !== undefined) return { type: typeOfClaims(claims), parts: [claims.iss ?? '', id] };
  if (scheme === 'apikey') return { type: 'api_key', parts: secret === undefined ? undefined : [secret] };
  if (name !== undefined) {
    const type = scheme === 'mtls' ? 'service' : 'user';
    return { type, parts: [credential.nameIssuer ?? settings.principalIssuer, name] };
  }
  return { type: TYPE_OF_SCHEME[scheme] ?? 'user', parts: undefined };
}

/** An id that is named without its issuer belongs to the issuer of the request's token, else to the configured one. */
function issuerOf(claims: TokenClaims | undefined, settings: Settings): string {
  return claims?.iss ?? settings.principalIssuer;
}

/** Client-credential tokens repeat the client as subject, or have none (RFC 9068). */
function typeOfClaims(claims: TokenClaims): PrincipalType {
  return claims.sub === undefined || (claims.clientId !== undefined && claims.sub === claims.clientId)
    ? 'service'
    : 'user';
}

function schemeOf(facts: IdentityFacts, user: TokenClaims | undefined): AuthScheme {
  const { scheme } = facts.credential;
  const knownOtherwise = facts.forwarded !== undefined || user?.sub !== undefined || facts.declared?.id !== undefined;
  return scheme === 'none' && knownOtherwise ? 'other' : scheme;
}

/**
 * A user that middleware put on the request proves a session or a key, but never a signed token: middleware that only decodes
 * one looks the same, and that is the very mistake to be found.
 */
function verifiedOf(
  facts: IdentityFacts,
  user: TokenClaims | undefined,
): { readonly verified: Verified; readonly source: string } {
  const { credential, declared, checked } = facts;
  if (declared?.verified !== undefined) return { verified: declared.verified, source: 'code' };
  if (checked !== undefined) return checked;
  if (credential.proved) return { verified: 'yes', source: 'tls' };
  if (credential.claims !== undefined && facts.hooked) return { verified: 'no', source: 'hook' };
  if (declared?.id !== undefined) return { verified: 'yes', source: 'code' };
  if (credential.claims !== undefined) return { verified: 'unknown', source: 'none' };
  if (user?.sub !== undefined) return { verified: 'yes', source: 'framework' };
  if (facts.forwarded !== undefined) return { verified: 'unknown', source: 'header' };
  return credential.scheme === 'none' ? { verified: 'no', source: 'none' } : { verified: 'unknown', source: 'none' };
}

const ID_KEYS = ['sub', 'id', '_id', 'userId', 'user_id', 'uid', 'username', 'email'] as const;

function frameworkClaims(value: unknown): TokenClaims | undefined {
  if (typeof value === 'string' && value !== '') return { sub: value, roles: [], scopes: [] };
  if (typeof value !== 'object' || value === null) return undefined;
  const user = value as Record<string, unknown>;
  const payload = typeof user['payload'] === 'object' && user['payload'] !== null ? user['payload'] : user;
  const record = payload as Record<string, unknown>;
  const id = ID_KEYS.map((key) => record[key]).find((candidate) => candidate !== undefined && candidate !== null);
  return toClaims({ ...record, sub: id === undefined ? undefined : String(id) });
}

/** What a session or authentication middleware left on the request. */
export function frameworkUser(request: unknown): unknown {
  const { user, auth, session } = request as Record<string, unknown>;
  if (user !== undefined && user !== null) return user;
  if (auth !== undefined && auth !== null && typeof auth !== 'function') return auth;
  const own = session as Record<string, unknown> | undefined;
  return own?.['user'] ?? own?.['userId'] ?? (own?.['passport'] as Record<string, unknown> | undefined)?.['user'];
}

/** The principal that a trusted caller names in the configured header; anybody else's header is ignored. */
export function forwardedPrincipal(request: IncomingMessage, settings: Settings): IdentityFacts['forwarded'] {
  if (settings.principalHeader === undefined) return undefined;
  const id = request.headers[settings.principalHeader];
  if (typeof id !== 'string' || id === '') return undefined;
  if (!inRanges(request.socket?.remoteAddress ?? '', settings.trustedProxies)) return undefined;
  const tenant = settings.tenantHeader === undefined ? undefined : request.headers[settings.tenantHeader];
  return { id, tenant: typeof tenant === 'string' && tenant !== '' ? tenant : undefined };
}
