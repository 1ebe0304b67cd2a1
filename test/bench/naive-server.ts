import { createServer } from 'node:http';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import Database from 'better-sqlite3';
import protobuf from 'protobufjs';

/**
 * The collector that one would write on an afternoon, with the same outside contract: grpc-js, proto-loader, a Map of
 * span objects by trace, a row per span with three indexes. The yardstick of the bench, and the stand-in with which the
 * fault rigs are tried: `NAIVE_ACK=early` answers before the commit, which a kill -9 rig has to notice.
 */
const PROTO = `
syntax = "proto3";
package opentelemetry.proto.collector.trace.v1;
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Status { string message = 2; int32 code = 3; }
message Span { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; Status status = 15; fixed32 flags = 16; }
message Scope { string name = 1; string version = 2; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ExportTraceServiceResponse {}
service TraceService { rpc Export (ExportTraceServiceRequest) returns (ExportTraceServiceResponse); }
`;

interface WireAttribute {
  key: string;
  value: Record<string, unknown> | null;
}
interface WireSpan {
  trace_id: Buffer;
  span_id: Buffer;
  parent_span_id: Buffer;
  name: string;
  kind: number;
  start_time_unix_nano: string;
  end_time_unix_nano: string;
  attributes: WireAttribute[];
}
interface WireRequest {
  resource_spans: { resource: { attributes: WireAttribute[] }; scope_spans: { spans: WireSpan[] }[] }[];
}
interface NaiveSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Record<string, unknown>;
}

const environment = (name: string, fallback: string): string => process.env[name] ?? fallback;
const idleMs = Number(environment('SPANWARDEN_ASSEMBLE_IDLE_MS', '15000'));
const early = environment('NAIVE_ACK', 'durable') === 'early';

const db = new Database(join(environment('SPANWARDEN_DATA_DIR', '.'), 'naive.db'));
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`
CREATE TABLE IF NOT EXISTS spans (trace_id TEXT, span_id TEXT, parent_id TEXT, service TEXT, name TEXT, kind INTEGER, start_ns INTEGER,
  end_ns INTEGER, attributes TEXT, PRIMARY KEY (trace_id, span_id, kind, service));
CREATE INDEX IF NOT EXISTS spans_by_time ON spans (start_ns);
CREATE INDEX IF NOT EXISTS spans_by_operation ON spans (service, name);
`);
const insert = db.prepare('INSERT OR IGNORE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
const open = new Map<string, { spans: NaiveSpan[]; seenMs: number }>();
let received = 0;
let queue: NaiveSpan[] = [];

const store = db.transaction((spans: readonly NaiveSpan[]) => {
  for (const span of spans) {
    const { traceId, spanId, parentSpanId, service, name, kind, startNs, endNs } = span;
    const attributes = JSON.stringify(span.attributes);
    insert.run(traceId, spanId, parentSpanId, service, name, kind, startNs, endNs, attributes);
  }
});

function readValue({ value }: WireAttribute): unknown {
  if (value === null) return undefined;
  const list = value['array_value'] as { values: Record<string, unknown>[] } | undefined;
  return list === undefined ? Object.values(value)[0] : list.values.map((item) => Object.values(item)[0]);
}

function toSpans(request: WireRequest): NaiveSpan[] {
  const spans: NaiveSpan[] = [];
  for (const { resource, scope_spans } of request.resource_spans) {
    const service = String(readValue(resource.attributes.find((pair) => pair.key === 'service.name')!));
    for (const wire of scope_spans.flatMap((scope) => scope.spans)) {
      spans.push({
        traceId: wire.trace_id.toString('hex'),
        spanId: wire.span_id.toString('hex'),
        parentSpanId: wire.parent_span_id.toString('hex'),
        service,
        name: wire.name,
        kind: wire.kind,
        startNs: BigInt(wire.start_time_unix_nano),
        endNs: BigInt(wire.end_time_unix_nano),
        attributes: Object.fromEntries(wire.attributes.map((pair) => [pair.key, readValue(pair)])),
      });
    }
  }
  return spans;
}

function assemble(spans: readonly NaiveSpan[]): void {
  const nowMs = Date.now();
  for (const span of spans) {
    const trace = open.get(span.traceId);
    if (trace === undefined) open.set(span.traceId, { spans: [span], seenMs: nowMs });
    else {
      trace.spans.push(span);
      trace.seenMs = nowMs;
    }
  }
}

let traces = 0;
setInterval(() => {
  const before = Date.now() - idleMs;
  for (const [traceId, trace] of open) {
    if (trace.seenMs > before) continue;
    open.delete(traceId);
    if (trace.spans.some((span) => span.parentSpanId === '')) traces++;
  }
}, 250).unref();

function exportSpans(call: ServerUnaryCall<WireRequest, object>, answer: sendUnaryData<object>): void {
  const spans = toSpans(call.request);
  received += spans.length;
  if (early) queue.push(...spans);
  else store(spans);
  assemble(spans);
  answer(null, {});
}
if (early) {
  setInterval(() => {
    store(queue);
    queue = [];
  }, 200);
}

const root = protobuf.parse(PROTO, { keepCase: true }).root;
const definition = fromJSON(root.toJSON(), { keepCase: true, longs: String, defaults: true, oneofs: false });
const server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
const service = definition['opentelemetry.proto.collector.trace.v1.TraceService'];
server.addService(service as Parameters<Server['addService']>[0], {
  Export: exportSpans as Parameters<Server['addService']>[1][string],
});

const http = createServer((request, response) => {
  if (request.url === '/readyz') response.end('ok');
  else if (request.url === '/metrics') {
    const rows = db.prepare('SELECT count(*) AS spans FROM spans').get() as { spans: number };
    response.end(
      `spanwarden_spans_received_total ${received}\nspanwarden_spans_stored_total ${rows.spans}\n` +
        `spanwarden_open_traces ${open.size}\nspanwarden_traces_closed_total ${traces}\n`,
    );
  } else if (request.url?.startsWith('/api/v1/traces/')) {
    const traceId = request.url.slice('/api/v1/traces/'.length);
    const spans = db
      .prepare('SELECT span_id AS spanId, parent_id AS parentSpanId FROM spans WHERE trace_id = ?')
      .all(traceId);
    response.statusCode = spans.length === 0 ? 404 : 200;
    response.end(JSON.stringify({ traceId, spans }));
  } else {
    response.statusCode = 404;
    response.end();
  }
});

server.bindAsync(
  `127.0.0.1:${environment('SPANWARDEN_OTLP_GRPC_PORT', '4317')}`,
  ServerCredentials.createInsecure(),
  (error) => {
    if (error !== null) throw error;
    http.listen(Number(environment('SPANWARDEN_HTTP_PORT', '4319')), '127.0.0.1');
  },
);
process.once('SIGTERM', () => {
  server.tryShutdown(() => {
    if (early) store(queue);
    db.close();
    process.exit(0);
  });
});
