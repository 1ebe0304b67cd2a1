import { RejectedError } from '../base/errors.ts';
import { type Decoded, type DecodeSettings, OtlpDecoder, parseJson } from './decoder.ts';
import { inflate, isGzip } from './inflate.ts';
import { isJaegerSpan, isJaegerTrace, jaegerSpanToOtlp, jaegerTraceToOtlp } from './jaeger-json.ts';
import { isObject, type Json, type JsonObject } from './json-values.ts';
import { bytesTag, WireReader } from './wire.ts';
import { isZipkinSpan, zipkinToOtlp } from './zipkin-json.ts';

// Bytes of a file of recorded traces come in, decoded batches go out. The format is told by the content, never by the
// name. One bad line, record or trace does not lose the others.

export type DumpFormat =
  | 'otlp-json'
  | 'otlp-json-lines'
  | 'otlp-protobuf'
  | 'otlp-protobuf-delimited'
  | 'jaeger-json'
  | 'zipkin-json'
  | 'empty';

/** A part of the file that could not be read. */
export interface DumpError {
  /** `line 3`, `record 2`, `data[1]`; `file` for the whole. */
  readonly place: string;
  readonly message: string;
}

export interface DecodedDump {
  readonly format: DumpFormat;
  readonly decoded: readonly Decoded[];
  readonly errors: readonly DumpError[];
}

export interface DumpDecoder {
  /**
   * @param bytesMax bytes allowed after decompression.
   * @throws RejectedError naming the file and the place when nothing in it could be read.
   */
  decodeDump(bytes: Uint8Array, fileName: string, receivedUs: number, bytesMax?: number): DecodedDump;
}

/** What one JSON document holds. */
interface Document {
  readonly format: DumpFormat;
  readonly requests: readonly { readonly place: string; readonly toOtlp: () => Json }[];
}

const DUMP_BYTES_MAX = 512 * 1024 * 1024;

export function createDumpDecoder(settings: DecodeSettings): DumpDecoder {
  const decoder = new OtlpDecoder(settings);
  return {
    decodeDump(bytes, fileName, receivedUs, bytesMax = DUMP_BYTES_MAX) {
      try {
        const plain = isGzip(bytes) ? inflate(bytes, bytesMax) : bytes;
        if (plain.length > bytesMax) throw new RejectedError('too-large', `more than ${bytesMax} bytes`);
        const dump = new DumpReader(decoder, receivedUs).read(plain);
        const first = dump.errors[0];
        if (dump.decoded.length === 0 && first !== undefined) {
          throw new RejectedError(
            'malformed',
            first.place === 'file' ? first.message : `${first.place}: ${first.message}`,
          );
        }
        return dump;
      } catch (error) {
        if (!(error instanceof RejectedError)) throw error;
        throw new RejectedError(error.code, `${fileName}: ${error.message}`);
      }
    },
  };
}

class DumpReader {
  readonly #decoder: OtlpDecoder;
  readonly #receivedUs: number;
  readonly #decoded: Decoded[] = [];
  readonly #errors: DumpError[] = [];

  constructor(decoder: OtlpDecoder, receivedUs: number) {
    this.#decoder = decoder;
    this.#receivedUs = receivedUs;
  }

  read(bytes: Uint8Array): DecodedDump {
    return { format: this.#read(bytes), decoded: this.#decoded, errors: this.#errors };
  }

  #read(bytes: Uint8Array): DumpFormat {
    const first = firstCharacter(bytes);
    if (first === undefined) return 'empty';
    // 0x0A is both the tag of resource_spans and a line feed, so fields that tile the file exactly decide.
    if (bytes[0] === LIST_1 && tilesAsMessage(bytes)) {
      this.#attempt('file', () => this.#protobuf(bytes));
      return 'otlp-protobuf';
    }
    if (first === '{' || first === '[') return this.#json(bytes);
    const records = delimitedRecords(bytes);
    if (records === undefined) return bytes[0] === LIST_1 ? this.#cutOff(bytes) : this.#unknown(bytes);
    for (const [i, record] of records.entries()) this.#attempt(`record ${i + 1}`, () => this.#protobuf(record));
    return 'otlp-protobuf-delimited';
  }

  /** Begins as a protobuf request and is none: the reader's message says where it breaks. */
  #cutOff(bytes: Uint8Array): DumpFormat {
    this.#attempt('file', () => this.#protobuf(bytes));
    return 'otlp-protobuf';
  }

  #unknown(bytes: Uint8Array): DumpFormat {
    // Lines of which the first is garbage still are lines.
    if (looksLikeText(bytes)) return this.#lines(bytes) ?? this.#refuse();
    return this.#refuse();
  }

  #refuse(): never {
    throw new RejectedError('malformed', 'neither OTLP (JSON, JSON lines, protobuf) nor Jaeger nor Zipkin JSON');
  }

  #json(bytes: Uint8Array): DumpFormat {
    let document: Json;
    try {
      document = parseDocument(bytes);
    } catch (error) {
      const format = this.#lines(bytes);
      if (format === undefined) throw error;
      return format;
    }
    return this.#document(document, '');
  }

  /** JSON lines; undefined when no line is a JSON document of its own. */
  #lines(bytes: Uint8Array): DumpFormat | undefined {
    let at = 0;
    let any = false;
    let format: DumpFormat = 'otlp-json-lines';
    for (let line = 1; at < bytes.length; line++) {
      const end = bytes.indexOf(10, at);
      const to = end < 0 ? bytes.length : end;
      const part = bytes.subarray(at, to);
      at = to + 1;
      if (firstCharacter(part) === undefined) continue;
      this.#attempt(`line ${line}`, () => {
        const document = parseDocument(part);
        any ||= typeof document === 'object';
        const found = this.#document(document, `line ${line}`);
        if (found !== 'otlp-json') format = found;
      });
    }
    if (any) return format;
    this.#errors.length = 0;
    return undefined;
  }

  #document(document: Json, where: string): DumpFormat {
    const { format, requests } = toRequests(document);
    for (const { place, toOtlp } of requests) {
      const full = where === '' ? place : place === 'file' ? where : `${where}, ${place}`;
      this.#attempt(full, () => this.#decoded.push(this.#decoder.decodeJson(toOtlp(), this.#receivedUs)));
    }
    return format;
  }

  #protobuf(bytes: Uint8Array): void {
    const request = { bytes, encoding: 'protobuf', compression: 'none', bytesMax: bytes.length } as const;
    this.#decoded.push(this.#decoder.decode(request, this.#receivedUs));
  }

  #attempt(place: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      this.#errors.push({ place, message: error.message });
    }
  }
}

function toRequests(document: Json): Document {
  if (Array.isArray(document)) return listToRequests(document as readonly Json[]);
  if (!isObject(document)) throw new RejectedError('malformed', 'neither a JSON object nor an array');
  const inner = isObject(document['result']) ? document['result'] : document;
  if (isOtlp(inner)) return { format: 'otlp-json', requests: [{ place: 'file', toOtlp: () => inner }] };
  if (Array.isArray(document['data'])) return jaegerTraces(document['data'] as readonly Json[], 'data');
  if (isJaegerTrace(document)) {
    return { format: 'jaeger-json', requests: [{ place: 'file', toOtlp: () => jaegerTraceToOtlp(document, 'trace') }] };
  }
  if (isJaegerSpan(document)) {
    return { format: 'jaeger-json', requests: [{ place: 'file', toOtlp: () => jaegerSpanToOtlp(document, 'span') }] };
  }
  if (isZipkinSpan(document)) {
    return { format: 'zipkin-json', requests: [{ place: 'file', toOtlp: () => zipkinToOtlp([document], 'spans') }] };
  }
  for (const other of ['resourceLogs', 'resourceMetrics']) {
    if (Object.hasOwn(document, other)) throw new RejectedError('malformed', `${other} instead of traces`);
  }
  throw new RejectedError('malformed', 'no traces: neither resourceSpans (OTLP) nor data or spans (Jaeger, Zipkin)');
}

function isOtlp(document: JsonObject): boolean {
  return Object.hasOwn(document, 'resourceSpans') || Object.hasOwn(document, 'resource_spans');
}

function listToRequests(items: readonly Json[]): Document {
  const first = items[0];
  if (first === undefined) return { format: 'empty', requests: [] };
  if (isObject(first) && isOtlp(first)) {
    return { format: 'otlp-json', requests: items.map((item, i) => ({ place: `[${i}]`, toOtlp: () => item })) };
  }
  // Zipkin's /traces gives a list of traces, each a list of spans.
  if (Array.isArray(first)) {
    const requests = items.map((item, i) => ({
      place: `[${i}]`,
      toOtlp: () => zipkinToOtlp(spanList(item), `[${i}]`),
    }));
    return { format: 'zipkin-json', requests };
  }
  if (isZipkinSpan(first)) {
    return { format: 'zipkin-json', requests: [{ place: 'file', toOtlp: () => zipkinToOtlp(items, 'spans') }] };
  }
  if (isJaegerTrace(first)) return jaegerTraces(items, '');
  if (isJaegerSpan(first)) {
    return {
      format: 'jaeger-json',
      requests: [{ place: 'file', toOtlp: () => jaegerTraceToOtlp({ spans: items }, 'file') }],
    };
  }
  throw new RejectedError('malformed', 'a JSON array of neither OTLP requests nor Jaeger nor Zipkin spans');
}

function spanList(item: Json): readonly Json[] {
  if (!Array.isArray(item)) throw new RejectedError('malformed', 'a trace that is no array of spans');
  return item as readonly Json[];
}

function jaegerTraces(traces: readonly Json[], where: string): Document {
  const requests = traces.map((trace, i) => {
    const place = `${where}[${i}]`;
    return { place, toOtlp: () => jaegerTraceToOtlp(trace, place) };
  });
  return { format: 'jaeger-json', requests };
}

/** Ids of Jaeger's Thrift model are 64-bit integers, which JSON.parse would round: they are read as texts. */
const THRIFT_MARK = Buffer.from('"traceIdLow"');
const THRIFT_IDS = /("(?:traceIdLow|traceIdHigh|spanId|parentSpanId)"\s{0,8}:\s{0,8})(-?\d{16,20})/g;

function parseDocument(bytes: Uint8Array): Json {
  if (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(THRIFT_MARK) < 0) return parseJson(bytes);
  return parseJson(Buffer.from(Buffer.from(bytes).toString('utf8').replace(THRIFT_IDS, '$1"$2"')));
}

/** The first character that is no white space or byte order mark. */
function firstCharacter(bytes: Uint8Array): string | undefined {
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  while (at < bytes.length && (bytes[at] === 32 || (bytes[at]! >= 9 && bytes[at]! <= 13))) at++;
  return at < bytes.length ? String.fromCharCode(bytes[at]!) : undefined;
}

function looksLikeText(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, 256);
  return head.every((byte) => byte >= 32 || (byte >= 9 && byte <= 13)) && bytes.includes(123);
}

const LIST_1 = bytesTag(1);

/** True when the bytes are nothing but whole `resource_spans` fields. */
function tilesAsMessage(bytes: Uint8Array): boolean {
  const reader = new WireReader(bytes);
  try {
    while (reader.pos < bytes.length) {
      if (reader.tag(bytes.length) !== LIST_1) return false;
      reader.pos = reader.length(bytes.length);
    }
    return true;
  } catch {
    return false;
  }
}

/**
 * The records of a length-delimited file; the last may be cut off and then fails on its own. Undefined when the first
 * record does not begin as a request, or no record is whole.
 */
function delimitedRecords(bytes: Uint8Array): Uint8Array[] | undefined {
  const reader = new WireReader(bytes);
  const records: Uint8Array[] = [];
  try {
    while (reader.pos < bytes.length) {
      const length = reader.varint32(bytes.length);
      if (length > 0 && bytes[reader.pos] !== LIST_1) return undefined;
      records.push(bytes.subarray(reader.pos, reader.pos + length));
      if (reader.pos + length > bytes.length) return records.length > 1 || records[0]!.length > 0 ? records : undefined;
      reader.pos += length;
    }
  } catch {
    return undefined;
  }
  return records;
}
