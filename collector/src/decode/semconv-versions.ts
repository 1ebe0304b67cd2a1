import { KIND_SERVER } from '../base/batch.ts';

/**
 * Former attribute names and what they are called today (OpenTelemetry semantic conventions 1.45 and the migration
 * guides for HTTP, database, RPC and messaging). `rank` orders several sources of one attribute: 0 is the name itself,
 * a lower rank wins, and from DERIVED_RANK on a value was concluded from another attribute, so that losing is no
 * conflict.
 */
export interface Renaming {
  readonly from: string;
  readonly to: string;
  /** Where a SERVER span means something else. */
  readonly toOnServer?: string;
  readonly rank: number;
}

export const DERIVED_RANK = 8;

/** [canonical name, former names best first]. */
const RENAMED: readonly (readonly [string, string])[] = [
  ['http.request.method', 'http.method'],
  ['http.response.status_code', 'http.status_code'],
  ['url.scheme', 'http.scheme'],
  ['user_agent.original', 'http.user_agent user_agent'],
  ['client.address', 'http.client_ip'],
  ['url.full', 'http.url'],
  ['http.target', 'http.target'],
  ['url.path', 'http.path'],
  ['network.protocol.name', 'net.protocol.name net.app.protocol.name'],
  ['network.protocol.version', 'net.protocol.version http.flavor net.app.protocol.version http.protocol'],
  ['network.transport', 'net.transport'],
  ['network.peer.address', 'net.sock.peer.addr net.peer.ip peer.ipv4 peer.ipv6 peer.address'],
  ['network.peer.port', 'net.sock.peer.port peer.port'],
  ['network.local.address', 'net.sock.host.addr net.host.ip'],
  ['network.local.port', 'net.sock.host.port'],
  ['server.port', 'net.host.port'],
  ['http.request.header.content-length', 'http.request_content_length'],
  ['http.response.header.content-length', 'http.response_content_length'],
  ['http.request.body.size', 'http.request_content_length_uncompressed'],
  ['http.response.body.size', 'http.response_content_length_uncompressed'],
  ['db.system.name', 'db.system db.type'],
  ['db.namespace', 'db.name db.cassandra.keyspace db.hbase.namespace db.redis.database_index db.instance'],
  ['db.query.text', 'db.statement'],
  ['db.operation.name', 'db.operation db.cosmosdb.operation_type'],
  [
    'db.collection.name',
    'db.sql.table db.mongodb.collection db.cassandra.table db.cosmosdb.container db.elasticsearch.path_parts.index',
  ],
  ['rpc.system.name', 'rpc.system'],
  ['rpc.status_code', 'rpc.response.status_code rpc.grpc.status_code rpc.connect_rpc.error_code grpc.status_code'],
  ['messaging.system.name', 'messaging.system'],
  ['messaging.operation.type', 'messaging.operation'],
  ['messaging.destination.name', 'messaging.destination message_bus.destination'],
  [
    'messaging.consumer.group.name',
    'messaging.kafka.consumer.group messaging.kafka.consumer_group messaging.consumer_group messaging.rocketmq.client_group messaging.eventhubs.consumer.group messaging.pulsar.subscription.name',
  ],
  ['user.hash', 'user.id usr.id enduser.id enduser.pseudo.id user.email usr.email user.name usr.name user.full_name'],
  ['user.roles', 'enduser.role usr.role'],
  ['apisec.principal.scopes', 'enduser.scope usr.scope'],
  ['session.id', 'usr.session_id session_id'],
  ['deployment.environment.name', 'deployment.environment'],
  ['graphql.document', 'graphql.source'],
  ['code.file.path', 'code.filepath'],
  ['code.line.number', 'code.lineno'],
  ['code.function.name', 'code.function'],
];

/** [on a SERVER span, on any other, former names best first]. */
const RENAMED_BY_KIND: readonly (readonly [string, string, string])[] = [
  ['client.address', 'server.address', 'net.peer.name peer.hostname'],
  ['client.port', 'server.port', 'net.peer.port'],
  ['server.address', 'server.address', 'http.server_name http.host net.host.name'],
  ['client.service.name', 'server.service.name', 'peer.service service.peer.name'],
];

function* renamings(): Iterable<Renaming> {
  for (const [to, names] of RENAMED) {
    for (const [i, from] of names.split(' ').entries()) yield { from, to, rank: i + 1 };
  }
  for (const [toOnServer, to, names] of RENAMED_BY_KIND) {
    // After the names that mean the same on every kind of span.
    for (const [i, from] of names.split(' ').entries()) yield { from, to, toOnServer, rank: i + 3 };
  }
}

const RENAMING = new Map([...renamings()].map((renaming) => [renaming.from, renaming]));

/** `http.request.header.x_foo` -> `http.request.header.x-foo`: header names have no underscores and no capitals. */
const HEADER_PREFIX =
  /^(?:http|rpc\.(?:grpc|connect_rpc)|rpc|messaging\.message)\.(?:request|response)?\.?(?:header|metadata)\./;

/** The header or metadata name at the end of an attribute name, undefined for other attributes. */
export function headerName(attribute: string): string | undefined {
  const prefix = HEADER_PREFIX.exec(attribute)?.[0];
  return prefix === undefined ? undefined : attribute.slice(prefix.length).toLowerCase().replaceAll('_', '-');
}

/** The current name of an attribute on a span of this kind, and how it ranks among several sources. */
export function canonicalName(name: string, kind: number): { readonly name: string; readonly rank: number } {
  const renaming = RENAMING.get(name);
  if (renaming !== undefined) {
    const to = kind === KIND_SERVER ? (renaming.toOnServer ?? renaming.to) : renaming.to;
    return { name: to, rank: renaming.rank };
  }
  const header = headerName(name);
  if (header === undefined) return { name, rank: 0 };
  const canonical = name.slice(0, name.length - header.length) + header;
  return { name: canonical, rank: canonical === name ? 0 : 1 };
}

const DB_SYSTEMS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    mssql: 'microsoft.sql_server',
    sqlserver: 'microsoft.sql_server',
    postgres: 'postgresql',
    mongo: 'mongodb',
    oracle: 'oracle.db',
    db2: 'ibm.db2',
    informix: 'ibm.informix',
    netezza: 'ibm.netezza',
    hanadb: 'sap.hana',
    maxdb: 'sap.maxdb',
    cosmosdb: 'azure.cosmosdb',
    dynamodb: 'aws.dynamodb',
    redshift: 'aws.redshift',
    spanner: 'gcp.spanner',
    adabas: 'softwareag.adabas',
    cache: 'intersystems_cache',
    firebird: 'firebirdsql',
  }),
);

export function canonicalDbSystem(value: string): string {
  const lower = value.toLowerCase();
  return DB_SYSTEMS.get(lower) ?? lower;
}

export function canonicalTransport(value: string): string {
  return value.startsWith('ip_') ? value.slice(3) : value.toLowerCase();
}

/** `HTTP/1.1` -> `1.1`, `2.0` -> `2`. */
export function canonicalProtocolVersion(value: string): string {
  const bare = value.replace(/^HTTP\//i, '');
  return bare === '2.0' ? '2' : bare === '3.0' ? '3' : bare;
}

const MESSAGING_OPERATIONS: ReadonlyMap<string, string> = new Map([
  ['publish', 'send'],
  ['deliver', 'process'],
]);

export function canonicalMessagingOperation(value: string): string {
  return MESSAGING_OPERATIONS.get(value) ?? value;
}

/** gRPC status codes by number (grpc.io, "Status codes and their use"). */
const GRPC_STATUS =
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'.split(
    ' ',
  );

/** A status by its gRPC name, whether sent as number, digits or in lower case (Connect). */
export function canonicalRpcStatus(value: string): string {
  if (/^\d{1,2}$/.test(value)) return GRPC_STATUS[Number(value)] ?? value;
  const upper = value.toUpperCase();
  return GRPC_STATUS.includes(upper) ? upper : upper === 'CANCELED' ? 'CANCELLED' : value;
}
