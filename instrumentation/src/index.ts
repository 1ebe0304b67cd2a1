/** The code API and the parts for an existing OpenTelemetry SDK. `@spanwarden/instrumentation/register` starts everything by itself. */
export type { Settings, SettingsInput } from './config.ts';
export { parseSettings } from './config.ts';
export { observeClientRequest, observeUndiciRequest } from './egress.ts';
export { createApiSecInstrumentation } from './instrumentation.ts';
export { ApiSecPropagator } from './propagator.ts';
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
export type { RetryOptions } from './retrying-exporter.ts';
export { RetryingSpanExporter } from './retrying-exporter.ts';
export { apiSecSampler } from './sampler.ts';
export type { ApiSecSpanProcessorOptions } from './span-processor.ts';
export { ApiSecSpanProcessor } from './span-processor.ts';
export type { Started } from './start.ts';
export { register } from './start.ts';
export type { StoreCall } from './store.ts';
export { traceStore } from './store.ts';
