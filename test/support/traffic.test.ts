import { describe, expect, it } from 'vitest';
import { encodeRequest } from './otlp-encode.ts';
import { Traffic } from './traffic.ts';

describe('traffic', () => {
  const traffic = new Traffic({
    seed: 7,
    tracesPerFlight: 60,
    requestSpansMax: 50,
    attacks: { 'access/unauthorized-effect': 2 },
  });

  it('patches pre-encoded requests into the bytes that encoding the objects gives', () => {
    for (const flight of [0, 1, 9]) {
      for (let r = 0; r < traffic.flightRequests; r++) {
        expect(traffic.request(flight, r).equals(encodeRequest([traffic.group(flight, r)]))).toBe(true);
      }
    }
  });

  it('gives every span of a flight exactly once, with its parent in the same trace', () => {
    const keys: string[] = [];
    const edges: string[] = [];
    for (let r = 0; r < traffic.flightRequests; r++) {
      keys.push(...traffic.spanKeys(3, r));
      for (const span of traffic.group(3, r).spans) {
        if (span.parentSpanId !== '') edges.push(`${span.spanId}>${span.parentSpanId}`);
      }
    }
    expect(new Set(keys).size).toBe(traffic.truth(1).spans);
    const expected = Array.from({ length: traffic.flightTraces }, (_, t) => traffic.parentEdges(3, t)).flat();
    expect(edges.sort()).toEqual(expected.sort());
    expect(edges.length).toBe(traffic.truth(1).spans - traffic.truth(1).traces);
  });

  it('never repeats an id between flights', () => {
    const ids = new Set<string>();
    for (let f = 0; f < 20; f++) for (let t = 0; t < traffic.flightTraces; t++) ids.add(traffic.traceId(f, t));
    expect(ids.size).toBe(20 * traffic.flightTraces);
  });

  it('is 9.5 spans a trace and about 500 bytes a span', () => {
    const large = new Traffic({ seed: 1, tracesPerFlight: 400 });
    let bytes = 0;
    for (let r = 0; r < large.flightRequests; r++) bytes += large.request(0, r).length;
    expect(large.flightSpans / large.flightTraces).toBeCloseTo(9.5, 0);
    expect(bytes / large.flightSpans).toBeGreaterThan(450);
    expect(bytes / large.flightSpans).toBeLessThan(600);
  });
});
