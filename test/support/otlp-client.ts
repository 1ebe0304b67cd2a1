import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type ChannelOptions, Client, credentials, type Metadata, type ServiceError, status } from '@grpc/grpc-js';

/** What the other side said to one export, in the terms of the OTLP specification. */
export type Answer =
  | { readonly kind: 'stored'; readonly rejectedSpans: number; readonly message: string }
  /** The same bytes may be sent again; `hinted` when the answer says after how long. */
  | { readonly kind: 'retry'; readonly code: string; readonly message: string; readonly hinted: boolean }
  /** The same bytes would fail again. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

export interface Exporter {
  send(bytes: Buffer): Promise<Answer>;
  close(): void;
}

const EXPORT_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const RETRYABLE = new Set<number>([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);
const same = (bytes: Buffer): Buffer => bytes;

/** `ExportTraceServiceResponse`: field 1 is partial_success with rejected_spans = 1 and error_message = 2. */
function parseResponse(bytes: Buffer): Answer {
  let rejectedSpans = 0;
  let message = '';
  if (bytes.length > 2 && bytes[0] === 0x0a) {
    const inner = bytes.subarray(2);
    for (let at = 0; at < inner.length; ) {
      const tag = inner[at++]!;
      let value = 0;
      for (let shift = 0; at < inner.length; shift += 7) {
        const byte = inner[at++]!;
        value += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
      if (tag === 0x08) rejectedSpans = value;
      if (tag === 0x12) {
        message = inner.toString('utf8', at, at + value);
        at += value;
      }
    }
  }
  return { kind: 'stored', rejectedSpans, message };
}

/** RetryInfo inside google.rpc.Status marks RESOURCE_EXHAUSTED as retryable. */
function hasRetryInfo(metadata: Metadata | undefined): boolean {
  const [details] = metadata?.get('grpc-status-details-bin') ?? [];
  return details instanceof Buffer && details.includes('google.rpc.RetryInfo');
}

export interface GrpcSettings {
  readonly port: number;
  /** TCP connections, used in turn; default 1. */
  readonly connections?: number;
  /** Milliseconds until an export counts as failed; default 20,000. */
  readonly deadlineMs?: number;
}

/** OTLP/gRPC with bytes that are encoded already. */
export function createGrpcExporter(settings: GrpcSettings): Exporter {
  const options: ChannelOptions = {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
    'grpc.max_send_message_length': -1,
  };
  const clients = Array.from(
    { length: settings.connections ?? 1 },
    () => new Client(`127.0.0.1:${settings.port}`, credentials.createInsecure(), options),
  );
  let turn = 0;
  const toAnswer = (error: ServiceError): Answer => {
    const hinted = hasRetryInfo(error.metadata);
    const code = status[error.code] ?? String(error.code);
    const again = RETRYABLE.has(error.code) || (error.code === status.RESOURCE_EXHAUSTED && hinted);
    return again
      ? { kind: 'retry', code, message: error.details, hinted }
      : { kind: 'refused', code, message: error.details };
  };
  return {
    send(bytes) {
      const client = clients[turn++ % clients.length]!;
      const deadline = Date.now() + (settings.deadlineMs ?? 20_000);
      return new Promise((resolve) => {
        client.makeUnaryRequest(EXPORT_PATH, same, parseResponse, bytes, { deadline }, (error, answer) => {
          resolve(error === null ? answer! : toAnswer(error));
        });
      });
    },
    close() {
      for (const client of clients) client.close();
    },
  };
}

export interface HttpSettings {
  readonly port: number;
  /** Default application/x-protobuf. */
  readonly contentType?: 'application/x-protobuf' | 'application/json';
  readonly gzip?: boolean;
  readonly sockets?: number;
}

/** OTLP/HTTP over kept-alive connections. */
export function createHttpExporter(settings: HttpSettings): Exporter {
  const agent = new Agent({ keepAlive: true, maxSockets: settings.sockets ?? 8 });
  const json = settings.contentType === 'application/json';
  const answerOf = (code: number, body: Buffer, hinted: boolean): Answer => {
    if (code === 200 && !json) return parseResponse(body);
    if (code === 200) {
      const { partialSuccess = {} } = JSON.parse(body.toString() || '{}') as {
        partialSuccess?: { rejectedSpans?: string | number; errorMessage?: string };
      };
      return {
        kind: 'stored',
        rejectedSpans: Number(partialSuccess.rejectedSpans ?? 0),
        message: partialSuccess.errorMessage ?? '',
      };
    }
    const message = body.toString('latin1');
    if ([429, 502, 503, 504].includes(code)) return { kind: 'retry', code: String(code), message, hinted };
    return { kind: 'refused', code: String(code), message };
  };
  return {
    send(bytes) {
      const body = settings.gzip === true ? gzipSync(bytes) : bytes;
      return new Promise((resolve) => {
        const failed = (error: Error): void =>
          resolve({ kind: 'retry', code: 'socket', message: error.message, hinted: false });
        const request = httpRequest(
          {
            host: '127.0.0.1',
            port: settings.port,
            method: 'POST',
            path: '/v1/traces',
            agent,
            headers: {
              'content-type': settings.contentType ?? 'application/x-protobuf',
              'content-length': body.length,
              ...(settings.gzip === true ? { 'content-encoding': 'gzip' } : {}),
            },
          },
          (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('error', failed);
            response.on('end', () => {
              const hinted = response.headers['retry-after'] !== undefined;
              resolve(answerOf(response.statusCode ?? 0, Buffer.concat(chunks), hinted));
            });
          },
        );
        request.on('error', failed);
        request.end(body);
      });
    },
    close() {
      agent.destroy();
    },
  };
}

export interface SendSettings<T> {
  readonly exporter: Exporter;
  /** Exports on their way at one time; default 8. */
  readonly inFlight?: number;
  readonly bytesOf: (item: T) => Buffer;
  readonly onStored?: (item: T, answer: Answer & { kind: 'stored' }) => void;
  /** Called for each answer that is not a success. Default: throw on `refused`, ignore `retry`. */
  readonly onFailed?: (item: T, answer: Exclude<Answer, { kind: 'stored' }>) => void;
  /** Milliseconds between two tries of the same export; default 50. */
  readonly retryMs?: number;
  /** No further export is started once this is true. */
  readonly stopped?: () => boolean;
}

/** Sends every item, each until it is stored; resolves when all are, or when `stopped` says so. */
export async function sendAll<T>(items: Iterable<T>, settings: SendSettings<T>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const stopped = settings.stopped ?? (() => false);
  const fail = settings.onFailed ?? throwOnRefusal;
  const sendOne = async (item: T): Promise<void> => {
    const bytes = settings.bytesOf(item);
    while (!stopped()) {
      const answer = await settings.exporter.send(bytes);
      if (answer.kind === 'stored') {
        settings.onStored?.(item, answer);
        return;
      }
      fail(item, answer);
      await sleep(settings.retryMs ?? 50);
    }
  };
  const worker = async (): Promise<void> => {
    while (!stopped()) {
      const next = iterator.next();
      if (next.done === true) return;
      await sendOne(next.value);
    }
  };
  await Promise.all(Array.from({ length: settings.inFlight ?? 8 }, worker));
}

function throwOnRefusal(_item: unknown, answer: Exclude<Answer, { kind: 'stored' }>): void {
  if (answer.kind === 'refused') throw new Error(`export refused: ${answer.code} ${answer.message}`);
}
