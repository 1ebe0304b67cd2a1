import { KIND_CLIENT, KIND_PRODUCER } from '../base/batch.ts';
import { type Enricher, parentOf } from './draft.ts';
import type { PathHop } from './hop.ts';

/** OTLP flags: the parent is known to be in another process. */
const REMOTE_PARENT = 0x300;

/**
 * Finds where each service is entered. A span of unknown kind that is called from another service, or has no parent,
 * serves as well: formats without kinds lose nothing but their word for it.
 *
 * A server span right under a server span of its own service (a sidecar, a framework inside an HTTP server) is nested:
 * one request, one entry. A client span in between, or a parent in another process, makes it a call to oneself.
 */
export const localRoot: Enricher = {
  name: 'local root',
  reads: [],
  writes: ['serves', 'isNested', 'localRoot'],
  because: 'operation, entry, caller and identity all ask where a service was entered',
  run(draft) {
    for (const index of draft.tree.topDown) {
      const hop = draft.hops[index]!;
      const parent = parentOf(draft, hop);
      const isEntered = parent === undefined || parent.service !== hop.service;
      if (parent !== undefined && !isEntered) {
        hop.localRoot = parent.localRoot;
        if (hop.isServer) hop.isNested = isNestedUnder(hop, parent, draft.hops[parent.localRoot]!);
      }
      hop.serves = hop.isServer || (hop.kind === 0 && isEntered);
      if (hop.localRoot === -1 || (hop.isServer && !hop.isNested) || hop.isConsumer) hop.localRoot = index;
    }
  },
};

function isNestedUnder(hop: PathHop, parent: PathHop, root: PathHop): boolean {
  if (parent.kind === KIND_CLIENT || parent.kind === KIND_PRODUCER) return false;
  return root.serves && (hop.flags & REMOTE_PARENT) !== REMOTE_PARENT;
}
