import type { SpanBatch } from '../base/batch.ts';
import { serviceOf } from '../base/trace.ts';
import { grownInt32, grownUint32 } from './grow.ts';
import type { IdHash } from './hash.ts';
import type { RetainedBatches } from './retained-batches.ts';

/** No row, no trace: the end of a list. */
export const NONE = -1;

/**
 * The spans of open traces: 36 bytes each, no object per span. A row is found by (trace, span id, kind, service) to
 * recognise repeats, and by its trace through a list in order of arrival.
 */
export class OpenRows {
  count = 0;
  readonly #hash: IdHash;
  readonly #batches: RetainedBatches;
  #spanId = new Uint32Array(2 * 1024);
  #hashed = new Uint32Array(1024);
  #batch = new Int32Array(1024);
  #row = new Uint32Array(1024);
  #trace = new Int32Array(1024);
  /** Next row of the trace, or of the free list. */
  #next = new Int32Array(1024);
  /** Next row in the same bucket. */
  #chain = new Int32Array(1024);
  #buckets = new Int32Array(1024).fill(NONE);
  #free = NONE;
  #used = 0;

  constructor(hash: IdHash, batches: RetainedBatches) {
    this.#hash = hash;
    this.#batches = batches;
  }

  /** Hash of a row's identity; `seed` is the hash of its trace id. */
  hash(seed: number, batchId: number, batch: SpanBatch, row: number): number {
    const sender = this.#batches.serviceHash(batchId, batch.resource[row]!) + batch.kind[row]!;
    return (this.#hash.pair(batch.spanId[2 * row]!, batch.spanId[2 * row + 1]!) ^ seed ^ sender) >>> 0;
  }

  /** True when the trace holds a span with the identity of `row`. */
  has(trace: number, hashed: number, batch: SpanBatch, row: number): boolean {
    const s0 = batch.spanId[2 * row]!;
    const s1 = batch.spanId[2 * row + 1]!;
    for (let at = this.#buckets[hashed & (this.#buckets.length - 1)]!; at !== NONE; at = this.#chain[at]!) {
      if (this.#spanId[2 * at] !== s0 || this.#spanId[2 * at + 1] !== s1 || this.#trace[at] !== trace) continue;
      const known = this.#batches.batch(this.#batch[at]!);
      const knownRow = this.#row[at]!;
      if (known.kind[knownRow] === batch.kind[row] && serviceOf(known, knownRow) === serviceOf(batch, row)) return true;
    }
    return false;
  }

  /** Takes a row in; returns its position. */
  add(trace: number, hashed: number, batchId: number, batch: SpanBatch, row: number): number {
    let at = this.#free;
    if (at !== NONE) this.#free = this.#next[at]!;
    else {
      if (this.#used === this.#row.length) this.#grow();
      at = this.#used++;
    }
    this.#spanId[2 * at] = batch.spanId[2 * row]!;
    this.#spanId[2 * at + 1] = batch.spanId[2 * row + 1]!;
    this.#hashed[at] = hashed;
    this.#batch[at] = batchId;
    this.#row[at] = row;
    this.#trace[at] = trace;
    this.#next[at] = NONE;
    const bucket = hashed & (this.#buckets.length - 1);
    this.#chain[at] = this.#buckets[bucket]!;
    this.#buckets[bucket] = at;
    this.count++;
    this.#batches.retainRow(batchId);
    return at;
  }

  /** Puts `to` behind `from` in the list of their trace. */
  link(from: number, to: number): void {
    this.#next[from] = to;
  }

  next(at: number): number {
    return this.#next[at]!;
  }

  batchId(at: number): number {
    return this.#batch[at]!;
  }

  row(at: number): number {
    return this.#row[at]!;
  }

  /** Points a row to a copy of itself; its identity stays. */
  move(at: number, batchId: number, row: number): void {
    this.#batches.retainRow(batchId);
    this.#batches.releaseRow(this.#batch[at]!);
    this.#batch[at] = batchId;
    this.#row[at] = row;
  }

  remove(at: number): void {
    const bucket = this.#hashed[at]! & (this.#buckets.length - 1);
    let link = this.#buckets[bucket]!;
    if (link === at) this.#buckets[bucket] = this.#chain[at]!;
    else {
      while (this.#chain[link] !== at) link = this.#chain[link]!;
      this.#chain[link] = this.#chain[at]!;
    }
    this.#batches.releaseRow(this.#batch[at]!);
    this.#next[at] = this.#free;
    this.#free = at;
    this.count--;
  }

  /** Called when every place is taken, so that all places are live. */
  #grow(): void {
    const size = this.#row.length * 2;
    this.#spanId = grownUint32(this.#spanId, 2 * size);
    this.#hashed = grownUint32(this.#hashed, size);
    this.#batch = grownInt32(this.#batch, size);
    this.#row = grownUint32(this.#row, size);
    this.#trace = grownInt32(this.#trace, size);
    this.#next = grownInt32(this.#next, size);
    this.#chain = grownInt32(this.#chain, size);
    this.#buckets = new Int32Array(size).fill(NONE);
    for (let at = 0; at < this.#used; at++) {
      const bucket = this.#hashed[at]! & (size - 1);
      this.#chain[at] = this.#buckets[bucket]!;
      this.#buckets[bucket] = at;
    }
  }
}
