import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnavailableError } from '../base/errors.ts';
import { SECURITY_HEADERS } from './guard.ts';
import { createDocument } from './openapi.ts';
import { type Route, toRoutes } from './routes.ts';
import { type Received, type RunningApi, startApi, TOKEN, TRACE } from './testing/running-api.ts';
import { FIRST_ID, sampleEstate } from './testing/sample-estate.ts';

const routes = toRoutes(() => ({}));
let running: RunningApi;
beforeAll(async () => {
  running = await startApi([sampleEstate]);
});
afterAll(() => running.stop());

const pathOf = ({ path }: Route): string => path.replace('{id}', FIRST_ID).replace('{traceId}', TRACE.traceId);
const sentTo = (route: Route) =>
  route.method === 'PATCH'
    ? { method: 'PATCH', body: '{"status":"triaged"}', headers: { 'content-type': 'application/json' } }
    : { method: route.method };

function expectProblem(answer: Received, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.json()).toMatchObject({ type: `urn:spanwarden:problem:${code}`, status });
  expectSecured(answer);
}

function expectSecured({ headers }: Received): void {
  expect(headers).toMatchObject(SECURITY_HEADERS);
}

describe.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_name, route) => {
  const send = (more: object) => running.send(pathOf(route), { ...sentTo(route), ...more });

  it('answers to who has the token', async () => {
    const answer = await send({});
    expect(answer.status).toBe(200);
    expectSecured(answer);
  });

  it.each([
    ['no token', { token: null }],
    ['another token', { token: 'another-token-0123456789' }],
    ['a part of the token', { token: TOKEN.slice(0, -1) }],
    ['more than the token', { token: `${TOKEN}x` }],
    ['an empty token', { token: null, headers: { authorization: 'Bearer ' } }],
    ['the token by another scheme', { token: null, headers: { authorization: `Basic ${TOKEN}` } }],
  ])(`is ${route.isOpen ? 'open' : 'closed'} to %s`, async (_who, more) => {
    const headers = { ...sentTo(route).headers, ...('headers' in more ? more.headers : {}) };
    const answer = await send({ ...more, headers });
    if (route.isOpen) {
      expect(answer.status).toBe(200);
    } else {
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="spanwarden"');
    }
  });

  it.each(['evil.example', 'evil.example:4319', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1'])(
    'does not answer for the host %j',
    async (host) => {
      const answer = await send({ headers: { ...sentTo(route).headers, host } });
      expectProblem(answer, 403, 'foreign-host');
    },
  );

  it.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '[::1]:4319', '[::1]'])(
    'answers for the host %s',
    async (host) => {
      const answer = await send({ headers: { ...sentTo(route).headers, host } });
      expect(answer.status).toBe(200);
    },
  );

  it('names the methods that the path has', async () => {
    const answer = await running.send(pathOf(route), { method: 'DELETE' });
    expectProblem(answer, 405, 'method-not-allowed');
    expect(answer.headers.allow).toContain(route.method);
  });
});

describe('a page of another origin', () => {
  const send = (headers: Record<string, string>) =>
    running.send(`/api/v1/findings/${FIRST_ID}`, {
      method: 'PATCH',
      body: '{"status":"open"}',
      headers: { 'content-type': 'application/json', ...headers },
    });

  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:9999' },
    { origin: 'http://127.0.0.1.evil.example' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('changes nothing: %j', async (headers) => {
    expectProblem(await send(headers), 403, 'foreign-origin');
  });

  it('is not told that it may read', async () => {
    const answer = await running.send('/api/v1/findings', { headers: { origin: 'https://evil.example' } });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    const preflight = await running.send('/api/v1/findings', {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example' },
    });
    expect(preflight.status).toBe(405);
  });

  it('is told apart from our own', async () => {
    const own = `http://127.0.0.1:${running.api.port}`;
    expect((await send({ origin: own, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });
});

describe('what is not there', () => {
  it('is a 404 with a token, and a 401 without one under whatever name', async () => {
    expectProblem(await running.send('/api/v1/nothing'), 404, 'not-found');
    expectProblem(await running.send('/nothing'), 404, 'not-found');
    for (const path of [
      '/api/v1/nothing',
      '/nothing',
      '/%61pi/v1/findings',
      '//api/v1/findings',
      '/api/v1/findings/',
    ]) {
      expectProblem(await running.send(path, { token: null }), 401, 'unauthenticated');
    }
  });

  it('includes findings and traces that nobody stored', async () => {
    expectProblem(await running.send('/api/v1/findings/F-ffffffffffff'), 404, 'not-found');
    expectProblem(await running.send(`/api/v1/traces/${'f'.repeat(32)}`), 404, 'not-found');
  });
});

describe('a request that is broken', () => {
  it.each([
    ['GET /api/v1/findings/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n', 'bad-request', 400],
    ['BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n', 'bad-request', 400],
    ['\u0016\u0003\u0001 hello', 'bad-request', 400],
    [`GET / HTTP/1.1\r\nHost: localhost\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 'headers-too-large', 431],
  ])('gets a problem with all headers: %j', async (bytes, code, status) => {
    const answer = await running.sendRaw(bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain(`urn:spanwarden:problem:${code}`);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) expect(answer).toContain(`${name}: ${value}\r\n`);
  });

  it.each(['GET / HTTP/1.1\r\nHost: \r\n\r\n', 'GET / HTTP/1.0\r\n\r\n'])('names no host: %j', async (bytes) => {
    const answer = await running.sendRaw(bytes.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect(answer).toMatch(/^HTTP\/1.1 403 /);
  });

  it('has too long a path', async () => {
    expectProblem(await running.send(`/api/v1/findings/${'a'.repeat(300)}`), 414, 'uri-too-long');
  });

  it('has a body that is too large', async () => {
    const body = JSON.stringify({ status: 'open', note: 'x'.repeat(1_100_000) });
    const answer = await running.send(`/api/v1/findings/${FIRST_ID}`, {
      method: 'PATCH',
      body,
      headers: { 'content-type': 'application/json' },
    });
    expectProblem(answer, 413, 'body-too-large');
  });
});

describe('probes', () => {
  it('say that the process lives, and where to go', async () => {
    expect((await running.send('/healthz', { token: null })).json()).toEqual({ status: 'ok' });
    expect((await running.send('/', { token: null })).json()).toMatchObject({
      name: 'spanwarden',
      links: { api: '/api/v1/openapi.json' },
    });
    const head = await running.send('/healthz', { method: 'HEAD', token: null });
    expect([head.status, head.text]).toEqual([200, '']);
  });

  it('say why spans are not accepted', async () => {
    const reasons = ['store-failed', 'overloaded'];
    const api = await startApi([], { backend: { readiness: () => ({ ready: false, reasons }) } });
    const answer = await api.send('/readyz', { token: null });
    expect([answer.status, answer.json()]).toEqual([503, { status: 'not ready', reasons }]);
    expectSecured(answer);
    expect((await api.send('/healthz', { token: null })).status).toBe(200);
    await api.stop();
  });
});

describe('a backend that fails', () => {
  it('for a while is a 503 with a hint', async () => {
    const backend = {
      findings: () => Promise.reject(new UnavailableError('store-failed', 'the store is restarting', 1500)),
    };
    const api = await startApi([], { backend });
    const answer = await api.send('/api/v1/findings');
    expectProblem(answer, 503, 'unavailable');
    expect(answer.headers['retry-after']).toBe('2');
    expect(api.errors).toEqual([]);
    await api.stop();
  });

  it('for another reason is a 500 that tells nothing, and the reason is reported', async () => {
    const reason = new Error('SELECT secret FROM nowhere');
    const api = await startApi([], { backend: { callGraph: () => Promise.reject(reason) } });
    const answer = await api.send('/api/v1/call-graph');
    expectProblem(answer, 500, 'internal');
    expect(answer.text).not.toContain('secret');
    expect(api.errors).toEqual([reason]);
    await api.stop();
  });
});

describe('the port', () => {
  it('that is busy is named, with what it is for', async () => {
    const { port } = running.api;
    await expect(startApi([], { settings: { port } })).rejects.toMatchObject({
      name: 'ListenError',
      code: 'EADDRINUSE',
      port,
      message: `port ${port} (console, REST and metrics) is in use`,
    });
    await expect(startApi([], { settings: { address: '192.0.2.1' } })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('is free again after a stop', async () => {
    const first = await startApi([]);
    await first.send('/healthz');
    const { port } = first.api;
    await first.stop();
    const second = await startApi([], { settings: { port } });
    expect((await second.send('/healthz')).status).toBe(200);
    await second.stop();
  });

  it('answers for configured hosts too', async () => {
    const api = await startApi([], { settings: { allowedHosts: ['Spanwarden.example:443'] } });
    expect((await api.send('/healthz', { headers: { host: 'spanwarden.example' } })).status).toBe(200);
    expect((await api.send('/healthz', { headers: { host: 'other.example' } })).status).toBe(403);
    await api.stop();
  });
});

describe('the description', () => {
  it('is served as it is made', async () => {
    expect((await running.send('/api/v1/openapi.json')).json()).toEqual(JSON.parse(JSON.stringify(createDocument())));
  });
});
