import { Field, type FieldKey } from '@spanwarden/rules';
import { buildPaths } from '../../assemble/paths.ts';
import { closedTrace, type SpanSpec } from '../../assemble/testing/spans.ts';
import { createPseudonym } from '../../base/pseudonym.ts';
import { Secret } from '../../base/secret.ts';
import type { EnrichSettings } from '../draft.ts';
import { createEnricher, type EnrichedPath, type PathHop } from '../enricher.ts';

export const pseudonym = createPseudonym(new Secret('0123456789abcdef0123456789abcdef'));

/** The call paths of these spans, enriched. */
export function enrichAll(specs: readonly SpanSpec[], settings: Partial<EnrichSettings> = {}): EnrichedPath[] {
  const enrich = createEnricher({ estate: { ownHosts: [], exposures: [] }, pseudonym, ...settings });
  const trace = closedTrace(specs);
  return buildPaths(trace).map((tree) => enrich(tree, trace));
}

/** The hop with this id, in whatever call path of the trace it is. */
export function hopOf(specs: readonly SpanSpec[], id: number, settings: Partial<EnrichSettings> = {}): PathHop {
  const found = enrichAll(specs, settings)
    .flatMap(({ hops }) => hops)
    .find(({ spanId }) => Number.parseInt(spanId.slice(8), 16) === id);
  if (found === undefined) throw new Error(`no hop ${id}`);
  return found;
}

/** A field of one span alone. */
export function fieldOf(spec: Omit<SpanSpec, 'id'>, key: FieldKey, settings: Partial<EnrichSettings> = {}) {
  return hopOf([{ id: 1, ...spec }], 1, settings).field(Field[key]);
}

/** A field of several hops. */
export function valuesOf(
  specs: readonly SpanSpec[],
  key: FieldKey,
  ids: readonly number[],
  settings: Partial<EnrichSettings> = {},
) {
  return ids.map((id) => hopOf(specs, id, settings).field(Field[key]));
}
