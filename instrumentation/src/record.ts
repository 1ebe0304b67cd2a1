/**
 * What the application tells us itself: calls from handlers in, attributes and marker spans out; never throws, never blocks.
 *
 * Every function is safe to call when nothing is active (no SDK, no request, package not registered): it then does nothing.
 */

/** `yes` proved, `failed` proof was wrong, `no` nothing was proved although it could have been, `unknown` we cannot tell. */
export type Verified = 'yes' | 'failed' | 'no' | 'unknown';

export type PrincipalType = 'user' | 'service' | 'api_key' | 'anonymous';

export type AuthScheme = 'none' | 'bearer' | 'basic' | 'apikey' | 'cookie' | 'mtls' | 'hmac' | 'digest' | 'other';

/** Who asks, as the application knows it. Ids are raw here and leave the process only as keyed pseudonyms. */
export interface Principal {
  /** The subject, as in a token's `sub`. */
  readonly id?: string;
  /** Who issued the id, as in a token's `iss`; default `APISEC_PRINCIPAL_ISSUER`. Same issuer and id, same pseudonym. */
  readonly issuer?: string;
  /** Default `user`. */
  readonly type?: PrincipalType;
  readonly tenant?: string;
  /** The party acting for the principal, as in a token's `act`. */
  readonly actor?: string;
  readonly roles?: readonly string[];
  readonly scopes?: readonly string[];
  readonly session?: string;
  /** Default `yes`: an application that names the principal has authenticated it. */
  readonly verified?: Verified;
  /** Which carrier proved it, when the application reads one that we do not know. */
  readonly scheme?: AuthScheme;
}

export type ObjectId = string | number | bigint;

/** Objects of one type; at most 16 ids leave the process, each as a keyed pseudonym; all are counted. */
export interface ObjectRef {
  readonly type: string;
  readonly ids: ObjectId | readonly ObjectId[];
}

export interface Authz {
  readonly decision: 'allow' | 'deny';
  /** The policy's name, never its input: `owner_only`. */
  readonly policy?: string;
  readonly object?: ObjectRef;
  /** Whether the principal owns the object. */
  readonly ownerMatch?: boolean;
}

export type Effect =
  | 'read'
  | 'create'
  | 'update'
  | 'delete'
  | 'debit'
  | 'credit'
  | 'transfer'
  | 'trade'
  | 'export'
  | 'grant';

export type SecurityEvent =
  | 'login'
  | 'logout'
  | 'mfa'
  | 'signup'
  | 'reset'
  | 'token_issue'
  | 'token_exchange'
  | 'impersonation';

/** Names the principal of the request being served; the last call wins over what the request itself claims. */
export function setPrincipal(_principal: Principal): void {}

/**
 * Records that a policy decided. It becomes an INTERNAL span `authz <policy>` that starts and ends now, so that rules see what
 * came before and after it; the request's SERVER span carries a summary (a deny wins over an allow).
 */
export function recordAuthz(_authz: Authz): void {}

/** Records that something was done. It becomes an INTERNAL span `effect <effect>` that starts and ends now. */
export function recordEffect(_effect: Effect, _details: { readonly object?: ObjectRef } = {}): void {}

/** Names the objects that the request being served is about; adds to those that the configured routes name. */
export function recordObjects(_type: string, _ids: ObjectId | readonly ObjectId[]): void {}

/**
 * Records an authentication event on the request being served.
 *
 * @param subject the attempted login or account, raw; leaves the process only as a keyed pseudonym.
 */
export function recordEvent(_name: SecurityEvent, _outcome: 'success' | 'failure', _subject?: string): void {}
