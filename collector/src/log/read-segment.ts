import type { SpanBatch } from '../base/batch.ts';
import { BLOCK_FORMAT, BLOCK_HEADER_BYTES, type SegmentInput } from './build-segment.ts';
import { ByteReader, DamagedError } from './byte-reader.ts';
import { unseal } from './envelope.ts';
import { gatherRows, type Source } from './gather.ts';
import { readNumbers } from './number-column.ts';
import { readSpans } from './read-spans.ts';
import { SharedTables } from './shared-tables.ts';
import { compareTraces } from './trace-keys.ts';

/** What is in a segment and where. */
export interface Directory {
  readonly segment: number;
  /** Four words per trace, in order. */
  readonly traces: Uint32Array;
  /** Row at which each trace begins; one more than traces. */
  readonly traceFrom: Uint32Array;
  readonly offsets: Float64Array;
  readonly receivedUs: Float64Array;
  /** Row and byte of the body at which each block begins; one more than blocks. */
  readonly blockFrom: Uint32Array;
  readonly byteFrom: Uint32Array;
}

/** Throws DamagedError. */
export function readDirectory(stored: Buffer, segment: number): Directory {
  const reader = new ByteReader(unseal(stored, { numbers: [segment] }));
  const traceCount = reader.count(stored.length);
  const traces = reader.words(traceCount * 4);
  const traceFrom = readSizes(reader, traceCount);
  const records = reader.varint();
  const offsets = new Float64Array(records);
  readNumbers(reader, offsets, 0, records);
  const receivedUs = new Float64Array(records);
  readNumbers(reader, receivedUs, 0, records);
  const blocks = reader.varint();
  const blockFrom = readSizes(reader, blocks);
  const byteFrom = readSizes(reader, blocks);
  reader.done();
  return { segment, traces, traceFrom, offsets, receivedUs, blockFrom, byteFrom };
}

function readSizes(reader: ByteReader, count: number): Uint32Array {
  const from = new Uint32Array(count + 1);
  readNumbers(reader, from, 1, count);
  for (let i = 0; i < count; i++) from[i + 1]! += from[i]!;
  return from;
}

/** Position of a trace (four words) in a directory, -1 when it is not there. */
export function traceIn(traces: Uint32Array, words: Uint32Array): number {
  let from = 0;
  let to = traces.length / 4 - 1;
  while (from <= to) {
    const middle = (from + to) >>> 1;
    const order = compareTraces(traces, middle, words, 0);
    if (order === 0) return middle;
    if (order < 0) from = middle + 1;
    else to = middle - 1;
  }
  return -1;
}

/** The spans of one block, and for each the position of its record in the directory. */
export interface OpenBlock {
  readonly batch: SpanBatch;
  readonly recordOf: Uint32Array;
  /** Row of the segment that is row 0 here. */
  readonly fromRow: number;
}

/** Throws DamagedError. */
export function readBlock(directory: Directory, body: Buffer, block: number): OpenBlock {
  const { traces, traceFrom, blockFrom, byteFrom } = directory;
  const fromRow = blockFrom[block]!;
  const rows = blockFrom[block + 1]! - fromRow;
  const stored = body.subarray(byteFrom[block]!, byteFrom[block + 1]!);
  const bytes = unseal(stored, { numbers: [directory.segment, fromRow] });
  if (bytes[0] !== BLOCK_FORMAT) throw new DamagedError(`a block of format ${bytes[0]}`);
  const split = BLOCK_HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true);
  const firstTrace = rowBefore(traceFrom, fromRow);
  const endTrace = rowBefore(traceFrom, fromRow + rows - 1) + 1;
  const packed = new ByteReader(bytes, split);
  const idReader = new ByteReader(bytes, BLOCK_HEADER_BYTES, split);
  const recordOf = new Uint32Array(rows);
  const batch = readSpans({ ids: idReader, packed }, traces.subarray(firstTrace * 4, endTrace * 4), (reader) =>
    readNumbers(reader, recordOf, 0, rows),
  );
  idReader.done();
  packed.done();
  if (batch.count !== rows) throw new DamagedError(`${batch.count} rows instead of ${rows}`);
  return { batch, recordOf, fromRow };
}

/** Position of the last start that is not after `row`. */
export function rowBefore(starts: Uint32Array, row: number): number {
  let from = 0;
  let to = starts.length - 2;
  while (from < to) {
    const middle = (from + to + 1) >>> 1;
    if (starts[middle]! <= row) from = middle;
    else to = middle - 1;
  }
  return from;
}

/** The records that a segment was built from, or what of them belongs to the traces to keep. Throws DamagedError. */
export function readInputs(
  directory: Directory,
  body: Buffer,
  keeps: (trace: number) => boolean = () => true,
): SegmentInput[] {
  const shared = new SharedTables();
  const sources: Source[] = [];
  const places = Array.from(directory.offsets, (): { source: number; row: number }[] => []);
  for (let block = 0; block + 1 < directory.blockFrom.length; block++) {
    const { batch, recordOf, fromRow } = readBlock(directory, body, block);
    sources.push({ batch, positions: shared.add(batch) });
    for (let row = 0; row < batch.count; row++) {
      if (keeps(rowBefore(directory.traceFrom, fromRow + row))) places[recordOf[row]!]!.push({ source: block, row });
    }
  }
  const inputs: SegmentInput[] = [];
  places.forEach((rows, record) => {
    if (rows.length === 0) return;
    const sourceOf = Uint32Array.from(rows, (place) => place.source);
    const rowOf = Uint32Array.from(rows, (place) => place.row);
    inputs.push({
      offset: directory.offsets[record]!,
      receivedUs: directory.receivedUs[record]!,
      batch: gatherRows(sources, shared, sourceOf, rowOf, 0, rows.length),
    });
  });
  return inputs;
}
