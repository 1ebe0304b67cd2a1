import type { IdHash } from './hash.ts';

/**
 * Which traces closed lately: 64-bit keys in, "perhaps" or "no" out. A "perhaps" is settled by reading the trace back,
 * so two ids with one key cost a read and nothing else.
 *
 * Three generations of open-addressed keys; the oldest goes when the youngest has lasted half the horizon, so a key is
 * known for one to one and a half horizons.
 */

const GENERATIONS = 3;
/** Keys per generation; beyond it the oldest generation goes early. 1,048,576 keys take 16 MiB. */
const GENERATION_KEYS_MAX = 1 << 20;

class KeySet {
  size = 0;
  #hasZero = false;
  #keys = new Uint32Array(2 * 1024);
  readonly #hash: IdHash;

  constructor(hash: IdHash) {
    this.#hash = hash;
  }

  has(high: number, low: number, hashed: number): boolean {
    if (high === 0 && low === 0) return this.#hasZero;
    const at = this.#find(high, low, hashed);
    return this.#keys[at] === high && this.#keys[at + 1] === low;
  }

  add(high: number, low: number, hashed: number): void {
    if (high === 0 && low === 0) {
      this.#hasZero = true;
      return;
    }
    const at = this.#find(high, low, hashed);
    if (this.#keys[at] === high && this.#keys[at + 1] === low) return;
    this.#keys[at] = high;
    this.#keys[at + 1] = low;
    this.size++;
    if (this.size * 4 > this.#keys.length) this.#grow();
  }

  /** Where the key is, or the free place for it. Zero words mark free places. */
  #find(high: number, low: number, hashed: number): number {
    const keys = this.#keys;
    const mask = keys.length - 1;
    let at = (hashed << 1) & mask;
    while ((keys[at] !== high || keys[at + 1] !== low) && (keys[at] !== 0 || keys[at + 1] !== 0)) at = (at + 2) & mask;
    return at;
  }

  #grow(): void {
    const old = this.#keys;
    this.#keys = new Uint32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) {
      const high = old[i]!;
      const low = old[i + 1]!;
      if (high === 0 && low === 0) continue;
      const at = this.#find(high, low, this.#hash.pair(high, low));
      this.#keys[at] = high;
      this.#keys[at + 1] = low;
    }
  }
}

export class RecentTraces {
  readonly #hash: IdHash;
  readonly #spanUs: number;
  #generations: KeySet[];
  #youngestSinceUs = Number.NEGATIVE_INFINITY;
  /** Keys that were forgotten before their horizon because there were too many. */
  evicted = 0;

  constructor(hash: IdHash, horizonUs: number) {
    this.#hash = hash;
    this.#spanUs = Math.max(1, horizonUs / (GENERATIONS - 1));
    this.#generations = [new KeySet(hash)];
  }

  /** Words 2 and 3 of a trace id: its low 64 bits, which every id generator fills. */
  has(high: number, low: number): boolean {
    const hashed = this.#hash.pair(high, low);
    for (const generation of this.#generations) if (generation.has(high, low, hashed)) return true;
    return false;
  }

  add(high: number, low: number, nowUs: number): void {
    const youngest = this.#generations[0]!;
    if (nowUs - this.#youngestSinceUs >= this.#spanUs) this.#rotate(nowUs);
    else if (youngest.size >= GENERATION_KEYS_MAX) {
      if (this.#generations.length === GENERATIONS) this.evicted += this.#generations[GENERATIONS - 1]!.size;
      this.#rotate(nowUs);
    }
    this.#generations[0]!.add(high, low, this.#hash.pair(high, low));
  }

  #rotate(nowUs: number): void {
    // After a long silence every generation is past its horizon.
    if (nowUs - this.#youngestSinceUs >= this.#spanUs * GENERATIONS) this.#generations = [];
    this.#generations = [new KeySet(this.#hash), ...this.#generations.slice(0, GENERATIONS - 1)];
    this.#youngestSinceUs = nowUs;
  }
}
