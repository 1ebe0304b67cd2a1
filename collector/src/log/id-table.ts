import { randomInt } from 'node:crypto';

/** Senders choose ids, so slots depend on a number that they cannot know. */
const SALT = randomInt(0x7fff_ffff);
const NONE = -1;
const START_SLOTS = 1024;

/** Distinct 128-bit trace ids in the order of their first appearance. */
export class TraceTable {
  /** Four words per trace. */
  words = new Uint32Array(START_SLOTS * 2);
  count = 0;
  #slots = new Int32Array(START_SLOTS).fill(NONE);

  reset(): void {
    if (this.#slots.length > START_SLOTS * 64) this.#slots = new Int32Array(START_SLOTS);
    this.#slots.fill(NONE);
    this.count = 0;
  }

  /** Position of the trace, added when it is new. */
  add(w0: number, w1: number, w2: number, w3: number): number {
    const mask = this.#slots.length - 1;
    const { words } = this;
    for (let slot = hashOf(w0, w1, w2, w3) & mask; ; slot = (slot + 1) & mask) {
      const trace = this.#slots[slot]!;
      if (trace === NONE) return this.#append(slot, w0, w1, w2, w3);
      const at = trace * 4;
      if (words[at + 3] === w3 && words[at + 2] === w2 && words[at + 1] === w1 && words[at] === w0) return trace;
    }
  }

  #append(slot: number, w0: number, w1: number, w2: number, w3: number): number {
    const trace = this.count++;
    if (this.words.length < this.count * 4) {
      const grown = new Uint32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    const at = trace * 4;
    this.words[at] = w0;
    this.words[at + 1] = w1;
    this.words[at + 2] = w2;
    this.words[at + 3] = w3;
    this.#slots[slot] = trace;
    if (this.count * 2 > this.#slots.length) this.#grow();
    return trace;
  }

  #grow(): void {
    const { words } = this;
    const grown = new Int32Array(this.#slots.length * 2).fill(NONE);
    const mask = grown.length - 1;
    for (let trace = 0; trace < this.count; trace++) {
      const at = trace * 4;
      let slot = hashOf(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!) & mask;
      while (grown[slot] !== NONE) slot = (slot + 1) & mask;
      grown[slot] = trace;
    }
    this.#slots = grown;
  }
}

function hashOf(w0: number, w1: number, w2: number, w3: number): number {
  let hash = Math.imul(w3 ^ SALT, 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + w2, 0x9e3779b1);
  hash = Math.imul((hash ^ (hash >>> 13)) + w1, 0xc2b2ae35);
  hash = Math.imul((hash ^ (hash >>> 15)) + w0, 0x85ebca6b);
  return hash ^ (hash >>> 16);
}

/** Slots looked at before a span is given up: a parent that is not found is stored as its id, which is never wrong. */
const PROBES_MAX = 16;

/** Finds rows by span id. */
export class SpanTable {
  #slots = new Int32Array(START_SLOTS);
  #mask = 0;
  #ids: Uint32Array = new Uint32Array(0);

  /** Takes in all rows of one batch; the first of rows with equal ids counts. */
  fill(spanId: Uint32Array, count: number): void {
    let size = START_SLOTS;
    while (size < count * 2) size *= 2;
    if (this.#slots.length < size) this.#slots = new Int32Array(size);
    this.#slots.fill(NONE, 0, size);
    this.#mask = size - 1;
    this.#ids = spanId;
    for (let row = 0; row < count; row++) this.#insert(spanId[row * 2]!, spanId[row * 2 + 1]!, row);
  }

  #insert(w0: number, w1: number, row: number): void {
    const ids = this.#ids;
    let slot = spanHash(w0, w1) & this.#mask;
    for (let probe = 0; probe < PROBES_MAX; probe++, slot = (slot + 1) & this.#mask) {
      const other = this.#slots[slot]!;
      if (other === NONE) {
        this.#slots[slot] = row;
        return;
      }
      if (ids[other * 2] === w0 && ids[other * 2 + 1] === w1) return;
    }
  }

  /** Row with this span id, or -1. */
  rowOf(w0: number, w1: number): number {
    const ids = this.#ids;
    let slot = spanHash(w0, w1) & this.#mask;
    for (let probe = 0; probe < PROBES_MAX; probe++, slot = (slot + 1) & this.#mask) {
      const row = this.#slots[slot]!;
      if (row === NONE) return NONE;
      if (ids[row * 2] === w0 && ids[row * 2 + 1] === w1) return row;
    }
    return NONE;
  }
}

function spanHash(w0: number, w1: number): number {
  let hash = Math.imul(w0 ^ SALT, 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + w1, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}
