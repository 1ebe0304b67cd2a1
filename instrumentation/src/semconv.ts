/**
 * The attribute names that this package sets or reads, as constants.
 *
 * Ours begin with `apisec.`; the rest are OpenTelemetry semantic conventions 1.45, copied because most of them are still
 * in development there and may move. The collector's own list of names is the superset.
 */

/** The version of this attribute set; its presence on a span says that an absent attribute of an active group means "no". */
export const APISEC_VERSION = '1';

/** The instrumentation scope of the spans that this package starts. */
export const TRACER_NAME = '@spanwarden/instrumentation';

export const ATTR = {
  version: 'apisec.version',
  signals: 'apisec.signals',
  authScheme: 'apisec.auth.scheme',
  authVerified: 'apisec.auth.verified',
  authSource: 'apisec.auth.source',
  tokenId: 'apisec.auth.token.id',
  tokenAlg: 'apisec.auth.token.alg',
  tokenExpired: 'apisec.auth.token.expired',
  tokenTtlS: 'apisec.auth.token.ttl_s',
  event: 'apisec.event',
  eventOutcome: 'apisec.event_outcome',
  eventSubject: 'apisec.event_subject',
  userHash: 'user.hash',
  userRoles: 'user.roles',
  sessionId: 'session.id',
  principalKeyId: 'apisec.principal.key_id',
  principalPrevId: 'apisec.principal.prev_id',
  principalType: 'apisec.principal.type',
  principalActor: 'apisec.principal.actor',
  principalTenant: 'apisec.principal.tenant',
  principalScopes: 'apisec.principal.scopes',
  authzDecision: 'apisec.authz.decision',
  authzPolicy: 'apisec.authz.policy',
  authzOwnerMatch: 'apisec.authz.owner_match',
  objectType: 'apisec.object.type',
  objectIds: 'apisec.object.ids',
  objectCount: 'apisec.object.count',
  objectIdKind: 'apisec.object.id_kind',
  objectGap: 'apisec.object.gap',
  effect: 'apisec.effect',
  responseRecordCount: 'apisec.response.record_count',
  responseClassified: 'apisec.response.classified',
  responseFields: 'apisec.response.fields',
  responseSchemaHash: 'apisec.response.schema_hash',
  responseContentType: 'apisec.response.content_type',
  responseAborted: 'apisec.response.aborted',
  requestParams: 'apisec.request.params',
  requestPageSize: 'apisec.request.page_size',
  requestSecretInUrl: 'apisec.request.secret_in_url',
  edge: 'apisec.edge',
  contextTrust: 'apisec.context.trust',
  clientSource: 'apisec.client.source',
  clientPublic: 'apisec.client.public',
  clientHops: 'apisec.client.hops',
  tls: 'apisec.tls',
  tlsProtocolVersion: 'tls.protocol.version',
  apiStyle: 'apisec.api.style',
  egressThirdParty: 'apisec.egress.third_party',
  droppedSpans: 'apisec.dropped_spans',
  httpRequestBodySize: 'http.request.body.size',
  httpResponseBodySize: 'http.response.body.size',
  httpRequestMethod: 'http.request.method',
  httpRoute: 'http.route',
  httpStatusCode: 'http.response.status_code',
  urlFull: 'url.full',
  urlPath: 'url.path',
  urlQuery: 'url.query',
  urlScheme: 'url.scheme',
  userAgent: 'user_agent.original',
  clientAddress: 'client.address',
  networkPeerAddress: 'network.peer.address',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  dbSystemName: 'db.system.name',
  dbNamespace: 'db.namespace',
  dbCollectionName: 'db.collection.name',
  dbOperationName: 'db.operation.name',
  dbReturnedRows: 'db.response.returned_rows',
  errorType: 'error.type',
} as const;

/** Followed by a data type in snake case: `apisec.response.data.us_ssn` is how many records carried one. */
export const RESPONSE_DATA_PREFIX = 'apisec.response.data.';
export const REQUEST_DATA_PREFIX = 'apisec.request.data.';
export const EGRESS_DATA_PREFIX = 'apisec.egress.data.';

/** Groups a service may declare in the resource attribute `apisec.signals`. */
export const SIGNALS = ['auth', 'authz', 'object', 'data', 'session', 'event'] as const;
export type Signal = (typeof SIGNALS)[number];
