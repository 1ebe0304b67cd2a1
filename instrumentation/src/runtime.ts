/**
 * What one process shares between its hooks: the settings, the pseudonym functions, and the state of each request in flight.
 *
 * It hangs on a global symbol, so that copies of this package (one under `--import`, one in the application) see the same state.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Span, trace } from '@opentelemetry/api';
import type { Settings } from './config.ts';
import { IdGaps } from './objects.ts';
import { createPseudonym, type Pseudonym } from './pseudonym.ts';
import type { RequestState } from './request-state.ts';
import { ResponseProfiles } from './response-profile.ts';
import type { Signal } from './semconv.ts';

export class Runtime {
  readonly settings: Settings;
  readonly pseudonym: Pseudonym | undefined;
  readonly previousPseudonym: Pseudonym | undefined;
  readonly gaps = new IdGaps();
  readonly profiles: ResponseProfiles;
  /** Groups that have been seen active, unless the settings declare them. */
  readonly #seen = new Set<Signal>(['auth', 'data', 'session']);
  #signalsVersion = 0;

  constructor(settings: Settings) {
    this.settings = settings;
    this.pseudonym = settings.hashKey && createPseudonym(settings.hashKey);
    this.previousPseudonym = settings.previousHashKey && createPseudonym(settings.previousHashKey);
    this.profiles = new ResponseProfiles(settings);
    if (settings.routes.some((route) => route.object !== undefined)) this.#seen.add('object');
    if (settings.routes.some((route) => route.event !== undefined)) this.#seen.add('event');
    if (settings.classify === 'off') this.#seen.delete('data');
  }

  /** Notes that the application uses a group: from now on its absence on a span means "no". */
  activate(signal: Signal): void {
    if (this.#seen.has(signal)) return;
    this.#seen.add(signal);
    this.#signalsVersion++;
  }

  get signals(): readonly Signal[] {
    return this.settings.signals ?? [...this.#seen].sort();
  }

  /** Changes whenever {@link signals} does. */
  get signalsVersion(): number {
    return this.#signalsVersion;
  }
}

export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Shared {
  readonly states: WeakMap<object, RequestState>;
  readonly responses: WeakMap<ServerResponse, RequestState>;
  /** Libraries whose verification functions are wrapped. */
  readonly authHooks: Set<string>;
  /** The HTTP exchange that is being handed to the server's listeners right now. */
  arriving: HttpExchange | undefined;
}

const SHARED = Symbol.for('spanwarden.instrumentation.v1');

/** The state of this process, created by whoever asks first. */
export const shared: Shared = sharedState();

function sharedState(): Shared {
  const holder = globalThis as Record<symbol, unknown>;
  const existing = holder[SHARED] as Shared | undefined;
  if (existing !== undefined) return existing;
  const created: Shared = {
    states: new WeakMap(),
    responses: new WeakMap(),
    authHooks: new Set(),
    arriving: undefined,
  };
  holder[SHARED] = created;
  return created;
}

/** The request (or local root span) that the calling code works for. */
export function activeState(): RequestState | undefined {
  const span: Span | undefined = trace.getActiveSpan();
  return span === undefined ? undefined : shared.states.get(span);
}

/** Runs a hook so that nothing it does wrong reaches the application. */
export function guarded<T>(hook: () => T): T | undefined {
  try {
    return hook();
  } catch {
    return undefined;
  }
}
