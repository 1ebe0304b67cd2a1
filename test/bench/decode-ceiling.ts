import { Counters } from 'spanwarden/internal/base/counters';
import { DEFAULT_LIMITS } from 'spanwarden/internal/base/limits';
import { createPseudonym } from 'spanwarden/internal/base/pseudonym';
import { Secret } from 'spanwarden/internal/base/secret';
import { createDecoder } from 'spanwarden/internal/decode/decoder';
import type { Traffic } from '../support/traffic.ts';

/** CPU microseconds a span that the collector's decoder takes for the bench's own traffic with nothing behind it: no design that reads every attribute is faster. */
export function decodeUsPerSpan(traffic: Traffic, seconds: number): number {
  const decoder = createDecoder({
    limits: DEFAULT_LIMITS,
    pseudonym: createPseudonym(new Secret('0123456789abcdef0123456789abcdef')),
    pseudonymKeyId: 'k1',
    eventTime: 'clamped',
    counters: new Counters(),
  });
  const requests = Array.from({ length: 2 * traffic.flightRequests }, (_, n) =>
    traffic.request(Math.floor(n / traffic.flightRequests), n % traffic.flightRequests),
  );
  const spansPerRound = 2 * traffic.flightSpans;
  const round = (): void => {
    for (const bytes of requests) {
      const bytesMax = DEFAULT_LIMITS.httpBodyBytesMax;
      decoder.decode({ bytes, encoding: 'protobuf', compression: 'none', bytesMax }, Date.now() * 1000);
    }
  };
  const warmUntil = performance.now() + 1_000;
  while (performance.now() < warmUntil) round();
  let spans = 0;
  const cpu = process.cpuUsage();
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    round();
    spans += spansPerRound;
  }
  const used = process.cpuUsage(cpu);
  return (used.user + used.system) / spans;
}
