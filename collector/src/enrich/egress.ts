import { Field } from '@spanwarden/rules';
import { KIND_CLIENT } from '../base/batch.ts';
import { createNameMatcher, isPublicHost } from './addresses.ts';
import type { Enricher, EstateSettings, PathDraft } from './draft.ts';
import type { PathHop } from './hop.ts';

/**
 * Which calls leave the estate: as instrumentation says, else a call to a public host that is not configured as ours and
 * that no span answered, neither this call nor another one of the call path to the same host.
 */
export function createEgress(estate: EstateSettings): Enricher {
  const isOwn = createNameMatcher(estate.ownHosts.flatMap((host) => (host.startsWith('.') ? [`*${host}`] : [host])));
  return {
    name: 'egress',
    reads: [],
    writes: ['egressThirdParty'],
    because: 'stands alone; the call graph tells third parties from own backends by it',
    run(draft) {
      let answered: ReadonlySet<string> | undefined;
      for (const hop of draft.hops) {
        const stated = hop.fact(Field.egressThirdParty);
        if (typeof stated === 'boolean') hop.thirdParty = stated;
        else if (isCallToHost(hop)) {
          answered ??= answeredHosts(draft);
          const host = hop.text(Field.serverAddress)!;
          hop.thirdParty = !answered.has(host) && !isOwn(host) && isPublicHost(host);
        }
      }
    },
  };
}

/** A call over HTTP or rpc whose target is known; stores and queues are no third parties by this test. */
function isCallToHost(hop: PathHop): boolean {
  return (
    hop.kind === KIND_CLIENT &&
    hop.text(Field.serverAddress) !== undefined &&
    hop.fact(Field.dbSystemName) === undefined &&
    hop.fact(Field.messagingSystemName) === undefined
  );
}

function answeredHosts({ hops }: PathDraft): ReadonlySet<string> {
  const hosts = new Set<string>();
  for (const hop of hops) {
    if (hop.parent === -1 || (!hop.isServer && !hop.isConsumer)) continue;
    const host = hops[hop.parent]!.text(Field.serverAddress);
    if (host !== undefined && hops[hop.parent]!.kind === KIND_CLIENT) hosts.add(host);
  }
  return hosts;
}
