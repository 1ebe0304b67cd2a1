import type { SpanBatch } from '../base/batch.ts';
import type { IdHash } from './hash.ts';

/**
 * Batches that open traces point into, with what they cost. A batch is let go with its last open row.
 *
 * `heldBytes` is what the batches keep in memory, `liveBytes` the share of it that belongs to open rows; the difference
 * is what compaction can win back.
 */

/** What a batch costs besides its values: some thirty typed arrays and their buffers. */
const BATCH_OVERHEAD_BYTES = 6 * 1024;
const STRING_OVERHEAD_BYTES = 24;

/** Bytes that the columns and strings of a batch take in memory, without the fixed cost of the arrays themselves. */
export function columnBytes(batch: SpanBatch): number {
  let bytes =
    batch.count * (16 + 8 + 8 + 1 + 1 + 4 + 24 + 4 + 4 + 4 + 12) +
    batch.attrKey.length * 13 +
    batch.eventName.length * 16 +
    batch.eventAttrKey.length * 13 +
    batch.linkSpanId.length * 12;
  for (const text of batch.strings) bytes += text.length + STRING_OVERHEAD_BYTES;
  for (const list of batch.lists) {
    bytes += STRING_OVERHEAD_BYTES;
    for (const value of list) bytes += typeof value === 'string' ? value.length + STRING_OVERHEAD_BYTES : 8;
  }
  return bytes;
}

export class RetainedBatches {
  readonly #hash: IdHash;
  readonly #batches: (SpanBatch | undefined)[] = [];
  readonly #serviceHashes: number[][] = [];
  readonly #columnBytes: number[] = [];
  readonly #liveRows: number[] = [];
  readonly #free: number[] = [];
  heldBytes = 0;
  liveBytes = 0;

  constructor(hash: IdHash) {
    this.#hash = hash;
  }

  /** Takes a batch in; the caller adds rows and then calls `settle`. */
  add(batch: SpanBatch): number {
    const id = this.#free.pop() ?? this.#batches.length;
    const bytes = columnBytes(batch);
    this.#batches[id] = batch;
    this.#serviceHashes[id] = batch.resources.map(({ service }) => this.#hash.text(service));
    this.#columnBytes[id] = bytes;
    this.#liveRows[id] = 0;
    this.heldBytes += bytes + BATCH_OVERHEAD_BYTES;
    return id;
  }

  /** Lets a batch go of which no row was taken. */
  settle(id: number): void {
    if (this.#liveRows[id] === 0) this.#release(id);
  }

  batch(id: number): SpanBatch {
    return this.#batches[id]!;
  }

  /** Hash of the service name of a resource of the batch. */
  serviceHash(id: number, resource: number): number {
    return this.#serviceHashes[id]![resource]!;
  }

  /** Mean bytes of a row. */
  rowBytes(id: number): number {
    return this.#columnBytes[id]! / this.#batches[id]!.count;
  }

  retainRow(id: number): void {
    this.#liveRows[id]!++;
    this.liveBytes += this.rowBytes(id);
  }

  releaseRow(id: number): void {
    this.liveBytes -= this.rowBytes(id);
    if (--this.#liveRows[id]! === 0) this.#release(id);
  }

  /** True when less than half of what the batch costs belongs to open rows. */
  isThin(id: number): boolean {
    return 2 * this.#liveRows[id]! * this.rowBytes(id) < this.#columnBytes[id]! + BATCH_OVERHEAD_BYTES;
  }

  #release(id: number): void {
    this.heldBytes -= this.#columnBytes[id]! + BATCH_OVERHEAD_BYTES;
    this.#batches[id] = undefined;
    this.#free.push(id);
    // Rounding of means must not add up over weeks.
    if (this.#free.length === this.#batches.length) {
      this.heldBytes = 0;
      this.liveBytes = 0;
    }
  }
}
