import { Field, Signal } from '@spanwarden/rules';
import { type ClosedTrace, createAssembler } from 'spanwarden/internal/assemble/assembler';
import { buildPaths } from 'spanwarden/internal/assemble/paths';
import { BatchBuilder, type SpanBatch, TAG_NUMBER, TAG_STRING } from 'spanwarden/internal/base/batch';
import { Counters } from 'spanwarden/internal/base/counters';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { createPseudonym } from 'spanwarden/internal/base/pseudonym';
import { Secret } from 'spanwarden/internal/base/secret';
import { createEnricher } from 'spanwarden/internal/enrich/enricher';
import { toGraphFacts } from 'spanwarden/internal/enrich/graph';
import { createRandom } from '../support/random.ts';

// Microseconds of CPU per span to take spans into the open table and close their traces, to build call paths, to enrich
// them and to derive graph facts; and resident memory with 100,000 open traces.
// Run: npx tsc -b && node --expose-gc test/dist/bench/assemble.js

const SPANS_PER_TRACE = 8;
const BATCH_SPANS = 512;
const TRACES = 20_000;
const OPEN_TRACES = 100_000;
const ROUNDS = 5;

const random = createRandom(7);
const word = (): number => random.below(0xffffffff) + 1;

interface Span {
  readonly trace: readonly number[];
  readonly id: readonly [number, number];
  readonly parent: readonly [number, number];
  readonly depth: number;
  readonly startUs: number;
}

/** A chain of client and server spans through four services: what instrumented HTTP services send. */
function traceSpans(n: number): Span[] {
  const trace = [word(), word(), word(), word()];
  let parent: readonly [number, number] = [0, 0];
  return Array.from({ length: SPANS_PER_TRACE }, (_, depth) => {
    const span: Span = { trace, id: [word(), word()], parent, depth, startUs: 1.7e15 + n * 500 + depth * 20 };
    parent = span.id;
    return span;
  });
}

/** Batches as exporters send them: each service its own spans of many traces. */
function batchesOf(traces: number): SpanBatch[] {
  const batches: SpanBatch[] = [];
  const perService = BATCH_SPANS / 2;
  for (let from = 0; from < traces; from += perService) {
    const group = Array.from({ length: Math.min(perService, traces - from) }, (_, i) => traceSpans(from + i));
    for (let service = 0; service < SPANS_PER_TRACE / 2; service++) {
      const builder = new BatchBuilder();
      const resource = builder.addResource({
        service: `service-${service}`,
        version: '1.4.2',
        clock: `host-${service}`,
        signals: Signal.auth | Signal.data | Signal.object,
        droppedSpans: 0,
        attributes: [],
      });
      const scope = builder.addScope({ name: '@opentelemetry/instrumentation-http', version: '0.223.0' });
      for (const spans of group) {
        for (const span of spans.slice(2 * service, 2 * service + 2)) addSpan(builder, span, resource, scope);
      }
      batches.push(builder.build());
    }
  }
  return batches;
}

function addSpan(builder: BatchBuilder, span: Span, resource: number, scope: number): void {
  const isServer = span.depth % 2 === 0;
  const [t0, t1, t2, t3] = span.trace as [number, number, number, number];
  const endUs = span.startUs + 400 - span.depth * 40;
  builder.span(
    t0,
    t1,
    t2,
    t3,
    ...span.id,
    ...span.parent,
    isServer ? 2 : 3,
    0,
    0x301,
    span.startUs,
    endUs,
    endUs,
    builder.string('GET /accounts/:id'),
    resource,
    scope,
  );
  const text = (key: number, value: string): void => builder.attr(key, TAG_STRING, builder.string(value));
  const number = (key: number, value: number): void => builder.attr(key, TAG_NUMBER, value);
  text(Field.httpRequestMethod, 'GET');
  number(Field.httpResponseStatusCode, 200);
  text(Field.urlScheme, 'https');
  text(Field.apisecVersion, '1');
  text(Field.serverAddress, 'accounts.prod.internal');
  number(Field.serverPort, 8443);
  if (!isServer) {
    text(Field.urlFull, 'https://accounts.prod.internal/accounts/42');
    return;
  }
  text(Field.httpRoute, '/accounts/:id');
  text(Field.urlPath, `/accounts/${random.below(1e6)}`);
  text(Field.authScheme, 'bearer');
  text(Field.authVerified, 'yes');
  text(Field.userHash, `QdH5CAWJgqVT4rOr0q${random.below(9000) + 1000}`);
  text(Field.networkPeerAddress, '10.1.2.3');
  text(Field.clientAddress, '203.0.113.0/24');
  number(Field.responseRecordCount, 1);
  number(builder.key('apisec.response.data.email'), 1);
}

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
const rssMiB = (): number => process.memoryUsage().rss / 1024 / 1024;
const report = (what: string, value: number, unit: string): void =>
  console.log(`${what.padEnd(46)} ${value.toFixed(2).padStart(9)} ${unit}`);
const history = { readTrace: () => undefined, mark: () => undefined };

function measureStages(): void {
  const batches = batchesOf(TRACES);
  const spans = TRACES * SPANS_PER_TRACE;
  const enrich = createEnricher({
    estate: { ownHosts: [], exposures: [] },
    pseudonym: createPseudonym(new Secret('0123456789abcdef0123456789abcdef')),
  });
  const best = [Infinity, Infinity, Infinity, Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    const closed: ClosedTrace[] = [];
    const assembler = createAssembler({ limits: DEFAULT_LIMITS, counters: new Counters() }, history, (trace) =>
      closed.push(trace),
    );
    const marks = [cpuUs()];
    for (let i = 0; i < batches.length; i++) assembler.accept(batches[i]!, i, 1.7e15 + i);
    marks.push(cpuUs());
    assembler.flush();
    marks.push(cpuUs());
    // Each pass does the work of the one before it again and drops it at once, as the pipeline does.
    for (const trace of closed) buildPaths(trace);
    marks.push(cpuUs());
    for (const trace of closed) for (const tree of buildPaths(trace)) enrich(tree, trace);
    marks.push(cpuUs());
    for (const trace of closed) for (const tree of buildPaths(trace)) toGraphFacts(enrich(tree, trace));
    marks.push(cpuUs());
    for (let i = 0; i < best.length; i++) best[i] = Math.min(best[i]!, (marks[i + 1]! - marks[i]!) / spans);
  }
  const [accept, flush, paths, enriched, facts] = best as [number, number, number, number, number];
  report('accept: dedup and open table', accept, 'us/span');
  report('close: hand traces on', flush, 'us/span');
  report('buildPaths', paths, 'us/span');
  report('enrich', enriched - paths, 'us/span');
  report('graph facts', facts - enriched, 'us/span');
}

function measureMemory(): void {
  globalThis.gc?.();
  const before = rssMiB();
  const assembler = createAssembler({ limits: DEFAULT_LIMITS, counters: new Counters() }, history, () => {});
  let offset = 0;
  for (let made = 0; made < OPEN_TRACES; made += 10_000) {
    for (const batch of batchesOf(10_000)) assembler.accept(batch, offset++, 1.7e15);
  }
  globalThis.gc?.();
  report(`RSS of ${assembler.openTraces} open traces`, rssMiB() - before, 'MiB');
  report('  columns held, by own count', assembler.openBytes / 1024 / 1024, 'MiB');
  const start = cpuUs();
  const bytes = assembler.snapshot().length;
  report('  snapshot', bytes / 1024 / 1024, 'MiB');
  report('  time of a snapshot', (cpuUs() - start) / 1000, 'ms');
}

measureMemory();
measureStages();
