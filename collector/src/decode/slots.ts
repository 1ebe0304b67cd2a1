import { FIELD_NAMES } from '@spanwarden/rules';
import { Slot } from './verdict.ts';

/**
 * The slots by name. Those of known fields live as long as the decoder; others are forgotten between batches once
 * there are too many, so that a sender of random names cannot grow the table.
 */
export class Slots {
  readonly #known = new Map(FIELD_NAMES.map((name, field) => [name, new Slot(name, field)]));
  #named = new Map<string, Slot>();

  /** Scratch slots: filled like any other, never stored. */
  readonly rpcService = new Slot('rpc.service', -1, true);
  readonly clientPublic = new Slot('client public', -1, true);
  readonly peerPublic = new Slot('peer public', -1, true);
  readonly trustedSession = new Slot('trusted session', -1, true);

  /** Names outside the known fields. */
  get namedCount(): number {
    return this.#named.size;
  }

  of(name: string): Slot {
    const slot = this.#known.get(name) ?? this.#named.get(name);
    if (slot !== undefined) return slot;
    const made = new Slot(name, -1);
    this.#named.set(name, made);
    return made;
  }

  /** The slot of a field of the model. */
  field(id: number): Slot {
    return this.#known.get(FIELD_NAMES[id]!)!;
  }

  forgetNamed(): void {
    this.#named = new Map();
  }
}
