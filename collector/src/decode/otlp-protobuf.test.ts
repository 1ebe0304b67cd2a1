import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../base/errors.ts';
import { DEFAULT_LIMITS, MiB } from '../base/limits.ts';
import { createDecoder } from './decoder.ts';
import {
  type AnyValue,
  attributes,
  decodeJson,
  decodeProtobuf,
  RECEIVED_US,
  RequestType,
  requestOf,
  seen,
  type TestRequest,
  type TestSpan,
  testSettings,
  testSpan,
  toJson,
  toProtobuf,
} from './testing/otlp.ts';

const rejected = (work: () => unknown): RejectedError => {
  try {
    work();
  } catch (error) {
    if (error instanceof RejectedError) return error;
    throw error;
  }
  throw new Error('was accepted');
};

// Plain words: no detector, no renaming, so that the oracle's values must come out as they went in.
const word = fc.stringMatching(/^[a-z]{1,8}$/);
const scalar: fc.Arbitrary<AnyValue> = fc.oneof(
  word.map((stringValue) => ({ stringValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.integer().map((intValue) => ({ intValue: String(intValue) })),
  fc.double({ noNaN: true, noDefaultInfinity: true, max: 1e11, min: -1e11 }).map((doubleValue) => ({ doubleValue })),
);
const value: fc.Arbitrary<AnyValue> = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 4 }).map((values) => ({ arrayValue: { values } })),
);
const keyValue = fc.record({ key: word.map((name) => `x.${name}.y`), value });
const hexId = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((id) => `${Buffer.from(id).toString('hex').slice(0, -1)}1`);
const nanos = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String);
const span = fc.record({
  traceId: hexId(16),
  spanId: hexId(8),
  parentSpanId: fc.oneof(hexId(8), fc.constant('')),
  name: word,
  kind: fc.integer({ min: 0, max: 5 }),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes: fc.uniqueArray(keyValue, { selector: (pair) => pair.key, maxLength: 8 }),
  events: fc.array(
    fc.record({
      timeUnixNano: nanos,
      name: word,
      attributes: fc.uniqueArray(keyValue, { selector: (pair) => pair.key, maxLength: 3 }),
    }),
    { maxLength: 3 },
  ),
  links: fc.array(fc.record({ traceId: hexId(16), spanId: hexId(8) }), { maxLength: 3 }),
  status: fc.record({ code: fc.integer({ min: 0, max: 2 }) }),
  flags: fc.nat({ max: 0x3ff }),
});
const request: fc.Arbitrary<TestRequest> = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.record({ attributes: fc.uniqueArray(keyValue, { selector: (pair) => pair.key, maxLength: 4 }) }),
      scopeSpans: fc.array(
        fc.record({ scope: fc.record({ name: word, version: word }), spans: fc.array(span, { maxLength: 4 }) }),
        { maxLength: 3 },
      ),
    }),
    { maxLength: 3 },
  ),
});

describe('decoding protobuf', () => {
  it('finds in a random request exactly what protobufjs finds', () => {
    fc.assert(
      fc.property(request, (sample) => {
        const bytes = toProtobuf(sample);
        const oracle = RequestType.toObject(RequestType.decode(bytes), {
          longs: String,
          bytes: Buffer,
          enums: Number,
          defaults: true,
        }) as OracleRequest;
        const { batch, receivedSpans, rejectedSpans } = decodeProtobuf(bytes);
        const spans = oracle.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans));
        expect(rejectedSpans).toBe(0);
        expect(receivedSpans).toBe(spans.length);
        const sent = sample.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans));
        const found = seen(batch).map(({ eventUs: _, service: __, ...rest }) => rest);
        expect(found).toEqual(spans.map((oracleSpan, i) => oracleView(oracleSpan, sent[i]!)));
      }),
      { numRuns: 150 },
    );
  });

  it('and JSON of the same request fill equal batches, table by table', () => {
    fc.assert(
      fc.property(request, (sample) => {
        expect(decodeJson(toJson(sample)).batch).toEqual(decodeProtobuf(toProtobuf(sample)).batch);
      }),
      { numRuns: 150 },
    );
  });

  it('gives equal batches whether or not its caches already know the values', () => {
    fc.assert(
      fc.property(request, (sample) => {
        const decoder = createDecoder(testSettings());
        const ask = { bytes: toProtobuf(sample), encoding: 'protobuf', compression: 'none', bytesMax: MiB } as const;
        const first = decoder.decode(ask, RECEIVED_US);
        expect(decoder.decode(ask, RECEIVED_US)).toEqual(first);
      }),
      { numRuns: 50 },
    );
  });

  it('answers every mutated request with a batch or a rejection, nothing else', () => {
    let state = 20260101;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 4294967296) * below);
    };
    const golden = toProtobuf(richRequest());
    const decoder = createDecoder(testSettings());
    let accepted = 0;
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = mutate(golden, random);
      try {
        decoder.decode({ bytes, encoding: 'protobuf', compression: 'none', bytesMax: MiB }, RECEIVED_US);
        accepted++;
      } catch (error) {
        expect(error, `mutant ${i}`).toBeInstanceOf(RejectedError);
        refused++;
      }
    }
    expect(accepted).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(1000);
    // A decoder that met all of them still decodes the original as a fresh one does.
    const ask = { bytes: golden, encoding: 'protobuf', compression: 'none', bytesMax: MiB } as const;
    expect(decoder.decode(ask, RECEIVED_US).batch).toEqual(decodeProtobuf(golden).batch);
  });
});

describe('spans that cannot be kept', () => {
  it.each([
    ['an empty trace id', { traceId: '' }],
    ['a trace id of 15 bytes', { traceId: '11'.repeat(15) }],
    ['a trace id of 17 bytes', { traceId: '11'.repeat(17) }],
    ['a zero trace id', { traceId: '00'.repeat(16) }],
    ['an empty span id', { spanId: '' }],
    ['a span id of 7 bytes', { spanId: '11'.repeat(7) }],
    ['a zero span id', { spanId: '00'.repeat(8) }],
  ])('%s is rejected and its sibling stored', (_, ids) => {
    const sample = requestOf([testSpan(ids), testSpan({ name: 'sibling' })]);
    for (const decoded of [decodeProtobuf(toProtobuf(sample)), decodeJson(toJson(sample))]) {
      expect(decoded).toMatchObject({ receivedSpans: 2, rejectedSpans: 1 });
      expect(decoded.message).toMatch(/^rejected spans: 1 with a (trace|span) id/);
      expect(seen(decoded.batch).map(({ name }) => name)).toEqual(['sibling']);
    }
  });

  it('are not those with an empty name, an end before the start, an unknown kind or a parent of a wrong length', () => {
    const settings = testSettings();
    const sample = requestOf([
      testSpan({ name: '', kind: 77, startTimeUnixNano: '2000000', endTimeUnixNano: '1000000', parentSpanId: 'abcd' }),
    ]);
    const [only] = seen(decodeProtobuf(toProtobuf(sample), settings).batch);
    expect(only).toMatchObject({ name: '', kind: 0, startUs: 2000, endUs: 1000, parentId: '0000000000000000' });
    expect(settings.counters.value('dropped_total', 'decode:parent-id')).toBe(1);
  });

  it('are not those with a repeated attribute: the last one wins and is counted', () => {
    const settings = testSettings();
    const twice = [...attributes({ color: 'red' }), ...attributes({ color: 'blue' })];
    const [only] = seen(decodeProtobuf(toProtobuf(requestOf([testSpan({ attributes: twice })])), settings).batch);
    expect(only!.attributes).toEqual({ color: 'blue' });
    expect(settings.counters.value('attribute_duplicates_total')).toBe(1);
  });
});

describe('bytes that no encoder writes', () => {
  it.each([
    ['a field longer than the request', [0x0a, 0x7f, 1]],
    ['field number 0', [0x02, 0x00]],
    ['an end of a group that never began', [0x0c]],
    ['a group that never ends', [0x0b]],
    ['wire type 7', [0x0f]],
    ['a number of eleven bytes', [0x08, ...Array(11).fill(0x80)]],
    ['text', [...Buffer.from('hello, collector')]],
  ])('%s is refused as malformed', (_, bytes) => {
    expect(rejected(() => decodeProtobuf(Uint8Array.from(bytes))).code).toBe('malformed');
  });

  it('a request cut at any byte is refused or holds fewer spans, and never crashes', () => {
    const bytes = toProtobuf(requestOf([testSpan({ attributes: attributes({ a: 'b', c: [1, 2] }) })]));
    for (let length = 1; length < bytes.length; length++) {
      expect(rejected(() => decodeProtobuf(bytes.subarray(0, length))).code, `cut at ${length}`).toBe('malformed');
    }
  });

  it('unknown fields, deep groups and the field of the pre-1.0 protocol are stepped over', () => {
    const plain = toProtobuf(requestOf([testSpan({})]));
    const groups = [...Array(50_000).fill(0x0b), ...Array(50_000).fill(0x0c)];
    // Field 1000, length-delimited: tag (1000 << 3) | 2 = 8002.
    const legacy = [0xc2, 0x3e, 0x03, 0x01, 0x02, 0x03];
    const bytes = Buffer.concat([Uint8Array.from([...groups, ...legacy, 0x78, 0x05]), plain]);
    expect(decodeProtobuf(bytes).batch).toEqual(decodeProtobuf(plain).batch);
  });

  it('an empty request is an empty batch', () => {
    expect(decodeProtobuf(new Uint8Array(0))).toMatchObject({ receivedSpans: 0, rejectedSpans: 0, message: '' });
    expect(decodeJson(new Uint8Array(0)).batch.count).toBe(0);
    expect(decodeJson(Buffer.from('{}')).batch.count).toBe(0);
  });
});

describe('gzip', () => {
  const decoder = createDecoder(testSettings());
  const decode = (bytes: Uint8Array, bytesMax = MiB) =>
    decoder.decode({ bytes, encoding: 'protobuf', compression: 'gzip', bytesMax }, RECEIVED_US);

  it('is inflated', () => {
    const bytes = toProtobuf(requestOf([testSpan({})]));
    expect(decode(gzipSync(bytes)).batch).toEqual(decodeProtobuf(bytes).batch);
  });

  it('that inflates beyond the limit is too large, however its trailer lies', () => {
    const bomb = gzipSync(Buffer.alloc(64 * MiB));
    expect(rejected(() => decode(bomb)).code).toBe('too-large');
    const lying = Buffer.from(bomb);
    lying.writeUInt32LE(10, lying.length - 4);
    expect(rejected(() => decode(lying)).code).toMatch(/too-large|malformed/);
    const boasting = gzipSync(toProtobuf(requestOf([testSpan({})])));
    boasting.writeUInt32LE(0xffffffff, boasting.length - 4);
    expect(rejected(() => decode(boasting)).code).toBe('malformed');
  });

  it('that is none, or is cut off, is malformed', () => {
    expect(rejected(() => decode(toProtobuf(requestOf([testSpan({})])))).code).toBe('malformed');
    const whole = gzipSync(toProtobuf(requestOf([testSpan({})])));
    expect(rejected(() => decode(whole.subarray(0, whole.length - 9))).code).toBe('malformed');
  });

  it('counts against the same limit when there is none', () => {
    const ask = { bytes: new Uint8Array(2048), encoding: 'protobuf', compression: 'none', bytesMax: 1024 } as const;
    expect(rejected(() => decoder.decode(ask, RECEIVED_US)).code).toBe('too-large');
  });
});

describe('limits', () => {
  it('values nested too deep become a mark, not a rejected request', () => {
    const settings = testSettings();
    let deep: AnyValue = { stringValue: 'bottom' };
    for (let i = 0; i < 150; i++) deep = { arrayValue: { values: [deep] } };
    const sample = requestOf([
      testSpan({ attributes: [{ key: 'deep', value: deep }, ...attributes({ flat: 'kept' })] }),
    ]);
    const [only] = seen(decodeJson(toJson(sample), settings).batch);
    expect(only!.attributes['flat']).toBe('kept');
    expect(only!.attributes['deep']).toBe(`${'['.repeat(100)}"{deep}"${']'.repeat(100)}`);
    expect(settings.counters.value('dropped_total', 'decode:value-depth')).toBe(1);
    expect(decodeProtobuf(nestedBytes(150)).batch.count).toBe(1);
    expect(decodeProtobuf(nestedBytes(5000)).batch.count).toBe(1);
  });

  it('a flood of attributes is cut and counted, and hides no field that rules know', () => {
    const settings = testSettings({ limits: { ...DEFAULT_LIMITS, spanAttributesMax: 10 } });
    const flood = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`flood.n${i}`, 'x']));
    const sample = requestOf([testSpan({ attributes: attributes({ ...flood, 'http.request.method': 'GET' }) })]);
    const [only] = seen(decodeProtobuf(toProtobuf(sample), settings).batch);
    expect(Object.keys(only!.attributes)).toHaveLength(11);
    expect(only!.attributes['http.request.method']).toBe('GET');
    expect(settings.counters.value('dropped_total', 'decode:span-attributes')).toBe(990);
  });

  it('a flood of names is cut and counted, and forgotten with the next request', () => {
    const settings = testSettings({ limits: { ...DEFAULT_LIMITS, batchAttributeNamesMax: 100 } });
    const decoder = createDecoder(settings);
    const decode = (names: readonly string[]) => {
      const spans = names.map((name) => testSpan({ attributes: attributes({ [name]: 'x' }) }));
      const bytes = toProtobuf(requestOf(spans));
      return seen(
        decoder.decode({ bytes, encoding: 'protobuf', compression: 'none', bytesMax: MiB }, RECEIVED_US).batch,
      );
    };
    decode(Array.from({ length: 300 }, (_, i) => `n${i}.a`));
    expect(settings.counters.value('dropped_total', 'decode:attribute-names')).toBeGreaterThan(150);
    expect(decode(['calm.name', 'http.method']).map((span) => span.attributes)).toEqual([
      { 'calm.name': 'x' },
      { 'http.request.method': 'x' },
    ]);
  });

  it('a value is cut at a word boundary', () => {
    const settings = testSettings({ limits: { ...DEFAULT_LIMITS, attributeValueCharsMax: 100 } });
    const long = `${'word '.repeat(18)}4111111111111111 and more`;
    const sample = requestOf([testSpan({ attributes: attributes({ note: long }) })]);
    const [only] = seen(decodeProtobuf(toProtobuf(sample), settings).batch);
    expect(only!.attributes['note']).toBe('word '.repeat(18));
  });

  it('integers that a double cannot hold become digits, infinities become text', () => {
    const sample = requestOf([
      testSpan({
        attributes: [
          { key: 'big', value: { intValue: '9223372036854775807' } },
          { key: 'small', value: { intValue: '-9223372036854775808' } },
          { key: 'safe', value: { intValue: '-9007199254740991' } },
          { key: 'inf', value: { doubleValue: 'Infinity' } },
          { key: 'nan', value: { doubleValue: 'NaN' } },
        ],
      }),
    ]);
    const expected = {
      big: '9223372036854775807',
      small: '-9223372036854775808',
      safe: -9007199254740991,
      inf: 'Infinity',
      nan: 'NaN',
    };
    expect(seen(decodeJson(toJson(sample)).batch)[0]!.attributes).toEqual(expected);
    expect(decodeProtobuf(withInt64(2n ** 63n - 1n)).batch.strings).toContain('9223372036854775807');
    expect(decodeProtobuf(withInt64(-(2n ** 63n))).batch.strings).toContain('-9223372036854775808');
    expect(decodeProtobuf(withInt64(2n ** 53n)).batch.strings).toContain('9007199254740992');
    expect([...decodeProtobuf(withInt64(1n - 2n ** 53n)).batch.attrValue]).toEqual([-9007199254740991]);
  });
});

describe('event time', () => {
  const day = 24 * 3600 * 1e6;
  it.each([
    ['within the window it is the end', RECEIVED_US - day, RECEIVED_US - day],
    ['ten minutes ahead it still is', RECEIVED_US + 600e6, RECEIVED_US + 600e6],
    ['older than a day it is the receipt', RECEIVED_US - day - 1, RECEIVED_US],
    ['further ahead it is the receipt', RECEIVED_US + 600e6 + 1, RECEIVED_US],
    ['in 1970 it is the receipt', 1, RECEIVED_US],
    ['beyond all clocks it is the receipt', Number.MAX_SAFE_INTEGER, RECEIVED_US],
  ])('%s', (_, endUs, eventUs) => {
    const bytes = toProtobuf(requestOf([testSpan({ endTimeUnixNano: String(BigInt(endUs) * 1000n) })]));
    expect(decodeProtobuf(bytes).batch.eventUs[0]).toBe(eventUs);
  });

  it('as recorded is the end whatever the clock says', () => {
    const bytes = toProtobuf(requestOf([testSpan({ endTimeUnixNano: '1000000' })]));
    expect(decodeProtobuf(bytes, testSettings({ eventTime: 'recorded' })).batch.eventUs[0]).toBe(1000);
  });
});

interface OracleRequest {
  readonly resourceSpans: { readonly scopeSpans: { readonly spans: OracleSpan[] }[] }[];
}
interface OracleSpan {
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  readonly parentSpanId: Buffer;
  readonly name: string;
  readonly kind: number;
  readonly status: { readonly code: number } | null;
  readonly flags: number;
  readonly attributes: OraclePair[];
  readonly events: { readonly name: string; readonly attributes: OraclePair[] }[];
  readonly links: { readonly traceId: Buffer; readonly spanId: Buffer }[];
}
interface OraclePair {
  readonly key: string;
  readonly value: Record<string, unknown>;
}

/** Times come from the sample: protobufjs rounds 64-bit integers when it reads them. */
function oracleView(span: OracleSpan, sent: TestSpan) {
  return {
    traceId: span.traceId.toString('hex'),
    spanId: span.spanId.toString('hex'),
    parentId: span.parentSpanId.toString('hex').padStart(16, '0'),
    name: span.name,
    kind: span.kind,
    status: span.status?.code ?? 0,
    flags: span.flags,
    startUs: micros(sent.startTimeUnixNano!),
    endUs: micros(sent.endTimeUnixNano!),
    attributes: oracleAttributes(span.attributes),
    events: span.events.map((event, i) => ({
      timeUs: micros(sent.events![i]!.timeUnixNano!),
      name: event.name,
      attributes: oracleAttributes(event.attributes),
    })),
    links: span.links.map((link) => `${link.traceId.toString('hex')}:${link.spanId.toString('hex')}`),
  };
}

function micros(nanoseconds: string): number {
  return Math.min(Number(BigInt(nanoseconds) / 1000n), Number.MAX_SAFE_INTEGER);
}

function oracleAttributes(pairs: readonly OraclePair[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value: held }) => [key, oracleValue(held)]));
}

function oracleValue(held: Record<string, unknown>): unknown {
  if ('arrayValue' in held)
    return (held['arrayValue'] as { values: Record<string, unknown>[] }).values.map(oracleValue);
  if ('intValue' in held) return Number(held['intValue']);
  // -0 and 0 are one value in a batch.
  return 'doubleValue' in held ? (held['doubleValue'] as number) + 0 : Object.values(held)[0];
}

function richRequest(): TestRequest {
  const rich = {
    'http.method': 'GET',
    'http.url': 'https://u:p@shop.example/a/b?token=x&q=1',
    'db.statement': "SELECT * FROM t WHERE a = 'b'",
    'user.id': 'u-1',
    ratio: 0.5,
    ok: true,
    big: 1e15,
    list: ['a', 1, true],
    map: { a: { b: 'c' } },
  };
  const events = [
    { timeUnixNano: '1760000000000000000', name: 'exception', attributes: attributes({ 'exception.message': 'no' }) },
  ];
  const links = [{ traceId: '11'.repeat(16), spanId: '22'.repeat(8), attributes: attributes({ a: 'b' }) }];
  return requestOf([
    testSpan({ kind: 2, attributes: attributes(rich), events, links, status: { code: 2, message: 'failed' } }),
    testSpan({ kind: 3, attributes: attributes(rich), flags: 0x301 }),
  ]);
}

/** Flips, truncations, insertions, wire-type swaps, long numbers. */
function mutate(golden: Uint8Array, random: (below: number) => number): Uint8Array {
  const bytes = Buffer.from(golden);
  switch (random(5)) {
    case 0:
      bytes[random(bytes.length)]! ^= 1 << random(8);
      return bytes;
    case 1:
      return bytes.subarray(0, random(bytes.length));
    case 2: {
      const at = random(bytes.length);
      bytes[at] = (bytes[at]! & ~7) | random(8);
      return bytes;
    }
    case 3: {
      const at = random(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + random(12), 0xff), bytes.subarray(at)]);
    }
    default:
      for (let i = 0; i < 4; i++) bytes[random(bytes.length)] = random(256);
      return bytes;
  }
}

function field(tag: number, body: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.from([tag, ...varint(BigInt(body.length))]), body]);
}

function varint(number: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, number);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

/** A request of one span with one attribute, written by hand: `value` is the body of its AnyValue. */
function withValue(value: Uint8Array): Uint8Array {
  const attribute = Buffer.concat([field(0x0a, Buffer.from('number')), field(0x12, value)]);
  const ids = [field(0x0a, Buffer.alloc(16, 1)), field(0x12, Buffer.alloc(8, 1))];
  return field(0x0a, field(0x12, field(0x12, Buffer.concat([...ids, field(0x4a, attribute)]))));
}

const withInt64 = (number: bigint): Uint8Array => withValue(Uint8Array.from([0x18, ...varint(number)]));

/** One attribute nested `depth` arrays deep; protobufjs itself stops at depth 100. */
function nestedBytes(depth: number): Uint8Array {
  let body: Buffer = field(0x0a, Buffer.from('x'));
  for (let i = 0; i < depth; i++) body = field(0x2a, field(0x0a, body));
  return withValue(body);
}
