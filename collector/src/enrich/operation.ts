import { Field } from '@spanwarden/rules';
import { KIND_CLIENT, KIND_CONSUMER, KIND_PRODUCER } from '../base/batch.ts';
import type { Enricher, PathDraft } from './draft.ts';
import type { OperationKey, PathHop } from './hop.ts';
import { operationId } from './operation-id.ts';
import { toPathTemplate, toRouteTemplate } from './path-template.ts';

/** Calls that matched no route share one operation per method, so that probing cannot grow the inventory. */
export const UNMATCHED = '{unmatched}';

/** Answers that say that no route was found, when no route is given. */
const UNMATCHED_STATUS: ReadonlySet<number> = new Set([404, 405, 501]);
/** RFC 9110, RFC 5789, and QUERY; anything else is the client's invention. */
const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
]);
const OTHER_METHOD = '_OTHER';
const NAME_CHARS_MAX = 120;
const GRAPHQL_NAME = /^[A-Za-z_]\w{0,63}$/;

/**
 * Names what is called. For a served call: the route of the framework, else a template of the path, else the span name
 * (low in cardinality by convention); rpc and GraphQL by their own names. For a call that is made: the same by what the
 * client knows, or the database or queue operation.
 */
export const operation: Enricher = {
  name: 'operation',
  reads: ['serves', 'isNested', 'localRoot', 'apiStyle'],
  writes: ['operationKey', 'operationId', 'operation', 'endpoint'],
  because: 'needs the style; objects need the route',
  run(draft) {
    const inner = innerFacts(draft);
    for (const hop of draft.hops) {
      if (hop.serves) {
        const key = servedOperation(hop, inner.get(hop.localRoot));
        hop.operationKey = key;
        hop.operationId = operationId(hop.service, key);
        hop.operation = key.method === '' ? key.route : `${key.method} ${key.route}`;
        hop.endpoint = `${hop.service} ${hop.operation}`;
      } else if (hop.kind === KIND_CLIENT || hop.kind === KIND_PRODUCER || hop.kind === KIND_CONSUMER) {
        hop.operation = madeOperation(hop);
      }
    }
  },
};

/** What spans inside of a service know about the request that entered it; the first to say it counts. */
interface InnerFacts {
  route?: string;
  graphqlName?: string;
  graphqlType?: string;
}

function innerFacts({ hops }: PathDraft): ReadonlyMap<number, InnerFacts> {
  const inner = new Map<number, InnerFacts>();
  for (const hop of hops) {
    if (hop.serves && !hop.isNested) continue;
    const graphqlType = hop.text(Field.graphqlOperationType);
    const route = hop.isNested ? hop.text(Field.httpRoute) : undefined;
    if (graphqlType === undefined && route === undefined) continue;
    const facts = inner.get(hop.localRoot) ?? {};
    inner.set(hop.localRoot, facts);
    if (route !== undefined) facts.route ??= route;
    if (graphqlType !== undefined && facts.graphqlType === undefined) {
      facts.graphqlType = graphqlType;
      const name = hop.text(Field.graphqlOperationName);
      if (name !== undefined) facts.graphqlName = name;
    }
  }
  return inner;
}

function servedOperation(hop: PathHop, inner: InnerFacts | undefined): OperationKey {
  const style = hop.style ?? 'http';
  if (style === 'graphql') {
    const type = hop.text(Field.graphqlOperationType) ?? inner?.graphqlType ?? 'query';
    const name = hop.text(Field.graphqlOperationName) ?? inner?.graphqlName ?? '';
    // The client chooses both.
    const safeType = type === 'mutation' || type === 'subscription' ? type : 'query';
    return { style, method: '', route: `${safeType} ${GRAPHQL_NAME.test(name) ? name : '{anonymous}'}` };
  }
  const rpcMethod = hop.text(Field.rpcMethod);
  if (rpcMethod !== undefined) return { style, method: '', route: clip(rpcMethod) };
  const method = toMethod(hop.text(Field.httpRequestMethod));
  const route = routeOf(hop, inner);
  if (route !== undefined) return { style, method, route };
  return nameOperation(hop, style, method);
}

function routeOf(hop: PathHop, inner: InnerFacts | undefined): string | undefined {
  const given = hop.text(Field.httpRoute) ?? inner?.route;
  const route = given === undefined ? undefined : toRouteTemplate(given);
  if (route !== undefined) return route;
  const status = hop.number(Field.httpResponseStatusCode);
  if (status !== undefined && UNMATCHED_STATUS.has(status)) return UNMATCHED;
  const template = hop.text(Field.urlTemplate);
  if (template !== undefined) return toRouteTemplate(template) ?? '/';
  const path = hop.text(Field.urlPath);
  return path === undefined ? undefined : toPathTemplate(path);
}

/** `GET /users/{id}`, `/users/{id}` and plain names. */
function nameOperation(hop: PathHop, style: OperationKey['style'], method: string): OperationKey {
  const { name } = hop;
  const space = name.indexOf(' ');
  if (space > 0 && name.charCodeAt(space + 1) === 47 && METHODS.has(name.slice(0, space).toUpperCase())) {
    return { style, method: name.slice(0, space).toUpperCase(), route: nameRoute(name.slice(space + 1)) };
  }
  return { style, method, route: name.startsWith('/') ? nameRoute(name) : clip(name) };
}

function nameRoute(path: string): string {
  return toPathTemplate(toRouteTemplate(path) ?? '/*');
}

function madeOperation(hop: PathHop): string | undefined {
  const database = hop.text(Field.dbSystemName);
  if (database !== undefined) {
    return join(hop.text(Field.dbOperationName), hop.text(Field.dbCollectionName)) ?? database;
  }
  const rpcMethod = hop.text(Field.rpcMethod);
  if (rpcMethod !== undefined) return clip(rpcMethod);
  const method = hop.text(Field.httpRequestMethod);
  if (method !== undefined) return join(toMethod(method), calledRoute(hop));
  return join(hop.text(Field.messagingOperationType), hop.text(Field.messagingDestinationName));
}

function calledRoute(hop: PathHop): string | undefined {
  const template = hop.text(Field.urlTemplate);
  if (template !== undefined) return toRouteTemplate(template);
  const path = hop.text(Field.urlPath) ?? pathOf(hop.text(Field.urlFull));
  return path === undefined ? undefined : toPathTemplate(path);
}

function pathOf(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const authority = url.indexOf('://');
  const slash = url.indexOf('/', authority === -1 ? 0 : authority + 3);
  return slash === -1 ? '/' : url.slice(slash);
}

function join(first: string | undefined, second: string | undefined): string | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return `${first} ${second}`;
}

function toMethod(method: string | undefined): string {
  if (method === undefined) return '';
  if (METHODS.has(method)) return method;
  const upper = method.toUpperCase();
  return METHODS.has(upper) ? upper : OTHER_METHOD;
}

function clip(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : name.slice(0, NAME_CHARS_MAX);
}
