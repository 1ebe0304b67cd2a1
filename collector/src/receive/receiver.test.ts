import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Counters } from '../base/counters.ts';
import { ListenError } from '../base/listen-error.ts';
import { FULL_SUCCESS } from './export-request.ts';
import { type HalfOpen, HalfOpenLedger } from './half-open-ledger.ts';
import { createMemoryGuard, type MemoryGuard } from './memory-guard.ts';
import { call, eventually, openClient, retryDelayMs, startReceiver, type TestReceiver } from './test-receiver.ts';

const MESSAGE = Buffer.from('not looked into by the receiver');

/** The same export over both transports: gRPC code and HTTP status. */
async function exportBoth(
  { receiver, httpUrl }: TestReceiver,
  headers: Record<string, string> = {},
): Promise<[number, number]> {
  const { code } = await call(openClient(receiver.grpcPort), MESSAGE, undefined, headers);
  return [code, (await post(httpUrl, MESSAGE, headers)).status];
}

function post(httpUrl: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${httpUrl}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', ...headers },
    body,
  });
}

/** An `admit` that holds every export until `release`. */
function holding(): { admit: () => Promise<typeof FULL_SUCCESS>; release: () => void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { admit: () => released.then(() => FULL_SUCCESS), release };
}

describe('a port that is taken', () => {
  it('gives an error that names it and its purpose, and leaves the other port free', async () => {
    const { receiver } = await startReceiver();
    const grpcTaken = startReceiver({ grpcPort: receiver.grpcPort });
    await expect(grpcTaken).rejects.toThrow(ListenError);
    await expect(grpcTaken).rejects.toMatchObject({
      code: 'EADDRINUSE',
      port: receiver.grpcPort,
      message: `port ${receiver.grpcPort} (OTLP/gRPC) is in use`,
    });

    const other = await startReceiver();
    const { grpcPort } = other.receiver;
    await other.receiver.stop(0);
    await expect(startReceiver({ grpcPort, httpPort: receiver.httpPort })).rejects.toMatchObject({
      message: `port ${receiver.httpPort} (OTLP/HTTP) is in use`,
    });
    expect((await startReceiver({ grpcPort })).receiver.grpcPort).toBe(grpcPort);
  });

  it('or an address of another machine is named too', async () => {
    await expect(startReceiver({ grpcAddress: '192.0.2.1' })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      message: '192.0.2.1 (OTLP/gRPC) is not an address of this machine',
    });
  });
});

describe('stopping', () => {
  it('answers what was admitted, refuses what is new retryably, then closes everything', async () => {
    const { admit, release } = holding();
    const started = await startReceiver({}, admit);
    const { receiver, httpUrl, requests } = started;
    const grpc = openClient(receiver.grpcPort);
    const grpcInFlight = call(grpc, MESSAGE);
    const httpInFlight = post(httpUrl, MESSAGE);
    await eventually(() => requests.length === 2);

    let stopped = false;
    const stopping = receiver.stop(10_000).then(() => {
      stopped = true;
    });
    const refused = await call(grpc, MESSAGE);
    expect(refused.code).toBe(status.UNAVAILABLE);
    expect(retryDelayMs(refused.metadata.get('grpc-status-details-bin')[0] as Buffer)).toBeGreaterThanOrEqual(1000);
    const refusedHttp = await post(httpUrl, MESSAGE);
    expect([refusedHttp.status, Number(refusedHttp.headers.get('retry-after'))]).toEqual([503, expect.any(Number)]);
    expect((await call(grpc, Buffer.alloc(0), '/grpc.health.v1.Health/Check')).response).toEqual(
      Buffer.from([0x08, 2]),
    );
    expect(stopped).toBe(false);

    release();
    expect((await grpcInFlight).code).toBe(status.OK);
    expect((await httpInFlight).status).toBe(200);
    await stopping;
    expect(requests).toHaveLength(2);
    await expect(post(httpUrl, MESSAGE)).rejects.toThrow();
    expect((await call(grpc, MESSAGE)).code).toBe(status.UNAVAILABLE);
    await startReceiver({ grpcPort: receiver.grpcPort, httpPort: receiver.httpPort });
  });

  it('does not wait longer than the grace time for an export that is never stored', async () => {
    const { receiver, requests } = await startReceiver({}, () => new Promise(() => undefined));
    const inFlight = call(openClient(receiver.grpcPort), MESSAGE);
    await eventually(() => requests.length === 1);
    await receiver.stop(50);
    expect((await inFlight).code).not.toBe(status.OK);
  });
});

describe('readiness', () => {
  it('decides whether exports are taken; the refusal says why and when to try again', async () => {
    const started = await startReceiver();
    const { receiver, httpUrl, requests, counters } = started;
    receiver.setReady(false, 'the log is being read');
    expect(await exportBoth(started)).toEqual([status.UNAVAILABLE, 503]);
    const { message } = await call(openClient(receiver.grpcPort), MESSAGE);
    expect(message).toBe('the log is being read');
    expect(Number((await post(httpUrl, MESSAGE)).headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(counters.value('requests_refused_total', 'not-ready')).toBe(4);
    expect(requests).toEqual([]);
    receiver.setReady(true, '');
    expect(await exportBoth(started)).toEqual([status.OK, 200]);
  });
});

describe('admission by bytes', () => {
  it('refuses retryably over the budget of both transports together, and recovers', async () => {
    const { admit, release } = holding();
    const started = await startReceiver({ limits: { inFlightBytesMax: 100_000 } }, admit);
    const { receiver, requests, counters } = started;
    const first = call(openClient(receiver.grpcPort), Buffer.alloc(80_000));
    await eventually(() => requests.length === 1);
    // Soft: a small one still fits, a large one does not.
    expect((await post(started.httpUrl, Buffer.alloc(50_000))).status).toBe(503);
    const second = post(started.httpUrl, Buffer.alloc(10_000));
    await eventually(() => requests.length === 2);
    const third = post(started.httpUrl, Buffer.alloc(2000));
    await eventually(() => requests.length === 3);
    expect(await exportBoth(started)).toEqual([status.UNAVAILABLE, 503]);
    expect(counters.value('requests_refused_total', 'overloaded')).toBe(3);
    release();
    expect([(await first).code, (await second).status, (await third).status]).toEqual([status.OK, 200, 200]);
    expect(receiver.inFlightBytes()).toBe(0);
    expect(await exportBoth(started)).toEqual([status.OK, 200]);
  });

  it('reads no body while the budget is used up', async () => {
    const { admit, release } = holding();
    const started = await startReceiver({ limits: { inFlightBytesMax: 50_000 } }, admit);
    // Alone, even an export above the whole budget passes: it could never be taken otherwise.
    const first = call(openClient(started.receiver.grpcPort), Buffer.alloc(60_000));
    await eventually(() => started.requests.length === 1);
    expect(await exportBoth(started)).toEqual([status.UNAVAILABLE, 503]);
    expect(started.counters.value('requests_total', 'grpc')).toBe(1);
    expect(started.counters.value('requests_total', 'http')).toBe(0);
    release();
    expect((await first).code).toBe(status.OK);
  });

  it('charges gzip for what it becomes', async () => {
    const { admit, release } = holding();
    const { receiver, httpUrl, requests } = await startReceiver({}, admit);
    const body = gzipSync(Buffer.alloc(1_000_000));
    const answer = post(httpUrl, body, { 'content-encoding': 'gzip' });
    await eventually(() => requests.length === 1);
    expect(receiver.inFlightBytes()).toBeGreaterThanOrEqual(12 * body.length);
    release();
    expect((await answer).status).toBe(200);
  });

  it('stops before the memory cap', async () => {
    const started = await startReceiver({ memoryBytesMax: 1024 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(await exportBoth(started)).toEqual([status.UNAVAILABLE, 503]);
    expect(started.requests).toEqual([]);
  });

  it('follows the resident memory through normal, soft and hard', async () => {
    let residentBytes = 0;
    const guard = createMemoryGuard(1000, () => residentBytes);
    for (const [bytes, level] of [
      [699, 'normal'],
      [700, 'soft'],
      [850, 'hard'],
      [100, 'normal'],
    ] as const) {
      residentBytes = bytes;
      await eventually(() => guard.level() === level);
    }
    guard.stop();
  });
});

describe('a process nearly out of memory', () => {
  it('closes the half-open that hold most, a quarter at a time, and leaves the small ones', async () => {
    const counters = new Counters();
    const memory: MemoryGuard = { level: () => 'hard', stop: () => undefined };
    const ledger = new HalfOpenLedger({ halfOpenBytesMax: 1e9, stallMs: 3_600_000 }, memory, counters);
    const closed: number[] = [];
    for (const heldBytes of [100_000, 1000, 300_000, 200_000, 400_000, 2000]) {
      const entry: HalfOpen = {
        heldBytes: () => heldBytes,
        progressBytes: () => heldBytes,
        beganMs: () => performance.now(),
        destroy: () => void closed.push(heldBytes),
      };
      ledger.add(entry);
    }
    await eventually(() => closed.length === 4);
    await new Promise((resolve) => setTimeout(resolve, 120));
    ledger.stop();
    expect(closed).toEqual([400_000, 300_000, 200_000, 100_000]);
    expect(counters.value('connections_closed_total', 'memory')).toBe(4);
    expect(ledger.heldBytes()).toBe(3000);
  });
});

describe('bytes that are no request at all', () => {
  it('on either port disturb nobody', async () => {
    const started = await startReceiver({ connectionsPerAddressMax: 1000 });
    const { receiver, counters, logged } = started;
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        fc.boolean(),
        async (bytes, overGrpc, hasPreface) => {
          const socket = connect(overGrpc ? receiver.grpcPort : receiver.httpPort, '127.0.0.1');
          socket.on('error', () => undefined).resume();
          const gone = new Promise((resolve) => socket.once('close', resolve));
          socket.end(hasPreface ? Buffer.concat([preface, bytes]) : bytes);
          await gone;
        },
      ),
      { numRuns: 300 },
    );
    expect(await exportBoth(started)).toEqual([status.OK, 200]);
    expect(counters.value('receive_bugs_total')).toBe(0);
    expect(logged).toEqual([]);
    await eventually(() => receiver.halfOpenBytes() === 0);
  });
});

describe('ingest tokens', () => {
  const digest = (token: string): Buffer => createHash('sha256').update(token).digest();
  const tokens = [digest('alpha'), digest('beta')];

  it.each([
    [{ authorization: 'Bearer alpha' }, status.OK, 200],
    [{ authorization: 'bearer  beta' }, status.OK, 200],
    [{ 'x-api-key': 'beta' }, status.OK, 200],
    [{}, status.UNAUTHENTICATED, 401],
    [{ authorization: 'Bearer gamma' }, status.UNAUTHENTICATED, 401],
    [{ authorization: 'Basic alpha' }, status.UNAUTHENTICATED, 401],
    [{ authorization: 'alpha' }, status.UNAUTHENTICATED, 401],
    [{ 'x-api-key': '' }, status.UNAUTHENTICATED, 401],
    [{ 'x-api-key': digest('alpha').toString('hex') }, status.UNAUTHENTICATED, 401],
  ])('let %j in or not: gRPC %i, HTTP %i', async (headers, grpcCode, httpStatus) => {
    const started = await startReceiver({ tokens });
    expect(await exportBoth(started, headers as Record<string, string>)).toEqual([grpcCode, httpStatus]);
    expect(started.requests).toHaveLength(grpcCode === status.OK ? 2 : 0);
    expect(started.counters.value('requests_rejected_total', 'unauthenticated')).toBe(grpcCode === status.OK ? 0 : 2);
  });

  it('are checked before a body is read, and a refusal says how to present one', async () => {
    const { httpUrl } = await startReceiver({ tokens, limits: { httpBodyBytesMax: 10 } });
    const response = await post(httpUrl, Buffer.alloc(1000));
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  });

  it('guard the ignored signals, not the health check', async () => {
    const { receiver, httpUrl } = await startReceiver({ tokens });
    const client = openClient(receiver.grpcPort);
    const metrics = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';
    expect((await call(client, MESSAGE, metrics)).code).toBe(status.UNAUTHENTICATED);
    expect((await fetch(`${httpUrl}/v1/metrics`, { method: 'POST' })).status).toBe(401);
    expect((await call(client, Buffer.alloc(0), '/grpc.health.v1.Health/Check')).code).toBe(status.OK);
  });

  it('of the wrong length are a mistake in the configuration', async () => {
    await expect(startReceiver({ tokens: [Buffer.from('alpha')] })).rejects.toThrow(
      'an ingest token digest has 5 bytes instead of 32',
    );
  });
});
