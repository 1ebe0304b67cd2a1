import { Field } from '@spanwarden/rules';
import type { Enricher } from './draft.ts';
import type { PathHop } from './hop.ts';

/**
 * Says on whose behalf each hop acted: its own `user.hash`, else that of the nearest hop above that was received, with
 * its verification; else the nearest token, session, or the client's address where the path was entered. Weaker kinds
 * carry their kind as a prefix, since they never equal a user. Nothing is inherited across a parent that never arrived.
 */
export const principal: Enricher = {
  name: 'principal',
  reads: ['entry'],
  writes: ['principalId'],
  because: 'needs the entry for the client; the identity edge compares what hops carry themselves',
  run({ hops, tree }) {
    const carried: Carried[] = [];
    for (const index of tree.topDown) {
      const hop = hops[index]!;
      const own = carriedBy(hop, hop.parent === -1 ? NOTHING : carried[hop.parent]!);
      carried[index] = own;
      hop.principal =
        own.user ?? named('token', own.token) ?? named('session', own.session) ?? named('client', own.client);
      hop.principalVerified = own.user === undefined ? undefined : own.verified;
    }
  },
};

/** What is known about the caller at a hop and above it. */
interface Carried {
  readonly user: string | undefined;
  readonly verified: string | undefined;
  readonly token: string | undefined;
  readonly session: string | undefined;
  readonly client: string | undefined;
}

const NOTHING: Carried = {
  user: undefined,
  verified: undefined,
  token: undefined,
  session: undefined,
  client: undefined,
};

function carriedBy(hop: PathHop, above: Carried): Carried {
  const user = hop.text(Field.userHash);
  const token = hop.text(Field.tokenId);
  const session = hop.text(Field.sessionId);
  const client = hop.entry ? clientOf(hop) : undefined;
  if (user === undefined && token === undefined && session === undefined && client === undefined) return above;
  return {
    user: user ?? above.user,
    verified: user === undefined ? above.verified : hop.text(Field.authVerified),
    token: token ?? above.token,
    session: session ?? above.session,
    client: client ?? above.client,
  };
}

function clientOf(hop: PathHop): string | undefined {
  return hop.text(Field.clientAddress) ?? hop.text(Field.networkPeerAddress);
}

function named(kind: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${kind}:${value}`;
}
