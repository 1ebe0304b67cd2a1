import type { CallPath } from '@spanwarden/rules';
import { buildPaths, createAssembler } from './assemble/assembler.ts';
import { Counters } from './base/counters.ts';
import type { Limits } from './base/limits.ts';
import type { Pseudonym } from './base/pseudonym.ts';
import type { TraceRevision } from './base/trace.ts';
import { createDecoder } from './decode/decoder.ts';
import { createEnricher, type EnrichedPath, type EstateSettings } from './enrich/enricher.ts';

/**
 * Assembly and enrichment joined: what detection judges, what the API shows of a trace and what rule tests replay are
 * the same call paths, because they all come from here.
 */

export interface PathBuilderSettings {
  readonly limits: Limits;
  readonly estate: EstateSettings;
  /** `host:port` of services that send spans. */
  readonly coveredHosts: readonly string[];
  /** Without it, object ids are not derived from paths. */
  readonly pseudonym?: Pseudonym | undefined;
}

/** One state of a trace in, its call paths out; a pure function of the spans. */
export function createPathBuilder(settings: PathBuilderSettings): (trace: TraceRevision) => readonly EnrichedPath[] {
  const { limits, estate, pseudonym } = settings;
  const enrich = createEnricher({ estate, pseudonym });
  const pathSettings = { traceSpansMax: limits.traceSpansMax, coveredHosts: new Set(settings.coveredHosts) };
  return (trace) => buildPaths(trace, pathSettings).map((tree) => enrich(tree, trace));
}

/** Recorded OTLP JSON in, the call paths in it out, as if its senders had fallen silent. @throws RejectedError */
export function createFixtureReader(
  settings: Omit<PathBuilderSettings, 'pseudonym'>,
): (json: Uint8Array) => readonly CallPath[] {
  const { limits } = settings;
  const toPaths = createPathBuilder(settings);
  return (json) => {
    const counters = new Counters();
    const decoder = createDecoder({
      limits,
      pseudonym: undefined,
      pseudonymKeyId: '',
      eventTime: 'recorded',
      counters,
    });
    const paths: CallPath[] = [];
    const history = { readTrace: () => undefined, mark: () => undefined };
    const assembler = createAssembler({ limits, counters }, history, (trace) => paths.push(...toPaths(trace)));
    const request = { bytes: json, encoding: 'json', compression: 'none', bytesMax: limits.httpBodyBytesMax } as const;
    assembler.accept(decoder.decode(request, 0).batch, 0, 0);
    assembler.flush();
    return paths;
  };
}
