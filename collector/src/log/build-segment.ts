import type { SpanBatch } from '../base/batch.ts';
import { ByteWriter } from './byte-writer.ts';
import { seal } from './envelope.ts';
import { gatherRows, type Source } from './gather.ts';
import { TraceTable } from './id-table.ts';
import { writeNumbers } from './number-column.ts';
import { LocalNumbering, SharedTables } from './shared-tables.ts';
import { compareTraces } from './trace-keys.ts';
import { writeSpans } from './write-spans.ts';

/**
 * Segments: some thousand spans of many records, grouped by trace. A directory says which traces are in it and which
 * rows they have; blocks of about two thousand rows hold the spans, each complete in itself, so that reading one trace
 * unpacks one block. FORMAT.md draws both.
 */

/** Rows after which a block ends at the next trace, and the most it may have. */
const BLOCK_ROWS = 2048;
const BLOCK_ROWS_MAX = 4096;
export const BLOCK_FORMAT = 1;
/** Format byte, length of the ids. */
export const BLOCK_HEADER_BYTES = 5;

/** One record, or some of its rows, as it goes into a segment. */
export interface SegmentInput {
  readonly offset: number;
  readonly receivedUs: number;
  readonly batch: SpanBatch;
}

export interface Segment {
  /** Never used twice, so that a reader may remember what it knows of a segment. */
  readonly id: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly lastReceivedUs: number;
  readonly spanCount: number;
  readonly minEventUs: number;
  readonly maxEventUs: number;
  /** Sorted by `compareTraces`, four words each. */
  readonly traces: Uint32Array;
  readonly directory: Buffer;
  readonly body: Buffer;
}

const ids = new ByteWriter();
const tables = new ByteWriter();
const columns = new ByteWriter();

/**
 * Builds a segment from records in ascending order of offset; yields after each block, so that other work fits in
 * between. Rows of one trace keep the order of acceptance.
 */
export function* buildSegment(id: number, inputs: readonly SegmentInput[]): Generator<void, Segment> {
  const shared = new SharedTables();
  const sources: Source[] = [];
  for (const { batch } of inputs) {
    sources.push({ batch, positions: shared.add(batch) });
    if (sources.length % 8 === 0) yield;
  }
  const layout = layRows(inputs);
  yield;
  const numbering = {
    strings: new LocalNumbering(shared.strings),
    lists: new LocalNumbering(shared.lists),
    resources: new LocalNumbering(shared.resources),
    scopes: new LocalNumbering(shared.scopes),
  };
  const blocks: Block[] = [];
  for (const { fromRow, toRow, firstTrace, traceCount } of layout.blocks) {
    const { traceOf, sourceOf, rowOf } = layout;
    const batch = gatherRows(sources, shared, sourceOf, rowOf, fromRow, toRow);
    for (const writer of [ids, tables, columns]) writer.reset();
    for (const table of Object.values(numbering)) table.reset();
    writeNumbers(columns, sourceOf, fromRow, toRow);
    const local = traceOf.slice(fromRow, toRow).map((trace) => trace - firstTrace);
    writeSpans({ ids, tables, columns }, batch, local, traceCount, numbering);
    blocks.push({ fromRow, toRow, firstTrace, traceCount, bytes: sealBlock(id, fromRow) });
    yield;
  }
  return toSegment(id, inputs, layout, blocks);
}

interface BlockRange {
  readonly fromRow: number;
  readonly toRow: number;
  readonly firstTrace: number;
  readonly traceCount: number;
}
interface Block extends BlockRange {
  readonly bytes: Buffer;
}

interface Layout {
  readonly traces: Uint32Array;
  /** Row at which each trace begins; one more than traces. */
  readonly traceFrom: Uint32Array;
  readonly traceOf: Uint32Array;
  readonly sourceOf: Uint32Array;
  readonly rowOf: Uint32Array;
  readonly blocks: readonly BlockRange[];
}

/** Which row goes where: a counting sort by trace. */
function layRows(inputs: readonly SegmentInput[]): Layout {
  let count = 0;
  for (const { batch } of inputs) count += batch.count;
  const table = new TraceTable();
  const found = new Uint32Array(count);
  let at = 0;
  for (const { batch } of inputs) {
    const { traceId } = batch;
    for (let word = 0; word < batch.count * 4; word += 4) {
      found[at++] = table.add(traceId[word]!, traceId[word + 1]!, traceId[word + 2]!, traceId[word + 3]!);
    }
  }
  const order = Uint32Array.from({ length: table.count }, (_, trace) => trace);
  order.sort((a, b) => compareTraces(table.words, a, table.words, b));
  const rank = new Uint32Array(table.count);
  const traces = new Uint32Array(table.count * 4);
  for (let trace = 0; trace < table.count; trace++) {
    const from = order[trace]!;
    rank[from] = trace;
    traces.set(table.words.subarray(from * 4, from * 4 + 4), trace * 4);
  }
  const traceFrom = new Uint32Array(table.count + 1);
  for (let i = 0; i < count; i++) traceFrom[rank[found[i]!]! + 1]!++;
  for (let trace = 0; trace < table.count; trace++) traceFrom[trace + 1]! += traceFrom[trace]!;

  const cursors = traceFrom.slice();
  const traceOf = new Uint32Array(count);
  const sourceOf = new Uint32Array(count);
  const rowOf = new Uint32Array(count);
  at = 0;
  inputs.forEach(({ batch }, source) => {
    for (let row = 0; row < batch.count; row++) {
      const trace = rank[found[at++]!]!;
      const to = cursors[trace]!++;
      traceOf[to] = trace;
      sourceOf[to] = source;
      rowOf[to] = row;
    }
  });
  return { traces, traceFrom, traceOf, sourceOf, rowOf, blocks: cutBlocks(traceOf) };
}

function cutBlocks(traceOf: Uint32Array): BlockRange[] {
  const blocks: BlockRange[] = [];
  let fromRow = 0;
  for (let row = 1; row <= traceOf.length; row++) {
    const rows = row - fromRow;
    const ends = row === traceOf.length || rows >= BLOCK_ROWS_MAX;
    if (!ends && (rows < BLOCK_ROWS || traceOf[row] === traceOf[row - 1])) continue;
    const firstTrace = traceOf[fromRow]!;
    blocks.push({ fromRow, toRow: row, firstTrace, traceCount: traceOf[row - 1]! - firstTrace + 1 });
    fromRow = row;
  }
  return blocks;
}

function sealBlock(id: number, fromRow: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(BLOCK_HEADER_BYTES + ids.length + tables.length + columns.length);
  bytes[0] = BLOCK_FORMAT;
  bytes.writeUInt32LE(ids.length, 1);
  bytes.set(ids.view(), BLOCK_HEADER_BYTES);
  bytes.set(tables.view(), BLOCK_HEADER_BYTES + ids.length);
  bytes.set(columns.view(), BLOCK_HEADER_BYTES + ids.length + tables.length);
  return seal(bytes, BLOCK_HEADER_BYTES + ids.length, { numbers: [id, fromRow] });
}

function toSegment(id: number, inputs: readonly SegmentInput[], layout: Layout, blocks: readonly Block[]): Segment {
  let minEventUs = Infinity;
  let maxEventUs = -Infinity;
  let lastReceivedUs = 0;
  for (const { batch, receivedUs } of inputs) {
    lastReceivedUs = Math.max(lastReceivedUs, receivedUs);
    for (const eventUs of batch.eventUs) {
      if (eventUs < minEventUs) minEventUs = eventUs;
      if (eventUs > maxEventUs) maxEventUs = eventUs;
    }
  }
  return {
    id,
    firstOffset: inputs[0]!.offset,
    lastOffset: inputs.at(-1)!.offset,
    lastReceivedUs,
    spanCount: layout.traceOf.length,
    minEventUs,
    maxEventUs,
    traces: layout.traces,
    directory: writeDirectory(id, inputs, layout, blocks),
    body: Buffer.concat(blocks.map((block) => block.bytes)),
  };
}

function writeDirectory(id: number, inputs: readonly SegmentInput[], layout: Layout, blocks: readonly Block[]): Buffer {
  ids.reset();
  columns.reset();
  const traceCount = layout.traces.length / 4;
  ids.varint(traceCount);
  ids.words(layout.traces);
  const rows = new Uint32Array(traceCount);
  for (let trace = 0; trace < traceCount; trace++)
    rows[trace] = layout.traceFrom[trace + 1]! - layout.traceFrom[trace]!;
  writeNumbers(columns, rows, 0, traceCount);
  columns.varint(inputs.length);
  writeNumbers(
    columns,
    Float64Array.from(inputs, (input) => input.offset),
    0,
    inputs.length,
  );
  writeNumbers(
    columns,
    Float64Array.from(inputs, (input) => input.receivedUs),
    0,
    inputs.length,
  );
  columns.varint(blocks.length);
  writeNumbers(
    columns,
    Uint32Array.from(blocks, (block) => block.toRow - block.fromRow),
    0,
    blocks.length,
  );
  writeNumbers(
    columns,
    Uint32Array.from(blocks, (block) => block.bytes.length),
    0,
    blocks.length,
  );
  return seal(Buffer.concat([ids.view(), columns.view()]), ids.length, { numbers: [id] });
}
