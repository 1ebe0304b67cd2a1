const WAYS = 4;

/**
 * A bounded cache from (owner, bytes) to what was once worked out for them. Fixed memory: four entries share a set and
 * push each other out, so hostile input can only make it miss. A hit costs one hash and one comparison and creates
 * nothing.
 */
export class ByteTable<T> {
  readonly #mask: number;
  readonly #bytesMax: number;
  readonly #store: Uint8Array;
  readonly #storeView: DataView;
  readonly #hashes: Int32Array;
  readonly #owners: Int32Array;
  readonly #lengths: Int32Array;
  readonly #values: (T | undefined)[];
  #victim = 0;
  #hash = 0;
  /** Whether the bytes of the last `find` were all below 0x80. */
  ascii = true;

  /** @param entries a power of two; @param bytesMax longer keys are never cached. */
  constructor(entries: number, bytesMax: number) {
    this.#mask = entries / WAYS - 1;
    this.#bytesMax = bytesMax;
    this.#store = new Uint8Array(entries * bytesMax);
    this.#storeView = new DataView(this.#store.buffer);
    this.#hashes = new Int32Array(entries);
    this.#owners = new Int32Array(entries);
    this.#lengths = new Int32Array(entries).fill(-1);
    this.#values = new Array<T | undefined>(entries).fill(undefined);
  }

  find(bytes: DataView, from: number, to: number, owner: number): T | undefined {
    const length = to - from;
    if (length > this.#bytesMax) {
      this.ascii = false;
      return undefined;
    }
    let hash = Math.imul(length ^ owner, 0x9e3779b1);
    let seen = 0;
    let i = from;
    for (const fourths = to - 3; i < fourths; i += 4) {
      const word = bytes.getInt32(i, true);
      seen |= word;
      hash = Math.imul(hash ^ word, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    for (; i < to; i++) {
      const byte = bytes.getUint8(i);
      seen |= byte;
      hash = Math.imul(hash ^ byte, 0xc2b2ae35);
    }
    hash ^= hash >>> 13;
    this.#hash = hash;
    this.ascii = (seen & 0x80808080) === 0;
    const first = (hash & this.#mask) * WAYS;
    for (let entry = first; entry < first + WAYS; entry++) {
      if (this.#hashes[entry] !== hash || this.#lengths[entry] !== length || this.#owners[entry] !== owner) continue;
      if (this.#holds(entry, bytes, from, length)) return this.#values[entry];
    }
    return undefined;
  }

  /** Remembers `value` for the bytes that the last `find` missed. */
  insert(bytes: Uint8Array, from: number, to: number, owner: number, value: T): void {
    const length = to - from;
    if (length > this.#bytesMax) return;
    const first = (this.#hash & this.#mask) * WAYS;
    let entry = first;
    while (entry < first + WAYS && this.#lengths[entry] !== -1) entry++;
    if (entry === first + WAYS) {
      this.#victim = (this.#victim + 1) & (WAYS - 1);
      entry = first + this.#victim;
    }
    this.#hashes[entry] = this.#hash;
    this.#owners[entry] = owner;
    this.#lengths[entry] = length;
    this.#values[entry] = value;
    const at = entry * this.#bytesMax;
    for (let i = 0; i < length; i++) this.#store[at + i] = bytes[from + i]!;
  }

  clear(): void {
    this.#lengths.fill(-1);
    this.#values.fill(undefined);
  }

  #holds(entry: number, bytes: DataView, from: number, length: number): boolean {
    const store = this.#storeView;
    const at = entry * this.#bytesMax;
    let i = 0;
    for (; i + 4 <= length; i += 4) if (store.getInt32(at + i, true) !== bytes.getInt32(from + i, true)) return false;
    for (; i < length; i++) if (store.getUint8(at + i) !== bytes.getUint8(from + i)) return false;
    return true;
  }
}
