import type { ClosedBy } from '../base/trace.ts';
import { grownFloat64, grownInt32, grownUint32 } from './grow.ts';
import { NONE } from './open-rows.ts';

/** How the revision before the present one of a reopened trace was closed. */
export interface FormerRevision {
  readonly revision: number;
  readonly closedBy: ClosedBy;
  /** How many rows at the head of the trace's list made it up. */
  readonly rows: number;
}

/** Two intrusive lists through the traces: by last span (who is longest idle) and by first span (who is oldest). */
class SlotList {
  head = NONE;
  tail = NONE;
  #previous = new Int32Array(256);
  #next = new Int32Array(256);

  append(slot: number): void {
    this.#previous[slot] = this.tail;
    this.#next[slot] = NONE;
    if (this.tail === NONE) this.head = slot;
    else this.#next[this.tail] = slot;
    this.tail = slot;
  }

  remove(slot: number): void {
    const previous = this.#previous[slot]!;
    const next = this.#next[slot]!;
    if (previous === NONE) this.head = next;
    else this.#next[previous] = next;
    if (next === NONE) this.tail = previous;
    else this.#previous[next] = previous;
  }

  next(slot: number): number {
    return this.#next[slot]!;
  }

  grow(size: number): void {
    this.#previous = grownInt32(this.#previous, size);
    this.#next = grownInt32(this.#next, size);
  }
}

/**
 * Open traces by their 128-bit id: typed arrays and chained buckets, no object and no string per trace. A place in the
 * arrays is a slot; slots are used again.
 *
 * A reopened trace that has brought nothing new yet is `quiet`: it is kept so that a storm of repeats reads the log
 * once, and it leaves no mark when it goes.
 */
export class OpenTraces {
  count = 0;
  /** Longest idle first. */
  readonly idle = new SlotList();
  /** Oldest first. */
  readonly age = new SlotList();
  /** Words of the ids. */
  id = new Uint32Array(4 * 256);
  hashed = new Uint32Array(256);
  /** Time of receipt of the first and the latest new span, microseconds. */
  firstUs = new Float64Array(256);
  lastUs = new Float64Array(256);
  /** Offset of the record that opened the trace. */
  offset = new Float64Array(256);
  /** First and last row. */
  head = new Int32Array(256);
  tail = new Int32Array(256);
  /** Rows, former ones included. */
  spans = new Uint32Array(256);
  /** Rows that no former revision had. */
  fresh = new Uint32Array(256);
  /** Mean bytes of the rows, added up. */
  bytes = new Float64Array(256);
  revision = new Uint32Array(256);
  /** Only reopened traces have one. */
  readonly former = new Map<number, FormerRevision>();
  #chain = new Int32Array(256);
  #buckets = new Int32Array(256).fill(NONE);
  #free: number[] = [];
  #used = 0;

  find(w0: number, w1: number, w2: number, w3: number, hashed: number): number {
    const id = this.id;
    for (let slot = this.#buckets[hashed & (this.#buckets.length - 1)]!; slot !== NONE; slot = this.#chain[slot]!) {
      const at = 4 * slot;
      if (id[at + 3] === w3 && id[at + 2] === w2 && id[at + 1] === w1 && id[at] === w0) return slot;
    }
    return NONE;
  }

  /** Opens a trace without rows, at the end of both lists. */
  open(w0: number, w1: number, w2: number, w3: number, hashed: number, offset: number, nowUs: number): number {
    let slot = this.#free.pop();
    if (slot === undefined) {
      if (this.#used === this.firstUs.length) this.#grow();
      slot = this.#used++;
    }
    this.id[4 * slot] = w0;
    this.id[4 * slot + 1] = w1;
    this.id[4 * slot + 2] = w2;
    this.id[4 * slot + 3] = w3;
    this.hashed[slot] = hashed;
    this.firstUs[slot] = nowUs;
    this.lastUs[slot] = nowUs;
    this.offset[slot] = offset;
    this.head[slot] = NONE;
    this.tail[slot] = NONE;
    this.spans[slot] = 0;
    this.fresh[slot] = 0;
    this.bytes[slot] = 0;
    this.revision[slot] = 1;
    const bucket = hashed & (this.#buckets.length - 1);
    this.#chain[slot] = this.#buckets[bucket]!;
    this.#buckets[bucket] = slot;
    this.idle.append(slot);
    this.age.append(slot);
    this.count++;
    return slot;
  }

  /** A new span came: the trace is the least idle one. */
  touch(slot: number, nowUs: number): void {
    if (this.lastUs[slot] === nowUs) return;
    this.lastUs[slot] = nowUs;
    if (this.idle.tail === slot) return;
    this.idle.remove(slot);
    this.idle.append(slot);
  }

  /** The first new span of a quiet trace came: it counts as opened only now. */
  wake(slot: number, offset: number, nowUs: number): void {
    this.firstUs[slot] = nowUs;
    this.offset[slot] = offset;
    this.age.remove(slot);
    this.age.append(slot);
  }

  isQuiet(slot: number): boolean {
    return this.fresh[slot] === 0;
  }

  remove(slot: number): void {
    const bucket = this.hashed[slot]! & (this.#buckets.length - 1);
    let link = this.#buckets[bucket]!;
    if (link === slot) this.#buckets[bucket] = this.#chain[slot]!;
    else {
      while (this.#chain[link] !== slot) link = this.#chain[link]!;
      this.#chain[link] = this.#chain[slot]!;
    }
    this.idle.remove(slot);
    this.age.remove(slot);
    this.former.delete(slot);
    this.#free.push(slot);
    this.count--;
  }

  /** Orders slots by the words of their trace ids. */
  compareIds(a: number, b: number): number {
    for (let i = 0; i < 4; i++) {
      const difference = this.id[4 * a + i]! - this.id[4 * b + i]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Called when every slot is taken, so that all slots are live. */
  #grow(): void {
    const size = this.firstUs.length * 2;
    this.id = grownUint32(this.id, 4 * size);
    this.hashed = grownUint32(this.hashed, size);
    this.firstUs = grownFloat64(this.firstUs, size);
    this.lastUs = grownFloat64(this.lastUs, size);
    this.offset = grownFloat64(this.offset, size);
    this.head = grownInt32(this.head, size);
    this.tail = grownInt32(this.tail, size);
    this.spans = grownUint32(this.spans, size);
    this.fresh = grownUint32(this.fresh, size);
    this.bytes = grownFloat64(this.bytes, size);
    this.revision = grownUint32(this.revision, size);
    this.#chain = grownInt32(this.#chain, size);
    this.idle.grow(size);
    this.age.grow(size);
    this.#buckets = new Int32Array(size).fill(NONE);
    for (let slot = 0; slot < this.#used; slot++) {
      const bucket = this.hashed[slot]! & (size - 1);
      this.#chain[slot] = this.#buckets[bucket]!;
      this.#buckets[bucket] = slot;
    }
  }
}
