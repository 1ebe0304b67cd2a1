import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { onTestFinished } from 'vitest';
import { Counters } from '../base/counters.ts';
import { DEFAULT_LIMITS, type Limits } from '../base/limits.ts';
import { type Admit, type ExportRequest, FULL_SUCCESS } from './export-request.ts';
import { createReceiver, type Receiver, type ReceiverSettings } from './receiver.ts';

/** Real sockets and a recording `admit`, for the tests of this folder. */
export interface TestReceiver {
  readonly receiver: Receiver;
  readonly requests: ExportRequest[];
  readonly counters: Counters;
  readonly logged: object[];
  readonly httpUrl: string;
}

export type TestSettings = Partial<Omit<ReceiverSettings, 'limits'>> & { readonly limits?: Partial<Limits> };

export async function startReceiver(settings: TestSettings = {}, admit?: Admit): Promise<TestReceiver> {
  const requests: ExportRequest[] = [];
  const logged: object[] = [];
  const counters = new Counters();
  const receiver = await createReceiver(
    {
      grpcAddress: '127.0.0.1',
      grpcPort: 0,
      httpAddress: '127.0.0.1',
      httpPort: 0,
      counters,
      logger: { error: (fields) => void logged.push(fields) },
      ...settings,
      limits: { ...DEFAULT_LIMITS, ...settings.limits },
    },
    (request) => {
      requests.push(request);
      return admit?.(request) ?? Promise.resolve(FULL_SUCCESS);
    },
  );
  onTestFinished(() => receiver.stop(0));
  return { receiver, requests, counters, logged, httpUrl: `http://127.0.0.1:${receiver.httpPort}` };
}

/** What a unary call ended with. */
export interface GrpcResult {
  readonly code: number;
  readonly message: string;
  readonly response: Buffer | undefined;
  readonly metadata: Metadata;
}

export const TRACE_EXPORT = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export function openClient(port: number, options: Record<string, number> = {}): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
  onTestFinished(() => client.close());
  return client;
}

export function call(
  client: Client,
  bytes: Uint8Array,
  path = TRACE_EXPORT,
  headers: Record<string, string> = {},
): Promise<GrpcResult> {
  const same = (buffer: Buffer): Buffer => buffer;
  const sent = new Metadata();
  for (const [key, value] of Object.entries(headers)) sent.set(key, value);
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      same,
      same,
      Buffer.from(bytes),
      sent,
      (error: ServiceError | null, response?: Buffer) => {
        resolve({
          code: error?.code ?? 0,
          message: error?.details ?? '',
          response,
          metadata: error?.metadata ?? new Metadata(),
        });
      },
    );
  });
}

const ROOT = protobuf.parse(
  `syntax = "proto3";
  message Response { Partial partial_success = 1; }
  message Partial { int64 rejected_spans = 1; string error_message = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }`,
).root;

/** Decodes with protobufjs, as an oracle for the bytes we write by hand. */
export function decode(type: 'Response' | 'Status' | 'RetryInfo', bytes: Uint8Array): Record<string, unknown> {
  const message = ROOT.lookupType(type);
  return message.toObject(message.decode(bytes), { longs: Number }) as Record<string, unknown>;
}

/** The retry delay inside google.rpc.Status bytes in milliseconds; undefined when there is no RetryInfo. */
export function retryDelayMs(status: Uint8Array): number | undefined {
  const details = decode('Status', status)['details'] as { typeUrl: string; value: Uint8Array }[] | undefined;
  const detail = details?.find(({ typeUrl }) => typeUrl === 'type.googleapis.com/google.rpc.RetryInfo');
  if (detail === undefined) return undefined;
  const { retryDelay } = decode('RetryInfo', detail.value) as { retryDelay: { seconds?: number; nanos?: number } };
  return (retryDelay.seconds ?? 0) * 1000 + (retryDelay.nanos ?? 0) / 1e6;
}

/** Polls until `condition` holds; for effects that no event of ours announces. */
export async function eventually(condition: () => boolean, withinMs = 5000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error('the expected state was not reached in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
