import type { SpanBatch } from '../base/batch.ts';
import { ByteReader, DamagedError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { TraceTable } from './id-table.ts';
import { readSpans } from './read-spans.ts';
import { toTraceKeys } from './trace-keys.ts';
import { writeSpans } from './write-spans.ts';

/**
 * One accepted batch on its way into the log: a SpanBatch comes in, bytes that hold exactly it go out. Called where the
 * batch is at hand; it neither compresses nor touches a disk.
 */
export interface LogRecord {
  /** 0, 1, 2, … in the order of acceptance. */
  readonly offset: number;
  /** Wall clock in microseconds when the export was received. */
  readonly receivedUs: number;
  readonly spanCount: number;
  /** Earliest and latest event time in microseconds; both `receivedUs` when there is no span. */
  readonly minEventUs: number;
  readonly maxEventUs: number;
  /** Keys of the traces in it, sorted, distinct: see `toTraceKeys`. */
  readonly traceKeys: Uint32Array;
  /** `encodeBatch` of the batch, in a buffer of its own: it can be transferred to another thread. */
  readonly bytes: Uint8Array;
}

const FORMAT = 1;
/** Format byte, length of the ids. */
const HEADER_BYTES = 5;

const ids = new ByteWriter();
const tables = new ByteWriter();
const columns = new ByteWriter();
const traces = new TraceTable();
let traceOf = new Uint32Array(4096);

function write(batch: SpanBatch): Uint8Array {
  for (const writer of [ids, tables, columns]) writer.reset();
  traces.reset();
  const { count, traceId } = batch;
  if (traceOf.length < count) traceOf = new Uint32Array(count * 2);
  for (let row = 0; row < count; row++) {
    const at = row * 4;
    traceOf[row] = traces.add(traceId[at]!, traceId[at + 1]!, traceId[at + 2]!, traceId[at + 3]!);
  }
  ids.varint(traces.count);
  ids.words(traces.words.subarray(0, traces.count * 4));
  writeSpans({ ids, tables, columns }, batch, traceOf, traces.count);

  const bytes = new Uint8Array(HEADER_BYTES + ids.length + tables.length + columns.length);
  bytes[0] = FORMAT;
  new DataView(bytes.buffer).setUint32(1, ids.length, true);
  bytes.set(ids.view(), HEADER_BYTES);
  bytes.set(tables.view(), HEADER_BYTES + ids.length);
  bytes.set(columns.view(), HEADER_BYTES + ids.length + tables.length);
  return bytes;
}

/** The batch as bytes in a buffer of its own; not compressed, not checksummed: `seal` does both on the way to disk. */
export function encodeBatch(batch: SpanBatch): Uint8Array {
  return write(batch);
}

/** How many leading bytes of an encoded batch are random and not worth compressing. */
export function plainBytesOf(bytes: Uint8Array): number {
  return HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
}

/** The exact inverse of `encodeBatch`. Throws DamagedError. */
export function decodeBatch(bytes: Uint8Array): SpanBatch {
  if (bytes.length < HEADER_BYTES || bytes[0] !== FORMAT) throw new DamagedError(`a batch of format ${bytes[0]}`);
  const split = plainBytesOf(bytes);
  const idReader = new ByteReader(bytes, HEADER_BYTES, split);
  const packed = new ByteReader(bytes, split);
  const batch = readSpans({ ids: idReader, packed }, idReader.words(idReader.count(bytes.length) * 4));
  idReader.done();
  packed.done();
  return batch;
}

export function toLogRecord(batch: SpanBatch, offset: number, receivedUs: number): LogRecord {
  const bytes = write(batch);
  const traceKeys = toTraceKeys(traces.words, traces.count);
  let minEventUs = batch.count === 0 ? receivedUs : batch.eventUs[0]!;
  let maxEventUs = minEventUs;
  for (let row = 1; row < batch.count; row++) {
    const eventUs = batch.eventUs[row]!;
    if (eventUs < minEventUs) minEventUs = eventUs;
    else if (eventUs > maxEventUs) maxEventUs = eventUs;
  }
  return { offset, receivedUs, spanCount: batch.count, minEventUs, maxEventUs, traceKeys, bytes };
}
