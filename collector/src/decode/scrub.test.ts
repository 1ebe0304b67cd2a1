import { describe, expect, it } from 'vitest';
import { createPseudonym } from '../base/pseudonym.ts';
import { Secret } from '../base/secret.ts';
import { createDecoder } from './decoder.ts';
import {
  allTexts,
  attributes,
  decodeJson,
  decodeProtobuf,
  KIND_CLIENT,
  KIND_SERVER,
  RECEIVED_US,
  requestOf,
  seen,
  stored,
  testSettings,
  testSpan,
  toJson,
  toProtobuf,
} from './testing/otlp.ts';

const pseudonym = createPseudonym(new Secret('0123456789abcdef0123456789abcdef'));

/** Values that must never be stored, each unmistakable. */
const CANARIES = {
  email: 'jane.canary@example.com',
  phone: '+14155550132',
  usPhone: '(415) 555-0132',
  card: '4111111111111111',
  groupedCard: '5555 5555 5555 4444',
  iban: 'DE89370400440532013000',
  groupedIban: 'GB82 WEST 1234 5698 7654 32',
  ssn: '536-90-4399',
  jwt: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ',
  awsKey: 'AKIAIOSFODNN7CANARYA',
  githubToken: 'ghp_cAnArY0123456789cAnArY0123456789abcd',
  slackToken: 'xoxb-123456789012-cAnArYcAnArY',
  stripeKey: 'sk_live_cAnArY0123456789abcd',
  googleKey: 'AIzaSyCanary0123456789_Canary0123456789',
  pem: '-----BEGIN PRIVATE KEY-----\nY2FuYXJ5Y2FuYXJ5Y2FuYXJ5\n-----END PRIVATE KEY-----',
  address: '93.184.216.34',
  address6: '2606:2800:220:1:248:1893:25c8:1946',
} as const;

/** What would still give a canary away: any long piece of it. */
function pieces(canary: string): string[] {
  return [canary, canary.slice(0, Math.ceil(canary.length * 0.7)), canary.slice(Math.floor(canary.length * 0.3))];
}

function expectAbsent(texts: readonly string[], canary: string): void {
  for (const piece of pieces(canary)) {
    expect(texts.filter((text) => text.includes(piece) || text.includes(encodeURIComponent(piece)))).toEqual([]);
  }
}

describe.each(Object.entries(CANARIES))('a planted %s', (_, canary) => {
  const places: readonly (readonly [string, (text: string) => ReturnType<typeof requestOf>])[] = [
    ['a value', (text) => requestOf([testSpan({ attributes: attributes({ note: text }) })])],
    [
      'the middle of a value',
      (text) => requestOf([testSpan({ attributes: attributes({ note: `before ${text}, after` }) })]),
    ],
    [
      'a value in JSON',
      (text) => requestOf([testSpan({ attributes: attributes({ note: JSON.stringify({ a: { b: text } }) }) })]),
    ],
    ['a list', (text) => requestOf([testSpan({ attributes: attributes({ note: ['x', text] }) })])],
    ['a map', (text) => requestOf([testSpan({ attributes: attributes({ note: { deep: { deeper: [text] } } }) })])],
    ['an attribute name', (text) => requestOf([testSpan({ attributes: attributes({ [`visits of ${text}`]: 1 }) })])],
    ['a key of a map', (text) => requestOf([testSpan({ attributes: attributes({ note: { [text]: 1 } }) })])],
    ['the span name', (text) => requestOf([testSpan({ name: `load ${text}` })])],
    ['the status message', (text) => requestOf([testSpan({ status: { code: 2, message: text } })])],
    ['the resource', (text) => requestOf([testSpan({})], { 'service.name': 'shop', note: text, [`n ${text}`]: 'x' })],
    ['the service name', (text) => requestOf([testSpan({})], { 'service.name': `shop of ${text}` })],
    [
      'an event',
      (text) => requestOf([testSpan({ events: [{ name: `saw ${text}`, attributes: attributes({ note: text }) }] })]),
    ],
    [
      'an exception',
      (text) =>
        requestOf([
          testSpan({
            events: [
              {
                name: 'exception',
                attributes: attributes({
                  'exception.type': 'Error',
                  'exception.message': text,
                  'exception.stacktrace': `at ${text}`,
                }),
              },
            ],
          }),
        ]),
    ],
    [
      'a link',
      (text) =>
        requestOf([
          testSpan({
            links: [{ traceId: '11'.repeat(16), spanId: '22'.repeat(8), attributes: attributes({ note: text }) }],
          }),
        ]),
    ],
    ['the trace state', (text) => requestOf([testSpan({ traceState: `vendor=${text}` })])],
    [
      'a query string',
      (text) => requestOf([testSpan({ attributes: attributes({ 'url.query': `q=${encodeURIComponent(text)}` }) })]),
    ],
    [
      'a URL query',
      (text) =>
        requestOf([
          testSpan({ attributes: attributes({ 'http.url': `https://a.example/p?q=${encodeURIComponent(text)}` }) }),
        ]),
    ],
    [
      'a URL path',
      (text) => requestOf([testSpan({ attributes: attributes({ 'url.path': `/p/${encodeURIComponent(text)}/x` }) })]),
    ],
    [
      'a URL fragment',
      (text) =>
        requestOf([
          testSpan({ attributes: attributes({ 'url.full': `https://a.example/p#x=${encodeURIComponent(text)}` }) }),
        ]),
    ],
    [
      'a URL password',
      (text) =>
        requestOf([
          testSpan({ attributes: attributes({ 'url.full': `https://u:${encodeURIComponent(text)}@a.example/p` }) }),
        ]),
    ],
    [
      'an SQL literal',
      (text) =>
        requestOf([testSpan({ attributes: attributes({ 'db.statement': `SELECT a FROM t WHERE b = '${text}'` }) })]),
    ],
    [
      'a cut-off SQL literal',
      (text) => requestOf([testSpan({ attributes: attributes({ 'db.statement': `INSERT INTO t VALUES ('${text}` }) })]),
    ],
    [
      'a MongoDB filter',
      (text) =>
        requestOf([
          testSpan({
            attributes: attributes({ 'db.query.text': JSON.stringify({ find: 'users', filter: { a: text } }) }),
          }),
        ]),
    ],
    [
      'a Redis command',
      (text) => requestOf([testSpan({ attributes: attributes({ 'db.statement': `SET session ${text}` }) })]),
    ],
    [
      'a GraphQL literal',
      (text) =>
        requestOf([
          testSpan({ attributes: attributes({ 'graphql.document': `{ user(a: ${JSON.stringify(text)}) { id } }` }) }),
        ]),
    ],
    [
      'a request body',
      (text) => requestOf([testSpan({ attributes: attributes({ 'http.request.body.content': `{"a":"${text}"}` }) })]),
    ],
    [
      'a credential header',
      (text) => requestOf([testSpan({ attributes: attributes({ 'http.request.header.x_api_key': [text] }) })]),
    ],
    [
      'the authorization header',
      (text) =>
        requestOf([testSpan({ attributes: attributes({ 'http.request.header.authorization': [`Bearer ${text}`] }) })]),
    ],
    [
      'a cookie',
      (text) => requestOf([testSpan({ attributes: attributes({ 'http.request.header.cookie': [`a=${text}`] }) })]),
    ],
    [
      'another header',
      (text) => requestOf([testSpan({ attributes: attributes({ 'http.request.header.x_note': [text] }) })]),
    ],
    ['baggage', (text) => requestOf([testSpan({ attributes: attributes({ 'baggage.note': text }) })])],
    [
      'process arguments',
      (text) => requestOf([testSpan({})], { 'process.command_args': ['--x', text], 'process.command_line': text }),
    ],
    [
      'a query parameter of a statement',
      (text) => requestOf([testSpan({ attributes: attributes({ 'db.query.parameter.0': text }) })]),
    ],
  ];

  it.each(places)('in %s is not stored, from protobuf or JSON', (__, plant) => {
    const request = plant(canary);
    expectAbsent(allTexts(decodeProtobuf(toProtobuf(request)).batch), canary);
    expectAbsent(allTexts(decodeJson(toJson(request)).batch), canary);
  });
});

it('without scrubbing the search would find what was planted (control)', () => {
  expect(() => expectAbsent([`x ${CANARIES.email}`], CANARIES.email)).toThrow();
  expect(stored({ note: 'plain canary' })).toEqual({ note: 'plain canary' });
});

describe('what stays of a masked value', () => {
  it.each([
    ['mail to jane@example.com now', 'mail to {email} now'],
    ['card 4111 1111 1111 1111.', 'card {card}.'],
    ['pay DE89 3704 0044 0532 0130 00 today', 'pay {iban} today'],
    ['ssn 536-90-4399', 'ssn {ssn}'],
    ['call +49 30 901820 please', 'call {phone} please'],
    ['from 93.184.216.34 to 10.0.0.7', 'from {ip} to 10.0.0.7'],
    ['password=hunter2 user=x', 'password={secret} user=x'],
    ['{"password":"hunter2","n":1}', '{"password":"{secret}","n":1}'],
    ['Authorization: Bearer abc123def456', 'Authorization: {secret} {secret}'],
    ['GET /a?token=x&b=2 done', 'GET /a?token&b done'],
    ['postgres://app:pw@db.internal/bank', 'postgres://db.internal/bank'],
  ])('%s -> %s', (sent, expected) => {
    expect(stored({ note: sent })).toEqual({ note: expected });
  });

  it('names that say what they hold lose the whole value', () => {
    const sent = {
      'customer.email': 'x',
      card_number: 'y',
      apiKey: 'z',
      'user.phone': 5551234567,
      birth_date: '1.1.70',
      'email.count': 3,
    };
    expect(stored(sent)).toEqual({
      'customer.email': '{email}',
      card_number: '{card}',
      apiKey: '{secret}',
      'user.phone': '{phone}',
      birth_date: '{birth_date}',
      'email.count': 3,
    });
  });

  it('counted and paged tokens are no secrets', () => {
    const sent = { 'gen_ai.usage.input_tokens': 812, next_page_token: 'abc', 'llm.token': 12, 'password.token': true };
    expect(stored(sent)).toEqual(sent);
  });

  it('an exception keeps its type', () => {
    const events = [
      { name: 'exception', attributes: attributes({ 'exception.type': 'TypeError', 'exception.message': 'no' }) },
    ];
    const [only] = seen(decodeProtobuf(toProtobuf(requestOf([testSpan({ events })]))).batch);
    expect(only!.events[0]!.attributes).toEqual({ 'exception.type': 'TypeError' });
  });

  it('a body is classified and dropped', () => {
    const body = JSON.stringify([{ mail: 'a@example.com' }, { mail: 'b@example.com', card: '4111111111111111' }]);
    expect(stored({ 'http.response.body.content': body })).toMatchObject({ 'apisec.response.data.payment_card': 1 });
    expect(
      stored({ 'http.request.body': body, 'apisec.request.data.payment_card': 9 })['apisec.request.data.payment_card'],
    ).toBe(9);
  });
});

describe('identities', () => {
  it('become keyed pseudonyms, the best source first', () => {
    const sent = { 'enduser.id': 'e-1', 'user.id': 'u-1', 'user.email': 'jane@example.com', 'session.id': 's-1' };
    expect(stored(sent)).toEqual({
      'user.hash': pseudonym('user', 'u-1'),
      'session.id': pseudonym('session', 's-1'),
      'apisec.principal.key_id': 'k1',
    });
    expect(stored({ 'user.id': 42 })['user.hash']).toBe(pseudonym('user', '42'));
  });

  it('without a key are dropped and only their presence is recorded', () => {
    const settings = testSettings({ pseudonym: undefined });
    const sent = {
      'user.id': 'u-1',
      'session.id': 's-1',
      'http.request.header.authorization': ['Bearer abcdefghijkl'],
    };
    expect(stored(sent, KIND_SERVER, settings)).toEqual({
      'apisec.principal.present': true,
      'apisec.session.present': true,
      'apisec.auth.scheme': 'bearer',
    });
  });

  it('that the instrumentation already hashed stay as they are', () => {
    const hash = 'QdH5CAWJgqVT4rOr0qtumf';
    const sent = { 'apisec.version': '1', 'user.hash': hash, 'session.id': hash };
    expect(stored(sent)).toMatchObject({ 'user.hash': hash, 'session.id': hash });
  });

  it('of a session that only looks hashed are hashed when the instrumentation did not send them', () => {
    const raw = 'aBcDeFgHiJkLmNoPqRsTuV';
    expect(stored({ 'session.id': raw })['session.id']).toBe(pseudonym('session', raw));
  });

  it('put raw into a hash attribute are hashed', () => {
    expect(stored({ 'user.hash': 'jane@example.com' })['user.hash']).toBe(pseudonym('user', 'jane@example.com'));
  });

  it('in an authorization header give a scheme and a token pseudonym', () => {
    expect(stored({ 'http.request.header.authorization': ['Basic dXNlcjpwYXNz'] })).toEqual({
      'apisec.auth.scheme': 'basic',
      'apisec.auth.token.id': pseudonym('token', 'dXNlcjpwYXNz'),
    });
  });
});

describe('sensitive data in a URL stays detectable', () => {
  it.each([
    [{ 'url.query': 'token=abc&limit=10' }, { 'url.query': 'token&limit', exposed: ['token'] }],
    [{ 'url.query': '?q=jane@example.com' }, { 'url.query': 'q', exposed: ['q'] }],
    [{ 'url.query': 'token=&limit=10' }, { 'url.query': 'token&limit', exposed: undefined }],
    [{ 'url.query': 'page_token=abc' }, { 'url.query': 'page_token', exposed: undefined }],
    [{ 'url.path': '/users/jane@example.com/cards' }, { 'url.path': '/users/{email}/cards', exposed: ['path:email'] }],
    [{ 'url.path': '/users/jane%40example.com' }, { 'url.path': '/users/{email}', exposed: ['path:email'] }],
    [{ 'url.path': '/pay/4111111111111111' }, { 'url.path': '/pay/{card}', exposed: ['path:payment_card'] }],
    [{ 'url.path': '/a;jsessionid=ABC123/b' }, { 'url.path': '/a;jsessionid/b', exposed: ['jsessionid'] }],
    [{ 'url.path': '/reset/aB3dE5gH7jK9mN1pQ3sT5' }, { 'url.path': '/reset/{secret}', exposed: ['path:secret'] }],
    [
      { 'http.target': '/x?api_key=1&ssn=2' },
      { 'url.path': '/x', 'url.query': 'api_key&ssn', exposed: ['api_key', 'ssn'] },
    ],
    [{ 'url.full': 'https://u:p@a.example/x' }, { 'url.full': 'https://a.example/x', exposed: ['userinfo'] }],
    [
      { 'url.full': 'https://a.example/x#access_token=abc' },
      { 'url.full': 'https://a.example/x', exposed: ['access_token'] },
    ],
    [{ 'url.path': '/x?password=1' }, { 'url.path': '/x', 'url.query': 'password', exposed: ['password'] }],
  ])('%j', (sent, { exposed, ...expected }) => {
    const found = stored(sent, KIND_CLIENT);
    expect(found).toMatchObject(expected);
    expect(found['apisec.request.secret_in_url']).toEqual(exposed);
  });

  it('from path and query together', () => {
    const sent = { 'url.path': '/u/jane@example.com', 'url.query': 'token=x' };
    expect(stored(sent)['apisec.request.secret_in_url']).toEqual(['path:email', 'token']);
  });

  it('and what the instrumentation says wins', () => {
    const sent = {
      'url.query': 'token=x',
      'apisec.request.secret_in_url': ['mine'],
      'apisec.request.params': ['theirs'],
    };
    expect(stored(sent)).toEqual({
      'url.query': 'token',
      'apisec.request.secret_in_url': ['mine'],
      'apisec.request.params': ['theirs'],
    });
  });
});

describe('addresses', () => {
  it('of clients are kept as a network and classed', () => {
    expect(stored({ 'network.peer.address': '::ffff:203.0.113.9' })).toEqual({
      'network.peer.address': '203.0.113.0/24',
      'apisec.client.public': true,
    });
    expect(stored({ 'network.peer.address': '10.1.2.3' })).toEqual({
      'network.peer.address': '10.1.2.0/24',
      'apisec.client.public': false,
    });
    expect(stored({ 'network.peer.address': '2606:2800:220:1:248:1893:25c8:1946' })['network.peer.address']).toBe(
      '2606:2800:220::/48',
    );
    expect(stored({ 'network.peer.address': '127.0.0.1' })['network.peer.address']).toBe('127.0.0.1');
  });

  it('that clients claim decide about "public" only when the instrumentation vouches for them', () => {
    const claimed = { 'client.address': '203.0.113.9', 'network.peer.address': '10.0.0.1' };
    expect(stored(claimed)['apisec.client.public']).toBe(false);
    expect(stored({ ...claimed, 'apisec.client.source': 'xff' })['apisec.client.public']).toBe(true);
    expect(stored({ 'client.address': '203.0.113.9' })['apisec.client.public']).toBeUndefined();
  });

  it.each(['169.254.169.254', '127.0.0.1', '10.0.0.5', 'metadata.google.internal', 'fd00:ec2::254', '93.184.216.34'])(
    'of servers stay exact: %s',
    (address) => {
      expect(stored({ 'server.address': address }, KIND_CLIENT)['server.address']).toBe(address);
      expect(stored({ 'network.peer.address': address }, KIND_CLIENT)['network.peer.address']).toBe(address);
      const host = address.includes(':') ? `[${address}]` : address;
      expect(stored({ 'url.full': `http://${host}/latest` }, KIND_CLIENT)['server.address']).toBe(address);
    },
  );

  it('can be kept whole or hashed instead', () => {
    const sent = { 'client.address': '203.0.113.9' };
    expect(stored(sent, KIND_SERVER, testSettings({ keepClientAddress: 'full' }))).toEqual(sent);
    const hashed = { 'client.address': pseudonym('ip', '203.0.113.9') };
    expect(stored(sent, KIND_SERVER, testSettings({ keepClientAddress: 'hash' }))).toEqual(hashed);
  });
});

it('counts what it saw and what it masked, by category', () => {
  const settings = testSettings({ keepClientAddress: 'full' });
  stored(
    { note: 'a@example.com b@example.com', 'client.address': '203.0.113.9', 'http.request.header.cookie': ['a=b'] },
    KIND_SERVER,
    settings,
  );
  const counts = Object.fromEntries(
    settings.counters
      .snapshot()
      .filter(([name]) => name.startsWith('redaction_'))
      .map(([name, label, value]) => [`${name} ${label}`, value]),
  );
  expect(counts).toEqual({
    'redaction_seen_total email': 2,
    'redaction_masked_total email': 2,
    'redaction_seen_total client_address': 1,
    'redaction_seen_total credential_header': 1,
    'redaction_masked_total credential_header': 1,
  });
});

it('a failing redaction loses the value, not the privacy', () => {
  const settings = testSettings({
    pseudonym: () => {
      throw new Error('key gone');
    },
  });
  expect(stored({ 'user.id': 'u-1', a: 'b' }, KIND_SERVER, settings)).toEqual({ a: 'b' });
  expect(settings.counters.value('redaction_failures_total')).toBe(1);
});

it('security attributes of a sender without that right are stripped', () => {
  const sent = { 'apisec.auth.verified': 'yes', 'user.hash': 'QdH5CAWJgqVT4rOr0qtumf', 'http.request.method': 'GET' };
  const bytes = toProtobuf(requestOf([testSpan({ attributes: attributes(sent) })]));
  const request = {
    bytes,
    encoding: 'protobuf',
    compression: 'none',
    bytesMax: 1e6,
    securityAttributes: 'stripped',
  } as const;
  const { batch } = createDecoder(testSettings()).decode(request, RECEIVED_US);
  expect(seen(batch)[0]!.attributes).toEqual({ 'http.request.method': 'GET' });
});
