/**
 * Keeps what was asked for last, at most `max` entries. For values that never change under their key, so that a hit is
 * as good as reading again.
 */
export class LeastRecent<K, V> {
  readonly #max: number;
  /** In the order of use: the first is the least recent. */
  readonly #entries = new Map<K, V>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The value kept under `key`, else what `make` gives, which is kept unless it is undefined. */
  take(key: K, make: () => V | undefined): V | undefined {
    const known = this.#entries.get(key);
    if (known !== undefined) this.#entries.delete(key);
    const value = known ?? make();
    if (value === undefined) return undefined;
    this.#entries.set(key, value);
    if (this.#entries.size > this.#max) this.#entries.delete(this.#entries.keys().next().value as K);
    return value;
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }
}
