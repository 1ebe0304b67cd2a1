/**
 * The heart of the package: spans as they start and end in, security attributes on them and scrubbed copies to an exporter out; it
 * never changes what the application's other processors see beyond adding attributes, unless it is the one that must scrub.
 */
import {
  type Span as ApiSpan,
  type Attributes,
  type Context,
  type SpanContext,
  SpanKind,
  trace,
} from '@opentelemetry/api';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan, Span, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { parseSettings, type Settings, type SettingsInput } from './config.ts';
import { clientSpanAttributes } from './egress.ts';
import { serverAttributes, takeArriving, watchRequests } from './http-hooks.ts';
import { untrustedContext } from './propagator.ts';
import { IncomingRequest, RequestState } from './request-state.ts';
import { guarded, Runtime, shared } from './runtime.ts';
import { type ScrubSettings, scrubAttributes, scrubResource, scrubSpanName } from './scrub.ts';
import { APISEC_VERSION, ATTR } from './semconv.ts';
import { type OutgoingSpan, type QueueLimits, SpanQueue } from './span-queue.ts';

export interface ApiSecSpanProcessorOptions {
  /**
   * Where scrubbed copies go, in batches of our own that ignore the sampled flag; anything but a `RetryingSpanExporter` is wrapped in
   * one. Without it the spans are decorated and scrubbed in place and leave by the application's own exporter.
   */
  readonly exporter?: SpanExporter;
  /** Default: what the environment says. */
  readonly settings?: Settings | SettingsInput;
  readonly queue?: QueueLimits;
}

interface Node {
  readonly state: RequestState;
  /** Whether the span itself leaves. */
  readonly shipped: boolean;
  /** The nearest ancestor that leaves; spans in between are skipped over. */
  readonly parent: SpanContext | undefined;
  decorated: boolean;
  /** What the copy says instead of the span, where the application's own telemetry must not change. */
  overrides: Attributes;
}

const MARKERS = [ATTR.authzDecision, ATTR.effect, ATTR.objectType, ATTR.event] as const;

export class ApiSecSpanProcessor implements SpanProcessor {
  readonly runtime: Runtime;
  readonly #queue: SpanQueue | undefined;
  readonly #scrub: ScrubSettings;
  readonly #nodes = new WeakMap<object, Node>();
  readonly #resources = new WeakMap<Resource, { readonly version: number; readonly resource: Resource }>();

  constructor(options: ApiSecSpanProcessorOptions = {}) {
    const settings = isSettings(options.settings) ? options.settings : parseSettings(process.env, options.settings);
    this.runtime = new Runtime(settings);
    this.#queue =
      options.exporter && new SpanQueue(options.exporter, (resource) => this.#resourceOf(resource), options.queue);
    this.#scrub = { ...settings, pseudonym: this.runtime.pseudonym };
    watchRequests();
  }

  onStart(span: Span, parentContext: Context): void {
    guarded(() => {
      const parentSpan = trace.getSpan(parentContext);
      const parent = parentSpan && this.#nodes.get(parentSpan);
      const state = this.#stateOf(span, parent);
      const shipped = parent === undefined || span.kind !== SpanKind.INTERNAL || isMarker(span.attributes);
      const context = parent === undefined || parent.shipped ? span.parentSpanContext : parent.parent;
      this.#nodes.set(span, { state, shipped, parent: context, decorated: false, overrides: {} });
      shared.states.set(span, state);
      if (shipped) span.setAttribute(ATTR.version, APISEC_VERSION);
      if (span.kind === SpanKind.SERVER && this.runtime.settings.edge) markEdge(span, parentContext);
    });
  }

  /** Children of a request share its state; a SERVER span that arrives over HTTP begins a new one. */
  #stateOf(span: Span, parent: Node | undefined): RequestState {
    const exchange = span.kind === SpanKind.SERVER ? takeArriving() : undefined;
    if (exchange === undefined) return parent?.state ?? new RequestState(span, this.runtime, undefined);
    const state = new RequestState(
      span,
      this.runtime,
      guarded(() => new IncomingRequest(exchange, this.runtime)),
    );
    shared.responses.set(exchange.response, state);
    return state;
  }

  onEnding(span: Span): void {
    guarded(() => {
      const node = this.#nodes.get(span);
      if (node === undefined) return;
      node.decorated = true;
      const attributes = this.#attributesOf(span, node);
      if (this.#queue === undefined) {
        span.setAttributes(attributes);
        this.#scrubInPlace(span);
      } else span.setAttributes(withoutKnown(attributes, span.attributes, node));
    });
  }

  onEnd(span: ReadableSpan): void {
    guarded(() => {
      const node = this.#nodes.get(span);
      if (node === undefined) return;
      // SDKs older than 2.0 never announce the end: their spans are still plain objects then.
      if (!node.decorated) {
        Object.assign(span.attributes, this.#attributesOf(span, node));
        if (this.#queue === undefined) this.#scrubInPlace(span);
      }
      if (node.shipped || isMarker(span.attributes)) this.#queue?.add(this.#copy(span, node));
    });
  }

  async forceFlush(): Promise<void> {
    await this.#queue?.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#queue?.shutdown();
  }

  #attributesOf(span: ReadableSpan, { state }: Node): Attributes {
    if (span.kind === SpanKind.CLIENT) return clientSpanAttributes(span.attributes, this.runtime);
    const serves = (state.span as unknown) === span && state.http !== undefined;
    if (!serves) return {};
    const route = span.attributes[ATTR.httpRoute] ?? state.route;
    return serverAttributes(state, state.http, typeof route === 'string' ? route : undefined);
  }

  #copy(span: ReadableSpan, node: Node): OutgoingSpan {
    const { traceId, spanId, traceFlags } = span.spanContext();
    const context = { traceId, spanId, traceFlags };
    const copy: OutgoingSpan = {
      name: scrubSpanName(span.name, pathOf(span.attributes)),
      kind: span.kind,
      spanContext: () => context,
      startTime: span.startTime,
      endTime: span.endTime,
      status: { code: span.status.code },
      attributes: scrubAttributes({ ...span.attributes, ...node.overrides }, this.#scrub),
      links: span.links.map((link) => ({ context: withoutState(link.context), ...trustOf(link.attributes) })),
      events: exceptionTypes(span.events),
      duration: span.duration,
      ended: true,
      resource: span.resource,
      instrumentationScope: span.instrumentationScope,
      droppedAttributesCount: span.droppedAttributesCount,
      droppedEventsCount: span.droppedEventsCount,
      droppedLinksCount: span.droppedLinksCount,
    };
    return node.parent === undefined ? copy : { ...copy, parentSpanContext: withoutState(node.parent) };
  }

  #scrubInPlace(span: ReadableSpan): void {
    const target = span as { name: string; status: { code: number }; attributes: Attributes };
    const kept = scrubAttributes(span.attributes, this.#scrub);
    for (const name of Object.keys(target.attributes)) if (!(name in kept)) delete target.attributes[name];
    Object.assign(target.attributes, kept);
    target.name = scrubSpanName(span.name, pathOf(span.attributes));
    target.status = { code: span.status.code };
    span.events.splice(0, span.events.length, ...exceptionTypes(span.events));
  }

  /** Exporters group by resource identity, so one copy serves until the active groups change. */
  #resourceOf(resource: Resource): Resource {
    const known = this.#resources.get(resource);
    const version = this.runtime.signalsVersion;
    if (known?.version === version) return known.resource;
    const copy = resourceFromAttributes({
      ...scrubResource(resource.attributes),
      [ATTR.signals]: [...this.runtime.signals],
    });
    this.#resources.set(resource, { version, resource: copy });
    return copy;
  }
}

function isSettings(input: Settings | SettingsInput | undefined): input is Settings {
  return input !== undefined && 'problems' in input;
}

function isMarker(attributes: Attributes): boolean {
  return MARKERS.some((name) => attributes[name] !== undefined);
}

function markEdge(span: ApiSpan, parentContext: Context): void {
  const claimed = untrustedContext(parentContext);
  span.setAttribute(ATTR.edge, true);
  if (claimed !== undefined) {
    span.addLink({ context: claimed, attributes: { [ATTR.contextTrust]: 'untrusted' } });
    span.setAttribute(ATTR.contextTrust, 'restarted');
  } else if (trace.getSpanContext(parentContext) !== undefined) span.setAttribute(ATTR.contextTrust, 'trusted');
}

/** Sets aside what another instrumentation has already said, such as `client.address`. */
function withoutKnown(attributes: Attributes, known: Attributes, node: Node): Attributes {
  const fresh: Attributes = {};
  for (const name in attributes) (name in known ? node.overrides : fresh)[name] = attributes[name]!;
  return fresh;
}

/** A path in a span's name is raw unless the span knows its route. */
function pathOf(attributes: Attributes): string | undefined {
  if (attributes[ATTR.httpRoute] !== undefined) return undefined;
  const path = attributes[ATTR.urlPath] ?? attributes['http.target'];
  return typeof path === 'string' && path.length > 1 ? path : undefined;
}

/** Trace state is free text that callers write. */
function withoutState({ traceId, spanId, traceFlags, isRemote }: SpanContext): SpanContext {
  return isRemote === undefined ? { traceId, spanId, traceFlags } : { traceId, spanId, traceFlags, isRemote };
}

function trustOf(attributes: Attributes | undefined): { attributes?: Attributes } {
  const trust = attributes?.[ATTR.contextTrust];
  return trust === undefined ? {} : { attributes: { [ATTR.contextTrust]: trust } };
}

/** Of all events only exceptions, and of those only the type: messages and stacks quote values. */
function exceptionTypes(events: ReadableSpan['events']): ReadableSpan['events'] {
  return events.flatMap((event) => {
    const type = event.attributes?.['exception.type'];
    if (event.name !== 'exception') return [];
    const attributes = typeof type === 'string' && /^[\w.$:-]{1,80}$/.test(type) ? { 'exception.type': type } : {};
    return [{ name: event.name, time: event.time, attributes }];
  });
}
