/**
 * Sampling that a caller cannot use to hide: another sampler's decision in, the same decision out except that what it would not
 * record is recorded without being marked as sampled.
 */
import { getNumberFromEnv, getStringFromEnv } from '@opentelemetry/core';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';

/**
 * Spans that `inner` would not record get decision RECORD: our processor sees and exports them, stock processors skip them, and the
 * outgoing `traceparent` keeps flag 00, so the volume in other back ends does not change.
 *
 * @param inner default: what `OTEL_TRACES_SAMPLER` says, else parent-based always-on
 */
export function apiSecSampler(inner: Sampler = samplerFromEnvironment()): Sampler {
  return {
    shouldSample(context, traceId, spanName, spanKind, attributes, links) {
      const result = inner.shouldSample(context, traceId, spanName, spanKind, attributes, links);
      return result.decision === SamplingDecision.NOT_RECORD
        ? { ...result, decision: SamplingDecision.RECORD }
        : result;
    },
    toString: () => `ApiSec{${inner.toString()}}`,
  };
}

function samplerFromEnvironment(): Sampler {
  const name = getStringFromEnv('OTEL_TRACES_SAMPLER') ?? 'parentbased_always_on';
  const root = rootSampler(name.replace(/^parentbased_/, ''));
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

function rootSampler(name: string): Sampler {
  if (name === 'always_off') return new AlwaysOffSampler();
  if (name !== 'traceidratio') return new AlwaysOnSampler();
  return new TraceIdRatioBasedSampler(getNumberFromEnv('OTEL_TRACES_SAMPLER_ARG') ?? 1);
}
