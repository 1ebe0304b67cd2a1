import { DERIVED_FIELD_COUNT, fieldId } from '@spanwarden/rules';
import { KIND_CLIENT, KIND_CONSUMER, KIND_PRODUCER } from '../base/batch.ts';
import type { PseudonymDomain } from '../base/pseudonym.ts';
import type { Category } from './findings.ts';
import { headerName } from './semconv-versions.ts';
import { categoryOfName } from './sensitive-names.ts';

/** What must be done with the values of an attribute before they may be stored. */
export type Action =
  /** Free text: secrets and personal data inside become marks. */
  | { readonly do: 'scrub' }
  /** As scrub, but dotted numbers are versions and not addresses. */
  | { readonly do: 'scrub-version' }
  /** Never stored; counted under the category. */
  | { readonly do: 'drop'; readonly category: Category }
  /** Computed by the collector itself: a copy on the wire is a claim and is discarded. */
  | { readonly do: 'discard' }
  /** The name says that every value is of this category. */
  | { readonly do: 'mask'; readonly category: Category }
  /** Replaced by a keyed pseudonym; without a key only presence is recorded. `trusted` keeps what already is one. */
  | { readonly do: 'pseudonym'; readonly domain: PseudonymDomain; readonly trusted: boolean }
  /** Classified, then dropped. */
  | { readonly do: 'body'; readonly direction: 'request' | 'response' | '' }
  | { readonly do: 'credential-header'; readonly authorization: boolean }
  /** Host name or address of a server: stays exact, a port goes to `port`. */
  | { readonly do: 'server-address' }
  /** Address of whoever connected: personal data. `peer`: the socket's, else what a proxy said. */
  | { readonly do: 'client-address'; readonly peer: boolean }
  | { readonly do: 'url'; readonly part: 'full' | 'target' | 'path' | 'query' }
  | { readonly do: 'query-text' }
  | { readonly do: 'graphql' }
  /** Rewritten by a table or a rule of semconv-versions.ts. */
  | { readonly do: 'canonical'; readonly by: Canonical }
  /** Digits become a number. */
  | { readonly do: 'number' }
  /** A list of names, also when sent as one text. */
  | { readonly do: 'list' }
  /** Held back until the span is complete. */
  | { readonly do: 'hold' };

export type Canonical =
  | 'db-system'
  | 'transport'
  | 'protocol-version'
  | 'messaging-operation'
  | 'rpc-status'
  | 'method';

const SCRUB: Action = { do: 'scrub' };

const user: Action = { do: 'pseudonym', domain: 'user', trusted: false };
const exception: Action = { do: 'drop', category: 'exception_text' };
const args: Action = { do: 'drop', category: 'process_arguments' };
const literal: Action = { do: 'drop', category: 'query_literal' };
const serverAddress: Action = { do: 'server-address' };

/** By the name on the wire, before renaming. */
const BY_WIRE_NAME: ReadonlyMap<string, Action> = new Map<string, Action>([
  ...['user.id', 'usr.id', 'enduser.id', 'enduser.pseudo.id', 'user.email', 'usr.email', 'user.name', 'usr.name'].map(
    (name) => [name, user] as const,
  ),
  ['user.full_name', user],
  ['usr.session_id', { do: 'pseudonym', domain: 'session', trusted: false }],
  ['session_id', { do: 'pseudonym', domain: 'session', trusted: false }],
  ['http.target', { do: 'url', part: 'target' }],
  ...['exception.message', 'exception.stacktrace', 'error.message', 'error.stack', 'error.object', 'error.msg'].map(
    (name) => [name, exception] as const,
  ),
  ...['exception.escaped_message', 'stack', 'stacktrace', 'error.stack_trace'].map(
    (name) => [name, exception] as const,
  ),
  ['otel.status_description', { do: 'drop', category: 'status_message' }],
  ...['process.command_args', 'process.command_line', 'process.environment_variables', 'process.owner'].map(
    (name) => [name, args] as const,
  ),
  ['url.fragment', { do: 'drop', category: 'url_fragment' }],
  ['db.connection_string', { do: 'drop', category: 'secret' }],
  ['http.request.body', { do: 'body', direction: 'request' }],
  ['http.response.body', { do: 'body', direction: 'response' }],
  ...['gen_ai.system_instructions', 'gen_ai.input.messages', 'gen_ai.output.messages', 'gen_ai.tool.definitions'].map(
    (name) => [name, { do: 'body', direction: '' }] as const,
  ),
  ...['gen_ai.tool.call.arguments', 'gen_ai.tool.call.result', 'graphql.variables'].map(
    (name) => [name, { do: 'body', direction: '' }] as const,
  ),
  ['rpc.service', { do: 'hold' }],
]);

const BY_PREFIX: readonly (readonly [string, Action])[] = [
  ['baggage.', { do: 'drop', category: 'baggage' }],
  ['process.environment_variable.', args],
  ['db.query.parameter.', literal],
  ['db.operation.parameter.', literal],
  ['graphql.variables.', { do: 'body', direction: '' }],
  ['gen_ai.prompt.', { do: 'body', direction: '' }],
  ['gen_ai.completion.', { do: 'body', direction: '' }],
];

/** By the current name. */
const BY_NAME: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['url.full', { do: 'url', part: 'full' }],
  ['url.original', { do: 'url', part: 'full' }],
  ['url.path', { do: 'url', part: 'path' }],
  ['url.query', { do: 'url', part: 'query' }],
  ['server.address', serverAddress],
  ['network.local.address', serverAddress],
  ['host.ip', serverAddress],
  ['client.address', { do: 'client-address', peer: false }],
  ['network.peer.address', { do: 'client-address', peer: true }],
  ['user.hash', { do: 'pseudonym', domain: 'user', trusted: true }],
  ['session.id', { do: 'pseudonym', domain: 'session', trusted: true }],
  ['session.previous_id', { do: 'pseudonym', domain: 'session', trusted: true }],
  ['apisec.principal.prev_id', { do: 'pseudonym', domain: 'user', trusted: true }],
  ['apisec.principal.actor', { do: 'pseudonym', domain: 'user', trusted: true }],
  ['apisec.principal.tenant', { do: 'pseudonym', domain: 'tenant', trusted: true }],
  ['apisec.event_subject', { do: 'pseudonym', domain: 'login', trusted: true }],
  ['apisec.auth.token.id', { do: 'pseudonym', domain: 'token', trusted: true }],
  ['db.query.text', { do: 'query-text' }],
  ['graphql.document', { do: 'graphql' }],
  ['user_agent.original', { do: 'scrub-version' }],
  ['http.request.header.user-agent', { do: 'scrub-version' }],
  ['http.request.method', { do: 'canonical', by: 'method' }],
  ['db.system.name', { do: 'canonical', by: 'db-system' }],
  ['network.transport', { do: 'canonical', by: 'transport' }],
  ['network.protocol.version', { do: 'canonical', by: 'protocol-version' }],
  ['messaging.operation.type', { do: 'canonical', by: 'messaging-operation' }],
  ['rpc.status_code', { do: 'canonical', by: 'rpc-status' }],
  ...['http.response.status_code', 'server.port', 'client.port', 'network.peer.port', 'network.local.port'].map(
    (name) => [name, { do: 'number' }] as const,
  ),
  ...['http.request.body.size', 'http.response.body.size', 'db.response.returned_rows', 'code.line.number'].map(
    (name) => [name, { do: 'number' }] as const,
  ),
  ['user.roles', { do: 'list' }],
  ['apisec.principal.scopes', { do: 'list' }],
  ['apisec.object.ids', { do: 'list' }],
  ['apisec.request.params', { do: 'list' }],
  ['apisec.request.secret_in_url', { do: 'list' }],
  ['http.request.header.content-length', { do: 'list' }],
  ['http.response.header.content-length', { do: 'list' }],
]);

/** Headers whose value is a credential or a copy of one. */
const CREDENTIAL_HEADER =
  /^(?:proxy-)?authorization$|cookie|token|secret|password|passwd|api-?key|access-?key|credential|session|signature|^x-auth|^auth$|^x-amz-security|^x-goog-iam|jwt|assertion/;
const BODY_NAME = /(?:^|[._])(?:body|payload|body[._](?:content|text|data|raw)|request_body|response_body)$/;

function headerAction(header: string): Action {
  if (header === 'baggage' || header === 'tracestate') return { do: 'drop', category: 'baggage' };
  if (CREDENTIAL_HEADER.test(header)) return { do: 'credential-header', authorization: header === 'authorization' };
  const category = categoryOfName(header);
  return category === undefined ? SCRUB : { do: 'mask', category };
}

/**
 * What to do with an attribute: `wireName` as sent, `name` as it is called today, on a span of this kind.
 * Attributes that this package's own instrumentation sends are never masked for their name alone.
 */
export function actionOf(wireName: string, name: string, kind: number, onResource: boolean): Action {
  const field = fieldId(name);
  if (field !== undefined && field < DERIVED_FIELD_COUNT) {
    return onResource && name === 'service.name' ? SCRUB : { do: 'discard' };
  }
  const known = BY_WIRE_NAME.get(wireName) ?? BY_NAME.get(name);
  if (known !== undefined) return onCaller(known, kind);
  for (const [prefix, action] of BY_PREFIX) if (wireName.startsWith(prefix)) return action;
  if (/(?:^|[._])version$/.test(name)) return { do: 'scrub-version' };
  if (field !== undefined || name.startsWith('apisec.')) return SCRUB;
  const header = headerName(wireName);
  if (header !== undefined) return BY_NAME.get(name) ?? headerAction(header);
  if (BODY_NAME.test(name) && !name.endsWith('.size')) {
    return {
      do: 'body',
      direction: name.includes('response') ? 'response' : name.includes('request') ? 'request' : '',
    };
  }
  const category = categoryOfName(name);
  return category === undefined ? SCRUB : { do: 'mask', category };
}

/** The peer of a span that calls out is a server: its address names no person and decides about SSRF. */
function onCaller(action: Action, kind: number): Action {
  const calls = kind === KIND_CLIENT || kind === KIND_PRODUCER || kind === KIND_CONSUMER;
  return calls && action.do === 'client-address' && action.peer ? serverAddress : action;
}
