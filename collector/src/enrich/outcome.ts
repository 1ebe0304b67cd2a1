import { Field } from '@spanwarden/rules';
import type { Enricher } from './draft.ts';
import type { Outcome, PathHop } from './hop.ts';

/** gRPC status codes (grpc/grpc, doc/statuscodes.md) by number and name; those not listed failed. */
const RPC_OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  ['0', 'success'],
  ['OK', 'success'],
  ['5', 'missing'],
  ['NOT_FOUND', 'missing'],
  ['7', 'denied'],
  ['PERMISSION_DENIED', 'denied'],
  ['16', 'denied'],
  ['UNAUTHENTICATED', 'denied'],
]);

/** How each call ended: by its protocol's status, else by the status of the span. An HTTP call without a status is unknown. */
export const outcome: Enricher = {
  name: 'outcome',
  reads: [],
  writes: ['outcome'],
  because: 'stands alone; the call graph counts by it',
  run({ hops }) {
    for (const hop of hops) hop.outcome = outcomeOf(hop);
  },
};

function outcomeOf(hop: PathHop): Outcome | undefined {
  const status = hop.number(Field.httpResponseStatusCode);
  const rpcStatus = hop.fact(Field.rpcStatusCode);
  if (rpcStatus !== undefined) return RPC_OUTCOMES.get(String(rpcStatus).toUpperCase()) ?? 'failed';
  if (status !== undefined && status > 0) return ofHttp(status);
  if (hop.hasErrorStatus) return 'failed';
  return hop.fact(Field.httpRequestMethod) === undefined ? 'success' : undefined;
}

function ofHttp(status: number): Outcome {
  if (status < 400) return 'success';
  if (status === 401 || status === 403) return 'denied';
  return status === 404 || status === 410 ? 'missing' : 'failed';
}

/** What counts as an error of an operation: the service's fault, not the caller's. */
export function isError(hop: PathHop): boolean {
  if (hop.hasErrorStatus) return true;
  const status = hop.number(Field.httpResponseStatusCode);
  return status !== undefined && status >= 500;
}
