import { dataClassOf } from './data-classes.ts';
import type { Enricher } from './draft.ts';
import type { DataSeen, Direction } from './facts.ts';

/** Which data types and classes each hop received, answered and sent on, from the counts that instrumentation wrote. */
export const dataTypes: Enricher = {
  name: 'data types',
  reads: [],
  writes: [
    'requestDataTypes',
    'requestDataClasses',
    'responseDataTypes',
    'responseDataClasses',
    'egressDataTypes',
    'egressDataClasses',
  ],
  because: 'stands alone; the call graph reads it',
  run({ hops }) {
    for (const hop of hops) {
      if (hop.data.length === 0) continue;
      hop.requestTypes = typesOf(hop.data, 'request');
      hop.requestClasses = classesOf(hop.requestTypes);
      hop.responseTypes = typesOf(hop.data, 'response');
      hop.responseClasses = classesOf(hop.responseTypes);
      hop.egressTypes = typesOf(hop.data, 'egress');
      hop.egressClasses = classesOf(hop.egressTypes);
    }
  },
};

/** Sorted, since the data of a hop is. */
function typesOf(data: readonly DataSeen[], direction: Direction): readonly string[] | undefined {
  const types = data.filter((seen) => seen.direction === direction).map(({ type }) => type);
  return types.length === 0 ? undefined : types;
}

function classesOf(types: readonly string[] | undefined): readonly string[] | undefined {
  if (types === undefined) return undefined;
  const classes = new Set<string>();
  for (const type of types) {
    const dataClass = dataClassOf(type);
    if (dataClass !== undefined) classes.add(dataClass);
  }
  return classes.size === 0 ? undefined : [...classes].sort();
}
