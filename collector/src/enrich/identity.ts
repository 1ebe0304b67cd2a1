import { Field, Signal } from '@spanwarden/rules';
import type { Enricher, PathDraft } from './draft.ts';
import type { IdentityEdge, PathHop } from './hop.ts';

/**
 * What became of the caller's identity between two served calls, said on the lower one:
 *
 *   propagated          both act for the same principal
 *   exchanged           another principal, and a token exchange, impersonation, login or `act` claim explains it
 *   dropped_to_service  the lower call acts under a service's identity instead of the one above
 *   changed_tenant      another tenant, unexplained
 *   changed_subject     another principal, unexplained (also: none above)
 *   none                the lower call carries no identity although it would say so
 *   unknown             one of the two does not say: never a reason to alert
 *
 * A call path's entry has no edge. Pseudonyms under different keys are not compared unless a former one links them.
 */
export const identity: Enricher = {
  name: 'identity edge',
  reads: ['serves', 'isNested'],
  writes: ['identity'],
  because: 'compares what each served call carries itself, after the hops are in place',
  run(draft) {
    const above = new Int32Array(draft.hops.length).fill(-1);
    const exchanges = exchangesBelow(draft);
    for (const index of draft.tree.topDown) {
      const hop = draft.hops[index]!;
      const parent = hop.parent === -1 ? undefined : draft.hops[hop.parent]!;
      const up = parent === undefined ? -1 : isCall(parent) ? parent.index : above[parent.index]!;
      above[index] = up;
      if (up !== -1 && isCall(hop)) {
        hop.identity = edge(draft.hops[up]!, hop, exchanges[up] === 1);
      }
    }
  },
};

const EXCHANGES: ReadonlySet<string> = new Set(['token_exchange', 'impersonation', 'login', 'token_issue']);

function isCall(hop: PathHop): boolean {
  return (hop.serves && !hop.isNested) || hop.isConsumer;
}

/** Marks every hop at or below which an identity was exchanged on purpose. */
function exchangesBelow({ hops }: PathDraft): Uint8Array {
  const marked = new Uint8Array(hops.length);
  for (const hop of hops) {
    const event = hop.text(Field.event);
    if (event === undefined || !EXCHANGES.has(event)) continue;
    for (let at = hop.index; at !== -1 && marked[at] === 0; at = hops[at]!.parent) marked[at] = 1;
  }
  return marked;
}

function edge(up: PathHop, down: PathHop, isExchanged: boolean): IdentityEdge {
  const upUser = up.text(Field.userHash);
  const downUser = down.text(Field.userHash);
  if (upUser === undefined && !tellsIdentity(up)) return 'unknown';
  if (downUser === undefined) return tellsIdentity(down) ? 'none' : 'unknown';
  if (upUser !== undefined) {
    const same = samePrincipal(up, upUser, down, downUser);
    if (same === undefined) return 'unknown';
    if (same) return changesTenant(up, down) && !isExchanged ? 'changed_tenant' : 'propagated';
  }
  if (isExchanged || down.fact(Field.principalActor) !== undefined) return 'exchanged';
  if (down.fact(Field.principalType) === 'service') return 'dropped_to_service';
  return changesTenant(up, down) ? 'changed_tenant' : 'changed_subject';
}

/** An absent identity means "no" here. */
function tellsIdentity(hop: PathHop): boolean {
  return (hop.coverage & Signal.auth) !== 0;
}

function samePrincipal(up: PathHop, upUser: string, down: PathHop, downUser: string): boolean | undefined {
  if (upUser === downUser) return true;
  const upFormer = up.text(Field.principalPrevId);
  const downFormer = down.text(Field.principalPrevId);
  if (upFormer === downUser || downFormer === upUser) return true;
  if (upFormer !== undefined && upFormer === downFormer) return true;
  const upKey = up.fact(Field.principalKeyId);
  const downKey = down.fact(Field.principalKeyId);
  return upKey !== undefined && downKey !== undefined && upKey !== downKey ? undefined : false;
}

function changesTenant(up: PathHop, down: PathHop): boolean {
  const upTenant = up.fact(Field.principalTenant);
  const downTenant = down.fact(Field.principalTenant);
  return upTenant !== undefined && downTenant !== undefined && upTenant !== downTenant;
}
