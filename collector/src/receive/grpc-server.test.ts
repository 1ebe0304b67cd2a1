import { gunzipSync } from 'node:zlib';
import { compressionAlgorithms, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { RejectedError, UnavailableError } from '../base/errors.ts';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import { type Admit, FULL_SUCCESS } from './export-request.ts';
import { call, decode, eventually, openClient, retryDelayMs, startReceiver, TRACE_EXPORT } from './test-receiver.ts';

const MESSAGE = Buffer.from('not looked into by the receiver');
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
const failing =
  (error: Error): Admit =>
  () =>
    Promise.reject(error);

describe('an export over gRPC', () => {
  it('reaches admit byte for byte, whatever its size, in a buffer of its own', async () => {
    const { receiver, requests } = await startReceiver();
    const client = openClient(receiver.grpcPort);
    const sizes = [1, 100, 4000, 5000, 70_000, 3_000_000];
    for (const size of sizes) expect((await call(client, Buffer.alloc(size, size))).code).toBe(status.OK);
    expect(requests.map(({ bytes }) => bytes.length)).toEqual(sizes);
    for (const { bytes, encoding, compression, transport } of requests) {
      expect(bytes.every((byte) => byte === bytes.length % 256)).toBe(true);
      // Only a buffer that is not shared with Node's pool can be transferred without breaking others.
      structuredClone(bytes, { transfer: [bytes.buffer] });
      expect(bytes.length).toBe(0);
      expect({ encoding, compression, transport }).toEqual({
        encoding: 'protobuf',
        compression: 'none',
        transport: 'grpc',
      });
    }
  });

  it('reaches admit still compressed when the client compresses, to be inflated there', async () => {
    const { receiver, requests } = await startReceiver();
    const client = openClient(receiver.grpcPort, { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip });
    expect((await call(client, MESSAGE)).code).toBe(status.OK);
    expect(requests).toMatchObject([{ compression: 'gzip', bytesMax: DEFAULT_LIMITS.grpcMessageBytesMax }]);
    expect(gunzipSync(requests[0]!.bytes)).toEqual(MESSAGE);
  });

  it('without content succeeds and is not admitted', async () => {
    const { receiver, requests } = await startReceiver();
    const result = await call(openClient(receiver.grpcPort), Buffer.alloc(0));
    expect(result).toMatchObject({ code: status.OK, response: Buffer.alloc(0) });
    expect(requests).toEqual([]);
  });

  it('is answered only after admit resolved', async () => {
    let durable = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      durable = resolve;
    });
    const { receiver, requests } = await startReceiver({}, () => gate.then(() => FULL_SUCCESS));
    let answered = false;
    const result = call(openClient(receiver.grpcPort), MESSAGE).finally(() => {
      answered = true;
    });
    await eventually(() => requests.length === 1);
    expect(answered).toBe(false);
    durable();
    expect((await result).code).toBe(status.OK);
  });

  it('says how many spans were refused and why', async () => {
    const { receiver } = await startReceiver({}, async () => ({ rejectedSpans: 300, message: 'trace id of zeros' }));
    const { code, response } = await call(openClient(receiver.grpcPort), MESSAGE);
    expect(code).toBe(status.OK);
    expect(decode('Response', response!)).toEqual({
      partialSuccess: { rejectedSpans: 300, errorMessage: 'trace id of zeros' },
    });
  });
});

describe('a failed export over gRPC', () => {
  it.each([
    ['malformed', status.INVALID_ARGUMENT],
    ['too-large', status.RESOURCE_EXHAUSTED],
    ['unauthenticated', status.UNAUTHENTICATED],
    ['forbidden', status.PERMISSION_DENIED],
  ] as const)('that is %s for good gets its code and no RetryInfo', async (code, expected) => {
    const { receiver, counters } = await startReceiver(
      {},
      failing(new RejectedError(code, 'because \ud800 of 50 % "this"\n')),
    );
    const result = await call(openClient(receiver.grpcPort), MESSAGE);
    expect(result).toMatchObject({ code: expected, message: 'because \ufffd of 50 % "this"\n' });
    expect(result.metadata.get('grpc-status-details-bin')).toEqual([]);
    expect(counters.value('requests_rejected_total', code)).toBe(1);
  });

  it.each([
    ['overloaded', status.UNAVAILABLE],
    ['store-failed', status.UNAVAILABLE],
    ['disk-full', status.UNAVAILABLE],
    ['rate-limited', status.RESOURCE_EXHAUSTED],
  ] as const)('because of %s is retryable: its status carries RetryInfo', async (code, expected) => {
    const { receiver, counters } = await startReceiver({}, failing(new UnavailableError(code, 'later', 2500)));
    const result = await call(openClient(receiver.grpcPort), MESSAGE);
    expect(result).toMatchObject({ code: expected, message: 'later' });
    const details = result.metadata.get('grpc-status-details-bin')[0] as Buffer;
    expect(decode('Status', details)).toMatchObject({ code: expected, message: 'later' });
    expect(retryDelayMs(details)).toBe(2500);
    expect(counters.value('requests_refused_total', code)).toBe(1);
  });

  it('because of a bug is INTERNAL, counted, and logged once without the text of the error', async () => {
    const { receiver, counters, logged } = await startReceiver(
      {},
      failing(new TypeError('secret input\n    at secret')),
    );
    const client = openClient(receiver.grpcPort);
    for (let i = 0; i < 3; i++) {
      expect(await call(client, MESSAGE)).toMatchObject({ code: status.INTERNAL, message: 'internal error' });
    }
    expect(counters.value('receive_bugs_total')).toBe(3);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({ error: 'TypeError' });
    expect(JSON.stringify(logged)).not.toContain('secret');
  });

  it('over the size limit is RESOURCE_EXHAUSTED without RetryInfo, and the connection lives on', async () => {
    const { receiver, requests, counters } = await startReceiver({ limits: { grpcMessageBytesMax: 10_000 } });
    const client = openClient(receiver.grpcPort);
    const result = await call(client, Buffer.alloc(1_000_000));
    expect(result.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(result.metadata.get('grpc-status-details-bin')).toEqual([]);
    expect((await call(client, MESSAGE)).code).toBe(status.OK);
    expect(requests).toHaveLength(1);
    expect(counters.value('requests_rejected_total', 'broken-off')).toBe(1);
  });

  it('in an encoding other than gzip is UNIMPLEMENTED', async () => {
    const { receiver, requests } = await startReceiver();
    const client = openClient(receiver.grpcPort, {
      'grpc.default_compression_algorithm': compressionAlgorithms.deflate,
    });
    expect((await call(client, MESSAGE)).code).toBe(status.UNIMPLEMENTED);
    expect(requests).toEqual([]);
  });
});

describe('the other services over gRPC', () => {
  it.each([
    ['metrics', 'metrics.v1.MetricsService'],
    ['logs', 'logs.v1.LogsService'],
    ['profiles', 'profiles.v1development.ProfilesService'],
  ])('take %s, drop them and say so in a warning', async (name, service) => {
    const { receiver, requests, counters } = await startReceiver();
    const path = `/opentelemetry.proto.collector.${service}/Export`;
    const { code, response } = await call(openClient(receiver.grpcPort), MESSAGE, path);
    expect(code).toBe(status.OK);
    expect(decode('Response', response!)).toEqual({
      partialSuccess: { errorMessage: `${name} are accepted and dropped: Spanwarden reads traces only` },
    });
    expect(requests).toEqual([]);
    expect(counters.value('ignored_exports_total', name)).toBe(1);
  });

  it('are UNIMPLEMENTED when unknown, reflection among them', async () => {
    const { receiver } = await startReceiver();
    const client = openClient(receiver.grpcPort);
    for (const path of [
      `${TRACE_EXPORT}More`,
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/grpc.channelz.v1.Channelz/GetServers',
    ]) {
      expect((await call(client, MESSAGE, path)).code).toBe(status.UNIMPLEMENTED);
    }
  });

  it('report health as grpc.health.v1 does, following readiness', async () => {
    const { receiver } = await startReceiver();
    const client = openClient(receiver.grpcPort);
    const service = TRACE_EXPORT.split('/')[1]!;
    const named = Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
    const serving = Buffer.from([0x08, 1]);
    const notServing = Buffer.from([0x08, 2]);
    for (const [ready, answer] of [
      [true, serving],
      [false, notServing],
      [true, serving],
    ] as const) {
      receiver.setReady(ready, 'the log is being read');
      expect((await call(client, Buffer.alloc(0), HEALTH_CHECK)).response).toEqual(answer);
      expect((await call(client, named, HEALTH_CHECK)).response).toEqual(answer);
    }
    expect((await call(client, Buffer.from('\n\u0005other'), HEALTH_CHECK)).code).toBe(status.NOT_FOUND);
  });

  it('answer a compressed health check, and refuse one that inflates to much', async () => {
    const { receiver } = await startReceiver();
    const client = openClient(receiver.grpcPort, { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip });
    expect((await call(client, Buffer.alloc(0), HEALTH_CHECK)).response).toEqual(Buffer.from([0x08, 1]));
    const bomb = await call(client, Buffer.alloc(1_000_000), HEALTH_CHECK);
    expect(bomb.code).toBe(status.INVALID_ARGUMENT);
  });

  it('refuse a health check with a name too long to repeat in a header', async () => {
    const { receiver } = await startReceiver();
    const client = openClient(receiver.grpcPort);
    const name = Buffer.alloc(1_000_000, 'x');
    const bytes = Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), name]);
    expect((await call(client, bytes, HEALTH_CHECK)).code).toBe(status.INVALID_ARGUMENT);
    expect((await call(client, MESSAGE)).code).toBe(status.OK);
  });
});
