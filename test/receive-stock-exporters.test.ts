import { gunzipSync } from 'node:zlib';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { Counters } from 'spanwarden/internal/base/counters';
import { RejectedError, UnavailableError } from 'spanwarden/internal/base/errors';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { type Admit, type ExportRequest, FULL_SUCCESS } from 'spanwarden/internal/receive/export-request';
import { createReceiver } from 'spanwarden/internal/receive/receiver';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';

/** The exporters every OpenTelemetry JS service has, configured only by the environment, against real ports. */
const EXPORTERS = [
  { name: 'gRPC', create: () => new GrpcExporter(), encoding: 'protobuf' },
  { name: 'HTTP protobuf', create: () => new ProtobufExporter(), encoding: 'protobuf' },
  { name: 'HTTP JSON', create: () => new JsonExporter(), encoding: 'json' },
] as const;
type StockExporter = (typeof EXPORTERS)[number];

afterEach(() => vi.unstubAllEnvs());

async function startRecording(admit: Admit = async () => FULL_SUCCESS): Promise<{
  requests: ExportRequest[];
  counters: Counters;
  openExporter(stock: StockExporter): SpanExporter;
}> {
  const requests: ExportRequest[] = [];
  const counters = new Counters();
  const receiver = await createReceiver(
    {
      grpcAddress: '127.0.0.1',
      grpcPort: 0,
      httpAddress: '127.0.0.1',
      httpPort: 0,
      limits: DEFAULT_LIMITS,
      counters,
      logger: { error: () => undefined },
    },
    (request) => {
      requests.push(request);
      return admit(request);
    },
  );
  onTestFinished(() => receiver.stop(0));
  return {
    requests,
    counters,
    openExporter({ name, create }) {
      const port = name === 'gRPC' ? receiver.grpcPort : receiver.httpPort;
      vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
      const exporter = create();
      onTestFinished(() => exporter.shutdown());
      return exporter;
    },
  };
}

function recordSpans(count: number): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(memory)] });
  const tracer = provider.getTracer('orders', '1.2.3');
  for (let i = 0; i < count; i++) {
    const span = tracer.startSpan(`GET /orders/${i}`, { attributes: { 'http.route': '/orders/{id}', position: i } });
    span.addEvent('cache miss', { 'cache.key': `order:${i}` });
    span.end();
  }
  return memory.getFinishedSpans();
}

/** 0 = success, as the SDK counts. */
function exportSpans(exporter: SpanExporter, spans: ReadableSpan[]): Promise<{ code: number; error?: Error }> {
  return new Promise((resolve) => exporter.export(spans, resolve));
}

describe.each(EXPORTERS)('the stock $name exporter', (stock) => {
  const { name, encoding } = stock;

  it.each(['none', 'gzip'])('delivers what it serialises, compression %s', async (compression) => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', compression);
    const { requests, counters, openExporter } = await startRecording();
    const spans = recordSpans(600);
    const serializer = encoding === 'json' ? JsonTraceSerializer : ProtobufTraceSerializer;
    const exporter = openExporter(stock);
    expect((await exportSpans(exporter, spans)).code).toBe(0);
    expect((await exportSpans(exporter, spans.slice(0, 1))).code).toBe(0);
    const overHttp = name !== 'gRPC';
    expect(requests).toMatchObject(Array(2).fill({ encoding, compression, transport: overHttp ? 'http' : 'grpc' }));
    const bodies = requests.map(({ bytes, compression }) =>
      compression === 'gzip' ? gunzipSync(bytes) : Buffer.from(bytes),
    );
    const sent = [spans, spans.slice(0, 1)].map((batch) => Buffer.from(serializer.serializeRequest(batch)!));
    expect(bodies.map((body, i) => body.equals(sent[i]!))).toEqual([true, true]);
    expect(counters.value('requests_total', overHttp ? 'http' : 'grpc')).toBe(2);
  });

  it('counts a partial success as success', async () => {
    const { openExporter } = await startRecording(async () => ({ rejectedSpans: 1, message: 'zero trace id' }));
    expect((await exportSpans(openExporter(stock), recordSpans(2))).code).toBe(0);
  });

  it('gives up at once on an export that is rejected for good', async () => {
    const { requests, openExporter } = await startRecording(() => Promise.reject(new RejectedError('malformed', 'no')));
    const { code } = await exportSpans(openExporter(stock), recordSpans(1));
    expect(code).not.toBe(0);
    expect(requests).toHaveLength(1);
  });
});

describe.each(EXPORTERS.slice(1))('the stock $name exporter', (stock) => {
  it('comes back when told to, and loses nothing', async () => {
    let refusals = 0;
    const { requests, openExporter } = await startRecording(async () => {
      refusals += 1;
      if (refusals === 1) throw new UnavailableError('overloaded', 'later', 1000);
      return FULL_SUCCESS;
    });
    expect((await exportSpans(openExporter(stock), recordSpans(3))).code).toBe(0);
    expect(requests.map(({ bytes }) => Buffer.from(bytes).equals(Buffer.from(requests[0]!.bytes)))).toEqual([
      true,
      true,
    ]);
  });
});
