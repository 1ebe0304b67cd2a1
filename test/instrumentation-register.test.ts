import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type InstrumentedApp, startApp } from './support/instrumented-app.ts';
import { type OtlpRecorder, type RecordedSpan, startOtlpRecorder } from './support/otlp-recorder.ts';

const HASH_KEY = '0123456789abcdef0123456789abcdef';
const SERVER = 2;
const CLIENT = 3;
const INTERNAL = 1;

function pseudonym(...parts: string[]): string {
  return createHmac('sha256', HASH_KEY)
    .update(['v1', ...parts].join('|'))
    .digest()
    .subarray(0, 16)
    .toString('base64url');
}

/** A JWT in compact form; HS256 over the key that the applications know, unless a signature is given. */
function token(claims: object, options: { alg?: string; signature?: string } = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: options.alg ?? 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${options.signature ?? createHmac('sha256', 'k'.repeat(32)).update(body).digest('base64url')}`;
}

function environment(recorder: OtlpRecorder, more: Record<string, string> = {}): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: recorder.endpoint,
    OTEL_SERVICE_NAME: 'shop',
    OTEL_BSP_SCHEDULE_DELAY: '20',
    APISEC_HASH_KEY: HASH_KEY,
    APISEC_OBJECTS: 'account=/api/accounts/:id',
    APISEC_TRUSTED_PROXIES: '127.0.0.1/32,10.0.0.0/8',
    ...more,
  };
}

/** Every request of this file names itself, so that its spans can be found among those of the others. */
let traces = 0;
async function call(app: InstrumentedApp, path: string, init: RequestInit = {}, flags = '01') {
  const traceId = (++traces).toString(16).padStart(32, 'a');
  const traceparent = `00-${traceId}-00000000000000ff-${flags}`;
  const response = await fetch(app.url + path, { ...init, headers: { traceparent, ...init.headers } });
  return { traceId, status: response.status, body: await response.text() };
}

const serverSpan = (spans: readonly RecordedSpan[], traceId: string) =>
  spans.find((span) => span.traceId === traceId && span.kind === SERVER && span.parentSpanId === '00000000000000ff');

describe.each(['express-app.mjs', 'express-app.cjs'])('%s under --import', (name) => {
  let recorder: OtlpRecorder;
  let app: InstrumentedApp;

  beforeAll(async () => {
    recorder = await startOtlpRecorder();
    app = await startApp(name, environment(recorder, { APISEC_DEBUG: '1' }));
  });
  afterAll(async () => {
    await app.stop();
    recorder.close();
  });

  async function served(path: string, init: RequestInit = {}, flags = '01') {
    const { traceId, status, body } = await call(app, path, init, flags);
    const spans = await recorder.waitFor((arrived) => serverSpan(arrived, traceId) !== undefined);
    const own = spans.filter((span) => span.traceId === traceId);
    return {
      status,
      body,
      spans: own,
      server: serverSpan(own, traceId)!,
      attributes: serverSpan(own, traceId)!.attributes,
    };
  }

  test('says on one line what is active, and the resource says which signals are', async () => {
    const { server } = await served('/list');
    expect(app.stderr()).toMatch(/^@spanwarden\/instrumentation: hooks .*pseudonyms k1; edge false\n/);
    expect(server.resource).toMatchObject({ 'service.name': 'shop', 'host.name': expect.any(String) });
    expect(server.resource['apisec.signals']).toEqual(expect.arrayContaining(['auth', 'data', 'object', 'session']));
    expect(Object.keys(server.resource).filter((key) => key.startsWith('process.'))).toEqual([]);
  });

  test('counts the records of each response and the data types in them', async () => {
    const { attributes, server } = await served('/list');
    expect(server.name).toBe('GET /list');
    expect(attributes).toMatchObject({
      'apisec.version': '1',
      'http.route': '/list',
      'apisec.response.record_count': 100,
      'apisec.response.data.email': 100,
      'apisec.response.data.phone': 100,
      'apisec.response.data.us_ssn': 100,
      'apisec.response.data.payment_card': 100,
      'apisec.response.data.person_name': 100,
      'apisec.response.content_type': 'application/json',
    });
    expect(attributes['apisec.response.fields']).toContain('items[].email');
    expect(attributes['apisec.response.schema_hash']).toMatch(/^[0-9a-f]{12}$/);
    expect(attributes['http.response.body.size']).toBeGreaterThan(10_000);
  });

  test.each([
    ['/one', 1, 'full', 1],
    ['/empty', 0, 'full', undefined],
    ['/raw', 30, 'full', 30],
    ['/head', 3, 'full', 3],
    ['/csv', 2, 'full', 2],
    ['/big', 9000, 'skipped_size', undefined],
    ['/hostile', 1, 'sampled', undefined],
    ['/cyclic', 0, 'skipped_type', undefined],
  ])('%s has %i records (%s)', async (path, records, classified, emails) => {
    const { attributes } = await served(path);
    expect([
      attributes['apisec.response.record_count'],
      attributes['apisec.response.classified'],
      attributes['apisec.response.data.email'],
    ]).toEqual([records, classified, emails]);
  });

  test('tells a verified token from one that was only decoded, and a refused one from both', async () => {
    const good = token({ iss: 'https://idp', sub: 'u-1', scope: 'read:users' });
    const forged = token({ iss: 'https://idp', sub: 'u-1' }, { signature: 'AAAA' });
    const none = token({ iss: 'https://idp', sub: 'u-1' }, { alg: 'none', signature: '' });
    const verdict = async (path: string, bearer: string) => {
      const { attributes } = await served(path, { headers: { authorization: `Bearer ${bearer}` } });
      return [attributes['apisec.auth.verified'], attributes['apisec.auth.token.alg'], attributes['user.hash']];
    };
    const user = pseudonym('user', 'https://idp', 'u-1');
    expect(await verdict('/verified', good)).toEqual(['yes', 'HS256', user]);
    expect(await verdict('/verified', forged)).toEqual(['failed', 'HS256', user]);
    expect(await verdict('/decoded', none)).toEqual(['no', 'none', user]);
    expect(await verdict('/list', good)).toEqual(['no', 'HS256', user]);
  });

  test('knows nobody, a session user, and whom the application names', async () => {
    expect((await served('/list')).attributes).toMatchObject({
      'apisec.auth.scheme': 'none',
      'apisec.principal.type': 'anonymous',
      'apisec.auth.verified': 'no',
    });
    expect((await served('/session', { headers: { cookie: 'sid=abc' } })).attributes).toMatchObject({
      'apisec.auth.scheme': 'cookie',
      'apisec.auth.verified': 'yes',
      'user.hash': pseudonym('user', '', 'u-17'),
      'user.roles': ['admin'],
      'session.id': pseudonym('session', 'abc'),
    });
    expect((await served('/declared')).attributes).toMatchObject({
      'apisec.auth.verified': 'yes',
      'user.hash': pseudonym('user', 'https://idp.example', 'u-18'),
      'apisec.principal.tenant': pseudonym('tenant', 't-1'),
      'user.roles': ['support'],
      'apisec.principal.scopes': ['read:users'],
      'apisec.object.type': 'invoice',
      'apisec.object.count': 2,
    });
  });

  test('shows decision and effect as spans in the order in which they happened, and the decision on the request', async () => {
    const { spans, server, attributes } = await served('/api/accounts/42');
    const authz = spans.find((span) => span.name === 'authz owner_only')!;
    const effect = spans.find((span) => span.name === 'effect read')!;
    expect([authz.kind, authz.parentSpanId, effect.kind, effect.parentSpanId]).toEqual([
      INTERNAL,
      server.spanId,
      INTERNAL,
      server.spanId,
    ]);
    expect(authz.endUs).toBeLessThan(effect.startUs);
    expect(authz.attributes).toMatchObject({
      'apisec.authz.decision': 'allow',
      'apisec.authz.owner_match': true,
      'apisec.object.type': 'account',
      'apisec.object.ids': [pseudonym('object:account', '42')],
    });
    expect(effect.attributes).toMatchObject({
      'apisec.effect': 'read',
      'apisec.object.ids': [pseudonym('object:account', '42')],
    });
    expect(attributes).toMatchObject({
      'apisec.authz.decision': 'allow',
      'apisec.object.type': 'account',
      'apisec.object.id_kind': 'int',
      'url.path': '/api/accounts/{id}',
    });
    expect(attributes).not.toHaveProperty('apisec.effect');
    expect((await served('/api/accounts/43')).attributes['apisec.object.gap']).toBe('one');
  });

  test('ships no spans of the framework, and none that is not needed', async () => {
    const { spans } = await served('/one');
    expect(spans.map((span) => span.kind)).toEqual([SERVER]);
  });

  test('records authentication events with the attempted login as a pseudonym', async () => {
    const login = (password: string) =>
      served('/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'Jane', password }),
      });
    expect((await login('guess')).attributes).toMatchObject({
      'apisec.event': 'login',
      'apisec.event_outcome': 'failure',
      'apisec.event_subject': pseudonym('login', 'jane'),
      'apisec.request.data.password': 1,
    });
    expect((await login('open sesame')).attributes).toMatchObject({ 'apisec.event_outcome': 'success' });
  });

  test('follows a request outwards: where it goes, what its body carries, and not its URL', async () => {
    const { spans, server } = await served('/outgoing');
    const client = spans.find((span) => span.kind === CLIENT)!;
    expect(client.parentSpanId).toBe(server.spanId);
    expect(client.attributes).toMatchObject({
      'apisec.egress.third_party': false,
      'apisec.egress.data.email': 1,
      'apisec.request.params': ['customer', 'token'],
      'apisec.request.secret_in_url': ['token'],
    });
    expect(client.attributes['url.full']).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/echo$/);
    const inner = spans.find((span) => span.kind === SERVER && span.parentSpanId === client.spanId)!;
    expect(inner.attributes).toMatchObject({ 'apisec.request.data.email': 1 });
  });

  test('sees bodies that leave in pieces through node:http', async () => {
    const { spans, body } = await served('/outgoing-http');
    expect(JSON.parse(body)).toEqual({ status: 200 });
    expect(spans.find((span) => span.kind === CLIENT)?.attributes).toMatchObject({
      'apisec.egress.data.email': 2,
      'http.request.body.size': 62,
      'apisec.request.params': ['customer'],
    });
  });

  test('traces a store that nobody else instruments and leaves its results and errors alone', async () => {
    const { spans, body } = await served('/store');
    expect(JSON.parse(body)).toEqual({ count: 100 });
    expect(spans.find((span) => span.kind === CLIENT)).toMatchObject({
      name: 'SELECT customers',
      attributes: {
        'db.system.name': 'sqlite',
        'db.collection.name': 'customers',
        'db.response.returned_rows': 100,
        'apisec.response.data.email': 100,
      },
    });
    const failed = await served('/store-fails');
    expect(JSON.parse(failed.body)).toEqual({ same: true });
    expect(failed.spans.find((span) => span.kind === CLIENT)?.attributes['error.type']).toBe('TypeError');
  });

  test('cannot be evaded by an unsampled trace context, which is passed on as it came', async () => {
    const { spans, body } = await served('/chain', {}, '00');
    expect(spans.map((span) => span.kind).sort()).toEqual([SERVER, SERVER, CLIENT]);
    expect(spans.every((span) => (span.flags & 1) === 0)).toBe(true);
    expect(JSON.parse(body).traceparent).toMatch(new RegExp(`^00-${spans[0]!.traceId}-[0-9a-f]{16}-00$`));
  });

  test('believes forwarding headers from the right only', async () => {
    const { attributes } = await served('/one', {
      headers: { 'x-forwarded-for': '6.6.6.6, 198.51.100.7, 10.0.0.3', 'x-forwarded-host': 'evil.example' },
    });
    expect(attributes).toMatchObject({
      'client.address': '198.51.100.0/24',
      'apisec.client.source': 'xff',
      'apisec.client.hops': 2,
    });
    expect(JSON.stringify(attributes)).not.toContain('6.6.6.6');
  });
});

describe('an edge service', () => {
  test('starts a trace of its own and links to what the caller claimed', async () => {
    const recorder = await startOtlpRecorder();
    const app = await startApp(
      'express-app.mjs',
      environment(recorder, { APISEC_EDGE: 'true', APISEC_TRUSTED_PROXIES: '' }),
    );
    const { traceId, body } = await call(app, '/chain', {
      headers: { baggage: 'user.id=7', 'x-forwarded-for': '6.6.6.6' },
    });
    const isEntry = (span: RecordedSpan) => span.links.some((link) => link.traceId === traceId);
    const spans = await recorder.waitFor((arrived) => arrived.some(isEntry));
    const entry = spans.find(isEntry)!;
    expect([entry.kind, entry.parentSpanId, entry.traceId === traceId]).toEqual([SERVER, '', false]);
    expect(entry.links).toEqual([
      { traceId, spanId: '00000000000000ff', attributes: { 'apisec.context.trust': 'untrusted' } },
    ]);
    expect(entry.attributes).toMatchObject({
      'apisec.edge': true,
      'apisec.context.trust': 'restarted',
      'client.address': '127.0.0.0/24',
      'apisec.client.source': 'socket',
    });
    expect(JSON.parse(body).traceparent).toContain(entry.traceId);
    await app.stop();
    recorder.close();
  });
});

describe('without a key', () => {
  test('presence is reported and nothing that could be joined', async () => {
    const recorder = await startOtlpRecorder();
    const app = await startApp('express-app.mjs', environment(recorder, { APISEC_HASH_KEY: '' }));
    const { traceId } = await call(app, '/api/accounts/42', {
      headers: { authorization: `Bearer ${token({ iss: 'i', sub: 'u' })}`, cookie: 'sid=abc' },
    });
    const spans = await recorder.waitFor((arrived) => serverSpan(arrived, traceId) !== undefined);
    const { attributes } = serverSpan(spans, traceId)!;
    expect(attributes).toMatchObject({
      'apisec.auth.scheme': 'bearer',
      'apisec.principal.type': 'user',
      'apisec.object.count': 1,
    });
    for (const name of ['user.hash', 'session.id', 'apisec.auth.token.id', 'apisec.object.ids'])
      expect(attributes).not.toHaveProperty(name);
    await app.stop();
    recorder.close();
  });
});

describe('fastify under --import', () => {
  test('has routes, records, types and verified principals without any span of its own', async () => {
    const recorder = await startOtlpRecorder();
    const app = await startApp('fastify-app.mjs', environment(recorder));
    const list = await call(app, '/list');
    const account = await call(app, '/api/accounts/42');
    const verified = await call(app, '/verified', {
      headers: { authorization: `Bearer ${token({ iss: 'i', sub: 'u' })}` },
    });
    const refused = await call(app, '/verified', {
      headers: { authorization: `Bearer ${token({ iss: 'i', sub: 'u' }, { signature: 'AAAA' })}` },
    });
    await app.stop();
    const spans = recorder.spans();
    expect(serverSpan(spans, list.traceId)?.attributes).toMatchObject({
      'http.route': '/list',
      'apisec.response.record_count': 100,
      'apisec.response.data.email': 100,
    });
    expect(serverSpan(spans, account.traceId)).toMatchObject({
      name: 'GET /api/accounts/:id',
      attributes: { 'apisec.object.count': 1, 'url.path': '/api/accounts/{id}' },
    });
    expect(serverSpan(spans, verified.traceId)?.attributes).toMatchObject({
      'apisec.auth.verified': 'yes',
      'apisec.auth.source': 'jose',
    });
    expect(serverSpan(spans, refused.traceId)?.attributes).toMatchObject({ 'apisec.auth.verified': 'failed' });
    recorder.close();
  });
});

describe('the end of a process', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s sends what is left and still ends by the signal', async (signal) => {
    const recorder = await startOtlpRecorder();
    const app = await startApp('express-app.mjs', environment(recorder, { OTEL_BSP_SCHEDULE_DELAY: '60000' }));
    const { traceId } = await call(app, '/one');
    const ended = new Promise((resolve) => app.process.once('exit', (_code, by) => resolve(by)));
    app.process.kill(signal);
    expect(await ended).toBe(signal);
    expect(serverSpan(recorder.spans(), traceId)).toBeDefined();
    recorder.close();
  });

  test('is not held up by a collector that is not there', async () => {
    const app = await startApp('express-app.mjs', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    expect((await call(app, '/one')).status).toBe(200);
    await app.stop();
    expect(app.process.exitCode).toBe(0);
  }, 20_000);

  test.each([
    ['UNAVAILABLE', { code: status.UNAVAILABLE }],
    ['RESOURCE_EXHAUSTED with RetryInfo', { code: status.RESOURCE_EXHAUSTED, metadata: retryInfo() }],
  ])(
    'loses nothing when the collector answers %s for a while',
    async (_name, refusal) => {
      const recorder = await startOtlpRecorder();
      recorder.refuseNext(refusal);
      const app = await startApp('express-app.mjs', environment(recorder));
      const { traceId } = await call(app, '/one');
      await recorder.waitFor((arrived) => serverSpan(arrived, traceId) !== undefined, 15_000);
      await app.stop();
      recorder.close();
    },
    30_000,
  );

  test.each([
    ['INVALID_ARGUMENT', { code: status.INVALID_ARGUMENT }],
    ['RESOURCE_EXHAUSTED without RetryInfo', { code: status.RESOURCE_EXHAUSTED }],
  ])(
    'says how many spans %s cost, and does not send them again',
    async (_name, refusal) => {
      const recorder = await startOtlpRecorder();
      recorder.refuseNext(refusal);
      const app = await startApp('express-app.mjs', environment(recorder));
      const lost = await call(app, '/one');
      await recorder.refused();
      const { traceId } = await call(app, '/one');
      const spans = await recorder.waitFor((arrived) => serverSpan(arrived, traceId) !== undefined);
      await app.stop();
      expect(serverSpan(spans, traceId)?.attributes['apisec.dropped_spans']).toBe(1);
      expect(serverSpan(recorder.spans(), lost.traceId)).toBeUndefined();
      recorder.close();
    },
    30_000,
  );
});

/** A `google.rpc.Status` whose RetryInfo asks for 10 ms. */
function retryInfo(): Metadata {
  const message = (field: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
  const delay = Buffer.from([0x10, 0x80, 0xad, 0xe2, 0x04]);
  const any = [message(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')), message(2, message(1, delay))];
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.concat([Buffer.from([0x08, 8]), message(3, Buffer.concat(any))]));
  return metadata;
}

/** The whole answer as it stands on the wire, but for the date. */
function rawAnswer(
  url: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number | undefined; headers: string[]; body: Buffer }> {
  return new Promise((resolve, reject) => {
    request(url + path, { headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const rawHeaders = response.rawHeaders.filter((_, index, all) => all[index - (index % 2)] !== 'Date');
        resolve({ status: response.statusCode, headers: rawHeaders, body: Buffer.concat(chunks) });
      });
    })
      .on('error', reject)
      .end();
  });
}

describe('answers', () => {
  test.each(['express-app.mjs', 'express-app.cjs', 'fastify-app.mjs'])(
    'of %s are byte-equal with and without the package',
    async (name) => {
      const recorder = await startOtlpRecorder();
      const [bare, instrumented] = await Promise.all([
        startApp(name, {}, false),
        startApp(name, environment(recorder)),
      ]);
      const good = { authorization: `Bearer ${token({ sub: 'u-1' })}` };
      const paths = [
        '/list',
        '/one',
        '/empty',
        '/nothing',
        '/text',
        '/raw',
        '/head',
        '/csv',
        '/big',
        '/hostile',
        '/session',
        '/declared',
        '/store',
        '/store-fails',
        '/missing',
        '/api/accounts/42',
      ];
      for (const path of paths)
        expect(await rawAnswer(instrumented.url, path), path).toEqual(await rawAnswer(bare.url, path));
      for (const headers of [good, { authorization: 'Bearer nonsense' }, {}])
        expect(await rawAnswer(instrumented.url, '/verified', headers)).toEqual(
          await rawAnswer(bare.url, '/verified', headers),
        );
      await Promise.all([bare.stop(), instrumented.stop()]);
      recorder.close();
    },
  );
});
