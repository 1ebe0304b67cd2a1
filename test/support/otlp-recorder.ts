import { join } from 'node:path';
import { type handleUnaryCall, Server, ServerCredentials, type StatusObject, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

/** One attribute value as it was sent. */
export type RecordedValue = string | number | boolean | readonly RecordedValue[] | undefined;

/** A span as it arrived, with plain values. */
export interface RecordedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** 1 INTERNAL, 2 SERVER, 3 CLIENT, 4 PRODUCER, 5 CONSUMER */
  readonly kind: number;
  readonly flags: number;
  readonly startUs: number;
  readonly endUs: number;
  readonly attributes: Readonly<Record<string, RecordedValue>>;
  readonly resource: Readonly<Record<string, RecordedValue>>;
  readonly events: readonly { readonly name: string; readonly attributes: Readonly<Record<string, RecordedValue>> }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Readonly<Record<string, RecordedValue>>;
  }[];
}

/** A real OTLP/gRPC server that keeps every request as bytes. */
export interface OtlpRecorder {
  readonly endpoint: string;
  /** The bodies of all requests, as they came. */
  readonly requests: readonly Buffer[];
  spans(): RecordedSpan[];
  /** Resolves with all spans once `enough` holds; rejects after the time limit with what did arrive. */
  waitFor(enough: (spans: RecordedSpan[]) => boolean, timeoutMs?: number): Promise<RecordedSpan[]>;
  /** Answers the next request with this status instead of accepting it. */
  refuseNext(refusal: Partial<StatusObject>): void;
  /** Resolves when every refusal has been given. */
  refused(): Promise<void>;
  close(): void;
}

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(import.meta.dirname, '../../proto', target);
const ExportRequest = root
  .loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto', { keepCase: false })
  .lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');

export async function startOtlpRecorder(): Promise<OtlpRecorder> {
  const requests: Buffer[] = [];
  const refusals: Partial<StatusObject>[] = [];
  const watchers = new Set<() => void>();
  const server = new Server();
  const identity = (bytes: Buffer) => bytes;
  const exportSpans: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
    const refusal = refusals.shift();
    if (refusal !== undefined) {
      answer({ code: status.UNAVAILABLE, ...refusal });
      for (const watcher of watchers) watcher();
      return;
    }
    requests.push(call.request);
    answer(null, Buffer.alloc(0));
    for (const watcher of watchers) watcher();
  };
  server.addService(
    {
      Export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { Export: exportSpans },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const spans = () => requests.flatMap(decodeRequest);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    requests,
    spans,
    waitFor: (enough, timeoutMs = 10_000) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const arrived = spans();
          if (!enough(arrived)) return;
          done();
          resolve(arrived);
        };
        const timer = setTimeout(() => {
          done();
          reject(
            new Error(
              `only these spans arrived: ${spans()
                .map((span) => `${span.kind} ${span.name}`)
                .join(', ')}`,
            ),
          );
        }, timeoutMs);
        const done = () => {
          clearTimeout(timer);
          watchers.delete(check);
        };
        watchers.add(check);
        check();
      }),
    refused: () =>
      new Promise((resolve) => {
        const check = () => {
          if (refusals.length > 0) return;
          watchers.delete(check);
          // The sender has to read the answer before anybody relies on it.
          setTimeout(resolve, 200);
        };
        watchers.add(check);
        check();
      }),
    refuseNext: (refusal) => void refusals.push(refusal),
    close: () => server.forceShutdown(),
  };
}

interface AnyValue {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values?: readonly AnyValue[] };
}

interface KeyValue {
  readonly key: string;
  readonly value?: AnyValue;
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind?: number;
  readonly flags?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly events?: readonly { readonly name?: string; readonly attributes?: readonly KeyValue[] }[];
  readonly links?: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes?: readonly KeyValue[];
  }[];
}

interface WireRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans?: readonly { readonly spans?: readonly WireSpan[] }[];
  }[];
}

function decodeRequest(bytes: Buffer): RecordedSpan[] {
  const message = ExportRequest.toObject(ExportRequest.decode(bytes), { longs: String, bytes: String }) as WireRequest;
  return (message.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) => {
    const resourceAttributes = toRecord(resource?.attributes);
    return (scopeSpans ?? []).flatMap(({ spans }) => (spans ?? []).map((span) => toSpan(span, resourceAttributes)));
  });
}

function toSpan(span: WireSpan, resource: Record<string, RecordedValue>): RecordedSpan {
  return {
    traceId: toHex(span.traceId),
    spanId: toHex(span.spanId),
    parentSpanId: toHex(span.parentSpanId ?? ''),
    name: span.name ?? '',
    kind: span.kind ?? 0,
    flags: span.flags ?? 0,
    startUs: Number(BigInt(span.startTimeUnixNano) / 1000n),
    endUs: Number(BigInt(span.endTimeUnixNano) / 1000n),
    attributes: toRecord(span.attributes),
    resource,
    events: (span.events ?? []).map(({ name, attributes }) => ({ name: name ?? '', attributes: toRecord(attributes) })),
    links: (span.links ?? []).map((link) => ({
      traceId: toHex(link.traceId),
      spanId: toHex(link.spanId),
      attributes: toRecord(link.attributes),
    })),
  };
}

function toHex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

function toRecord(attributes: readonly KeyValue[] = []): Record<string, RecordedValue> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, toValue(value)]));
}

function toValue(value: AnyValue | undefined): RecordedValue {
  if (value?.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(toValue);
  if (value?.intValue !== undefined) return Number(value.intValue);
  return value?.stringValue ?? value?.boolValue ?? value?.doubleValue;
}
