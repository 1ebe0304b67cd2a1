import { type Action, actionOf } from './attribute-actions.ts';
import type { Category } from './findings.ts';
import { scrubText } from './scrub-text.ts';
import { canonicalName } from './semconv-versions.ts';
import type { Slots } from './slots.ts';
import type { Slot, Verdict } from './verdict.ts';

/** Where an attribute of one wire name goes on spans of one kind, and what happens to it on the way. */
export interface Route {
  /** Small number, unique while the decoder lives: owner of its values in the cache. */
  readonly id: number;
  readonly slot: Slot;
  readonly rank: number;
  readonly action: Action;
  /** Numbers and flags pass unseen: nothing is done to them but storing. */
  readonly plain: boolean;
  /** Misses and hits of its values in the cache; a name whose values hardly repeat is not cached for a while. */
  misses: number;
  hits: number;
  /** Verdicts by text, for front ends that hold texts instead of bytes. */
  readonly verdicts: Map<string, Verdict>;
}

/** All an attribute name decides, looked up once per distinct name. */
export interface NamePlan {
  /** By OTLP kind number. */
  readonly bySpanKind: readonly Route[];
  readonly onResource: Route;
  /** What the name itself held. */
  readonly found: readonly Category[];
}

const NAME_CHARS_MAX = 256;
const KINDS = [0, 1, 2, 3, 4, 5];

/** Attribute names of the wire -> plans. */
export class AttributeNames {
  readonly #slots: Slots;
  readonly #namesMax: number;
  #plans = new Map<string, NamePlan>();
  #nextRoute = 1;

  constructor(slots: Slots, namesMax: number) {
    this.#slots = slots;
    this.#namesMax = namesMax;
  }

  /** More names than one batch's share: time to forget them between two batches. */
  get crowded(): boolean {
    return this.#plans.size > this.#namesMax / 2 || this.#slots.namedCount > this.#namesMax / 2;
  }

  forget(): void {
    this.#plans = new Map();
    this.#slots.forgetNamed();
  }

  /** Undefined when the batch has used up its number of distinct names. */
  plan(wireName: string): NamePlan | undefined {
    const known = this.#plans.get(wireName);
    if (known !== undefined) return known;
    if (this.#plans.size >= this.#namesMax) return undefined;
    const found: Category[] = [];
    const name = scrubText(wireName.slice(0, NAME_CHARS_MAX), found);
    const spanRoutes = new Map<string, Route>();
    const route = (kind: number, onResource: boolean): Route => {
      const canonical = canonicalName(name, kind);
      const action = actionOf(name, canonical.name, kind, onResource);
      const key = `${canonical.name} ${action.do} ${onResource && action.do === 'scrub'}`;
      const same = spanRoutes.get(key);
      if (same !== undefined) return same;
      const made = this.#route(canonical.name, canonical.rank, action);
      spanRoutes.set(key, made);
      return made;
    };
    const plan: NamePlan = { bySpanKind: KINDS.map((kind) => route(kind, false)), onResource: route(0, true), found };
    this.#plans.set(wireName, plan);
    return plan;
  }

  #route(name: string, rank: number, action: Action): Route {
    return {
      id: this.#nextRoute++,
      slot: this.#slots.of(name),
      rank,
      action,
      plain: action.do === 'scrub' || action.do === 'scrub-version' || action.do === 'number',
      misses: 0,
      hits: 0,
      verdicts: new Map(),
    };
  }

  /** A route that no attribute name leads to: for span names, event names and the like. */
  free(slot: Slot, action: Action): Route {
    return { id: this.#nextRoute++, slot, rank: 0, action, plain: true, misses: 0, hits: 0, verdicts: new Map() };
  }
}
