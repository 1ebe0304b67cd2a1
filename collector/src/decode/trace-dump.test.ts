import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { RejectedError } from '../base/errors.ts';
import { attributes, requestOf, seen, testSettings, testSpan, toJson, toProtobuf } from './testing/otlp.ts';
import { createDumpDecoder, type DecodedDump } from './trace-dump.ts';

const decodeDump = (bytes: Uint8Array | string, fileName = 'file', bytesMax?: number): DecodedDump =>
  createDumpDecoder(testSettings({ eventTime: 'recorded' })).decodeDump(Buffer.from(bytes), fileName, 0, bytesMax);
const spans = (dump: DecodedDump) => dump.decoded.flatMap(({ batch }) => seen(batch));
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof RejectedError) return error.message;
    throw error;
  }
  throw new Error('was accepted');
};

const one = requestOf([testSpan({ name: 'one', attributes: attributes({ 'http.method': 'GET' }) })]);
const two = requestOf([testSpan({ name: 'two', spanId: '22'.repeat(8) })]);
const delimited = (...records: Uint8Array[]): Buffer =>
  Buffer.concat(
    records.flatMap((record) => [Uint8Array.from([(record.length & 127) | 128, record.length >>> 7]), record]),
  );

describe('a dump is recognised by its content', () => {
  it.each<[string, string, Uint8Array | string]>([
    ['OTLP JSON', 'otlp-json', toJson(one)],
    ['OTLP JSON with a byte order mark', 'otlp-json', `\ufeff${JSON.stringify(one)}`],
    ['indented OTLP JSON', 'otlp-json', JSON.stringify(one, null, 2)],
    ['an array of OTLP requests', 'otlp-json', JSON.stringify([one])],
    [
      'OTLP JSON lines',
      'otlp-json-lines',
      `${JSON.stringify(one)}\r\n\r\n${JSON.stringify({ resourceSpans: [] })}\r\n`,
    ],
    ['OTLP protobuf', 'otlp-protobuf', toProtobuf(one)],
    ['length-delimited OTLP protobuf', 'otlp-protobuf-delimited', delimited(toProtobuf(one))],
    ['gzip of JSON', 'otlp-json', gzipSync(toJson(one))],
    ['gzip of protobuf', 'otlp-protobuf', gzipSync(toProtobuf(one))],
  ])('%s', (_, format, bytes) => {
    const dump = decodeDump(bytes);
    expect(dump.format).toBe(format);
    expect(dump.errors).toEqual([]);
    expect(spans(dump).map(({ name, attributes: held }) => [name, held])).toEqual([
      ['one', { 'http.request.method': 'GET' }],
    ]);
  });

  it('nothing at all is an empty dump', () => {
    for (const nothing of ['', ' \n\t\r\n', '\ufeff', '[]'])
      expect(decodeDump(nothing)).toEqual({ format: 'empty', decoded: [], errors: [] });
  });

  it('a protobuf request whose first length looks like a brace is no JSON', () => {
    let name = 'n';
    let bytes = toProtobuf(requestOf([testSpan({ name })]));
    while (bytes[1] !== 0x7b) {
      name += 'n';
      bytes = toProtobuf(requestOf([testSpan({ name })]));
    }
    expect(decodeDump(bytes).format).toBe('otlp-protobuf');
  });
});

describe('what is broken is named, what is whole still loads', () => {
  it('a bad line among JSON lines', () => {
    const dump = decodeDump(
      [JSON.stringify(one), '{"resourceSpans":[', 'not json', '{"a":1}', JSON.stringify(two)].join('\n'),
    );
    expect(spans(dump).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(dump.errors.map(({ place }) => place)).toEqual(['line 2', 'line 3', 'line 4']);
    expect(dump.errors[2]!.message).toContain('no traces');
  });

  it('a garbage first line', () => {
    const dump = decodeDump(`log: starting\n${JSON.stringify(one)}\n`);
    expect(spans(dump)).toHaveLength(1);
    expect(dump.errors.map(({ place }) => place)).toEqual(['line 1']);
  });

  it('a bad record among length-delimited ones, and one cut off at the end', () => {
    const broken = Buffer.from(toProtobuf(one));
    broken[4] = 0x7f;
    const dump = decodeDump(delimited(toProtobuf(one), broken, toProtobuf(two)));
    expect(spans(dump).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(dump.errors.map(({ place }) => place)).toEqual(['record 2']);
    const cut = delimited(toProtobuf(one), toProtobuf(two));
    const last = decodeDump(cut.subarray(0, cut.length - 5));
    expect(spans(last).map(({ name }) => name)).toEqual(['one']);
    expect(last.errors.map(({ place }) => place)).toEqual(['record 2']);
  });

  it('a bad trace among Jaeger traces', () => {
    const good = {
      traceID: '1',
      spans: [{ spanID: '2', operationName: 'op', startTime: 1, duration: 2, processID: 'p' }],
      processes: { p: { serviceName: 's' } },
    };
    const dump = decodeDump(
      JSON.stringify({ data: [good, { spans: [7] }, { ...good, spans: [{ startTime: 'noon' }] }] }),
    );
    expect(spans(dump)).toHaveLength(1);
    expect(dump.errors).toEqual([
      { place: 'data[1]', message: 'data[1].spans[0] is not an object' },
      { place: 'data[2]', message: 'data[2].spans[0].startTime is not a time' },
    ]);
  });

  it.each<[string, Uint8Array | string, RegExp]>([
    ['truncated JSON', '{"resourceSpans":[{', /^f\.json: not JSON/],
    ['JSON of something else', '{"a":1}', /^f\.json: .*no traces/],
    ['logs', '{"resourceLogs":[]}', /^f\.json: .*resourceLogs instead of traces/],
    ['a number', '[1,2]', /^f\.json: .*neither OTLP/],
    ['text', 'hello there', /^f\.json: neither OTLP/],
    ['binary', Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2]), /^f\.json: neither OTLP/],
    ['cut protobuf', toProtobuf(one).subarray(0, 40), /^f\.json: not a protobuf trace request: .* at byte \d+/],
    ['cut gzip', gzipSync(toJson(one)).subarray(0, 30), /^f\.json: the gzip data cannot be inflated/],
    [
      'a span that is none',
      '{"resourceSpans":[{"scopeSpans":[{"spans":[7]}]}]}',
      /^f\.json: resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\] is not an object/,
    ],
  ])('%s is refused with file and place', (_, bytes, message) => {
    expect(refusal(() => decodeDump(bytes, 'f.json'))).toMatch(message);
  });

  it('no refusal quotes what the file holds', () => {
    expect(refusal(() => decodeDump('{"password":"hunter2', 'f.json'))).not.toContain('hunter2');
  });

  it('a file that inflates beyond the limit is refused', () => {
    expect(refusal(() => decodeDump(gzipSync(Buffer.alloc(1e6)), 'f.gz', 1e5))).toMatch(
      /^f\.gz: the body inflates to more than/,
    );
  });
});

describe('Jaeger JSON', () => {
  const trace = {
    traceID: 'abc',
    spans: [
      {
        traceID: 'abc',
        spanID: '1',
        operationName: 'GET /',
        references: [],
        startTime: 1_000_000,
        duration: 250,
        processID: 'p1',
        tags: [
          { key: 'span.kind', type: 'string', value: 'server' },
          { key: 'http.status_code', type: 'int64', value: 500 },
          { key: 'error', type: 'bool', value: true },
          { key: 'otel.scope.name', type: 'string', value: 'lib' },
        ],
        logs: [
          {
            timestamp: 1_000_100,
            fields: [
              { key: 'event', type: 'string', value: 'retry' },
              { key: 'n', type: 'int64', value: '2' },
            ],
          },
        ],
      },
      {
        traceID: 'abc',
        spanID: '2',
        operationName: 'SELECT',
        references: [
          { refType: 'FOLLOWS_FROM', traceID: 'fff', spanID: '9' },
          { refType: 'CHILD_OF', traceID: 'abc', spanID: '1' },
        ],
        startTime: 1_000_010,
        duration: 100,
        processID: 'p2',
        tags: [{ key: 'span.kind', value: 'client' }],
      },
    ],
    processes: { p1: { serviceName: 'web', tags: [{ key: 'hostname', value: 'h1' }] }, p2: { serviceName: 'db' } },
  };

  it('becomes spans with kinds, parents, links, times, status and events', () => {
    const [server, client] = spans(decodeDump(JSON.stringify({ data: [trace] })));
    expect(server).toMatchObject({
      traceId: 'abc'.padStart(32, '0'),
      spanId: '0000000000000001',
      parentId: '0000000000000000',
      kind: 2,
      status: 2,
      startUs: 1_000_000,
      endUs: 1_000_250,
      service: 'web',
      attributes: { 'http.response.status_code': 500 },
      events: [{ timeUs: 1_000_100, name: 'retry', attributes: { n: 2 } }],
    });
    expect(client).toMatchObject({
      kind: 3,
      service: 'db',
      parentId: '0000000000000001',
      links: [`${'fff'.padStart(32, '0')}:${'9'.padStart(16, '0')}`],
    });
  });

  it('as one trace, as a list of traces and as Elasticsearch documents is the same', () => {
    const expected = spans(decodeDump(JSON.stringify({ data: [trace] })));
    const documents = trace.spans.map((span) => ({ ...span, process: trace.processes[span.processID as 'p1'] }));
    expect(spans(decodeDump(JSON.stringify(trace)))).toEqual(expected);
    expect(spans(decodeDump(JSON.stringify([trace])))).toEqual(expected);
    expect(spans(decodeDump(JSON.stringify(documents)))).toEqual(expected);
    expect(spans(decodeDump(documents.map((document) => JSON.stringify(document)).join('\n')))).toEqual(expected);
  });

  it('with ids that are no hex keeps the tree', () => {
    const odd = JSON.stringify({ data: [trace] })
      .replaceAll('"abc"', '"trace-x"')
      .replaceAll('"spanID":"1"', '"spanID":"span-1"');
    const [server, client] = spans(decodeDump(odd));
    expect(client!.parentId).toBe(server!.spanId);
    expect(client!.traceId).toBe(server!.traceId);
  });

  it('of the Thrift model keeps all digits of its 64-bit ids', () => {
    const text =
      '{"process":{"serviceName":"api"},"spans":[{"traceIdLow":5951113872249657919,"spanId":6585752,"parentSpanId":-1,"operationName":"get","startTime":1485467191639875,"duration":22938}]}';
    expect(spans(decodeDump(text))[0]).toMatchObject({
      traceId: '00000000000000005296' + '9a8955571a3f',
      spanId: '0000000000647d98',
      parentId: 'ffffffffffffffff',
    });
  });
});

describe('Zipkin JSON', () => {
  const shared = [
    {
      traceId: '1',
      id: '2',
      kind: 'CLIENT',
      name: 'get',
      timestamp: 10,
      duration: 5,
      localEndpoint: { serviceName: 'a', ipv4: '10.0.0.1' },
      remoteEndpoint: { serviceName: 'b' },
    },
    {
      traceId: '1',
      id: '2',
      kind: 'SERVER',
      name: 'get',
      timestamp: 11,
      duration: 3,
      shared: true,
      localEndpoint: { serviceName: 'b' },
      tags: { 'http.path': '/x', error: 'boom' },
      annotations: [{ timestamp: 12, value: 'ws' }],
    },
  ];

  it('keeps the id that client and server share, and tells them apart by kind', () => {
    const [client, server] = spans(decodeDump(JSON.stringify(shared)));
    expect(client).toMatchObject({
      spanId: server!.spanId,
      kind: 3,
      service: 'a',
      startUs: 10,
      endUs: 15,
      attributes: { 'server.service.name': 'b' },
    });
    expect(server).toMatchObject({
      kind: 2,
      service: 'b',
      status: 2,
      attributes: { 'url.path': '/x' },
      events: [{ timeUs: 12, name: 'ws', attributes: {} }],
    });
  });

  it('as a list of traces is the same', () => {
    expect(spans(decodeDump(JSON.stringify([shared])))).toEqual(spans(decodeDump(JSON.stringify(shared))));
  });
});

const shared = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
/** Files of the folders that are no traces at all. */
const NO_TRACES =
  /queries(_es)?\.json|ui-config|Get(Services|Operations)|TraceSummaries|small\.json|TraceFlamegraph|_logs\.jsonl|(logs|metrics|events)\.json$|malformed_traces/;

describe.skipIf(!existsSync(shared))('recorded traces of other projects (left out without shared data)', () => {
  const files = ['otlp', 'jaeger_fixtures', 'jaeger_ui_traces', 'crisp_traces', 'zipkin_traces'].flatMap((folder) =>
    existsSync(join(shared, folder))
      ? readdirSync(join(shared, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => /\.(jsonl?|pb|txt|toml)$/.test(name) && !/asset/.test(name))
          .map((name) => join(folder, name))
      : [],
  );

  it.each(files)('%s', (name) => {
    const bytes = readFileSync(join(shared, name));
    if (NO_TRACES.test(name)) {
      expect(refusal(() => decodeDump(bytes, name))).toContain(name);
      return;
    }
    const dump = decodeDump(bytes, name);
    const rejected = dump.decoded.reduce((sum, decoded) => sum + decoded.rejectedSpans, 0);
    if (name.endsWith('malformed.jsonl')) {
      expect({ places: dump.errors.map(({ place }) => place), rejected }).toEqual({
        places: ['line 1', 'line 2', 'line 4'],
        rejected: 1,
      });
    } else {
      expect({ errors: dump.errors, rejected }).toEqual({ errors: [], rejected: 0 });
      if (bytes.toString().trim() !== '') expect(spans(dump).length).toBeGreaterThan(0);
    }
  });
});
