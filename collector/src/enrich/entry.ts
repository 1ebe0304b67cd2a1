import { Field } from '@spanwarden/rules';
import { type Enricher, parentOf } from './draft.ts';

/** Marks the first served call on each way down from the root: where the call path enters the estate. */
export const entry: Enricher = {
  name: 'entry',
  reads: ['serves'],
  writes: ['entry'],
  because: 'needs to know which hops serve; the principal falls back on the client of the entry',
  run(draft) {
    const isBelow = new Uint8Array(draft.hops.length);
    for (const index of draft.tree.topDown) {
      const hop = draft.hops[index]!;
      const below = hop.parent !== -1 && isBelow[hop.parent] === 1;
      hop.entry = hop.serves && !below;
      if (hop.serves || below) isBelow[index] = 1;
    }
  },
};

/** Names the service that called, for each hop where a service is entered. */
export const caller: Enricher = {
  name: 'caller',
  reads: ['serves', 'isNested', 'localRoot'],
  writes: ['callerService'],
  because: 'needs to know where services are entered',
  run(draft) {
    for (const hop of draft.hops) {
      if (!hop.serves && !hop.isConsumer) continue;
      const parent = parentOf(draft, hop.isNested ? draft.hops[hop.localRoot]! : hop);
      // A received span proves who called; the attribute is what a mesh or gateway says when none was.
      hop.caller = parent === undefined ? hop.text(Field.clientServiceName) : parent.service;
    }
  },
};
