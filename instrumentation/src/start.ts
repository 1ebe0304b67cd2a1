/**
 * The whole set-up in one call: environment in, a running OpenTelemetry SDK out that sends nothing but scrubbed security spans. It
 * throws nothing into the application; a failed start leaves the application without telemetry, not without life.
 */
import { diag } from '@opentelemetry/api';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { ExpressInstrumentation, ExpressLayerType } from '@opentelemetry/instrumentation-express';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { envDetector, hostDetector, serviceInstanceIdDetector } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { parseSettings, type Settings, type SettingsInput } from './config.ts';
import { observeClientRequest, observeUndiciRequest } from './egress.ts';
import { createApiSecInstrumentation } from './instrumentation.ts';
import { ApiSecPropagator } from './propagator.ts';
import { guarded, type Runtime } from './runtime.ts';
import { apiSecSampler } from './sampler.ts';
import { ApiSecSpanProcessor } from './span-processor.ts';

export interface Started {
  readonly settings: Settings;
  /** Sends what has ended, then stops. Resolves also when the collector cannot be reached. */
  shutdown(): Promise<void>;
}

/** More than the default 128, so that our attributes are not the ones that are dropped. */
const ATTRIBUTES_MAX = 256;
const FLUSH_MS = 5000;

let started: Started | undefined;

/** Starts once per process; a second call returns the first result, a failed start undefined. */
export function register(input: SettingsInput = {}): Started | undefined {
  started ??= guarded(() => start(parseSettings(process.env, input)));
  return started;
}

function start(settings: Settings): Started {
  setLeanDefaults();
  const processor = new ApiSecSpanProcessor({ exporter: new OTLPTraceExporter(), settings });
  const sdk = new NodeSDK({
    sampler: apiSecSampler(),
    spanProcessors: [processor],
    spanLimits: { attributeCountLimit: ATTRIBUTES_MAX },
    textMapPropagator: new ApiSecPropagator(
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
      settings,
    ),
    resourceDetectors: [envDetector, hostDetector, serviceInstanceIdDetector],
    instrumentations: [...leanInstrumentations(processor.runtime), createApiSecInstrumentation()],
  });
  sdk.start();
  flushBeforeExit(processor);
  report(settings);
  return { settings, shutdown: () => sdk.shutdown().catch(() => {}) };
}

/** Metrics and logs are other tools' business; set only where the user said nothing. */
function setLeanDefaults(): void {
  process.env['OTEL_METRICS_EXPORTER'] ??= 'none';
  process.env['OTEL_LOGS_EXPORTER'] ??= 'none';
}

/** http, fetch and express, without the spans that express starts for each middleware. */
function leanInstrumentations(runtime: Runtime) {
  return [
    new HttpInstrumentation({
      requestHook: (span, request) => guarded(() => observeClientRequest(span, request, runtime)),
    }),
    new UndiciInstrumentation({
      requestHook: (span, request) => guarded(() => observeUndiciRequest(span, request, runtime)),
    }),
    new ExpressInstrumentation({
      ignoreLayersType: [ExpressLayerType.MIDDLEWARE, ExpressLayerType.ROUTER, ExpressLayerType.REQUEST_HANDLER],
    }),
  ];
}

/**
 * Sends the last spans. A signal that nobody else listens to must still end the process the way it would have ended without us, so it
 * is raised again after the flush.
 */
function flushBeforeExit(processor: ApiSecSpanProcessor): void {
  const flush = () => Promise.race([processor.forceFlush(), delay(FLUSH_MS)]).catch(() => {});
  let flushed = false;
  process.on('beforeExit', () => {
    if (flushed) return;
    flushed = true;
    void flush();
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const listener = () => {
      const alone = process.listenerCount(signal) === 1;
      void flush().then(() => {
        process.removeListener(signal, listener);
        if (alone) process.kill(process.pid, signal);
      });
    };
    process.on(signal, listener);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function report(settings: Settings): void {
  for (const problem of settings.problems) diag.warn(`@spanwarden/instrumentation: ${problem}`);
  if (!settings.debug) return;
  const identity =
    settings.hashKey === undefined ? 'presence only (no APISEC_HASH_KEY)' : `pseudonyms ${settings.hashKeyId}`;
  const problems = settings.problems.length === 0 ? '' : `; problems: ${settings.problems.join('; ')}`;
  process.stderr.write(
    `@spanwarden/instrumentation: hooks http fetch express fastify jsonwebtoken jose; ${identity}; edge ${settings.edge}${problems}\n`,
  );
}
