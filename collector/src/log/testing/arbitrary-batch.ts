import { FIELD_COUNT, FIELD_NAMES, type Value } from '@spanwarden/rules';
import fc from 'fast-check';
import { BatchBuilder, type Resource, type SpanBatch } from '../../base/batch.ts';

/** Any batch that the rest of the collector may legally hand to the log, including all that is odd. */

const time = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1_700_000_000_000_000, max: 1_700_000_100_000_000 }) },
  fc.constantFrom(0, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63 / 1000, -(2 ** 63) / 1000, 1.5),
  fc.double({ noNaN: true }),
);
const text = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('', 'GET', 'orders', 'email', '/a/{id}', '\ud800', '\udc00', '𐍈', '\0', 'é'),
  },
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
);
const number = fc.oneof(
  fc.integer(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 2 ** 53, 0.1),
  fc.double(),
);
const scalar = fc.oneof(text, number, fc.boolean());
const value: fc.Arbitrary<Value> = fc.oneof({ weight: 4, arbitrary: scalar }, fc.array(scalar, { maxLength: 4 }));
const keyName = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: FIELD_COUNT - 1 }).map((id) => FIELD_NAMES[id]!) },
  fc.constantFrom('__proto__', 'constructor', 'app.x', ''),
  text,
);
const attributes = fc.array(fc.tuple(keyName, value), { maxLength: 6 });
const word = fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 3 }) }, fc.integer({ min: 0, max: 0xffff_ffff }));

const resource: fc.Arbitrary<Resource> = fc.record({
  service: text,
  version: text,
  clock: text,
  signals: fc.nat(63),
  droppedSpans: fc.oneof(fc.constant(0), fc.nat()),
  attributes: fc.array(fc.tuple(text, value), { maxLength: 3 }),
});

const span = fc.record({
  traceId: fc.tuple(word, word, word, word),
  spanId: fc.tuple(word, word),
  parentId: fc.tuple(word, word),
  kind: fc.nat(5),
  status: fc.nat(2),
  flags: word,
  startUs: time,
  endUs: time,
  eventUs: time,
  name: text,
  resource: fc.nat(),
  scope: fc.nat(),
  attributes,
  events: fc.array(fc.tuple(time, text, attributes), { maxLength: 2 }),
  links: fc.array(fc.tuple(word, word, word, word, word, word), { maxLength: 2 }),
});

export function arbitraryBatch(spansMax = 30): fc.Arbitrary<SpanBatch> {
  return fc
    .record({
      spans: fc.array(span, { maxLength: spansMax }),
      resources: fc.array(resource, { minLength: 1, maxLength: 3 }),
      scopes: fc.array(fc.record({ name: text, version: text }), { minLength: 1, maxLength: 2 }),
      unused: fc.array(text, { maxLength: 2 }),
    })
    .map(({ spans, resources, scopes, unused }) => {
      const builder = new BatchBuilder();
      for (const one of unused) builder.string(one);
      for (const one of resources) builder.addResource(one);
      for (const one of scopes) builder.addScope(one);
      for (const one of spans) {
        builder.span(
          ...one.traceId,
          ...one.spanId,
          ...one.parentId,
          one.kind,
          one.status,
          one.flags,
          one.startUs,
          one.endUs,
          one.eventUs,
          builder.string(one.name),
          one.resource % resources.length,
          one.scope % scopes.length,
        );
        for (const [key, of] of one.attributes) builder.attrValueOf(builder.key(key), of);
        for (const [timeUs, name, eventAttributes] of one.events) {
          builder.event(timeUs, builder.string(name));
          for (const [key, of] of eventAttributes) builder.eventAttrValueOf(builder.key(key), of);
        }
        for (const link of one.links) builder.link(...link);
      }
      return builder.build();
    });
}
