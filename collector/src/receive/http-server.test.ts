import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RejectedError, UnavailableError } from '../base/errors.ts';
import type { Admit } from './export-request.ts';
import { decode, eventually, retryDelayMs, startReceiver } from './test-receiver.ts';

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';
const BODY = Buffer.from('not looked into by the receiver');
const failing =
  (error: Error): Admit =>
  () =>
    Promise.reject(error);

function post(url: string, body: Buffer | undefined, headers: Record<string, string>): Promise<Response> {
  return fetch(url, { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
}

/** The google.rpc.Status of a failed answer, in whichever of the two encodings the answer says it has. */
async function statusOf(response: Response): Promise<{ code?: number; message?: string }> {
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.headers.get('content-type') === JSON_TYPE) return JSON.parse(bytes.toString('utf8'));
  expect(response.headers.get('content-type')).toBe(PROTOBUF);
  return decode('Status', bytes);
}

describe('an export over HTTP', () => {
  it.each([
    [PROTOBUF, 'protobuf', PROTOBUF],
    ['Application/X-Protobuf', 'protobuf', PROTOBUF],
    [JSON_TYPE, 'json', JSON_TYPE],
    ['application/json; charset=utf-8', 'json', JSON_TYPE],
    ['APPLICATION/JSON ;charset="UTF-8"', 'json', JSON_TYPE],
  ])('of type %s reaches admit as %s and is answered as %s', async (sent, encoding, answered) => {
    const { httpUrl, requests } = await startReceiver();
    const response = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': sent });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(answered);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    expect(await response.text()).toBe(answered === JSON_TYPE ? '{}' : '');
    expect(requests).toMatchObject([{ encoding, compression: 'none', transport: 'http' }]);
    expect(Buffer.from(requests[0]!.bytes)).toEqual(BODY);
  });

  it.each(['gzip', 'GZIP'])(
    'with content encoding %s reaches admit as it is, to be inflated there',
    async (encoding) => {
      const { httpUrl, requests } = await startReceiver({ limits: { httpBodyBytesMax: 12_345 } });
      const body = gzipSync(BODY);
      const response = await post(`${httpUrl}/v1/traces`, body, {
        'content-type': PROTOBUF,
        'content-encoding': encoding,
      });
      expect(response.status).toBe(200);
      expect(requests).toMatchObject([{ compression: 'gzip', bytesMax: 12_345 }]);
      expect(Buffer.from(requests[0]!.bytes)).toEqual(body);
    },
  );

  it('arrives whole in a buffer of its own, with and without a declared length', async () => {
    const { httpUrl, requests } = await startReceiver();
    const sizes = [1, 5000, 262_145, 3_000_000];
    for (const size of sizes) {
      const bytes = Buffer.alloc(size, size);
      const chunked = new Blob([bytes]).stream();
      for (const body of [bytes, chunked]) {
        const init = { method: 'POST', headers: { 'content-type': PROTOBUF }, body, duplex: 'half' };
        expect((await fetch(`${httpUrl}/v1/traces?ignored`, init as RequestInit)).status).toBe(200);
      }
    }
    expect(requests.map(({ bytes }) => bytes.length)).toEqual(sizes.flatMap((size) => [size, size]));
    for (const { bytes } of requests) {
      expect(bytes.every((byte) => byte === bytes.length % 256)).toBe(true);
      structuredClone(bytes, { transfer: [bytes.buffer] });
    }
  });

  it.each([PROTOBUF, JSON_TYPE])('without content succeeds as %s and is not admitted', async (type) => {
    const { httpUrl, requests } = await startReceiver();
    const response = await post(`${httpUrl}/v1/traces`, undefined, { 'content-type': type });
    expect([response.status, await response.text()]).toEqual([200, type === JSON_TYPE ? '{}' : '']);
    expect(requests).toEqual([]);
  });

  it('says how many spans were refused and why, in the encoding of the request', async () => {
    const { httpUrl } = await startReceiver({}, async () => ({ rejectedSpans: 7, message: 'zero ids' }));
    const json = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': JSON_TYPE });
    expect([json.status, await json.json()]).toEqual([
      200,
      { partialSuccess: { rejectedSpans: '7', errorMessage: 'zero ids' } },
    ]);
    const protobuf = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': PROTOBUF });
    expect(decode('Response', Buffer.from(await protobuf.arrayBuffer()))).toEqual({
      partialSuccess: { rejectedSpans: 7, errorMessage: 'zero ids' },
    });
  });

  it('waits for 100-continue when the sender asks for it', async () => {
    const { receiver, requests } = await startReceiver();
    const socket = openSocket(receiver.httpPort);
    const heard = listenTo(socket);
    socket.write(head({ 'content-type': PROTOBUF, 'content-length': '4', expect: '100-continue' }));
    await eventually(() => heard().startsWith('HTTP/1.1 100 Continue'));
    expect(requests).toEqual([]);
    socket.write('body');
    await eventually(() => heard().includes('HTTP/1.1 200 OK'));
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['metrics', '/v1/metrics'],
    ['logs', '/v1/logs'],
    ['profiles', '/v1development/profiles'],
  ])('of %s is taken, dropped and answered with a warning', async (name, path) => {
    const { httpUrl, requests, counters } = await startReceiver();
    const response = await post(httpUrl + path, BODY, { 'content-type': JSON_TYPE });
    expect([response.status, await response.json()]).toEqual([
      200,
      { partialSuccess: { errorMessage: `${name} are accepted and dropped: Spanwarden reads traces only` } },
    ]);
    expect(requests).toEqual([]);
    expect(counters.value('ignored_exports_total', name)).toBe(1);
  });
});

describe('a request over HTTP that is wrong', () => {
  it.each([
    ['has no content type', 'POST', '/v1/traces', {}, 415],
    ['has another content type', 'POST', '/v1/traces', { 'content-type': 'text/plain' }, 415],
    ['has a content type that only begins well', 'POST', '/v1/traces', { 'content-type': 'application/jsonp' }, 415],
    ['is a GET', 'GET', '/v1/traces', { 'content-type': PROTOBUF }, 405],
    ['is a PATCH', 'PATCH', '/v1/traces', { 'content-type': JSON_TYPE }, 405],
    ['is a preflight', 'OPTIONS', '/v1/traces', { origin: 'http://evil.example' }, 405],
    ['goes elsewhere', 'POST', '/v1/spans', { 'content-type': PROTOBUF }, 404],
    ['goes to a prototype', 'POST', '/__proto__', { 'content-type': JSON_TYPE }, 404],
    [
      'has an unknown content encoding',
      'POST',
      '/v1/traces',
      { 'content-type': JSON_TYPE, 'content-encoding': 'zstd' },
      400,
    ],
    ['comes from a browser', 'POST', '/v1/traces', { 'content-type': JSON_TYPE, origin: 'http://localhost:4318' }, 403],
  ] as const)(
    'because it %s (%s %s) gets its status and a google.rpc.Status',
    async (_why, method, path, headers, expected) => {
      const { httpUrl, requests } = await startReceiver();
      const body = method === 'GET' ? {} : { body: BODY };
      const response = await fetch(httpUrl + path, { method, headers: { ...headers }, ...body });
      expect(response.status).toBe(expected);
      expect(response.headers.get('allow')).toBe(expected === 405 ? 'POST' : null);
      expect(response.headers.get('retry-after')).toBeNull();
      const protobuf = 'content-type' in headers && headers['content-type'] === PROTOBUF;
      expect(response.headers.get('content-type')).toBe(protobuf ? PROTOBUF : JSON_TYPE);
      const { code, message } = await statusOf(response);
      expect(code).toBeGreaterThan(0);
      expect(message).not.toBe('');
      expect(requests).toEqual([]);
    },
  );

  it('because its declared length is too large gets 413 before anything of it is read, and 100-continue is not given', async () => {
    const { receiver, counters } = await startReceiver({ limits: { httpBodyBytesMax: 1000 } });
    const socket = openSocket(receiver.httpPort);
    const heard = listenTo(socket);
    socket.write(head({ 'content-type': PROTOBUF, 'content-length': '1001', expect: '100-continue' }));
    await eventually(() => heard().includes('HTTP/1.1 413 '));
    expect(heard()).not.toContain('100 Continue');
    expect(counters.value('requests_rejected_total', 'too-large')).toBe(1);
  });

  it('because it grows too large gets 413 although the sender goes on, and nothing more of it is kept', async () => {
    const { httpUrl, receiver, requests } = await startReceiver({ limits: { httpBodyBytesMax: 300_000 } });
    const init = {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE },
      body: new Blob([Buffer.alloc(500_000)]).stream(),
      duplex: 'half',
    };
    const response = await fetch(`${httpUrl}/v1/traces`, init as RequestInit);
    expect(response.status).toBe(413);
    expect((await statusOf(response)).message).toBe('the body has more than 300000 bytes');
    expect(receiver.halfOpenBytes()).toBe(0);
    expect(requests).toEqual([]);
  });

  it('because a rejected body never ends loses its connection', async () => {
    const { receiver } = await startReceiver({ limits: { httpBodyBytesMax: 10_000 } });
    const socket = openSocket(receiver.httpPort);
    let closed = false;
    socket.on('close', () => {
      closed = true;
    });
    socket.write(head({ 'content-type': PROTOBUF, 'content-length': '1000000000' }));
    const timer = setInterval(() => socket.write(Buffer.alloc(5000)), 5);
    onTestFinished(() => clearInterval(timer));
    await eventually(() => closed);
  });

  it.each([
    ['is not HTTP', 'spans, please\r\n\r\n', '400'],
    ['has endless headers', `POST /v1/traces HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}`, '431'],
  ])('because it %s is answered with a status and closed', async (_why, bytes, expected) => {
    const { receiver } = await startReceiver();
    const socket = openSocket(receiver.httpPort);
    const heard = listenTo(socket);
    socket.write(bytes);
    await eventually(() => socket.closed);
    expect(heard()).toMatch(new RegExp(`^HTTP/1.1 ${expected} `));
    expect(JSON.parse(heard().split('\r\n\r\n')[1]!)).toMatchObject({ code: 3 });
  });
});

describe('a failed export over HTTP', () => {
  it.each([
    ['malformed', 400, 3],
    ['too-large', 413, 8],
    ['unsupported-encoding', 400, 12],
    ['unauthenticated', 401, 16],
    ['forbidden', 403, 7],
  ] as const)('that is %s for good gets %i and a status without RetryInfo', async (code, httpStatus, grpcCode) => {
    const { httpUrl } = await startReceiver({}, failing(new RejectedError(code, 'because')));
    for (const type of [PROTOBUF, JSON_TYPE]) {
      const response = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': type });
      expect([response.status, response.headers.get('content-type')]).toEqual([httpStatus, type]);
      expect(response.headers.get('retry-after')).toBeNull();
      expect(await statusOf(response)).toEqual({ code: grpcCode, message: 'because' });
    }
  });

  it.each([
    ['overloaded', 503, 14],
    ['store-failed', 503, 14],
    ['disk-full', 503, 14],
    ['rate-limited', 429, 8],
  ] as const)('because of %s gets %i with Retry-After in whole seconds', async (code, httpStatus, grpcCode) => {
    const { httpUrl } = await startReceiver({}, failing(new UnavailableError(code, 'later', 1200)));
    const response = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': PROTOBUF });
    expect([response.status, response.headers.get('retry-after')]).toEqual([httpStatus, '2']);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(decode('Status', bytes)).toMatchObject({ code: grpcCode, message: 'later' });
    expect(retryDelayMs(bytes)).toBe(1200);
  });

  it('because of a bug gets 500 and no detail', async () => {
    const { httpUrl, counters } = await startReceiver({}, failing(new TypeError('secret')));
    const response = await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': JSON_TYPE });
    expect([response.status, await response.json()]).toEqual([500, { code: 13, message: 'internal error' }]);
    expect(counters.value('receive_bugs_total')).toBe(1);
  });

  it('whose sender has gone meanwhile disturbs nobody', async () => {
    const { httpUrl, receiver, requests, counters } = await startReceiver();
    const socket = openSocket(receiver.httpPort);
    socket.write(`${head({ 'content-type': PROTOBUF, 'content-length': '1000' })}half`);
    await eventually(() => receiver.halfOpenBytes() > 0);
    socket.destroy();
    await eventually(() => receiver.halfOpenBytes() === 0);
    expect((await post(`${httpUrl}/v1/traces`, BODY, { 'content-type': PROTOBUF })).status).toBe(200);
    expect(requests).toHaveLength(1);
    expect(counters.value('receive_bugs_total')).toBe(0);
  });
});

function head(headers: Record<string, string>): string {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /v1/traces HTTP/1.1\r\n${lines.join('')}\r\n`;
}

function openSocket(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

function listenTo(socket: Socket): () => string {
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  return () => heard;
}
