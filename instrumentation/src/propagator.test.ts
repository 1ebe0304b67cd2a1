import {
  context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  ROOT_CONTEXT,
  SamplingDecision,
  SpanKind,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { AlwaysOffSampler, AlwaysOnSampler, BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { describe, expect, test } from 'vitest';
import { parseSettings } from './config.ts';
import { isThirdParty } from './hosts.ts';
import { ApiSecPropagator, untrustedContext } from './propagator.ts';
import { apiSecSampler } from './sampler.ts';

const inner = new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] });
const claim = {
  traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
  baggage: 'apisec.p=forged,user.id=7,enduser.role=admin,feature=on',
};

function extract(input: Parameters<typeof parseSettings>[1]) {
  return new ApiSecPropagator(inner, parseSettings({}, input)).extract(ROOT_CONTEXT, claim, defaultTextMapGetter);
}

describe('at the edge', () => {
  test('a claimed trace context is not the parent but remembered, and reserved baggage is gone', () => {
    const extracted = extract({ edge: true });
    expect(trace.getSpanContext(extracted)).toBeUndefined();
    expect(untrustedContext(extracted)?.spanId).toBe('2222222222222222');
    expect(
      propagation
        .getBaggage(extracted)
        ?.getAllEntries()
        .map(([name]) => name),
    ).toEqual(['feature']);
  });

  test('everybody may be trusted, and inside everybody is', () => {
    for (const input of [{ edge: true, trustIncoming: 'all' as const }, {}]) {
      const extracted = extract(input);
      expect(trace.getSpanContext(extracted)?.spanId).toBe('2222222222222222');
      expect(untrustedContext(extracted)).toBeUndefined();
    }
  });
});

describe('outgoing context', () => {
  const tracer = new BasicTracerProvider({ sampler: new AlwaysOnSampler() }).getTracer('test');
  const inject = (host: string, input = {}) => {
    const attributes = { 'server.address': host, 'http.request.method': 'GET' };
    const span = tracer.startSpan('GET', { kind: SpanKind.CLIENT, attributes });
    const carrier: Record<string, string> = {};
    const propagator = new ApiSecPropagator(inner, parseSettings({}, input));
    propagator.inject(trace.setSpan(context.active(), span), carrier, defaultTextMapSetter);
    return 'traceparent' in carrier;
  };

  test('goes to our own hosts only, unless all are allowed', () => {
    expect(['orders', '10.1.2.3', 'localhost', 'db.svc.cluster.local'].map((host) => inject(host))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['api.partner.com', '8.8.8.8'].map((host) => inject(host))).toEqual([false, false]);
    expect(inject('api.partner.com', { propagateTo: 'all' })).toBe(true);
    expect(inject('api.ours.com', { internalHosts: ['.ours.com'] })).toBe(true);
    expect(inject('10.1.2.3', { thirdPartyHosts: ['10.1.2.3'] })).toBe(false);
  });
});

test('a host is told apart by declaration, address range and private name, port included', () => {
  const settings = { internalHosts: ['api.ours.com', '.eu.ours.com'], thirdPartyHosts: ['127.0.0.1:4405'] };
  expect(isThirdParty('API.OURS.COM', 443, settings)).toBe(false);
  expect(isThirdParty('a.eu.ours.com', 443, settings)).toBe(false);
  expect(isThirdParty('evil-eu.ours.com', 443, settings)).toBe(true);
  expect(isThirdParty('127.0.0.1', 4405, settings)).toBe(true);
  expect(isThirdParty('127.0.0.1', 4406, settings)).toBe(false);
  expect(isThirdParty('[2606:4700::1]', 443, settings)).toBe(true);
  expect(isThirdParty('[fd00::1]', 443, settings)).toBe(false);
});

describe('the sampler', () => {
  test('records what another would not, without marking it as sampled', () => {
    const tracer = new BasicTracerProvider({ sampler: apiSecSampler(new AlwaysOffSampler()) }).getTracer('test');
    const span = tracer.startSpan('x');
    expect([span.isRecording(), span.spanContext().traceFlags]).toEqual([true, TraceFlags.NONE]);
  });

  test('leaves the decision to sample alone', () => {
    const result = apiSecSampler(new AlwaysOnSampler()).shouldSample(
      ROOT_CONTEXT,
      '1'.repeat(32),
      'x',
      SpanKind.SERVER,
      {},
      [],
    );
    expect(result.decision).toBe(SamplingDecision.RECORD_AND_SAMPLED);
  });
});
