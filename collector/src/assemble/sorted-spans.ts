import { Field } from '@spanwarden/rules';
import { KIND_CLIENT, KIND_CONSUMER, KIND_PRODUCER, KIND_SERVER, type SpanBatch, toValue } from '../base/batch.ts';
import { type SpanRows, serviceOf } from '../base/trace.ts';
import { createIdHash } from './hash.ts';

/**
 * The spans of one trace in the one order that does not depend on how they arrived: (start, span id, kind, service),
 * repeats left out, found by span id. Everything later is said in positions of this order.
 */

/** Spans that share an id with a span; more are not looked at, or a sender could make look-ups quadratic. */
const SHARED_ID_MAX = 64;

/** What assembly wants to know of a span's attributes. */
export const HAS_APISEC = 1; // it has apisec.version
export const FROM_OUTSIDE = 2; // its incoming context is not to be trusted, so that its caller is outside of the estate
export const HAS_DROPS = 4; // it has apisec.dropped_spans

const APISEC_VERSION = Field.apisecVersion;
const CONTEXT_TRUST = Field.contextTrust;
const DROPPED_SPANS = Field.droppedSpans;

const hash = createIdHash();

export class SortedSpans {
  readonly count: number;
  readonly batch: SpanBatch[] = [];
  readonly row: number[] = [];
  readonly service: string[] = [];
  readonly kind: Uint8Array;
  /** Words of ids, two a span. */
  readonly spanId: Uint32Array;
  readonly parentId: Uint32Array;
  readonly startUs: Float64Array;
  /** HAS_APISEC, FROM_OUTSIDE, HAS_DROPS */
  readonly marks: Uint8Array;
  /** True when some span id occurs twice (Zipkin: client and server halves share one). */
  readonly hasSharedIds: boolean;
  readonly #buckets: Int32Array;
  readonly #chain: Int32Array;

  constructor(rows: SpanRows) {
    const order = sortedOrder(rows);
    const size = order.length;
    this.kind = new Uint8Array(size);
    this.spanId = new Uint32Array(2 * size);
    this.parentId = new Uint32Array(2 * size);
    this.startUs = new Float64Array(size);
    this.marks = new Uint8Array(size);
    let count = 0;
    for (const index of order) {
      const batch = rows.batch[index]!;
      const row = rows.row[index]!;
      if (count > 0 && compareRows(this.batch[count - 1]!, this.row[count - 1]!, batch, row) === 0) continue;
      this.batch.push(batch);
      this.row.push(row);
      this.service.push(serviceOf(batch, row));
      this.kind[count] = batch.kind[row]!;
      this.spanId[2 * count] = batch.spanId[2 * row]!;
      this.spanId[2 * count + 1] = batch.spanId[2 * row + 1]!;
      this.parentId[2 * count] = batch.parentId[2 * row]!;
      this.parentId[2 * count + 1] = batch.parentId[2 * row + 1]!;
      this.startUs[count] = batch.startUs[row]!;
      this.marks[count] = marksOf(batch, row);
      count++;
    }
    this.count = count;
    this.#buckets = new Int32Array(bucketCount(count)).fill(-1);
    this.#chain = new Int32Array(count);
    this.hasSharedIds = this.#index();
  }

  /** Fills the buckets from the end, so that spans with one id are found in order. */
  #index(): boolean {
    const mask = this.#buckets.length - 1;
    let shared = false;
    for (let i = this.count - 1; i >= 0; i--) {
      const s0 = this.spanId[2 * i]!;
      const s1 = this.spanId[2 * i + 1]!;
      const bucket = hash.pair(s0, s1) & mask;
      shared ||= this.find(s0, s1) !== -1;
      this.#chain[i] = this.#buckets[bucket]!;
      this.#buckets[bucket] = i;
    }
    return shared;
  }

  /** The first span with this id, -1 for none. */
  find(s0: number, s1: number): number {
    return this.#matching(this.#buckets[hash.pair(s0, s1) & (this.#buckets.length - 1)]!, s0, s1);
  }

  #matching(from: number, s0: number, s1: number): number {
    let at = from;
    while (at !== -1 && (this.spanId[2 * at] !== s0 || this.spanId[2 * at + 1] !== s1)) at = this.#chain[at]!;
    return at;
  }

  /**
   * The span with this id that is the parent of `child`, -1 for none. Of several: one of the child's own service, there
   * the serving half; else a serving half, since it is the deeper one; the first of equals.
   */
  parentOf(child: number, s0: number, s1: number): number {
    let best = -1;
    let bestRank = 4;
    let at = this.find(s0, s1);
    for (let seen = 0; at !== -1 && seen < SHARED_ID_MAX; seen++) {
      if (at !== child) {
        const own = this.service[at] === this.service[child];
        const serves = this.kind[at] === KIND_SERVER || this.kind[at] === KIND_CONSUMER;
        const rank = own ? (serves ? 0 : 1) : serves ? 2 : 3;
        if (rank < bestRank) {
          best = at;
          bestRank = rank;
        }
      }
      at = this.#matching(this.#chain[at]!, s0, s1);
    }
    return best;
  }

  /** The calling half that shares the id of a serving span, -1 for none. */
  callingHalf(of: number): number {
    const kind = this.kind[of];
    if (kind !== KIND_SERVER && kind !== KIND_CONSUMER) return -1;
    const wanted = kind === KIND_SERVER ? KIND_CLIENT : KIND_PRODUCER;
    const s0 = this.spanId[2 * of]!;
    const s1 = this.spanId[2 * of + 1]!;
    let at = this.find(s0, s1);
    for (let seen = 0; at !== -1 && seen < SHARED_ID_MAX; seen++) {
      if (this.kind[at] === wanted) return at;
      at = this.#matching(this.#chain[at]!, s0, s1);
    }
    return -1;
  }
}

function sortedOrder({ batch, row }: SpanRows): number[] {
  const order: number[] = [];
  let sorted = true;
  for (let i = 0; i < row.length; i++) {
    order.push(i);
    if (i > 0 && sorted) sorted = compareRows(batch[i - 1]!, row[i - 1]!, batch[i]!, row[i]!) <= 0;
  }
  if (!sorted) order.sort((a, b) => compareRows(batch[a]!, row[a]!, batch[b]!, row[b]!));
  return order;
}

/** Orders spans by (start, span id, kind, service). */
function compareRows(a: SpanBatch, i: number, b: SpanBatch, j: number): number {
  const start = a.startUs[i]! - b.startUs[j]!;
  if (start !== 0) return start;
  const high = a.spanId[2 * i]! - b.spanId[2 * j]!;
  if (high !== 0) return high;
  const low = a.spanId[2 * i + 1]! - b.spanId[2 * j + 1]!;
  if (low !== 0) return low;
  const kind = a.kind[i]! - b.kind[j]!;
  if (kind !== 0) return kind;
  const serviceA = serviceOf(a, i);
  const serviceB = serviceOf(b, j);
  return serviceA < serviceB ? -1 : serviceA > serviceB ? 1 : 0;
}

function bucketCount(count: number): number {
  let size = 4;
  while (size < 2 * count) size *= 2;
  return size;
}

function marksOf(batch: SpanBatch, row: number): number {
  const to = batch.attrFrom[row + 1]!;
  const kind = batch.kind[row];
  let marks = 0;
  for (let i = batch.attrFrom[row]!; i < to; i++) {
    const key = batch.attrKey[i]!;
    if (key === APISEC_VERSION) marks |= HAS_APISEC;
    else if (key === DROPPED_SPANS) marks |= HAS_DROPS;
    else if (key === CONTEXT_TRUST && kind === KIND_SERVER) {
      const trust = toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
      if (trust === 'untrusted' || trust === 'restarted') marks |= FROM_OUTSIDE;
    }
  }
  return marks;
}
