import { Field } from '@spanwarden/rules';
import { KIND_CLIENT, KIND_PRODUCER } from '../base/batch.ts';
import type { EdgeFact, OperationFact } from '../base/outcome.ts';
import type { EnrichedPath } from './enricher.ts';
import type { PathHop } from './hop.ts';
import { isError } from './outcome.ts';

/**
 * A call path in, what it adds to inventory and call graph out: one fact per call, to be added up by whoever keeps
 * counts. Service edges are exact: A to B for every span of B whose parent is a span of A, and A is not B.
 */

export interface GraphFacts {
  readonly operations: readonly OperationFact[];
  readonly edges: readonly EdgeFact[];
}

/** Callers that are no service of ours. */
export const EXTERNAL_CLIENT = 'external client';
export const INTERNAL_CLIENT = 'internal client';
/** The call names a parent that never arrived, or nothing tells where it came from. */
export const UNKNOWN_CALLER = 'unknown caller';

const NODE_CHARS_MAX = 120;

export function toGraphFacts(path: EnrichedPath): GraphFacts {
  const operations: OperationFact[] = [];
  const edges: EdgeFact[] = [];
  const hops = path.counted;
  const callsBelow = clientsWithCalls(hops);
  for (const hop of hops) {
    const parent = hop.parent === -1 ? undefined : hops[hop.parent]!;
    if (parent !== undefined && parent.service !== hop.service) addEdge(edges, hops, parent, hop);
    if (hop.serves && !hop.isNested) {
      operations.push(toOperation(hop));
      if (parent === undefined) addClient(edges, hop);
      else if (parent.service === hop.service) addOperationEdge(edges, hops, parent, hop);
    }
    const target = callsBelow.has(hop.index) ? undefined : outsideTarget(hop, parent);
    if (target !== undefined) addOutside(edges, hops, hop, target);
  }
  return { operations, edges };
}

/** Where a span of ours leads that has no spans itself. */
interface Target {
  readonly kind: 'store' | 'queue' | 'external';
  readonly name: string;
}

/** Spans that have a called service or a further client span below them: they lead nowhere else. */
function clientsWithCalls(hops: readonly PathHop[]): ReadonlySet<number> {
  const found = new Set<number>();
  for (const hop of hops) {
    if (hop.parent === -1) continue;
    const parent = hops[hop.parent]!;
    if (parent.kind !== KIND_CLIENT) continue;
    if (parent.service !== hop.service || hop.isServer || hop.kind === KIND_CLIENT) found.add(hop.parent);
  }
  return found;
}

function outsideTarget(hop: PathHop, parent: PathHop | undefined): Target | undefined {
  const store = hop.text(Field.dbSystemName);
  if (store !== undefined) {
    if (hop.serves) return undefined;
    // Of an object mapper and the driver below it one tells of the query: the inner of two client spans, else the outer.
    const isBelowStore = parent?.service === hop.service && parent.fact(Field.dbSystemName) !== undefined;
    if (isBelowStore && (parent.kind !== KIND_CLIENT || hop.kind !== KIND_CLIENT)) return undefined;
    return { kind: 'store', name: clip(joined(store, hop.text(Field.dbNamespace) ?? hop.text(Field.serverAddress))) };
  }
  const queue = hop.text(Field.messagingSystemName);
  if (queue !== undefined && (hop.kind === KIND_PRODUCER || hop.kind === KIND_CLIENT || hop.isConsumer)) {
    return { kind: 'queue', name: clip(joined(queue, hop.text(Field.messagingDestinationName))) };
  }
  if (hop.kind !== KIND_CLIENT) return undefined;
  const host = hop.text(Field.serverServiceName) ?? hop.text(Field.serverAddress);
  return host === undefined ? undefined : { kind: 'external', name: clip(host.toLowerCase()) };
}

function addOutside(edges: EdgeFact[], hops: readonly PathHop[], hop: PathHop, target: Target): void {
  const dataTypes = typesOf(hop, target.kind === 'external' ? 'egress' : 'response');
  const common = { error: isError(hop), eventUs: hop.eventUs, dataTypes };
  const to = { to: target.name, toKind: target.kind };
  if (target.kind === 'queue' && hop.isConsumer) {
    edges.push({
      level: 'service',
      from: target.name,
      fromKind: 'queue',
      to: hop.service,
      toKind: 'service',
      ...common,
    });
    return;
  }
  edges.push({ level: 'service', from: hop.service, fromKind: 'service', ...to, ...common });
  const from = operationOf(hops, hop);
  if (from !== undefined) edges.push({ level: 'operation', from, fromKind: 'operation', ...to, ...common });
}

function addEdge(edges: EdgeFact[], hops: readonly PathHop[], parent: PathHop, hop: PathHop): void {
  edges.push({
    level: 'service',
    from: parent.service,
    fromKind: 'service',
    to: hop.service,
    toKind: 'service',
    error: isError(hop),
    eventUs: hop.eventUs,
    dataTypes: typesOf(hop, 'response'),
  });
  if (hop.serves) addOperationEdge(edges, hops, parent, hop);
}

function addOperationEdge(edges: EdgeFact[], hops: readonly PathHop[], parent: PathHop, hop: PathHop): void {
  const from = operationOf(hops, parent);
  if (from === undefined) return;
  edges.push({
    level: 'operation',
    from,
    fromKind: 'operation',
    to: hop.operationId!,
    toKind: 'operation',
    error: isError(hop),
    eventUs: hop.eventUs,
    dataTypes: typesOf(hop, 'response'),
  });
}

/** The edge by which a call path is entered. */
function addClient(edges: EdgeFact[], hop: PathHop): void {
  const from = clientOf(hop);
  const common = { error: isError(hop), eventUs: hop.eventUs, dataTypes: typesOf(hop, 'response') };
  edges.push({ level: 'service', from, fromKind: 'client', to: hop.service, toKind: 'service', ...common });
  edges.push({ level: 'operation', from, fromKind: 'client', to: hop.operationId!, toKind: 'operation', ...common });
}

function clientOf(hop: PathHop): string {
  const trust = hop.fact(Field.contextTrust);
  const isFromOutside = trust === 'untrusted' || trust === 'restarted';
  if (hop.hasParentId && !isFromOutside) return UNKNOWN_CALLER;
  if (hop.exposure === undefined) return isFromOutside ? EXTERNAL_CLIENT : UNKNOWN_CALLER;
  return hop.exposure === 'internal' ? INTERNAL_CLIENT : EXTERNAL_CLIENT;
}

/** The operation on whose behalf a span ran; undefined when its service was not entered by a call. */
function operationOf(hops: readonly PathHop[], hop: PathHop): string | undefined {
  return hops[hop.localRoot]!.operationId;
}

function toOperation(hop: PathHop): OperationFact {
  const key = hop.operationKey!;
  return {
    id: hop.operationId!,
    service: hop.service,
    style: key.style,
    method: key.method,
    route: key.route,
    error: isError(hop),
    eventUs: hop.eventUs,
    facets: facetsOf(hop),
  };
}

function facetsOf(hop: PathHop): OperationFact['facets'] {
  const facets: { facet: string; value: string; records: number }[] = [];
  const add = (facet: string, value: unknown): void => {
    if (typeof value === 'string' && value !== '') facets.push({ facet, value, records: 0 });
  };
  add('exposure', hop.exposure);
  add('authn', hop.fact(Field.authScheme));
  add('verified', hop.fact(Field.authVerified));
  add('version', hop.resource.version);
  add('caller', hop.caller);
  for (const { direction, type, records } of hop.data) {
    if (direction !== 'egress') facets.push({ facet: `${direction}-type`, value: type, records });
  }
  return facets;
}

function typesOf(hop: PathHop, direction: 'response' | 'egress'): EdgeFact['dataTypes'] {
  if (hop.data.length === 0) return [];
  return hop.data.filter((seen) => seen.direction === direction).map(({ type, records }) => ({ type, records }));
}

function joined(system: string, name: string | undefined): string {
  return name === undefined ? system : `${system}:${name}`;
}

function clip(name: string): string {
  return name.length <= NODE_CHARS_MAX ? name : name.slice(0, NODE_CHARS_MAX);
}
