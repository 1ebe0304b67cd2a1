import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Attributes, OtlpGroup, OtlpSpan, SpanKindName } from './otlp-encode.ts';
import { sharedData } from './repo-root.ts';

/**
 * Real traces of TrainTicket, a benchmark of 28 microservices, partly under injected faults and never under attack
 * (Nezha, ESEC/FSE 2023): read from CSV and converted to OTLP. The source repeats spans, has children that start
 * before their parents, and one line that lost its line break.
 */
export const nezhaFolder: string = join(sharedData, 'nezha_trainticket');
export const hasNezha: boolean = existsSync(nezhaFolder);

export interface NezhaSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  readonly pod: string;
  readonly service: string;
  readonly operation: string;
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
}

function toSpan(fields: readonly string[]): NezhaSpan {
  const [traceId, spanId, parent, pod, operation, start, end] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    traceId,
    spanId,
    parentSpanId: parent === 'root' ? '' : parent,
    pod,
    service: pod.split('-').slice(0, -2).join('-'),
    operation,
    startUnixNano: BigInt(start),
    endUnixNano: BigInt(end),
  };
}

/** Every line of every file, repeated ones included. */
export function readNezha(): NezhaSpan[] {
  const files = readdirSync(nezhaFolder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('_trace.csv.gz'),
  );
  const spans: NezhaSpan[] = [];
  for (const file of files.sort()) {
    const [, ...lines] = gunzipSync(readFileSync(join(nezhaFolder, file)))
      .toString('utf8')
      .split('\n');
    for (const line of lines) {
      const fields = line.split(',').map((field) => field.trim());
      if (fields.length < 8) continue;
      spans.push(toSpan(fields));
      // Two lines without a break between: the last field of the first runs into the trace id of the second.
      if (fields.length === 15) spans.push(toSpan([fields[7]!.slice(-32), ...fields.slice(8)]));
    }
  }
  return spans;
}

const DATABASE_CALL = /^(SELECT|INSERT|UPDATE|DELETE) ts\.(\w+)$/;
const HTTP_CALL = /^HTTP (\w+)$/;

export function kindOf(operation: string): SpanKindName {
  if (operation.startsWith('/')) return 'server';
  if (HTTP_CALL.test(operation) || DATABASE_CALL.test(operation)) return 'client';
  if (operation.endsWith(' send')) return 'producer';
  if (operation.endsWith(' process')) return 'consumer';
  return 'internal';
}

/** `http.request.method` of a server span, as the calling client span names it; GET where nobody does. */
export function methodOf(span: NezhaSpan, parent: NezhaSpan | undefined): string {
  return HTTP_CALL.exec(span.operation)?.[1] ?? HTTP_CALL.exec(parent?.operation ?? '')?.[1] ?? 'GET';
}

/** Attributes that stock instrumentation would have sent, with the current names or those of before 2023. */
export function attributesOf(span: NezhaSpan, parent: NezhaSpan | undefined, current: boolean): Attributes {
  const kind = kindOf(span.operation);
  const database = DATABASE_CALL.exec(span.operation);
  if (database !== null) {
    const [, verb, table] = database as unknown as [string, string, string];
    return current
      ? { 'db.system.name': 'mysql', 'db.namespace': 'ts', 'db.collection.name': table, 'db.operation.name': verb }
      : { 'db.system': 'mysql', 'db.name': 'ts', 'db.sql.table': table, 'db.operation': verb };
  }
  if (kind === 'server') {
    const method = methodOf(span, parent);
    return current
      ? { 'http.request.method': method, 'http.route': span.operation, 'http.response.status_code': 200 }
      : { 'http.method': method, 'http.route': span.operation, 'http.status_code': 200 };
  }
  if (kind === 'client') {
    const method = methodOf(span, parent);
    return current
      ? { 'http.request.method': method, 'http.response.status_code': 200 }
      : { 'http.method': method, 'http.status_code': 200 };
  }
  if (kind === 'producer' || kind === 'consumer') {
    const operation = kind === 'producer' ? 'send' : 'process';
    return current
      ? {
          'messaging.system.name': 'rabbitmq',
          'messaging.operation.type': operation,
          'messaging.destination.name': 'food_delivery',
        }
      : { 'messaging.system': 'rabbitmq', 'messaging.operation': operation, 'messaging.destination': 'food_delivery' };
  }
  return {};
}

/** Spans grouped by sender, as one export of several senders. */
export function toGroups(
  spans: readonly NezhaSpan[],
  parentOf: (span: NezhaSpan) => NezhaSpan | undefined,
  current: boolean,
): OtlpGroup[] {
  const byPod = new Map<string, OtlpSpan[]>();
  for (const span of spans) {
    const converted: OtlpSpan = {
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId,
      name: span.operation,
      kind: kindOf(span.operation),
      startUnixNano: span.startUnixNano,
      endUnixNano: span.endUnixNano,
      attributes: attributesOf(span, parentOf(span), current),
    };
    const group = byPod.get(span.pod);
    if (group === undefined) byPod.set(span.pod, [converted]);
    else group.push(converted);
  }
  return [...byPod].map(([pod, group]) => ({
    resource: { 'service.name': pod.split('-').slice(0, -2).join('-'), 'service.instance.id': pod, 'host.name': pod },
    scope: 'io.opentelemetry.auto',
    spans: group,
  }));
}
