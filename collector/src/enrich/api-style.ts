import { Field } from '@spanwarden/rules';
import type { ApiStyle } from '../base/outcome.ts';
import type { Enricher } from './draft.ts';
import type { PathHop } from './hop.ts';

const DECLARED: ReadonlyMap<string, ApiStyle> = new Map([
  ['rest', 'rest'],
  ['http', 'http'],
  ['graphql', 'graphql'],
  ['grpc', 'grpc'],
  ['soap', 'soap'],
  ['xml_rpc', 'xml-rpc'],
  ['xml-rpc', 'xml-rpc'],
  ['json_rpc', 'json-rpc'],
  ['json-rpc', 'json-rpc'],
]);

/**
 * Style of each served call: as declared, else by facts that are the same for every call of an operation (never by
 * what one answer happened to be), since the style is part of the operation's identity.
 */
export const apiStyle: Enricher = {
  name: 'API style',
  reads: ['serves', 'localRoot'],
  writes: ['apiStyle'],
  because: 'the style decides how the operation is named',
  run({ hops }) {
    for (const hop of hops) if (hop.serves) hop.style = styleOf(hop);
    // GraphQL servers say so on a span of their own below the HTTP span.
    for (const hop of hops) {
      if (hop.serves || hop.text(Field.graphqlOperationType) === undefined) continue;
      const root = hops[hop.localRoot]!;
      if (root.serves && root.fact(Field.apiStyle) === undefined) root.style = 'graphql';
    }
  },
};

function styleOf(hop: PathHop): ApiStyle {
  const declared = DECLARED.get(hop.text(Field.apiStyle) ?? '');
  if (declared !== undefined) return declared;
  if (hop.fact(Field.graphqlOperationType) !== undefined || hop.fact(Field.graphqlOperationName) !== undefined) {
    return 'graphql';
  }
  const system = hop.text(Field.rpcSystemName);
  if (system === 'jsonrpc' || system === 'json-rpc') return 'json-rpc';
  if (system !== undefined || hop.fact(Field.rpcMethod) !== undefined) return 'grpc';
  const route = hop.text(Field.httpRoute) ?? hop.text(Field.urlPath);
  if (route === undefined) return 'http';
  return styleOfRoute(route.toLowerCase(), hop.text(Field.responseContentType));
}

function styleOfRoute(route: string, contentType: string | undefined): ApiStyle {
  const end = route.endsWith('/') ? route.length - 1 : route.length;
  const last = route.slice(route.lastIndexOf('/', end - 1) + 1, end);
  if (last === 'graphql') return 'graphql';
  if (last === 'xmlrpc' || last === 'xmlrpc.php' || last === 'rpc2') return 'xml-rpc';
  if (last === 'jsonrpc' || last === 'json-rpc') return 'json-rpc';
  if (contentType?.startsWith('application/soap+xml') || last.endsWith('.asmx') || last === 'soap') return 'soap';
  return looksRest(route) ? 'rest' : 'http';
}

/** A resource tree: a parameter, an `api` segment or a version in the route. */
function looksRest(route: string): boolean {
  if (route.includes('{') || route.includes('/:') || route.includes('<')) return true;
  for (const segment of route.split('/')) {
    if (segment === 'api' || isVersion(segment)) return true;
  }
  return false;
}

/** `v1`, `v2`, `v10`. */
function isVersion(segment: string): boolean {
  if (segment.length < 2 || segment.length > 3 || segment.charCodeAt(0) !== 118) return false;
  for (let i = 1; i < segment.length; i++) {
    const code = segment.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}
