/**
 * What the application tells us itself: calls from handlers in, attributes and marker spans out; never throws, never blocks.
 *
 * Every function is safe to call when nothing is active (no SDK, no request, package not registered): it then does nothing.
 */
import { type Attributes, context, type HrTime, type Span, SpanKind, trace } from '@opentelemetry/api';
import { objectAttributes } from './objects.ts';
import type { RequestState } from './request-state.ts';
import { activeState, guarded } from './runtime.ts';
import { APISEC_VERSION, ATTR, TRACER_NAME } from './semconv.ts';
import { safeName } from './url-scrub.ts';

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
  /**
   * Default: what was seen; where nothing could be seen, `yes`. A signed token that passed by a wrapped library unverified stays
   * `no` unless this says otherwise.
   */
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
export function setPrincipal(principal: Principal): void {
  guarded(() => {
    const state = activeState();
    if (state !== undefined) state.declared = { ...state.declared, ...principal };
  });
}

/**
 * Records that a policy decided. It becomes an INTERNAL span `authz <policy>` that starts and ends now, so that rules see what
 * came before and after it; the request's SERVER span carries a summary (a deny wins over an allow).
 */
export function recordAuthz(authz: Authz): void {
  guarded(() => {
    const state = activeState();
    if (state === undefined) return;
    state.runtime.activate('authz');
    if (state.authz?.decision !== 'deny') state.authz = authz;
    const policy = safeName(authz.policy ?? 'policy');
    mark(state, `authz ${policy}`, { ...authzAttributes(authz), ...toObjectAttributes(state, authz.object) });
  });
}

/** Records that something was done. It becomes an INTERNAL span `effect <effect>` that starts and ends now. */
export function recordEffect(effect: Effect, details: { readonly object?: ObjectRef } = {}): void {
  guarded(() => {
    const state = activeState();
    if (state === undefined) return;
    mark(state, `effect ${effect}`, { [ATTR.effect]: effect, ...toObjectAttributes(state, details.object) });
  });
}

/** Names the objects that the request being served is about; adds to those that the configured routes name. */
export function recordObjects(type: string, ids: ObjectId | readonly ObjectId[]): void {
  guarded(() => {
    const state = activeState();
    if (state === undefined) return;
    state.runtime.activate('object');
    state.addObjects(safeName(type), toIds(ids));
  });
}

/**
 * Records an authentication event on the request being served.
 *
 * @param subject the attempted login or account, raw; leaves the process only as a keyed pseudonym.
 */
export function recordEvent(name: SecurityEvent, outcome: 'success' | 'failure', subject?: string): void {
  guarded(() => {
    const state = activeState();
    if (state === undefined) return;
    state.runtime.activate('event');
    state.event = { name, outcome, subject };
  });
}

/** What a SERVER span and a marker span say about a decision. */
export function authzAttributes(authz: Authz): Attributes {
  const attributes: Attributes = { [ATTR.authzDecision]: authz.decision };
  if (authz.policy !== undefined) attributes[ATTR.authzPolicy] = safeName(authz.policy);
  if (authz.ownerMatch !== undefined) attributes[ATTR.authzOwnerMatch] = authz.ownerMatch;
  return attributes;
}

export function toIds(ids: ObjectId | readonly ObjectId[]): string[] {
  return (Array.isArray(ids) ? ids : [ids]).map(String);
}

export function toObjectAttributes(state: RequestState, object: ObjectRef | undefined): Attributes {
  if (object === undefined) return {};
  return objectAttributes(safeName(object.type), toIds(object.ids), state.runtime.pseudonym);
}

/**
 * A marker span without duration: nothing but its place in time and in the call path matters.
 *
 * @param parent default: the span that is active, so that the marker stands where the code was called
 */
export function mark(state: RequestState, name: string, attributes: Attributes, parent?: Span): void {
  const now = instant();
  const within = trace.setSpan(context.active(), parent ?? trace.getActiveSpan() ?? state.span);
  trace
    .getTracer(TRACER_NAME, APISEC_VERSION)
    .startSpan(name, { kind: SpanKind.INTERNAL, attributes, startTime: now }, within)
    .end(now);
}

let lastUs = 0;

/**
 * The wall clock in microseconds, strictly rising within the process: span clocks round down to milliseconds, which would let
 * an effect seem to start before the decision that precedes it.
 */
export function instant(): HrTime {
  lastUs = Math.max(Date.now() * 1000, lastUs + 1);
  return [Math.trunc(lastUs / 1_000_000), (lastUs % 1_000_000) * 1000];
}
