import { FIELD_NAMES } from '@spanwarden/rules';
import { describe, expect, it } from 'vitest';
import { KIND_CLIENT, KIND_SERVER, stored, testSettings } from './testing/otlp.ts';

const KIND_CONSUMER = 5;

describe('old attribute names become current ones', () => {
  it.each([
    [{ 'http.method': 'GET' }, { 'http.request.method': 'GET' }],
    [{ 'http.status_code': 404 }, { 'http.response.status_code': 404 }],
    [{ 'http.status_code': '404' }, { 'http.response.status_code': 404 }],
    [{ 'http.scheme': 'https' }, { 'url.scheme': 'https' }],
    [{ 'http.user_agent': 'curl/8.0.1.2' }, { 'user_agent.original': 'curl/8.0.1.2' }],
    [{ 'http.client_ip': '198.51.100.77' }, { 'client.address': '198.51.100.0/24' }],
    [
      { 'http.url': 'https://shop.example:8443/a/b?limit=1&sort=x#top' },
      {
        'url.full': 'https://shop.example:8443/a/b?limit&sort',
        'url.scheme': 'https',
        'server.address': 'shop.example',
        'server.port': 8443,
        'url.path': '/a/b',
        'url.query': 'limit&sort',
        'apisec.request.params': ['limit', 'sort'],
      },
    ],
    [
      { 'http.target': '/a/b?limit=1' },
      { 'url.path': '/a/b', 'url.query': 'limit', 'apisec.request.params': ['limit'] },
    ],
    [{ 'http.target': '/plain' }, { 'url.path': '/plain' }],
    [{ 'http.host': 'shop.example:8080' }, { 'server.address': 'shop.example', 'server.port': 8080 }],
    [{ 'http.server_name': 'shop.example' }, { 'server.address': 'shop.example' }],
    [
      { 'net.host.name': 'shop.example', 'net.host.port': 80 },
      { 'server.address': 'shop.example', 'server.port': 80 },
    ],
    [{ 'net.sock.peer.port': 5 }, { 'network.peer.port': 5 }],
    [{ 'http.flavor': '2.0' }, { 'network.protocol.version': '2' }],
    [{ 'http.flavor': '1.1' }, { 'network.protocol.version': '1.1' }],
    [
      { 'net.protocol.name': 'http', 'net.protocol.version': '1.1' },
      { 'network.protocol.name': 'http', 'network.protocol.version': '1.1' },
    ],
    [{ 'net.transport': 'ip_tcp' }, { 'network.transport': 'tcp' }],
    [{ 'http.response_content_length': 12 }, { 'http.response.header.content-length': ['12'] }],
    [{ 'http.request_content_length_uncompressed': 12 }, { 'http.request.body.size': 12 }],
    [
      { 'db.system': 'mssql', 'db.name': 'bank', 'db.operation': 'SELECT', 'db.sql.table': 'accounts' },
      {
        'db.system.name': 'microsoft.sql_server',
        'db.namespace': 'bank',
        'db.operation.name': 'SELECT',
        'db.collection.name': 'accounts',
      },
    ],
    [{ 'db.mongodb.collection': 'users' }, { 'db.collection.name': 'users' }],
    [{ 'db.cassandra.table': 'users' }, { 'db.collection.name': 'users' }],
    [
      { 'db.statement': 'SELECT a FROM accounts WHERE id = 7' },
      {
        'db.query.text': 'SELECT a FROM accounts WHERE id = ?',
        'db.operation.name': 'SELECT',
        'db.collection.name': 'accounts',
      },
    ],
    [
      { 'rpc.system': 'grpc', 'rpc.service': 'bank.Accounts', 'rpc.method': 'Get' },
      { 'rpc.system.name': 'grpc', 'rpc.method': 'bank.Accounts/Get' },
    ],
    [{ 'rpc.method': 'bank.Accounts/Get', 'rpc.service': 'bank.Accounts' }, { 'rpc.method': 'bank.Accounts/Get' }],
    [{ 'rpc.service': 'bank.Accounts' }, { 'rpc.service': 'bank.Accounts' }],
    [{ 'rpc.grpc.status_code': 7 }, { 'rpc.status_code': 'PERMISSION_DENIED' }],
    [{ 'rpc.response.status_code': 'OK' }, { 'rpc.status_code': 'OK' }],
    [
      { 'messaging.system': 'kafka', 'messaging.operation': 'publish' },
      { 'messaging.system.name': 'kafka', 'messaging.operation.type': 'send' },
    ],
    [{ 'messaging.kafka.consumer.group': 'g' }, { 'messaging.consumer.group.name': 'g' }],
    [{ 'messaging.destination': 'orders' }, { 'messaging.destination.name': 'orders' }],
    [{ 'enduser.role': 'admin, auditor' }, { 'user.roles': ['admin', 'auditor'] }],
    [{ 'enduser.scope': 'read:a write:b' }, { 'apisec.principal.scopes': ['read:a', 'write:b'] }],
    [{ 'deployment.environment': 'prod' }, { 'deployment.environment.name': 'prod' }],
    [
      { 'code.filepath': '/src/a.ts', 'code.lineno': 7 },
      { 'code.file.path': '/src/a.ts', 'code.line.number': 7 },
    ],
    [{ 'graphql.source': '{ user(id: "7") { name } }' }, { 'graphql.document': '{ user(id: ?) { name } }' }],
    [{ 'http.request.header.x_request_kind': ['a'] }, { 'http.request.header.x-request-kind': ['a'] }],
  ] as const)('%j', (sent, expected) => {
    expect(stored(sent, KIND_SERVER)).toEqual(expected);
  });

  it('of the peer mean the server on a client span and the client on a server span', () => {
    const sent = { 'net.peer.name': 'db.internal', 'net.peer.port': 5432, 'peer.service': 'db' };
    expect(stored(sent, KIND_CLIENT)).toEqual({
      'server.address': 'db.internal',
      'server.port': 5432,
      'server.service.name': 'db',
    });
    expect(stored(sent, KIND_SERVER)).toEqual({
      'client.address': 'db.internal',
      'client.port': 5432,
      'client.service.name': 'db',
    });
    expect(stored({ 'service.peer.name': 'q' }, KIND_CONSUMER)).toEqual({ 'server.service.name': 'q' });
  });
});

describe('when old and new names meet', () => {
  it.each([['old first'], ['new first']])('the new name wins, %s, and a difference is counted', (order) => {
    const settings = testSettings();
    const pair: [string, string][] = [
      ['http.method', 'PUT'],
      ['http.request.method', 'POST'],
    ];
    const sent = Object.fromEntries(order === 'old first' ? pair : pair.reverse());
    expect(stored(sent, KIND_SERVER, settings)).toEqual({ 'http.request.method': 'POST' });
    expect(settings.counters.value('attribute_conflicts_total')).toBe(1);
    expect(settings.counters.value('attribute_duplicates_total')).toBe(0);
  });

  it('and agree, nothing is counted', () => {
    const settings = testSettings();
    stored(
      { 'http.method': 'GET', 'http.request.method': 'GET', 'db.system': 'postgresql', 'db.system.name': 'postgresql' },
      KIND_SERVER,
      settings,
    );
    expect(settings.counters.value('attribute_conflicts_total')).toBe(0);
  });

  it('what is said outright wins over what a URL or statement implies, without being a conflict', () => {
    const settings = testSettings();
    const sent = {
      'url.full': 'https://implied.example/x?b=1',
      'server.address': 'said.example',
      'url.path': '/y',
      'db.query.text': 'SELECT 1 FROM a',
      'db.operation.name': 'BATCH',
    };
    expect(stored(sent, KIND_CLIENT, settings)).toMatchObject({
      'server.address': 'said.example',
      'url.path': '/y',
      'db.operation.name': 'BATCH',
    });
    expect(settings.counters.value('attribute_conflicts_total')).toBe(0);
  });
});

describe('fields that the collector computes', () => {
  const derived = FIELD_NAMES.slice(0, FIELD_NAMES.indexOf('apisec.version'));

  it.each(derived)('a copy of %s on the wire is discarded', (name) => {
    expect(stored({ [name]: 'forged', [`${name}.other`]: 'kept' })).toEqual({ [`${name}.other`]: 'kept' });
    expect(stored({ [name]: 7 })).toEqual({});
    expect(stored({ [name]: true })).toEqual({});
    expect(stored({ [name]: ['forged'] })).toEqual({});
  });
});

it('data-type counts of the instrumentation keep their names', () => {
  const sent = {
    'apisec.response.data.email': 200,
    'apisec.request.data.payment_card': 1,
    'apisec.egress.data.iban': 2,
  };
  expect(stored(sent)).toEqual(sent);
});
