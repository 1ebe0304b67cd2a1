import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CollectorProcess } from './support/collector-process.ts';
import { hasNezha, kindOf, methodOf, type NezhaSpan, readNezha, toGroups } from './support/nezha.ts';
import { createGrpcExporter, createHttpExporter, type Exporter, sendAll } from './support/otlp-client.ts';
import { encodeRequest, toJsonRequest } from './support/otlp-encode.ts';
import { type Outcome, readOutcome, untilSettled } from './support/outcome.ts';
import { createRandom, type Random, shuffle } from './support/random.ts';

const REQUEST_SPANS = 300;
const IDLE_MS = 2_000;
/** Spans of so many traces are shuffled among each other: what a busy minute looks like to a receiver. */
const WINDOW_TRACES = 200;
/** One trace in so many is read back span by span; the aggregates cover all. */
const SAMPLE_ONE_IN = 5;
/** One trace in so many gets part of its spans only after it was judged. */
const LATE_ONE_IN = 12;
const key = (traceId: string, spanId: string): string => `${traceId}/${spanId}`;

/** What the CSV files say, worked out without any code of the collector. */
class Source {
  readonly lines = readNezha();
  readonly spans = new Map<string, NezhaSpan>();
  readonly traces = new Map<string, NezhaSpan[]>();

  constructor() {
    for (const span of this.lines) {
      const id = key(span.traceId, span.spanId);
      if (this.spans.has(id)) continue;
      this.spans.set(id, span);
      const trace = this.traces.get(span.traceId);
      if (trace === undefined) this.traces.set(span.traceId, [span]);
      else trace.push(span);
    }
  }

  parentOf = (span: NezhaSpan): NezhaSpan | undefined => this.spans.get(key(span.traceId, span.parentSpanId));

  /** All lines in an order that no sender intended: traces mixed, some spans late, some sent twice on top of the source's own repeats. */
  schedule(random: Random): { onTime: NezhaSpan[]; late: NezhaSpan[]; again: NezhaSpan[] } {
    const byTrace = new Map<string, NezhaSpan[]>();
    for (const line of this.lines) {
      const lines = byTrace.get(line.traceId);
      if (lines === undefined) byTrace.set(line.traceId, [line]);
      else lines.push(line);
    }
    const onTime: NezhaSpan[] = [];
    const late: NezhaSpan[] = [];
    const traces = shuffle([...byTrace.values()], random);
    for (let from = 0; from < traces.length; from += WINDOW_TRACES) {
      const mixed = traces.slice(from, from + WINDOW_TRACES).flatMap((lines, i) => {
        if (i % LATE_ONE_IN > 0) return lines;
        const kept = shuffle(lines, random);
        late.push(...kept.splice(0, Math.ceil(kept.length / 3)));
        return kept;
      });
      onTime.push(...shuffle(mixed, random));
    }
    return { onTime, late: shuffle(late, random), again: onTime.slice(0, 3 * REQUEST_SPANS) };
  }

  operations(): Record<string, number> {
    const calls = new Map<string, number>();
    for (const span of this.spans.values()) {
      if (kindOf(span.operation) !== 'server') continue;
      // A slash at the end makes no other operation.
      const route = span.operation.replace(/(?<=.)\/$/, '');
      const name = `${span.service} ${methodOf(span, this.parentOf(span))} ${route}`;
      calls.set(name, (calls.get(name) ?? 0) + 1);
    }
    return Object.fromEntries([...calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  serviceEdges(): Record<string, number> {
    const calls = new Map<string, number>();
    for (const span of this.spans.values()) {
      const parent = this.parentOf(span);
      if (parent === undefined || parent.service === span.service) continue;
      const edge = `${parent.service}>${span.service}`;
      calls.set(edge, (calls.get(edge) ?? 0) + 1);
    }
    return Object.fromEntries([...calls].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

const inRequests = (spans: readonly NezhaSpan[]): NezhaSpan[][] =>
  Array.from({ length: Math.ceil(spans.length / REQUEST_SPANS) }, (_, i) =>
    spans.slice(i * REQUEST_SPANS, (i + 1) * REQUEST_SPANS),
  );

describe.skipIf(!hasNezha)('real traces of TrainTicket (left out without shared data)', () => {
  let source: Source;
  let collector: CollectorProcess;
  let outcome: Outcome;
  let sent = 0;
  const dataDir = mkdtempSync(join(tmpdir(), 'spanwarden-nezha-'));

  /** Each request in turn by gRPC, OTLP/HTTP protobuf, gzipped, and JSON; odd ones with the old attribute names. */
  async function send(requests: readonly NezhaSpan[][]): Promise<void> {
    const port = collector.ports.http;
    const ways: { exporter: Exporter; json: boolean }[] = [
      { exporter: createGrpcExporter({ port: collector.ports.grpc }), json: false },
      { exporter: createHttpExporter({ port }), json: false },
      { exporter: createGrpcExporter({ port: collector.ports.grpc }), json: false },
      { exporter: createHttpExporter({ port, gzip: true }), json: false },
      { exporter: createGrpcExporter({ port: collector.ports.grpc }), json: false },
      { exporter: createHttpExporter({ port, contentType: 'application/json' }), json: true },
    ];
    const perWay = ways.map(({ exporter, json }, way) =>
      sendAll(
        requests.flatMap((spans, r) => (r % ways.length === way ? [{ spans, current: r % 4 < 2 }] : [])),
        {
          exporter,
          inFlight: 2,
          bytesOf: ({ spans, current }) => {
            const groups = toGroups(spans, source.parentOf, current);
            return json ? Buffer.from(toJsonRequest(groups)) : encodeRequest(groups);
          },
          onStored: (_, answer) => expect(answer).toEqual({ kind: 'stored', rejectedSpans: 0, message: '' }),
        },
      ),
    );
    await Promise.all(perWay);
    for (const { exporter } of ways) exporter.close();
    sent += requests.reduce((sum, spans) => sum + spans.length, 0);
  }

  beforeAll(async () => {
    source = new Source();
    collector = await CollectorProcess.start({
      dataDir,
      env: { SPANWARDEN_TIME: 'event', SPANWARDEN_ASSEMBLE_IDLE_MS: String(IDLE_MS) },
    });
    const { onTime, late, again } = source.schedule(createRandom(20230129));
    await send(inRequests(onTime));
    await untilSettled(collector);
    await send(inRequests([...late, ...again]));
    await untilSettled(collector);
    outcome = await readOutcome(collector);
  }, 120_000);

  afterAll(async () => {
    await collector?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('stores each span of the source once, however often it was sent', async () => {
    const metrics = await collector.metrics();
    expect({
      received: metrics.sum('spanwarden_spans_received_total'),
      stored: metrics.sum('spanwarden_spans_stored_total'),
      duplicate: metrics.sum('spanwarden_spans_duplicate_total'),
      rejected: metrics.sum('spanwarden_spans_rejected_total'),
    }).toEqual({ received: sent, stored: source.spans.size, duplicate: sent - source.spans.size, rejected: 0 });
  });

  it('has every parent-child edge of the traces it is asked for, and no other', async () => {
    const wrong: string[] = [];
    const queue = [...source.traces].filter((_, i) => i % SAMPLE_ONE_IN === 0).values();
    const reader = async (): Promise<void> => {
      for (const [traceId, spans] of queue) {
        const trace = await collector.rest<{ spans: { spanId: string; parentSpanId?: string }[] }>(
          `/api/v1/traces/${traceId}`,
        );
        const found = trace.spans.map((span) => `${span.spanId}<${span.parentSpanId ?? ''}`).sort();
        const wanted = spans.map((span) => `${span.spanId}<${span.parentSpanId}`).sort();
        if (found.join() !== wanted.join()) wrong.push(traceId);
      }
    };
    await Promise.all(Array.from({ length: 6 }, reader));
    expect(wrong).toEqual([]);
  }, 60_000);

  it('counts the calls of every operation exactly', () => {
    expect(outcome.operations).toEqual(source.operations());
  });

  it('has exactly the service edges of the source', () => {
    expect(outcome.serviceEdges).toEqual(source.serviceEdges());
  });

  it('finds nothing in traffic without attacks', () => {
    expect(outcome.findings).toEqual([]);
  });
});
