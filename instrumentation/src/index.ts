/** The code API and the parts for an existing OpenTelemetry SDK. `@spanwarden/instrumentation/register` starts everything by itself. */
export type {
  AuthScheme,
  Authz,
  Effect,
  ObjectId,
  ObjectRef,
  Principal,
  PrincipalType,
  SecurityEvent,
  Verified,
} from './record.ts';
export { recordAuthz, recordEffect, recordEvent, recordObjects, setPrincipal } from './record.ts';
export type { StoreCall } from './store.ts';
export { traceStore } from './store.ts';
