import { join } from 'node:path';
import { FIELD_NAMES } from '@spanwarden/rules';
import protobuf from 'protobufjs';
import { EVERY_FORM, type Form, type Planted, Planter } from './planted-values.ts';
import { repoRoot } from './repo-root.ts';

/** A request that holds planted values at every place where OTLP has room for text, in both encodings. */

type Json = Record<string, unknown>;
interface KeyValue {
  readonly key: string;
  readonly value: Json;
}

export interface PlantedRequest {
  readonly json: string;
  readonly protobuf: Buffer;
  readonly planted: readonly Planted[];
  readonly traceIds: readonly string[];
  readonly spans: number;
}

/** Stays: a test that finds nothing must still find this. */
export const SURVIVOR = 'survivor-of-the-scrubbing';

export interface PlantedSettings {
  readonly seed: number;
  /** Begins the name of every place. */
  readonly carrier: string;
  readonly conventions: 'old' | 'new';
  /** Unix milliseconds of the spans. */
  readonly atMs: number;
}

const text = (stringValue: string): Json => ({ stringValue });
const list = (values: readonly Json[]): Json => ({ arrayValue: { values } });
const map = (values: readonly KeyValue[]): Json => ({ kvlistValue: { values } });
const pairs = (attributes: Readonly<Record<string, Json | string | number>>): KeyValue[] =>
  Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? text(value) : typeof value === 'number' ? { intValue: String(value) } : value,
  }));

/** How a value stands in longer text, as logs and errors have it. */
const FRAMES: readonly ((value: string) => string)[] = [
  (value) => value,
  (value) => `lookup of ${value} failed`,
  (value) => `{"v":"${value.replaceAll('\n', '\\n')}","n":1}`,
  (value) => `user=(${value}), retry`,
  (value) => `<${value}>`,
  (value) => `first line\nsecond: ${value}\nthird`,
  (value) => `'${value}'`,
  (value) => `[${value}]`,
  (value) => `${value}: not found`,
  (value) => `see https://shop.example/p/${encodeURIComponent(value)}?x=1`,
  (value) => `k=${value};`,
  (value) => `first line\\nsecond\\n${value}\\nthird`,
  (value) => `取引先${value}、不明`,
  (value) => `«${value.replaceAll(' ', '\u00a0')}»`,
  (value) => `https://shop.example/?back=${encodeURIComponent(`/p/${encodeURIComponent(value)}`)}`,
  (value) => `goto https%3A%2F%2Fshop.example%2Fp%2F${encodeURIComponent(value)} 100%`,
];

/** Of a long text not all is kept; where it is cut there must be no half of anything. */
const KEPT_CHARS_MAX = 4096;
const cutThrough = (value: string): string =>
  `${'word '.repeat(KEPT_CHARS_MAX / 5)}`.slice(0, KEPT_CHARS_MAX - Math.ceil(value.length * 0.7)) + value;

/** New names and what they were called before. */
const NAMES = {
  new: {
    method: 'http.request.method',
    status: 'http.response.status_code',
    url: 'url.full',
    target: 'url.path',
    query: 'db.query.text',
    system: 'db.system.name',
    server: 'server.address',
    agent: 'user_agent.original',
    userId: 'user.id',
    client: 'client.address',
  },
  old: {
    method: 'http.method',
    status: 'http.status_code',
    url: 'http.url',
    target: 'http.target',
    query: 'db.statement',
    system: 'db.system',
    server: 'net.peer.name',
    agent: 'http.user_agent',
    userId: 'enduser.id',
    client: 'http.client_ip',
  },
} as const;

export function plantRequest({ seed, carrier, conventions, atMs }: PlantedSettings): PlantedRequest {
  const planter = new Planter(seed, carrier);
  const names = NAMES[conventions];
  let frame = 0;
  /** One attribute, or text, for every form, each framed differently. */
  const framed = (form: Form, place: string): string => FRAMES[frame++ % FRAMES.length]!(planter.plant(form, place));
  const allForms = (prefix: string, place: string): KeyValue[] =>
    EVERY_FORM.map((form) => ({ key: `${prefix}.${form.replaceAll('-', '_')}x`, value: text(framed(form, place)) }));
  const plant = planter.plant.bind(planter);

  const traceIds: string[] = [];
  const spans: Json[] = [];
  let serial = seed * 10_000;
  const id = (chars: number): string => (++serial).toString(16).padStart(chars, 'a');
  /** A trace of two spans: a server span and what is given below it. */
  const span = (name: string, kind: number, attributes: readonly KeyValue[], more: Json = {}): void => {
    const traceId = id(32);
    const entryId = id(16);
    const start = BigInt(atMs) * 1_000_000n;
    const times = { startTimeUnixNano: String(start), endTimeUnixNano: String(start + 5_000_000n) };
    const entry = pairs({ [names.method]: 'GET', [names.status]: 200, 'test.survivor': SURVIVOR });
    traceIds.push(traceId);
    spans.push({ traceId, spanId: entryId, name: 'GET', kind: 2, ...times, attributes: [...entry, ...urlOf('entry')] });
    spans.push({ traceId, spanId: id(16), parentSpanId: entryId, name, kind, ...times, attributes, ...more });
  };
  const urlOf = (place: string): KeyValue[] => {
    const query = `token=${plant('opaque', `${place} query`)}&email=${encodeURIComponent(plant('email', `${place} query`))}`;
    return conventions === 'old'
      ? pairs({ 'http.target': `/invitations?${query}` })
      : pairs({ 'url.path': '/invitations', 'url.query': query });
  };

  span('free text', 1, [
    ...allForms('note', 'attribute'),
    ...EVERY_FORM.map((form) => ({ key: `${form}-list`, value: list([text('a'), text(framed(form, 'array'))]) })),
    ...EVERY_FORM.map((form) => ({
      key: `${form}-map`,
      value: map([{ key: 'deep', value: list([map([{ key: 'leaf', value: text(framed(form, 'nested map')) }])]) }]),
    })),
    ...EVERY_FORM.map((form) => ({
      key: `${form}-bytes`,
      value: { bytesValue: Buffer.from(plant(form, 'bytes')).toString('base64') },
    })),
    { key: 'card.int', value: { intValue: plant('card', 'integer') } },
    { key: 'cards.int', value: list([{ intValue: plant('card', 'integer in array') }]) },
    { key: 'map.int', value: map([{ key: 'v', value: { intValue: plant('card', 'integer in map') } }]) },
  ]);
  span(
    'long text',
    1,
    EVERY_FORM.map((form) => ({ key: `${form}-cut`, value: text(cutThrough(plant(form, 'cut text'))) })),
  );
  for (const [turn, kind] of [2, 3, 1].entries()) {
    const fields = FIELD_NAMES.filter((name) => name !== 'service.name');
    const form = (i: number): Form => EVERY_FORM[(i + turn * 5) % EVERY_FORM.length]!;
    const place = (name: string): string => `${name} on kind ${kind}`;
    span('every field', kind, pairs(Object.fromEntries(fields.map((name, i) => [name, framed(form(i), place(name))]))));
    span(
      'every field as a list',
      kind,
      fields.map((name, i) => ({ key: name, value: list([text(framed(form(i + 3), `list of ${place(name)}`))]) })),
    );
  }
  span(
    'attribute names',
    1,
    EVERY_FORM.filter((form) => form !== 'pem').flatMap((form) => [
      { key: `cache ${plant(form, 'attribute name')} hit`, value: text('x') },
      { key: `map-${form}`, value: map([{ key: `by ${plant(form, 'map key')}`, value: text('x') }]) },
    ]),
  );
  for (const form of EVERY_FORM) {
    span(`look up ${framed(form, 'span name')}`, 1, [], {
      traceState: `vendor=${plant(form, 'trace state')}`,
      status: { code: 2, message: framed(form, 'status message') },
      events: [
        { timeUnixNano: '1', name: `sent ${framed(form, 'event name')}`, attributes: [] },
        { timeUnixNano: '1', name: 'log', attributes: pairs({ 'log.message': framed(form, 'event attribute') }) },
        {
          timeUnixNano: '1',
          name: 'exception',
          attributes: pairs({
            'exception.type': 'Error',
            'exception.message': framed(form, 'exception message'),
            'exception.stacktrace': `Error: ${framed(form, 'exception stack')}\n  at f (a.js:1)`,
          }),
        },
      ],
      links: [
        {
          traceId: 'b'.repeat(32),
          spanId: 'b'.repeat(16),
          traceState: `v=${plant(form, 'link trace state')}`,
          attributes: pairs({ note: framed(form, 'link attribute') }),
        },
      ],
    });
    // 404 keeps the evidence to the entries above; the address makes a finding whose evidence shows this span.
    const url = (host: string, place: string): string =>
      `http://u${plant('user-id', `${place} userinfo`)}:${plant('password', `${place} userinfo`)}@${host}` +
      `/files/${encodeURIComponent(plant(form, `${place} path`))}/x/${encodeURIComponent(plant(form, `${place} path`))}%zz;jsessionid=${plant('session', `${place} matrix`)}` +
      `?q=${encodeURIComponent(plant(form, `${place} query`))}&password=${plant('password', `${place} query`)}` +
      `#access_token=${plant('opaque', `${place} fragment`)}`;
    span('GET', 3, [
      ...pairs({
        [names.method]: 'GET',
        [names.url]: url('169.254.169.254', 'outgoing URL'),
        [names.server]: '169.254.169.254',
        'http.request.header.referer': list([text(url('shop.example', 'referer'))]),
        'http.response.header.location': list([text(url('shop.example', 'location'))]),
        'http.request.header.x-note': list([text(framed(form, 'header'))]),
      }),
    ]);
    span('SELECT', 3, [
      ...pairs({
        [names.system]: 'postgresql',
        [names.query]:
          `SELECT * FROM users WHERE a = '${plant(form, 'SQL literal').replaceAll("'", "''")}' AND pw='${plant('password', 'SQL literal')}'` +
          ` OR b = "${plant('opaque', 'SQL quoted')}" -- ${plant(form, 'SQL comment').replaceAll('\n', ' ')}`,
        'db.query.parameter.0': plant(form, 'SQL parameter'),
        'db.operation.parameter.name': plant(form, 'SQL parameter'),
      }),
    ]);
    span('body', 2, [
      ...pairs({
        'http.request.body.content': `{"value":"${plant(form, 'request body').replaceAll('\n', '\\n')}","id":7}`,
        'http.response.body.content': `value=${plant(form, 'response body')}`,
        'http.request.body': plant(form, 'request body'),
        'messaging.message.body': plant(form, 'message body'),
        'gen_ai.input.messages': plant(form, 'prompt'),
        'baggage.customer': plant(form, 'baggage'),
        'http.request.header.baggage': list([text(`customer=${plant(form, 'baggage header')}`)]),
        'graphql.document': `query { user(by: "${plant(form, 'GraphQL literal').replaceAll('\n', ' ')}") { id } }`,
        [names.agent]: `curl/8 ${plant(form, 'user agent').replaceAll('\n', ' ')}`,
      }),
    ]);
  }
  span('credentials', 2, [
    ...pairs({
      'http.request.header.authorization': list([text(`Bearer ${plant('opaque', 'authorization header')}`)]),
      'http.request.header.proxy-authorization': list([text(`Basic ${plant('opaque', 'proxy authorization header')}`)]),
      'http.request.header.cookie': list([text(`sid=${plant('session', 'cookie')}; theme=dark`)]),
      'http.response.header.set-cookie': list([text(`sid=${plant('session', 'set-cookie')}; HttpOnly`)]),
      'http.request.header.x-api-key': list([text(plant('opaque', 'key header'))]),
      'http.request.header.x_auth_token': text(plant('opaque', 'token header')),
      'rpc.request.metadata.authorization': list([text(`Bearer ${plant('opaque', 'rpc metadata')}`)]),
      authorization: `Token ${plant('opaque', 'bare authorization')}`,
      'app.password': plant('password', 'attribute named for it'),
      'app.clientSecret': plant('opaque', 'attribute named for it'),
      'app.customer.email': plant('email', 'attribute named for it'),
      'app.first_name': plant('name', 'attribute named for it'),
      'app.login': map([{ key: 'password', value: text(plant('password', 'map key named for it')) }]),
      'app.config': `password=${plant('password', 'assignment')} mode=1`,
      'app.json': `{"api_key": "${plant('opaque', 'assignment')}"}`,
      'app.yaml': `secret: ${plant('opaque', 'assignment')}`,
      'app.log': `sent Authorization: Bearer ${plant('opaque', 'assignment')}`,
      'db.connection_string': `postgres://app:${plant('password', 'connection string')}@db/x`,
      'app.dsn': `postgres://${plant('user-id', 'DSN')}:${plant('password', 'DSN')}@db.internal:5432/x`,
      'process.command_args': list([text('--token'), text(plant('opaque', 'process argument'))]),
      'process.command_line': `app --password ${plant('password', 'process argument')}`,
    }),
  ]);
  span('identity', 2, [
    ...pairs({
      [names.userId]: plant('user-id', 'user id'),
      'user.email': plant('email', 'user email'),
      'user.name': plant('name', 'user name'),
      'user.full_name': plant('name', 'user full name'),
      'session.id': plant('session', 'session id'),
      'session.previous_id': plant('session', 'previous session id'),
      'usr.id': plant('user-id', 'other vendor user id'),
      'usr.email': plant('email', 'other vendor user email'),
      'enduser.pseudo.id': plant('user-id', 'user pseudonym of another'),
      'user.hash': plant('email', 'what claims to be a pseudonym'),
      'apisec.principal.tenant': plant('email', 'what claims to be a pseudonym'),
      'apisec.object.ids': list([text(plant('email', 'object id'))]),
      [names.client]: '203.0.113.77',
    }),
  ]);

  const request = {
    resourceSpans: [
      {
        resource: {
          attributes: [
            ...pairs({
              'service.name': conventions === 'old' ? 'shop' : `gateway ${plant('email', 'service name')}`,
              'service.version': `1.0 ${plant('github-token', 'service version')}`,
              'service.instance.id': plant('email', 'instance id'),
              'host.name': `${plant('email', 'host name')}`,
              'process.command_args': list([text(`--key=${plant('aws-key', 'resource arguments')}`)]),
              'process.environment_variable.SECRET': plant('opaque', 'environment variable'),
              'process.owner': plant('user-id', 'process owner'),
            }),
            ...allForms('label', 'resource'),
          ],
        },
        schemaUrl: `https://example.com/?k=${plant('stripe-key', 'schema URL of the resource')}`,
        scopeSpans: EVERY_FORM.map((form, i) => ({
          scope: {
            name: `lib ${framed(form, 'scope name')}`,
            version: framed(form, 'scope version'),
            attributes: pairs({ note: framed(form, 'scope attribute') }),
          },
          schemaUrl: `https://example.com/?k=${plant('stripe-key', 'schema URL of the scope')}`,
          spans: spans.filter((_, position) => position % EVERY_FORM.length === i),
        })),
      },
    ],
  };
  return {
    json: JSON.stringify(request),
    protobuf: toProtobuf(request),
    planted: planter.planted,
    traceIds,
    spans: spans.length,
  };
}

let requestType: protobuf.Type | undefined;

function toProtobuf(request: Json): Buffer {
  if (requestType === undefined) {
    const root = new protobuf.Root();
    root.resolvePath = (_origin, target) => join(repoRoot, 'proto', target);
    root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto');
    requestType = root.lookupType('opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest');
  }
  // Ids are hex in OTLP's JSON, where protobufjs takes base64.
  const withBytes = JSON.parse(JSON.stringify(request), (key, value: unknown) =>
    /^(?:trace|span|parentSpan)Id$/.test(key) ? Buffer.from(value as string, 'hex').toString('base64') : value,
  ) as Json;
  return Buffer.from(requestType.encode(requestType.fromObject(withBytes)).finish());
}
