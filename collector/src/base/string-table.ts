const FIRST = 256;
const SLOTS_KEPT_MAX = 1 << 18;
/** Changes from process to process, so that nobody can choose texts that collide; positions do not depend on it. */
const SEED = Math.floor(Math.random() * 0x7fffffff);

function hashOf(text: string): number {
  let hash = SEED ^ text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

/**
 * Texts in the order of their first appearance, each once. Like a Map from text to position, but its memory is reused
 * from batch to batch: a Map of thousands of entries that is filled and thrown away per batch is most of what the
 * garbage collector would have to do.
 */
export class StringTable {
  /** Of the current batch; the caller may keep it after `reset()`. */
  texts: string[] = [];
  /** Position + 1 by hash; 0 is free. */
  #slots = new Int32Array(FIRST);
  #hashes = new Int32Array(FIRST / 2);

  /** Position of `text`, which is added when it is new. */
  add(text: string): number {
    const hash = hashOf(text);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const held = this.#slots[slot]!;
      if (held === 0) break;
      if (this.#hashes[held - 1] === hash && this.texts[held - 1] === text) return held - 1;
      slot = (slot + 1) & mask;
    }
    const position = this.texts.push(text) - 1;
    this.#slots[slot] = position + 1;
    this.#hashes[position] = hash;
    if (position + 1 === this.#hashes.length) this.#grow();
    return position;
  }

  /** Half of the slots stay free, so that a search is short. */
  #grow(): void {
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let position = 0; position < this.texts.length; position++) {
      let slot = hashes[position]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = position + 1;
    }
    this.#slots = slots;
    this.#hashes = hashes;
  }

  /** Starts anew; the memory stays unless it has become unusually large. */
  reset(): void {
    this.texts = [];
    if (this.#slots.length <= SLOTS_KEPT_MAX) {
      this.#slots.fill(0);
      return;
    }
    this.#slots = new Int32Array(FIRST);
    this.#hashes = new Int32Array(FIRST / 2);
  }
}
