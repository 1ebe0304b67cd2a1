import { FIELD_COUNT, Field, type Value } from '@spanwarden/rules';
import { TAG_BOOLEAN, TAG_LIST, TAG_STRING } from '../base/batch.ts';
import { CATEGORIES, type Category } from './findings.ts';
import { DERIVED_RANK } from './semconv-versions.ts';
import type { Slots } from './slots.ts';
import { type Slot, Verdict } from './verdict.ts';

const HIDDEN_SLOTS = 4;
const CATEGORY_INDEX = Object.fromEntries(CATEGORIES.map((category, index) => [category, index])) as Record<
  Category,
  number
>;

/**
 * The attributes of one span (resource, event) while they are read: each slot holds one value, the best-ranked source
 * wins, and the last of equal sources. Kept between spans; nothing is allocated per span.
 */
export class AttributeRow {
  readonly #slots: Slots;
  readonly #namedMax: number;
  readonly slot: Slot[] = [];
  readonly rank: Uint8Array;
  readonly tag: Uint8Array;
  readonly number: Float64Array;
  readonly verdict: (Verdict | undefined)[] = [];
  count = 0;
  #named = 0;
  #serial = 0;

  // Counted over a batch, taken by the decoder.
  duplicates = 0;
  conflicts = 0;
  overflow = 0;
  readonly found = new Int32Array(CATEGORIES.length);

  constructor(slots: Slots, namedMax: number) {
    this.#slots = slots;
    this.#namedMax = namedMax;
    const capacity = namedMax + FIELD_COUNT + HIDDEN_SLOTS;
    this.rank = new Uint8Array(capacity);
    this.tag = new Uint8Array(capacity);
    this.number = new Float64Array(capacity);
  }

  /** Starts the counts of another batch. */
  forgetCounts(): void {
    this.duplicates = 0;
    this.conflicts = 0;
    this.overflow = 0;
    this.found.fill(0);
  }

  begin(): void {
    this.#serial++;
    this.count = 0;
    this.#named = 0;
  }

  /** Stores one value; the limit is for attributes outside the model, so that a flood of them hides no known field. */
  put(slot: Slot, rank: number, tag: number, number: number, verdict: Verdict | undefined): void {
    if (slot.serial === this.#serial) {
      this.#again(slot, rank, tag, number, verdict);
      return;
    }
    if (slot.field < 0 && !slot.hidden) {
      if (this.#named >= this.#namedMax) {
        this.overflow++;
        return;
      }
      this.#named++;
    }
    const at = this.count++;
    slot.serial = this.#serial;
    slot.at = at;
    this.slot[at] = slot;
    this.rank[at] = rank;
    this.tag[at] = tag;
    this.number[at] = number;
    this.verdict[at] = verdict;
  }

  #again(slot: Slot, rank: number, tag: number, number: number, verdict: Verdict | undefined): void {
    const at = slot.at;
    const held = this.rank[at]!;
    if (rank === held) {
      if (rank < DERIVED_RANK) this.duplicates++;
    } else if (rank < DERIVED_RANK && held < DERIVED_RANK && !this.#equals(at, tag, number, verdict)) this.conflicts++;
    if (rank > held) return;
    if (rank === held && rank >= DERIVED_RANK) {
      if (slot.field === Field.requestSecretInUrl) this.#unite(at, verdict!);
      return;
    }
    this.rank[at] = rank;
    this.tag[at] = tag;
    this.number[at] = number;
    this.verdict[at] = verdict;
  }

  /** Path and query of one URL may both give something away. */
  #unite(at: number, verdict: Verdict): void {
    this.verdict[at] = new Verdict([...new Set([...this.verdict[at]!.list, ...verdict.list])]);
  }

  #equals(at: number, tag: number, number: number, verdict: Verdict | undefined): boolean {
    if (this.tag[at] !== tag || this.number[at] !== number) return false;
    const held = this.verdict[at];
    return held?.text === verdict?.text && String(held?.list) === String(verdict?.list);
  }

  /** Stores what a verdict says about its own attribute and about others, and counts what it found. */
  judged(slot: Slot, rank: number, verdict: Verdict): void {
    if (verdict.stored) this.put(slot, rank, verdict.tag, verdict.number, verdict);
    const { sides, found } = verdict;
    for (let i = 0; i < sides.length; i++) {
      const side = sides[i]!;
      this.put(side.slot, side.rank, side.verdict.tag, side.verdict.number, side.verdict);
    }
    if (found.length > 0) this.tally(found);
  }

  tally(found: readonly Category[]): void {
    for (let i = 0; i < found.length; i++) this.found[CATEGORY_INDEX[found[i]!]]!++;
  }

  has(slot: Slot): boolean {
    return slot.serial === this.#serial;
  }

  value(slot: Slot): Value | undefined {
    if (!this.has(slot)) return undefined;
    const tag = this.tag[slot.at]!;
    if (tag === TAG_STRING) return this.verdict[slot.at]!.text;
    if (tag === TAG_LIST) return this.verdict[slot.at]!.list;
    return tag === TAG_BOOLEAN ? this.number[slot.at] !== 0 : this.number[slot.at];
  }

  /** What several attributes say together. Call once, after the last attribute. */
  finish(): void {
    const slots = this.#slots;
    if (this.has(slots.rpcService)) this.#finishRpc();
    if (this.has(slots.trustedSession)) this.#finishSession();
    if (this.has(slots.clientPublic) || this.has(slots.peerPublic)) this.#finishClient();
  }

  #text(slot: Slot, rank: number, text: string): void {
    this.put(slot, rank, TAG_STRING, 0, new Verdict(text));
  }

  /** Old conventions split `rpc.service` and a short `rpc.method`; today `rpc.method` is both. */
  #finishRpc(): void {
    const service = this.value(this.#slots.rpcService);
    const slot = this.#slots.field(Field.rpcMethod);
    const method = this.value(slot);
    if (typeof service !== 'string' || service === '') return;
    if (method === undefined) this.#text(this.#slots.of('rpc.service'), 1, service);
    else if (typeof method === 'string' && !method.includes('/')) {
      this.verdict[slot.at] = new Verdict(`${service}/${method}`);
    }
  }

  /**
   * 22 characters can be our pseudonym or somebody's session id. On a span of our instrumentation it is the former; on
   * any other it was hashed here.
   */
  #finishSession(): void {
    const slot = this.#slots.field(Field.sessionId);
    const trusted = this.verdict[this.#slots.trustedSession.at];
    if (!this.has(this.#slots.field(Field.apisecVersion))) return;
    if (this.has(slot)) this.verdict[slot.at] = trusted;
    else this.put(slot, 0, TAG_STRING, 0, trusted);
  }

  /** `client.address` is a claim unless our instrumentation says how it was found; then only the socket is a fact. */
  #finishClient(): void {
    const vouched = this.has(this.#slots.field(Field.clientSource));
    const from = vouched ? this.#slots.clientPublic : this.#slots.peerPublic;
    const isPublic = this.value(from);
    if (typeof isPublic !== 'boolean') return;
    this.put(this.#slots.field(Field.clientPublic), DERIVED_RANK, TAG_BOOLEAN, isPublic ? 1 : 0, undefined);
  }

  /** [name, value] of all that is stored. */
  entries(): [string, Value][] {
    const entries: [string, Value][] = [];
    for (let i = 0; i < this.count; i++) {
      const slot = this.slot[i]!;
      if (!slot.hidden) entries.push([slot.name, this.value(slot)!]);
    }
    return entries;
  }
}
