import {
  type Attributes,
  type AttributeValue,
  encodeResourceSpans,
  encodeSpan,
  type OtlpGroup,
  type OtlpSpan,
  ProtoWriter,
} from './otlp-encode.ts';
import { createRandom, mix32, shuffle } from './random.ts';
import { spanIdHex, traceIdHex, writeSpanId, writeTime, writeTraceId } from './trace-ids.ts';
import {
  ATTACK_SHAPES,
  type AttackName,
  BENIGN_SHAPES,
  PLACEHOLDERS,
  type PlaceholderName,
  resourceOf,
  SERVICES,
  type ServiceName,
  type ShapeSpan,
} from './trace-shapes.ts';

/**
 * Endless deterministic traffic in flights: a flight is a few hundred traces whose spans travel in many requests, one
 * sender each, in shuffled order. All flights share one set of pre-encoded requests; only ids, times, principals,
 * objects and path numbers are patched, which costs well under a microsecond a span.
 */
export interface TrafficSettings {
  readonly seed: number;
  /** Default 512. */
  readonly tracesPerFlight?: number;
  /** Most spans in one request; default 512. */
  readonly requestSpansMax?: number;
  /** Attacks planted in every flight. */
  readonly attacks?: Partial<Record<AttackName, number>>;
  /** Unix milliseconds of the first trace of flight 0; default now. */
  readonly startMs?: number;
  /** Milliseconds from one flight's start to the next; default 1,000. */
  readonly flightMs?: number;
}

/** What an honest collector must say about some flights. */
export interface Truth {
  readonly spans: number;
  readonly traces: number;
  /** Calls by `service METHOD route`. */
  readonly operations: ReadonlyMap<string, number>;
  /** Calls by `caller>callee` between services. */
  readonly serviceEdges: ReadonlyMap<string, number>;
  readonly attacks: ReadonlyMap<AttackName, number>;
}

interface SpanPlace {
  readonly trace: number;
  readonly span: number;
}

interface RequestTemplate {
  readonly service: ServiceName;
  readonly bytes: Buffer;
  readonly places: readonly SpanPlace[];
  /** Per span: trace, span, parent (-1 none), offsets of trace id, span id, parent id (-1), start, end; start ns, end ns. */
  readonly ids: Int32Array;
  /** Per placeholder: trace, which table, offset. */
  readonly fills: Int32Array;
}

const STRIDE = 10;
const NAMES = Object.keys(PLACEHOLDERS) as PlaceholderName[];
const LENGTHS = NAMES.map((name) => PLACEHOLDERS[name].length);
const POPULATION = { principal: 5_000, object: 65_536, session: 8_192, number: 65_536 } as const;

/** One table per placeholder: all values it can take, end to end. */
function valueTables(seed: number): readonly Buffer[] {
  return NAMES.map((name, table) => {
    const random = createRandom(mix32(seed + table));
    const values = Array.from({ length: POPULATION[name] }, () => {
      if (name === 'number') return String(10_000_000 + random.below(89_999_999));
      return Buffer.from(Uint32Array.from({ length: 5 }, () => random.uint32()).buffer)
        .toString('base64url')
        .slice(0, PLACEHOLDERS[name].length);
    });
    return Buffer.from(values.join(''), 'latin1');
  });
}

export class Traffic {
  readonly #shapes: readonly (readonly ShapeSpan[])[];
  readonly #attacks: ReadonlyMap<AttackName, number>;
  readonly #requests: readonly RequestTemplate[];
  readonly #tables: readonly Buffer[];
  readonly #seed: number;
  readonly #startMs: number;
  readonly #flightMs: number;
  readonly #lo: Uint32Array;
  readonly #hi: Uint32Array;
  readonly #word: Uint32Array;
  /** Spans in every flight. */
  readonly flightSpans: number;
  readonly flightTraces: number;
  readonly flightRequests: number;

  constructor(settings: TrafficSettings) {
    this.#seed = settings.seed >>> 0;
    this.#startMs = settings.startMs ?? Date.now();
    this.#flightMs = settings.flightMs ?? 1_000;
    this.flightTraces = settings.tracesPerFlight ?? 512;
    this.#attacks = new Map(Object.entries(settings.attacks ?? {}) as [AttackName, number][]);
    this.#shapes = chooseShapes(this.#seed, this.flightTraces, this.#attacks);
    this.#tables = valueTables(this.#seed);
    this.flightSpans = this.#shapes.reduce((sum, shape) => sum + shape.length, 0);
    this.#requests = buildRequests(this.#seed, this.#shapes, settings.requestSpansMax ?? 512);
    this.flightRequests = this.#requests.length;
    this.#lo = new Uint32Array(this.flightTraces);
    this.#hi = new Uint32Array(this.flightTraces);
    this.#word = new Uint32Array(this.flightTraces);
  }

  /** Spans in request `r` of any flight. */
  requestSpans(r: number): number {
    return this.#requests[r]!.places.length;
  }

  /** Request `r` of flight `f` as `ExportTraceServiceRequest` bytes, ready to send. */
  request(f: number, r: number): Buffer {
    const template = this.#requests[r]!;
    const bytes = Buffer.allocUnsafe(template.bytes.length);
    template.bytes.copy(bytes);
    this.#aim(f);
    const { ids, fills } = template;
    for (let i = 0; i < ids.length; i += STRIDE) {
      const trace = ids[i]!;
      const word = this.#word[trace]!;
      writeTraceId(bytes, ids[i + 3]!, word);
      writeSpanId(bytes, ids[i + 4]!, word, ids[i + 1]!);
      if (ids[i + 5]! >= 0) writeSpanId(bytes, ids[i + 5]!, word, ids[i + 2]!);
      writeTime(bytes, ids[i + 6]!, this.#lo[trace]!, this.#hi[trace]!, ids[i + 8]!);
      writeTime(bytes, ids[i + 7]!, this.#lo[trace]!, this.#hi[trace]!, ids[i + 9]!);
    }
    for (let i = 0; i < fills.length; i += 3) {
      const table = fills[i + 1]!;
      const length = LENGTHS[table]!;
      const from = this.#choice(this.#word[fills[i]!]!, table) * length;
      this.#tables[table]!.copy(bytes, fills[i + 2]!, from, from + length);
    }
    return bytes;
  }

  /** The same request as plain objects: one sender's spans. */
  group(f: number, r: number): OtlpGroup {
    const { service, places } = this.#requests[r]!;
    return {
      resource: resourceOf(service),
      scope: '@opentelemetry/instrumentation-http',
      spans: places.map((place) => this.span(f, place.trace, place.span)),
    };
  }

  /** Span `s` of trace `t` of flight `f`. */
  span(f: number, t: number, s: number): OtlpSpan {
    const word = this.#traceWord(f, t);
    const shape = this.#shapes[t]![s]!;
    const baseNs = BigInt(this.#traceMs(f, t)) * 1_000_000n;
    return {
      traceId: traceIdHex(word),
      spanId: spanIdHex(word, s),
      parentSpanId: shape.parent < 0 ? '' : spanIdHex(word, shape.parent),
      name: shape.name,
      kind: shape.kind,
      startUnixNano: baseNs + BigInt(shape.startUs * 1000),
      endUnixNano: baseNs + BigInt(shape.endUs * 1000),
      attributes: this.#filled(shape.attributes, word),
      flags: 0x101,
    };
  }

  /** `trace id/span id` of every span in request `r` of flight `f`. */
  spanKeys(f: number, r: number): string[] {
    return this.#requests[r]!.places.map(({ trace, span }) => {
      const word = this.#traceWord(f, trace);
      return `${traceIdHex(word)}/${spanIdHex(word, span)}`;
    });
  }

  traceId(f: number, t: number): string {
    return traceIdHex(this.#traceWord(f, t));
  }

  /** Spans of trace `t`, in every flight. */
  traceSpans(t: number): number {
    return this.#shapes[t]!.length;
  }

  /** `child span id>parent span id` of every edge of trace `t` of flight `f`. */
  parentEdges(f: number, t: number): string[] {
    const word = this.#traceWord(f, t);
    return this.#shapes[t]!.flatMap((span, s) =>
      span.parent < 0 ? [] : [`${spanIdHex(word, s)}>${spanIdHex(word, span.parent)}`],
    );
  }

  truth(flights: number): Truth {
    const operations = new Map<string, number>();
    const serviceEdges = new Map<string, number>();
    const add = (counts: Map<string, number>, key: string): void => {
      counts.set(key, (counts.get(key) ?? 0) + flights);
    };
    for (const shape of this.#shapes) {
      for (const span of shape) {
        if (span.kind !== 'server') continue;
        add(operations, `${span.service} ${span.name}`);
        const caller = shape[span.parent];
        if (caller !== undefined) add(serviceEdges, `${caller.service}>${span.service}`);
      }
    }
    return {
      spans: this.flightSpans * flights,
      traces: this.flightTraces * flights,
      operations,
      serviceEdges,
      attacks: new Map([...this.#attacks].map(([name, count]) => [name, count * flights])),
    };
  }

  #traceWord(f: number, t: number): number {
    return mix32((f * this.flightTraces + t) ^ this.#seed);
  }

  #traceMs(f: number, t: number): number {
    return this.#startMs + f * this.#flightMs + Math.floor((t * this.#flightMs) / this.flightTraces);
  }

  #choice(word: number, table: number): number {
    return mix32(word + table + 1) % POPULATION[NAMES[table]!];
  }

  /** Ids and start times of all traces of one flight. */
  #aim(f: number): void {
    if (this.#aimedAt === f) return;
    this.#aimedAt = f;
    for (let t = 0; t < this.flightTraces; t++) {
      this.#word[t] = this.#traceWord(f, t);
      const ns = BigInt(this.#traceMs(f, t)) * 1_000_000n;
      this.#lo[t] = Number(ns & 0xffff_ffffn);
      this.#hi[t] = Number(ns >> 32n);
    }
  }
  #aimedAt = -1;

  #filled(attributes: Attributes, word: number): Attributes {
    const fill = (text: string): string =>
      NAMES.reduce((filled, name, table) => {
        if (!filled.includes(PLACEHOLDERS[name])) return filled;
        const from = this.#choice(word, table) * LENGTHS[table]!;
        return filled.replaceAll(
          PLACEHOLDERS[name],
          this.#tables[table]!.toString('latin1', from, from + LENGTHS[table]!),
        );
      }, text);
    const value = (given: AttributeValue): AttributeValue =>
      typeof given === 'string' ? fill(given) : Array.isArray(given) ? given.map(fill) : given;
    return Object.fromEntries(Object.entries(attributes).map(([key, given]) => [key, value(given)]));
  }
}

function chooseShapes(
  seed: number,
  traces: number,
  attacks: ReadonlyMap<AttackName, number>,
): (readonly ShapeSpan[])[] {
  const random = createRandom(seed);
  const planted = [...attacks].flatMap(([name, count]) => Array.from({ length: count }, () => ATTACK_SHAPES[name]));
  if (planted.length > traces) throw new RangeError(`${planted.length} attacks do not fit into ${traces} traces`);
  const benign = BENIGN_SHAPES.flatMap(({ percent, spans }) =>
    Array.from({ length: Math.round(((traces - planted.length) * percent) / 100) }, () => spans),
  );
  while (benign.length < traces - planted.length) benign.push(BENIGN_SHAPES[0]!.spans);
  benign.length = traces - planted.length;
  return shuffle([...benign, ...planted], random);
}

function buildRequests(
  seed: number,
  shapes: readonly (readonly ShapeSpan[])[],
  requestSpansMax: number,
): RequestTemplate[] {
  const requests: RequestTemplate[] = [];
  for (const service of SERVICES) {
    const places = shapes.flatMap((shape, trace) =>
      shape.flatMap((span, index) => (span.service === service ? [{ trace, span: index }] : [])),
    );
    const count = Math.ceil(places.length / requestSpansMax);
    for (let part = 0; part < count; part++) {
      const from = Math.floor((places.length * part) / count);
      const to = Math.floor((places.length * (part + 1)) / count);
      requests.push(buildRequest(service, shapes, places.slice(from, to)));
    }
  }
  return shuffle(requests, createRandom(mix32(seed + 77)));
}

function buildRequest(
  service: ServiceName,
  shapes: readonly (readonly ShapeSpan[])[],
  places: readonly SpanPlace[],
): RequestTemplate {
  const fields = new ProtoWriter();
  const starts: number[] = [];
  for (const { trace, span } of places) {
    const shape = shapes[trace]![span]!;
    const bytes = encodeSpan({
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      parentSpanId: shape.parent < 0 ? '' : 'c'.repeat(16),
      name: shape.name,
      kind: shape.kind,
      startUnixNano: 1n,
      endUnixNano: 2n,
      attributes: shape.attributes,
      flags: 0x101,
    });
    fields.block(2, bytes);
    starts.push(fields.length - bytes.length);
  }
  const spanFields = fields.done();
  const inner = encodeResourceSpans(resourceOf(service), '@opentelemetry/instrumentation-http', spanFields);
  const writer = new ProtoWriter();
  writer.block(1, inner);
  const bytes = Buffer.from(writer.done());
  const shift = bytes.length - spanFields.length;
  const ids: number[] = [];
  const fills: number[] = [];
  places.forEach(({ trace, span }, i) => {
    const { parent, name, startUs, endUs } = shapes[trace]![span]!;
    const at = starts[i]! + shift;
    // Wire layout of a span as encodeSpan writes it: 2 + 16 trace id, 2 + 8 span id, 2 + 8 parent, name, kind, 1 + 8 start, 1 + 8 end.
    const afterIds = at + 18 + 10 + (parent < 0 ? 0 : 10);
    const start = afterIds + 2 + Buffer.byteLength(name) + 2 + 1;
    ids.push(
      trace,
      span,
      parent,
      at + 2,
      at + 20,
      parent < 0 ? -1 : at + 30,
      start,
      start + 9,
      startUs * 1000,
      endUs * 1000,
    );
    const end = i + 1 < starts.length ? starts[i + 1]! + shift : bytes.length;
    NAMES.forEach((placeholder, table) => {
      const wanted = PLACEHOLDERS[placeholder];
      for (let found = bytes.indexOf(wanted, at, 'latin1'); found >= 0 && found < end; ) {
        fills.push(trace, table, found);
        found = bytes.indexOf(wanted, found + wanted.length, 'latin1');
      }
    });
  });
  return { service, bytes, places, ids: Int32Array.from(ids), fills: Int32Array.from(fills) };
}
