import type { SpanBatch } from '../base/batch.ts';
import type { Counters } from '../base/counters.ts';
import { RejectedError } from '../base/errors.ts';
import type { Limits } from '../base/limits.ts';
import type { Pseudonym } from '../base/pseudonym.ts';
import { inflate } from './inflate.ts';
import type { Json } from './json-values.ts';
import { OtlpJson } from './otlp-json.ts';
import { OtlpProtobuf } from './otlp-protobuf.ts';
import { SpanWriter } from './span-writer.ts';

// Bytes of one OTLP export come in; columns of spans with current attribute names go out. Never a raw secret or
// personal value, never an answer to the sender, never a read of the clock.

export interface DecodeSettings {
  readonly limits: Limits;
  /** Undefined without a key: identities are dropped and only their presence is recorded. */
  readonly pseudonym: Pseudonym | undefined;
  readonly pseudonymKeyId: string;
  /** `clamped`: event time is the span's end if within [received - 24 h, + 10 min]; `recorded`: the end as it is. */
  readonly eventTime: 'clamped' | 'recorded';
  readonly counters: Counters;
  /** What is kept of a client's address: its /24 or /48 (default), all of it, or a keyed hash. */
  readonly keepClientAddress?: 'full' | 'prefix' | 'hash';
}

export interface DecodeRequest {
  readonly bytes: Uint8Array;
  readonly encoding: 'protobuf' | 'json';
  readonly compression: 'none' | 'gzip';
  /** Bytes allowed after decompression. */
  readonly bytesMax: number;
  /** `stripped`: the sender may not set `apisec.*` and user attributes. Default `kept`. */
  readonly securityAttributes?: 'kept' | 'stripped';
}

export interface Decoded {
  readonly batch: SpanBatch;
  /** Spans in the request, refused ones included. */
  readonly receivedSpans: number;
  readonly rejectedSpans: number;
  /** Why spans were refused, for partial_success; '' when none was. */
  readonly message: string;
}

export interface Decoder {
  /**
   * @param receivedUs when the request was received, microseconds since the epoch.
   * @throws RejectedError 'malformed' or 'too-large'.
   */
  decode(request: DecodeRequest, receivedUs: number): Decoded;
}

const utf8 = new TextDecoder('utf-8');

/** Parses UTF-8 JSON, a byte order mark allowed. @throws RejectedError 'malformed' without quoting the text. */
export function parseJson(bytes: Uint8Array): Json {
  try {
    return JSON.parse(utf8.decode(bytes)) as Json;
  } catch (error) {
    // The engine's message quotes the text around the fault, which may hold anything.
    const place = /at position (\d+)/.exec((error as Error).message)?.[1];
    throw new RejectedError('malformed', `not JSON${place === undefined ? '' : `: fault at character ${place}`}`);
  }
}

export function createDecoder(settings: DecodeSettings): Decoder {
  return new OtlpDecoder(settings);
}

export class OtlpDecoder implements Decoder {
  readonly #writer: SpanWriter;
  readonly #protobuf: OtlpProtobuf;
  readonly #json: OtlpJson;

  constructor(settings: DecodeSettings) {
    const { limits } = settings;
    this.#writer = new SpanWriter({
      limits,
      pseudonym: settings.pseudonym,
      pseudonymKeyId: settings.pseudonymKeyId,
      eventTime: settings.eventTime,
      counters: settings.counters,
      keepClientAddress: settings.keepClientAddress ?? 'prefix',
      attributeValueCharsMax: limits.attributeValueCharsMax,
    });
    this.#protobuf = new OtlpProtobuf(this.#writer, limits.valueDepthMax, limits.valueItemsMax);
    this.#json = new OtlpJson(this.#writer, limits.valueDepthMax, limits.valueItemsMax);
  }

  decode(request: DecodeRequest, receivedUs: number): Decoded {
    const { bytesMax } = request;
    const bytes = request.compression === 'gzip' ? inflate(request.bytes, bytesMax) : request.bytes;
    if (bytes.length > bytesMax) throw new RejectedError('too-large', `the body has more than ${bytesMax} bytes`);
    const kept = request.securityAttributes !== 'stripped';
    if (request.encoding === 'protobuf') return this.#batch(receivedUs, kept, () => this.#protobuf.read(bytes));
    if (bytes.length === 0) return this.decodeJson({}, receivedUs, kept);
    return this.decodeJson(parseJson(bytes), receivedUs, kept);
  }

  /** An OTLP/JSON request that is already parsed. */
  decodeJson(request: Json, receivedUs: number, securityKept = true): Decoded {
    return this.#batch(receivedUs, securityKept, () => this.#json.read(request));
  }

  #batch(receivedUs: number, securityKept: boolean, read: () => number): Decoded {
    const writer = this.#writer;
    if (writer.begin(receivedUs, securityKept)) this.#protobuf.forget();
    const receivedSpans = read();
    const { badTraceIds, badSpanIds, rejected } = writer;
    const reasons: string[] = [];
    if (badTraceIds > 0) reasons.push(`${badTraceIds} with a trace id that is not 16 non-zero bytes`);
    if (badSpanIds > 0) reasons.push(`${badSpanIds} with a span id that is not 8 non-zero bytes`);
    const message = reasons.length === 0 ? '' : `rejected spans: ${reasons.join(', ')}`;
    return { batch: writer.end(), receivedSpans, rejectedSpans: rejected, message };
  }
}
