import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { call, eventually, openClient, startReceiver, TRACE_EXPORT } from './test-receiver.ts';

const MESSAGE = Buffer.from('complete');
const NEVER = 3_600_000;

describe('senders of halves over gRPC', () => {
  it('stay under the budget together while a healthy client is served', async () => {
    const halfOpenBytesMax = 4_000_000;
    const { receiver, counters, requests } = await startReceiver({ limits: { halfOpenBytesMax, stallMs: NEVER } });
    let mostBytes = 0;
    let healthy = 0;
    const client = openClient(receiver.grpcPort);
    // Twelve connections with ten half messages of 200 kB each would hold 24 MB.
    const sessions = Array.from({ length: 12 }, () => openSession(receiver.grpcPort));
    for (const session of sessions) {
      for (let i = 0; i < 10; i++) openExport(session).write(frame(400_000, 200_000));
    }
    for (let i = 0; i < 100; i++) {
      if ((await call(client, MESSAGE)).code === status.OK) healthy += 1;
      mostBytes = Math.max(mostBytes, receiver.halfOpenBytes());
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(healthy).toBe(100);
    expect(requests).toHaveLength(100);
    expect(counters.value('connections_closed_total', 'half-open-budget')).toBeGreaterThan(5);
    await eventually(() => receiver.halfOpenBytes() <= halfOpenBytesMax);
    expect(mostBytes).toBeGreaterThan(halfOpenBytesMax / 4);
    expect(sessions.filter((session) => session.destroyed).length).toBeGreaterThan(5);
  });

  it('pay for the heap that tiny frames cost, not only for their bytes', async () => {
    const { receiver, counters } = await startReceiver({ limits: { halfOpenBytesMax: 300_000, stallMs: NEVER } });
    const session = openSession(receiver.grpcPort);
    const stream = openExport(session);
    stream.write(frame(400_000, 0));
    // 5,000 frames of one byte are 50 kB on the wire.
    for (let i = 0; i < 5000 && !session.destroyed; i++) {
      await new Promise((resolve) => stream.write(Buffer.alloc(1), resolve));
    }
    await eventually(() => session.destroyed);
    expect(counters.value('connections_closed_total', 'half-open-budget')).toBe(1);
  });

  it('are not inflated for: a bomb that waits for the end of its stream holds what it sent', async () => {
    const { receiver } = await startReceiver({ limits: { stallMs: NEVER } });
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const session = openSession(receiver.grpcPort);
    for (let i = 0; i < 20; i++) openExport(session).write(Buffer.concat([frame(bomb.length, 0, 1), bomb]));
    await eventually(() => receiver.halfOpenBytes() > bomb.length * 20);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(receiver.halfOpenBytes()).toBeLessThan(3_000_000);
  });

  it('cost a busy honest connection nothing: what is complete no longer counts', async () => {
    const { receiver, counters, requests } = await startReceiver({
      limits: { halfOpenBytesMax: 3_000_000, stallMs: NEVER },
    });
    const client = openClient(receiver.grpcPort);
    // Four calls are under way at every moment, and far more than the budget passes through one connection.
    const send = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) expect((await call(client, Buffer.alloc(200_000))).code).toBe(status.OK);
    };
    await Promise.all([send(), send(), send(), send()]);
    expect(requests).toHaveLength(100);
    expect(counters.value('connections_closed_total', 'half-open-budget')).toBe(0);
    await eventually(() => receiver.halfOpenBytes() === 0);
  });
});

describe('senders that stall over gRPC', () => {
  it('lose the connection when a message stops half-way', async () => {
    const { receiver, counters } = await startReceiver({ limits: { stallMs: 100 } });
    const session = openSession(receiver.grpcPort);
    openExport(session).write(frame(1000, 10));
    await eventually(() => session.destroyed);
    expect(counters.value('connections_closed_total', 'stalled')).toBe(1);
  });

  it('lose the connection when a byte now and then never makes a message', async () => {
    const { receiver, counters } = await startReceiver({ limits: { stallMs: 150 } });
    const session = openSession(receiver.grpcPort);
    const stream = openExport(session);
    stream.write(frame(1000, 1));
    const timer = setInterval(() => stream.write('x'), 20);
    onTestFinished(() => clearInterval(timer));
    await eventually(() => session.destroyed);
    expect(counters.value('connections_closed_total', 'too-slow')).toBe(1);
    expect(counters.value('connections_closed_total', 'stalled')).toBe(0);
  });

  it('lose the connection when a declared length was refused and the stream stays open', async () => {
    const { receiver, counters } = await startReceiver({ limits: { stallMs: 100 } });
    const session = openSession(receiver.grpcPort);
    const stream = openExport(session);
    let code = 0;
    stream.on('response', (headers) => {
      code = Number(headers['grpc-status']);
    });
    stream.write(frame(0xffffffff, 10));
    await eventually(() => session.destroyed);
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    expect(counters.value('connections_closed_total', 'stalled')).toBe(1);
  });

  it.each([
    ['nothing at all', ''],
    ['half a preface', 'PRI * HTTP/2.0\r\n'],
  ])('lose a connection on which %s came', async (_what, bytes) => {
    const { receiver, counters } = await startReceiver({ limits: { stallMs: 100 } });
    const socket = openSocket(receiver.grpcPort);
    socket.write(bytes);
    await eventually(() => socket.destroyed);
    expect(counters.value('connections_closed_total', 'stalled')).toBe(1);
  });

  it('keep the connection when it is merely idle between calls, or when a slow answer is ours', async () => {
    const stallMs = 250;
    const { receiver, counters } = await startReceiver({ limits: { stallMs } }, async ({ bytes }) => {
      if (bytes.length === MESSAGE.length) await new Promise((resolve) => setTimeout(resolve, stallMs * 2));
      return { rejectedSpans: 0, message: '' };
    });
    const client = openClient(receiver.grpcPort);
    expect((await call(client, MESSAGE)).code).toBe(status.OK);
    await new Promise((resolve) => setTimeout(resolve, stallMs * 2));
    expect((await call(client, Buffer.from('x'))).code).toBe(status.OK);
    expect(await receiver.connections()).toBe(1);
    expect(counters.snapshot().filter(([name]) => name === 'connections_closed_total')).toEqual([]);
  });
});

describe('senders of halves over HTTP', () => {
  it('stay under the same budget', async () => {
    const halfOpenBytesMax = 2_000_000;
    const { receiver, counters } = await startReceiver({ limits: { halfOpenBytesMax, stallMs: NEVER } });
    const sockets = Array.from({ length: 10 }, () => openSocket(receiver.httpPort));
    for (const socket of sockets) socket.write(`${HEAD}content-length: 1000000\r\n\r\n${'x'.repeat(500_000)}`);
    // Each holds 512 KiB, so three fit.
    await eventually(() => sockets.filter((socket) => socket.destroyed).length === 7);
    expect(receiver.halfOpenBytes()).toBeLessThanOrEqual(halfOpenBytesMax);
    expect(counters.value('connections_closed_total', 'half-open-budget')).toBe(7);
  });

  it('do not get memory by declaring much, nor by sending a byte per chunk', async () => {
    const { receiver } = await startReceiver();
    const declared = openSocket(receiver.httpPort);
    declared.write(`${HEAD}content-length: 60000000\r\n\r\nx`);
    const chunked = openSocket(receiver.httpPort);
    chunked.write(`${HEAD}transfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(100_000)}`);
    await eventually(() => receiver.halfOpenBytes() > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(receiver.halfOpenBytes()).toBeLessThanOrEqual(2 * 262_144);
  });

  it.each([
    [
      'a body that stops',
      `${'POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'}content-length: 9\r\n\r\nhalf`,
    ],
    ['half a head', 'POST /v1/traces HTTP/1.1\r\nho'],
    ['nothing at all', ''],
  ])('lose a connection with %s', async (_what, bytes) => {
    const { receiver, counters } = await startReceiver({ limits: { stallMs: 200 } });
    const socket = openSocket(receiver.httpPort);
    socket.write(bytes);
    await eventually(() => socket.destroyed);
    const stalled = counters.value('connections_closed_total', 'stalled');
    expect(stalled + counters.value('requests_rejected_total', 'too-slow')).toBe(1);
  });
});

describe('the number of gRPC connections', () => {
  it('is limited per address and in all, and a closed one makes room', async () => {
    const { receiver, counters } = await startReceiver({ connectionsMax: 3, connectionsPerAddressMax: 2 });
    const first = openSocket(receiver.grpcPort);
    openSocket(receiver.grpcPort);
    await connected(receiver, 2);
    const third = openSocket(receiver.grpcPort);
    await eventually(() => third.destroyed);
    expect(counters.value('connections_closed_total', 'too-many')).toBe(1);
    openSocket(receiver.grpcPort, '127.0.0.2');
    await connected(receiver, 3);
    const fifth = openSocket(receiver.grpcPort, '127.0.0.3');
    await eventually(() => fifth.destroyed);
    first.destroy();
    await connected(receiver, 2);
    openSocket(receiver.grpcPort);
    await connected(receiver, 3);
  });
});

const HEAD = 'POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n';

async function connected(receiver: { connections(): Promise<number> }, count: number): Promise<void> {
  while ((await receiver.connections()) !== count) await new Promise((resolve) => setTimeout(resolve, 5));
}

function openSession(port: number): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

function openExport(session: ClientHttp2Session): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': TRACE_EXPORT,
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  return stream;
}

/** The head of a gRPC frame that declares `declaredBytes`, and `sentBytes` of its content. */
function frame(declaredBytes: number, sentBytes: number, compressed = 0): Buffer {
  const bytes = Buffer.alloc(5 + sentBytes);
  bytes[0] = compressed;
  bytes.writeUInt32BE(declaredBytes, 1);
  return bytes;
}

function openSocket(port: number, localAddress?: string): Socket {
  const socket = connect({ port, host: '127.0.0.1', ...(localAddress === undefined ? {} : { localAddress }) });
  socket.on('error', () => undefined);
  // Without a reader the end of the connection would go unnoticed.
  socket.resume();
  onTestFinished(() => void socket.destroy());
  return socket;
}
