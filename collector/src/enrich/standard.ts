import { apiStyle } from './api-style.ts';
import { dataTypes } from './data-types.ts';
import type { Enricher, EnrichSettings } from './draft.ts';
import { createEgress } from './egress.ts';
import { caller, entry } from './entry.ts';
import { createExposure } from './exposure.ts';
import { identity } from './identity.ts';
import { localRoot } from './local-root.ts';
import { createObjects } from './objects.ts';
import { operation } from './operation.ts';
import { outcome } from './outcome.ts';
import { principal } from './principal.ts';

/** The enrichers in the order in which they run; each says why it stands where it stands. */
export function standardEnrichers({ estate, pseudonym }: EnrichSettings): readonly Enricher[] {
  return [
    localRoot,
    apiStyle,
    operation,
    entry,
    caller,
    createExposure(estate),
    outcome,
    principal,
    identity,
    dataTypes,
    createObjects(pseudonym),
    createEgress(estate),
  ];
}
