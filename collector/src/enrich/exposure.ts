import { Field } from '@spanwarden/rules';
import { createNameMatcher, isPublicAddress } from './addresses.ts';
import { type Enricher, type EstateSettings, parentOf } from './draft.ts';
import type { Exposure, PathHop } from './hop.ts';

/** An exposure and what it was concluded from: the operator, the service itself, or the caller that was observed. */
type Verdict = readonly [
  exposure: Exposure,
  reason: 'configured' | 'declared' | 'own-service' | 'public-client' | 'private-client',
];

/**
 * Who can reach what is served: declared where somebody said so, else judged by the caller. Without any of it the
 * exposure stays unknown; it is never guessed from names.
 */
export function createExposure(estate: EstateSettings): Enricher {
  const configured = estate.exposures.map(({ service, exposure }) => ({
    fits: createNameMatcher([service]),
    exposure,
  }));
  return {
    name: 'exposure',
    reads: ['serves', 'isNested', 'localRoot'],
    writes: ['exposure'],
    because: 'needs to know where services are entered; the call graph names clients by it',
    run(draft) {
      for (const index of draft.tree.topDown) {
        const hop = draft.hops[index]!;
        if (!hop.serves) continue;
        if (hop.isNested) {
          const outer = draft.hops[hop.localRoot]!;
          hop.exposure = outer.exposure;
          hop.exposureReason = outer.exposureReason;
          continue;
        }
        const declared = configured.find(({ fits }) => fits(hop.service));
        const verdict: Verdict | undefined =
          declared === undefined ? observed(hop, parentOf(draft, hop)) : [declared.exposure, 'configured'];
        hop.exposure = verdict?.[0];
        hop.exposureReason = verdict?.[1];
      }
    },
  };
}

function observed(hop: PathHop, parent: PathHop | undefined): Verdict | undefined {
  const edge = hop.fact(Field.edge);
  if (edge === true) return ['external', 'declared'];
  if (edge === false) return ['internal', 'declared'];
  if (parent !== undefined) return ['internal', 'own-service'];
  const isPublic = isPublicClient(hop);
  if (isPublic === undefined) return undefined;
  return isPublic ? ['external', 'public-client'] : ['internal', 'private-client'];
}

/**
 * Our instrumentation walks proxies from the trusted end; stock `client.address` is whatever the client wrote, so there
 * either address may prove a public client, but only the socket can prove a private one.
 */
function isPublicClient(hop: PathHop): boolean | undefined {
  const stated = hop.fact(Field.clientPublic);
  if (typeof stated === 'boolean') return stated;
  const peer = isPublicText(hop.text(Field.networkPeerAddress));
  if (peer === true) return true;
  return isPublicText(hop.text(Field.clientAddress)) === true ? true : peer;
}

function isPublicText(address: string | undefined): boolean | undefined {
  return address === undefined ? undefined : isPublicAddress(address);
}
