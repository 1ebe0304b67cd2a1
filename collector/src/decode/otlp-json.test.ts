import { describe, expect, it } from 'vitest';
import { RejectedError } from '../base/errors.ts';
import { attributes, decodeJson, requestOf, seen, testSettings, testSpan, toJson } from './testing/otlp.ts';

const ids = { traceId: '0AF7651916CD43DD8448EB211C80319C', spanId: 'b7ad6b7169203331' };
const decodeSpan = (span: object, settings = testSettings()) =>
  seen(decodeJson(toJson({ resourceSpans: [{ scopeSpans: [{ spans: [{ ...ids, ...span }] }] }] }), settings).batch)[0]!;

const message = (request: unknown): string => {
  try {
    decodeJson(typeof request === 'string' ? Buffer.from(request) : toJson(request));
  } catch (error) {
    if (error instanceof RejectedError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('was accepted');
};

describe('JSON spellings that senders use', () => {
  it('ids in any case, and in base64', () => {
    expect(decodeSpan({})).toMatchObject({ traceId: ids.traceId.toLowerCase(), spanId: ids.spanId });
    const base64 = {
      traceId: Buffer.from(ids.traceId, 'hex').toString('base64'),
      spanId: Buffer.from(ids.spanId, 'hex').toString('base64'),
    };
    expect(decodeSpan(base64)).toMatchObject({ traceId: ids.traceId.toLowerCase(), spanId: ids.spanId });
  });

  it('64-bit integers as text or number', () => {
    const text = decodeSpan({
      startTimeUnixNano: '1760000000000000999',
      attributes: [{ key: 'n', value: { intValue: '7' } }],
    });
    const number = decodeSpan({
      // biome-ignore lint/correctness/noPrecisionLoss: the loss is what the test is about
      startTimeUnixNano: 1760000000000000999,
      attributes: [{ key: 'n', value: { intValue: 7 } }],
    });
    expect(text.startUs).toBe(1760000000000000);
    expect(number.startUs).toBe(1760000000000001); // the literal has lost its last digits before anyone reads it
    expect(number.attributes).toEqual(text.attributes);
  });

  it('enums as number or name, unknown ones as unspecified', () => {
    expect(decodeSpan({ kind: 'SPAN_KIND_SERVER', status: { code: 'STATUS_CODE_ERROR' } })).toMatchObject({
      kind: 2,
      status: 2,
    });
    expect(decodeSpan({ kind: 2, status: { code: 2 } })).toMatchObject({ kind: 2, status: 2 });
    expect(decodeSpan({ kind: 'SPAN_KIND_FUTURE', status: { code: 9 } })).toMatchObject({ kind: 0, status: 0 });
  });

  it('snake_case names', () => {
    const snake = {
      resource_spans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { string_value: 'shop' } }] },
          scope_spans: [
            {
              spans: [
                {
                  trace_id: ids.traceId,
                  span_id: ids.spanId,
                  parent_span_id: '1111111111111111',
                  start_time_unix_nano: '1000',
                  end_time_unix_nano: '2000',
                  attributes: [
                    { key: 'a', value: { array_value: { values: [{ bool_value: true }, { double_value: 0.5 }] } } },
                  ],
                  events: [{ time_unix_nano: '3000', name: 'e' }],
                  links: [{ trace_id: ids.traceId, span_id: ids.spanId }],
                },
              ],
            },
          ],
        },
      ],
    };
    expect(seen(decodeJson(toJson(snake)).batch)[0]).toMatchObject({
      service: 'shop',
      parentId: '1111111111111111',
      startUs: 1,
      endUs: 2,
      attributes: { a: [true, 0.5] },
      events: [{ timeUs: 3, name: 'e' }],
      links: [`${ids.traceId.toLowerCase()}:${ids.spanId}`],
    });
  });

  it('null as absent, unknown members as noise', () => {
    const span = decodeSpan({
      name: null,
      kind: null,
      attributes: null,
      events: null,
      links: null,
      status: null,
      parentSpanId: null,
      future: { a: [1] },
    });
    expect(span).toMatchObject({ name: '', kind: 0, status: 0, attributes: {}, events: [], links: [] });
    const empty = [
      { key: 'a', value: null },
      { key: 'b' },
      { key: 'c', value: {} },
      { key: 'd', value: { stringValue: '' } },
    ];
    expect(decodeSpan({ attributes: empty }).attributes).toEqual({ d: '' });
  });

  it('special numbers by name', () => {
    const sent = [
      { key: 'a', value: { doubleValue: 'NaN' } },
      { key: 'b', value: { doubleValue: '1.5' } },
    ];
    expect(decodeSpan({ attributes: sent }).attributes).toEqual({ a: 'NaN', b: 1.5 });
  });
});

describe('hostile JSON', () => {
  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', ''])(
    'the key %j is a key like any other',
    (key) => {
      const text = `{"resourceSpans":[{"resource":{"attributes":[{"key":${JSON.stringify(key)},"value":{"stringValue":"x"}}]},"scopeSpans":[{"spans":[{"traceId":"${ids.traceId}","spanId":"${ids.spanId}","attributes":[{"key":${JSON.stringify(key)},"value":{"kvlistValue":{"values":[{"key":${JSON.stringify(key)},"value":{"stringValue":"y"}}]}}}],"__proto__":{"name":"forged"}}]}]}]}`;
      const { batch } = decodeJson(Buffer.from(text));
      expect(batch.strings).toContain(`{${JSON.stringify(key)}:"y"}`);
      expect(batch.keys).toContain(key);
      expect(batch.resources[0]!.attributes).toEqual([[key, 'x']]);
      expect(seen(batch)[0]!.name).toBe('');
      expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    },
  );

  it('depth of a hundred thousand is cut, not followed', () => {
    const depth = 100_000;
    const deep = `${'{"arrayValue":{"values":['.repeat(depth)}{"boolValue":true}${']}}'.repeat(depth)}`;
    const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${ids.traceId}","spanId":"${ids.spanId}","unknown":${'['.repeat(depth)}${']'.repeat(depth)},"attributes":[{"key":"a","value":${deep}}]}]}]}]}`;
    const settings = testSettings();
    expect(decodeJson(Buffer.from(text), settings).batch.count).toBe(1);
    expect(settings.counters.value('dropped_total', 'decode:value-depth')).toBe(1);
  });

  it('lone surrogates become what UTF-8 makes of them; NUL, bidi and ANSI stay for the console to show', () => {
    const sent = attributes({ a: '\u0000\u202e\u001b[31m', 'k\u0000': 'x' });
    const raw = JSON.stringify(requestOf([testSpan({ attributes: sent })])).replace('"x"', '"\\ud800x\\udc00"');
    expect(seen(decodeJson(Buffer.from(raw)).batch)[0]!.attributes).toEqual({
      a: '\u0000\u202e\u001b[31m',
      'k\u0000': '\ufffdx\ufffd',
    });
  });

  it.each<[string, unknown, string]>([
    ['no object', '[]', 'malformed: the request is no JSON object'],
    ['no JSON', '{"resourceSpans":', 'malformed: not JSON'],
    [
      'spans that are no array',
      { resourceSpans: [{ scopeSpans: [{ spans: {} }] }] },
      'malformed: resourceSpans[0].scopeSpans[0].spans is not an array',
    ],
    [
      'a name that is no text',
      requestOf([testSpan({ name: 7 as never })]),
      'malformed: resourceSpans[0].scopeSpans[0].spans[0].name is not a string',
    ],
    [
      'a time that is none',
      requestOf([testSpan({ startTimeUnixNano: 'noon' })]),
      'malformed: resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano is not a time in nanoseconds',
    ],
    [
      'an attribute that is none',
      requestOf([testSpan({ attributes: [7 as never] })]),
      'malformed: resourceSpans[0].scopeSpans[0].spans[0].attributes[0] is not an object',
    ],
    [
      'an integer that is none',
      requestOf([testSpan({ attributes: [{ key: 'a', value: { intValue: '1.5' } }] })]),
      'malformed: resourceSpans[0].scopeSpans[0].spans[0].attributes[0].intValue is not an integer',
    ],
  ])('%s is refused, naming the place', (_, request, expected) => {
    expect(message(request)).toBe(expected);
  });

  it('links without proper ids are dropped and counted', () => {
    const settings = testSettings();
    const links = [
      { traceId: 'x', spanId: 'y' },
      { traceId: ids.traceId, spanId: '00'.repeat(8) },
      { traceId: ids.traceId, spanId: ids.spanId },
    ];
    expect(decodeSpan({ links }, settings).links).toHaveLength(1);
    expect(settings.counters.value('dropped_total', 'decode:link-ids')).toBe(2);
  });
});

it('a resource names its service, version, clock, signals and drops', () => {
  const resource = {
    'service.name': 'shop',
    'service.version': '1.2.3.4',
    'host.name': 'h1',
    'apisec.signals': ['auth', 'data', 'nonsense', '__proto__'],
    'apisec.dropped_spans': 3,
  };
  const { batch } = decodeJson(toJson(requestOf([testSpan({})], resource)));
  expect(batch.resources[0]).toMatchObject({
    service: 'shop',
    version: '1.2.3.4',
    clock: 'h1',
    signals: 9,
    droppedSpans: 3,
  });
  expect(decodeJson(toJson(requestOf([testSpan({})], {}))).batch.resources[0]!.service).toBe('unknown_service');
});
