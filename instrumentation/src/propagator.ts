/**
 * Trace context at the border: what a caller claims in, what we believe out; and nothing of ours to hosts that are not ours.
 */
import {
  type Context,
  createContextKey,
  propagation,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api';
import { inRanges } from './client-address.ts';
import type { Settings } from './config.ts';
import { isThirdParty } from './hosts.ts';
import { shared } from './runtime.ts';
import { ATTR } from './semconv.ts';

const UNTRUSTED = createContextKey('spanwarden.untrusted-context');

/** The trace context that the caller claimed and that was not believed. */
export function untrustedContext(context: Context): SpanContext | undefined {
  return context.getValue(UNTRUSTED) as SpanContext | undefined;
}

/** Baggage that speaks of identity is ours to set. */
const RESERVED_BAGGAGE = /^(?:apisec|user|enduser)(?:\.|$)/i;

/**
 * Wraps the propagator of an SDK. In edge mode an untrusted `traceparent` does not become the parent: the entry span is a root that
 * links to it, and reserved baggage is dropped. Third parties are sent neither context nor baggage.
 */
export class ApiSecPropagator implements TextMapPropagator {
  readonly #inner: TextMapPropagator;
  readonly #settings: Settings;

  constructor(inner: TextMapPropagator, settings: Settings) {
    this.#inner = inner;
    this.#settings = settings;
  }

  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    if (this.#settings.propagateTo === 'internal' && this.#leavesEstate(context)) return;
    this.#inner.inject(context, carrier, setter);
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const extracted = this.#inner.extract(context, carrier, getter);
    if (!this.#settings.edge || this.#trusted()) return extracted;
    const claimed = trace.getSpanContext(extracted);
    const cut = withoutReservedBaggage(trace.deleteSpan(extracted));
    return claimed === undefined ? cut : cut.setValue(UNTRUSTED, claimed);
  }

  fields(): string[] {
    return this.#inner.fields();
  }

  #trusted(): boolean {
    const { trustIncoming } = this.#settings;
    if (typeof trustIncoming === 'string') return trustIncoming === 'all';
    return inRanges(shared.arriving?.request.socket?.remoteAddress ?? '', trustIncoming);
  }

  /** Injection happens right after the CLIENT span was started, which knows where the request goes. */
  #leavesEstate(context: Context): boolean {
    const { attributes } = (trace.getSpan(context) ?? {}) as { attributes?: Record<string, unknown> };
    const host = attributes?.[ATTR.serverAddress];
    const port = attributes?.[ATTR.serverPort];
    if (typeof host !== 'string' || attributes?.[ATTR.httpRequestMethod] === undefined) return false;
    return isThirdParty(host, typeof port === 'number' ? port : undefined, this.#settings);
  }
}

function withoutReservedBaggage(context: Context): Context {
  const baggage = propagation.getBaggage(context);
  if (baggage === undefined) return context;
  const reserved = baggage.getAllEntries().flatMap(([name]) => (RESERVED_BAGGAGE.test(name) ? [name] : []));
  return reserved.length === 0 ? context : propagation.setBaggage(context, baggage.removeEntries(...reserved));
}
