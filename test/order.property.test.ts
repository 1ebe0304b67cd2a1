import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createInProcessCollector } from './support/in-process.ts';
import { encodeRequest, type OtlpGroup, type OtlpSpan, toJsonRequest } from './support/otlp-encode.ts';
import { Traffic } from './support/traffic.ts';

/**
 * The promise behind every count and finding: they are functions of the set of spans. Whatever an exporter, a network or
 * a retry does to the way spans arrive must leave no trace in what the store says.
 */
const FLIGHTS = 1;
const traffic = new Traffic({
  seed: 7,
  tracesPerFlight: 40,
  startMs: Date.parse('2026-03-02T10:00:00Z'),
  attacks: { 'access/unauthorized-effect': 2, 'exposure/unauthenticated-sensitive-read': 3 },
});

interface Sent {
  readonly group: Omit<OtlpGroup, 'spans'>;
  readonly span: OtlpSpan;
}

const everySpan: readonly Sent[] = Array.from({ length: FLIGHTS }, (_, flight) =>
  Array.from({ length: traffic.flightRequests }, (__, request) => traffic.group(flight, request)),
)
  .flat()
  .flatMap(({ spans, ...group }) => spans.map((span) => ({ group, span })));

function exportOf(part: readonly Sent[]): OtlpGroup[] {
  const groups = new Map<unknown, { group: Sent['group']; spans: OtlpSpan[] }>();
  for (const { group, span } of part) {
    const known = groups.get(group);
    if (known === undefined) groups.set(group, { group, spans: [span] });
    else known.spans.push(span);
  }
  return Array.from(groups.values(), ({ group, spans }) => ({ ...group, spans }));
}

/** How the spans travel: their order, where exports are cut, which go again, in which encoding, and how much silence lies between. */
const journey = fc.record({
  order: fc.array(fc.integer({ min: 0, max: 1 << 30 }), { minLength: everySpan.length, maxLength: everySpan.length }),
  exportSpans: fc.integer({ min: 1, max: 60 }),
  repeats: fc.array(fc.nat({ max: 400 }), { maxLength: 12 }),
  json: fc.boolean(),
  silencesS: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 4, maxLength: 4 }),
  checkpointEvery: fc.integer({ min: 1, max: 9 }),
});

function travel({
  order,
  exportSpans,
  repeats,
  json,
  silencesS,
  checkpointEvery,
}: typeof journey extends fc.Arbitrary<infer T> ? T : never): unknown {
  const shuffled = everySpan.map((sent, i) => [order[i]!, sent] as const).sort(([a], [b]) => a - b);
  const exports: Sent[][] = [];
  for (let from = 0; from < shuffled.length; from += exportSpans)
    exports.push(shuffled.slice(from, from + exportSpans).map(([, sent]) => sent));
  for (const repeat of repeats) exports.splice(repeat % exports.length, 0, exports[(repeat * 7) % exports.length]!);
  const collector = createInProcessCollector();
  let nowUs = Date.parse('2026-03-02T10:00:05Z') * 1000;
  for (const [i, part] of exports.entries()) {
    const groups = exportOf(part);
    collector.send(
      json ? Buffer.from(toJsonRequest(groups)) : encodeRequest(groups),
      json ? 'json' : 'protobuf',
      nowUs,
    );
    nowUs += (silencesS[i % silencesS.length]! * 1_000_000) / Math.max(1, exports.length / 20);
    collector.pipeline.tick(nowUs);
    if (i % checkpointEvery === 0) collector.checkpoint();
  }
  return collector.finish();
}

describe('call paths, counts and findings', () => {
  const collector = createInProcessCollector();
  collector.send(encodeRequest(exportOf(everySpan)), 'protobuf', 0);
  const expected = collector.finish() as {
    findings: { rule: { id: string }; count: number }[];
    spans: number;
    operations: { calls: number }[];
  };

  it('count every span once and name the planted attacks', () => {
    expect(expected.spans).toBe(traffic.flightSpans * FLIGHTS);
    const rules = new Map<string, number>();
    for (const { rule, count } of expected.findings) rules.set(rule.id, (rules.get(rule.id) ?? 0) + count);
    expect(Object.fromEntries(rules)).toEqual({
      'access/unauthorized-effect': 2,
      'exposure/unauthenticated-sensitive-read': 3,
    });
    const calls = [...traffic.truth(FLIGHTS).operations.values()].reduce((sum, n) => sum + n, 0);
    expect(expected.operations.reduce((sum, operation) => sum + operation.calls, 0)).toBe(calls);
  });

  it('are the same for every order, partition, repetition and interleaving, however traces close in between', () => {
    fc.assert(
      fc.property(journey, (given) => {
        expect(travel(given)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});
