/** OTLP trace requests from plain objects, as protobuf and as JSON: small and independent of the code under test. */

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

export const SpanKindNumber = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
export type SpanKindName = keyof typeof SpanKindNumber;

export interface OtlpSpan {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** 16 hex digits, '' for none. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: SpanKindName;
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
  readonly attributes: Attributes;
  /** True for status ERROR; unset otherwise. */
  readonly failed?: boolean;
  /** OTLP flags; 0 is left out. */
  readonly flags?: number;
}

/** Spans of one sender. */
export interface OtlpGroup {
  readonly resource: Attributes;
  readonly scope: string;
  readonly spans: readonly OtlpSpan[];
}

/** Appends protobuf fields to a buffer that doubles when full. */
export class ProtoWriter {
  bytes: Buffer = Buffer.allocUnsafe(4096);
  length = 0;

  #room(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + count));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest > 127) {
      this.bytes[this.length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  raw(chunk: Uint8Array): void {
    this.#room(chunk.length);
    this.bytes.set(chunk, this.length);
    this.length += chunk.length;
  }

  uint(field: number, value: number): void {
    this.varint(field << 3);
    this.varint(value);
  }

  block(field: number, chunk: Uint8Array): void {
    this.varint((field << 3) | 2);
    this.varint(chunk.length);
    this.raw(chunk);
  }

  text(field: number, value: string): void {
    this.block(field, Buffer.from(value, 'utf8'));
  }

  fixed64(field: number, value: bigint): void {
    this.varint((field << 3) | 1);
    this.#room(8);
    this.bytes.writeBigUInt64LE(value, this.length);
    this.length += 8;
  }

  double(field: number, value: number): void {
    this.varint((field << 3) | 1);
    this.#room(8);
    this.bytes.writeDoubleLE(value, this.length);
    this.length += 8;
  }

  fixed32(field: number, value: number): void {
    this.varint((field << 3) | 5);
    this.#room(4);
    this.bytes.writeUInt32LE(value, this.length);
    this.length += 4;
  }

  message(field: number, write: (writer: ProtoWriter) => void): void {
    const inner = new ProtoWriter();
    write(inner);
    this.block(field, inner.done());
  }

  done(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

function writeValue(writer: ProtoWriter, value: AttributeValue): void {
  if (typeof value === 'string') writer.text(1, value);
  else if (typeof value === 'boolean') writer.uint(2, value ? 1 : 0);
  else if (typeof value !== 'number') {
    writer.message(5, (list) => {
      for (const item of value) list.message(1, (any) => any.text(1, item));
    });
  } else if (Number.isInteger(value) && value >= 0) writer.uint(3, value);
  else writer.double(4, value);
}

function writeAttributes(writer: ProtoWriter, field: number, attributes: Attributes): void {
  for (const [key, value] of Object.entries(attributes)) {
    writer.message(field, (pair) => {
      pair.text(1, key);
      pair.message(2, (any) => writeValue(any, value));
    });
  }
}

/** The bytes of one `opentelemetry.proto.trace.v1.Span`. */
export function encodeSpan(span: OtlpSpan): Buffer {
  const writer = new ProtoWriter();
  writer.block(1, Buffer.from(span.traceId, 'hex'));
  writer.block(2, Buffer.from(span.spanId, 'hex'));
  if (span.parentSpanId !== '') writer.block(4, Buffer.from(span.parentSpanId, 'hex'));
  writer.text(5, span.name);
  writer.uint(6, SpanKindNumber[span.kind]);
  writer.fixed64(7, span.startUnixNano);
  writer.fixed64(8, span.endUnixNano);
  writeAttributes(writer, 9, span.attributes);
  if (span.failed === true) writer.message(15, (status) => status.uint(3, 2));
  if (span.flags !== undefined && span.flags !== 0) writer.fixed32(16, span.flags);
  return writer.done();
}

/** `ResourceSpans` (without tag and length) around spans that are encoded already, each with its field tag. */
export function encodeResourceSpans(resource: Attributes, scope: string, spanFields: Uint8Array): Buffer {
  const writer = new ProtoWriter();
  writer.message(1, (inner) => writeAttributes(inner, 1, resource));
  const scopeSpans = new ProtoWriter();
  scopeSpans.message(1, (inner) => inner.text(1, scope));
  scopeSpans.raw(spanFields);
  writer.block(2, scopeSpans.done());
  return writer.done();
}

/** The bytes of one `ExportTraceServiceRequest`. */
export function encodeRequest(groups: readonly OtlpGroup[]): Buffer {
  const request = new ProtoWriter();
  for (const group of groups) {
    const fields = new ProtoWriter();
    for (const span of group.spans) fields.block(2, encodeSpan(span));
    request.block(1, encodeResourceSpans(group.resource, group.scope, fields.done()));
  }
  return request.done();
}

function toJsonValue(value: AttributeValue): unknown {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value !== 'number') return { arrayValue: { values: value.map((item) => ({ stringValue: item })) } };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const toJsonAttributes = (attributes: Attributes): unknown[] =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: toJsonValue(value) }));

/** The same request in OTLP's JSON encoding. */
export function toJsonRequest(groups: readonly OtlpGroup[]): string {
  return JSON.stringify({
    resourceSpans: groups.map((group) => ({
      resource: { attributes: toJsonAttributes(group.resource) },
      scopeSpans: [
        {
          scope: { name: group.scope },
          spans: group.spans.map((span) => ({
            traceId: span.traceId,
            spanId: span.spanId,
            ...(span.parentSpanId === '' ? {} : { parentSpanId: span.parentSpanId }),
            name: span.name,
            kind: SpanKindNumber[span.kind],
            startTimeUnixNano: String(span.startUnixNano),
            endTimeUnixNano: String(span.endUnixNano),
            attributes: toJsonAttributes(span.attributes),
            ...(span.failed === true ? { status: { code: 2 } } : {}),
            ...(span.flags === undefined || span.flags === 0 ? {} : { flags: span.flags }),
          })),
        },
      ],
    })),
  });
}
