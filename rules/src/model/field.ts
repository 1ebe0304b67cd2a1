/**
 * Every field that the collector and the rules address by name, each with a small integer id.
 *
 * Spans carry attributes as (field id, value) pairs, so that neither enrichment nor a rule compares strings on the hot
 * path. Ids are positions in this list: valid inside one process only, never written to disk or wire.
 * Names: OpenTelemetry semantic conventions 1.45 where they exist, `apisec.*` otherwise.
 */
const NAMES = {
  // intrinsic: always known
  spanKind: 'span.kind',
  spanName: 'span.name',
  spanStatus: 'span.status',
  spanDepth: 'span.depth',
  spanChildCount: 'span.child_count',
  spanDurationMs: 'span.duration_ms',
  spanRoot: 'span.root',
  serviceName: 'service.name',
  // derived by enrich: copies on the wire are discarded
  entry: 'apisec.entry',
  exposure: 'apisec.exposure',
  endpoint: 'apisec.endpoint',
  operation: 'apisec.operation',
  outcome: 'apisec.outcome',
  callerService: 'apisec.caller.service',
  principalId: 'apisec.principal.id',
  identity: 'apisec.identity',
  requestDataTypes: 'apisec.request.data_types',
  requestDataClasses: 'apisec.request.data_classes',
  responseDataTypes: 'apisec.response.data_types',
  responseDataClasses: 'apisec.response.data_classes',
  egressDataTypes: 'apisec.egress.data_types',
  egressDataClasses: 'apisec.egress.data_classes',
  // from the wire
  apisecVersion: 'apisec.version',
  signals: 'apisec.signals',
  authScheme: 'apisec.auth.scheme',
  authVerified: 'apisec.auth.verified',
  authSource: 'apisec.auth.source',
  event: 'apisec.event',
  eventOutcome: 'apisec.event_outcome',
  eventSubject: 'apisec.event_subject',
  tokenId: 'apisec.auth.token.id',
  tokenAlg: 'apisec.auth.token.alg',
  tokenExpired: 'apisec.auth.token.expired',
  tokenTtlS: 'apisec.auth.token.ttl_s',
  userHash: 'user.hash',
  userRoles: 'user.roles',
  principalKeyId: 'apisec.principal.key_id',
  principalPrevId: 'apisec.principal.prev_id',
  principalType: 'apisec.principal.type',
  principalActor: 'apisec.principal.actor',
  principalTenant: 'apisec.principal.tenant',
  principalScopes: 'apisec.principal.scopes',
  sessionId: 'session.id',
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
  apiStyle: 'apisec.api.style',
  graphqlDepth: 'apisec.graphql.depth',
  graphqlFields: 'apisec.graphql.fields',
  graphqlAliases: 'apisec.graphql.aliases',
  graphqlIntrospection: 'apisec.graphql.introspection',
  egressThirdParty: 'apisec.egress.third_party',
  droppedSpans: 'apisec.dropped_spans',
  httpRequestMethod: 'http.request.method',
  httpResponseStatusCode: 'http.response.status_code',
  httpRoute: 'http.route',
  httpRequestBodySize: 'http.request.body.size',
  httpResponseBodySize: 'http.response.body.size',
  urlScheme: 'url.scheme',
  urlPath: 'url.path',
  urlQuery: 'url.query',
  urlFull: 'url.full',
  urlTemplate: 'url.template',
  userAgent: 'user_agent.original',
  clientAddress: 'client.address',
  clientPort: 'client.port',
  clientServiceName: 'client.service.name',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  serverServiceName: 'server.service.name',
  networkPeerAddress: 'network.peer.address',
  networkPeerPort: 'network.peer.port',
  networkProtocolName: 'network.protocol.name',
  networkProtocolVersion: 'network.protocol.version',
  networkTransport: 'network.transport',
  tlsProtocolVersion: 'tls.protocol.version',
  errorType: 'error.type',
  dbSystemName: 'db.system.name',
  dbNamespace: 'db.namespace',
  dbCollectionName: 'db.collection.name',
  dbOperationName: 'db.operation.name',
  dbQueryText: 'db.query.text',
  dbQuerySummary: 'db.query.summary',
  dbReturnedRows: 'db.response.returned_rows',
  rpcSystemName: 'rpc.system.name',
  rpcMethod: 'rpc.method',
  rpcStatusCode: 'rpc.status_code',
  messagingSystemName: 'messaging.system.name',
  messagingOperationType: 'messaging.operation.type',
  messagingDestinationName: 'messaging.destination.name',
  messagingConsumerGroupName: 'messaging.consumer.group.name',
  graphqlOperationName: 'graphql.operation.name',
  graphqlOperationType: 'graphql.operation.type',
  graphqlDocument: 'graphql.document',
  exceptionType: 'exception.type',
  codeFilePath: 'code.file.path',
  codeLineNumber: 'code.line.number',
  serviceVersion: 'service.version',
  deploymentEnvironmentName: 'deployment.environment.name',
} as const;

export type FieldKey = keyof typeof NAMES;

/** Field names, the id is the position. */
export const FIELD_NAMES: readonly string[] = Object.values(NAMES);

/** How many ids are taken; ids from here on belong to a batch's own table of further attribute names. */
export const FIELD_COUNT: number = FIELD_NAMES.length;

/** `Field.httpRoute` is the id of `http.route`. */
export const Field: Readonly<Record<FieldKey, number>> = Object.freeze(
  Object.fromEntries(Object.keys(NAMES).map((key, id) => [key, id])),
) as Readonly<Record<FieldKey, number>>;

/** Fields up to this id are computed by the collector; an attribute of that name on the wire is discarded. */
export const DERIVED_FIELD_COUNT: number = Field.egressDataClasses + 1;

const ids = new Map(FIELD_NAMES.map((name, id) => [name, id]));

/** The id of a field name, or undefined for an attribute that only carries its own name. */
export function fieldId(name: string): number | undefined {
  return ids.get(name);
}
