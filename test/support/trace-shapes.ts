import type { Attributes, SpanKindName } from './otlp-encode.ts';

/**
 * The little estate that synthetic traffic runs through: six services, four kinds of ordinary traces, and attacks that
 * differ from an ordinary trace in one fact. Every value that varies between traces is a placeholder of fixed length,
 * so that a pre-encoded trace can be filled in place.
 */

export const SERVICES = ['edge-gateway', 'accounts', 'trading', 'profiles', 'quotes', 'notifications'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Placeholders, each as long as what replaces it: 22 characters of base64url, or 8 digits. */
export const PLACEHOLDERS = {
  principal: '~principal~~~~~~~~~~~~',
  object: '~object~~~~~~~~~~~~~~~',
  session: '~session~~~~~~~~~~~~~~',
  number: '~number~',
} as const;
export type PlaceholderName = keyof typeof PLACEHOLDERS;

export interface ShapeSpan {
  readonly service: ServiceName;
  readonly kind: SpanKindName;
  readonly name: string;
  /** Position in the shape, -1 for the root. */
  readonly parent: number;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Attributes;
}

interface Node {
  readonly service: ServiceName;
  readonly kind: SpanKindName;
  readonly name: string;
  readonly ownUs: number;
  readonly attributes: Attributes;
  readonly children: readonly Node[];
}

const HOST_OF = (service: ServiceName): string => `${service}.prod.internal`;
const AGENT = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36';
const SIGNED = {
  'apisec.version': '1',
  'apisec.auth.scheme': 'bearer',
  'apisec.auth.verified': 'yes',
  'user.hash': PLACEHOLDERS.principal,
  'apisec.principal.type': 'user',
} as const;
const UNSIGNED = { 'apisec.version': '1', 'apisec.auth.scheme': 'none', 'apisec.auth.verified': 'no' } as const;

function server(service: ServiceName, method: string, route: string, extra: Attributes, children: Node[]): Node {
  return {
    service,
    kind: 'server',
    name: `${method} ${route}`,
    ownUs: 900,
    attributes: {
      'http.request.method': method,
      'http.route': route,
      'url.path': route.replace(/\{\w+\}/g, PLACEHOLDERS.number),
      'server.address': HOST_OF(service),
      'server.port': 8080,
      'http.response.status_code': 200,
      'network.protocol.version': '1.1',
      ...extra,
    },
    children,
  };
}

function call(from: ServiceName, to: ServiceName, method: string, path: string, target: Node): Node {
  return {
    service: from,
    kind: 'client',
    name: method,
    ownUs: 400,
    attributes: {
      'http.request.method': method,
      'url.full': `http://${HOST_OF(to)}:8080${path.replace(/\{\w+\}/g, PLACEHOLDERS.number)}`,
      'server.address': HOST_OF(to),
      'server.port': 8080,
      'network.peer.address': `10.12.${SERVICES.indexOf(to)}.17`,
      'network.protocol.version': '1.1',
      'http.response.status_code': 200,
      'apisec.version': '1',
    },
    children: [target],
  };
}

function query(service: ServiceName, verb: string, table: string, rows: number, columns: Attributes = {}): Node {
  return {
    service,
    kind: 'client',
    name: `${verb} ${table}`,
    ownUs: 700,
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': service,
      'db.collection.name': table,
      'db.operation.name': verb,
      'db.query.text': `${verb} * FROM ${table} WHERE tenant_id = $1 AND id = $2 ORDER BY updated_at DESC LIMIT 50`,
      'server.address': `${service}-db.prod.internal`,
      'server.port': 5432,
      'network.peer.address': '10.20.4.11',
      'db.response.returned_rows': rows,
      'apisec.version': '1',
      ...columns,
    },
    children: [],
  };
}

function step(service: ServiceName, name: string, extra: Attributes): Node {
  return {
    service,
    kind: 'internal',
    name,
    ownUs: 150,
    attributes: {
      'code.function.name': `${name.replace(/ /g, '_')}`,
      'code.file.path': `/srv/app/${service}/src/${name.replace(/ /g, '-')}.js`,
      ...SIGNED,
      ...extra,
    },
    children: [],
  };
}

const edge = (method: string, route: string, signature: Attributes, child: Node): Node =>
  server(
    'edge-gateway',
    method,
    route,
    {
      'user_agent.original': AGENT,
      'client.address': '203.0.113.0',
      'network.peer.address': '10.0.0.4',
      'apisec.edge': true,
      'apisec.tls': true,
      'apisec.client.public': true,
      'session.id': PLACEHOLDERS.session,
      ...signature,
    },
    [child],
  );

const OBJECT = {
  'apisec.object.type': 'account',
  'apisec.object.ids': [PLACEHOLDERS.object],
  'apisec.object.count': 1,
};
const answered = (records: number, personal: Attributes = {}): Attributes => ({
  'apisec.response.record_count': records,
  'apisec.response.classified': 'full',
  'apisec.response.content_type': 'application/json',
  ...personal,
});
const ALLOWED = { 'apisec.authz.decision': 'allow', 'apisec.authz.policy': 'owner_only', ...OBJECT };

function readAccount(signature: Attributes): Node {
  const personal = { 'apisec.response.data.email': 1, 'apisec.response.data.us_ssn': 1 };
  const profile = server('profiles', 'GET', '/profiles/{profileId}', { ...signature, ...answered(1, personal) }, [
    query('profiles', 'SELECT', 'profiles', 1, personal),
  ]);
  const account = server(
    'accounts',
    'GET',
    '/accounts/{accountId}',
    { ...signature, ...OBJECT, ...answered(1, personal) },
    [
      ...('user.hash' in signature ? [step('accounts', 'check access', ALLOWED)] : []),
      query('accounts', 'SELECT', 'accounts', 1),
      call('accounts', 'profiles', 'GET', '/profiles/{profileId}', profile),
    ],
  );
  const target = call('edge-gateway', 'accounts', 'GET', '/accounts/{accountId}', account);
  return edge('GET', '/api/accounts/{accountId}', { ...signature, ...answered(1, personal) }, target);
}

function placeOrder(authorized: boolean): Node {
  const authorize = server(
    'accounts',
    'POST',
    '/accounts/{accountId}/authorize',
    { ...SIGNED, ...ALLOWED, ...answered(1) },
    [query('accounts', 'SELECT', 'accounts', 1)],
  );
  const quote = server('quotes', 'GET', '/quotes/{symbol}', { ...SIGNED, ...answered(1) }, [
    query('quotes', 'SELECT', 'quotes', 1),
  ]);
  const notify = server('notifications', 'POST', '/messages', { ...SIGNED, ...answered(1) }, [
    query('notifications', 'INSERT', 'messages', 1),
  ]);
  const order = server('trading', 'POST', '/orders', { ...SIGNED, ...OBJECT, ...answered(1) }, [
    ...(authorized ? [call('trading', 'accounts', 'POST', '/accounts/{accountId}/authorize', authorize)] : []),
    call('trading', 'quotes', 'GET', '/quotes/{symbol}', quote),
    step('trading', 'execute trade', { 'apisec.effect': 'trade', ...OBJECT }),
    query('trading', 'INSERT', 'orders', 1),
    call('trading', 'notifications', 'POST', '/messages', notify),
  ]);
  return edge(
    'POST',
    '/api/orders',
    { ...SIGNED, ...answered(1) },
    call('edge-gateway', 'trading', 'POST', '/orders', order),
  );
}

function readQuote(): Node {
  const quote = server('quotes', 'GET', '/quotes/{symbol}', { ...SIGNED, ...answered(20) }, [
    step('quotes', 'load cache', {}),
    query('quotes', 'SELECT', 'quotes', 20),
    query('quotes', 'SELECT', 'symbols', 1),
  ]);
  const target = call('edge-gateway', 'quotes', 'GET', '/quotes/{symbol}', quote);
  return edge('GET', '/api/quotes/{symbol}', { ...SIGNED, ...answered(20) }, target);
}

function listOrders(): Node {
  const orders = server('trading', 'GET', '/orders', { ...SIGNED, ...answered(50) }, [
    step('trading', 'check access', ALLOWED),
    query('trading', 'SELECT', 'orders', 50),
    query('trading', 'SELECT', 'fills', 50),
  ]);
  return edge(
    'GET',
    '/api/orders',
    { ...SIGNED, ...answered(50) },
    call('edge-gateway', 'trading', 'GET', '/orders', orders),
  );
}

/** Depth first, parents before children; children run one after another inside their parent. */
function flatten(root: Node): readonly ShapeSpan[] {
  const spans: ShapeSpan[] = [];
  const visit = (node: Node, parent: number, startUs: number): number => {
    const index = spans.length;
    const { service, kind, name, attributes } = node;
    spans.push({ service, kind, name, parent, startUs, endUs: startUs, attributes });
    let at = startUs + node.ownUs / 2;
    for (const child of node.children) at = visit(child, index, at) + 40;
    const endUs = at + node.ownUs / 2;
    spans[index] = { service, kind, name, parent, startUs, endUs, attributes };
    return endUs;
  };
  visit(root, -1, 0);
  return spans;
}

/** Ordinary traces with their share of the traffic in percent; 9.5 spans a trace on average. */
export const BENIGN_SHAPES: readonly {
  readonly name: string;
  readonly percent: number;
  readonly spans: readonly ShapeSpan[];
}[] = [
  { name: 'read-account', percent: 36, spans: flatten(readAccount(SIGNED)) },
  { name: 'place-order', percent: 36, spans: flatten(placeOrder(true)) },
  { name: 'read-quote', percent: 14, spans: flatten(readQuote()) },
  { name: 'list-orders', percent: 14, spans: flatten(listOrders()) },
];

/** Attacks by the id of the shipped rule that names them. */
export const ATTACK_SHAPES = {
  'access/unauthorized-effect': flatten(placeOrder(false)),
  'exposure/unauthenticated-sensitive-read': flatten(readAccount(UNSIGNED)),
} as const satisfies Record<string, readonly ShapeSpan[]>;
export type AttackName = keyof typeof ATTACK_SHAPES;

/** What each service says about itself. */
export function resourceOf(service: ServiceName): Attributes {
  return {
    'service.name': service,
    'service.version': '4.7.1',
    'service.instance.id': `${service}-7d9f8b6c5-x2x4q`,
    'host.name': `node-${SERVICES.indexOf(service)}`,
    'deployment.environment.name': 'production',
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.version': '2.12.0',
    'apisec.version': '1',
    'apisec.signals': ['auth', 'authz', 'object', 'data', 'session', 'event'],
  };
}
