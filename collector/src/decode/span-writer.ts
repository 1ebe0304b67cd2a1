import { type Scalar, Signal, type SignalName, type Value } from '@spanwarden/rules';
import {
  BatchBuilder,
  type Resource,
  type SpanBatch,
  TAG_BOOLEAN,
  TAG_LIST,
  TAG_NUMBER,
  TAG_STRING,
} from '../base/batch.ts';
import type { Counters } from '../base/counters.ts';
import type { Limits } from '../base/limits.ts';
import { AttributeNames, type NamePlan, type Route } from './attribute-names.ts';
import { AttributeRow } from './attribute-row.ts';
import { type Tree, toScalars, toScrubbedText } from './attribute-tree.ts';
import { CATEGORIES, type Category } from './findings.ts';
import { Judge, type JudgeSettings } from './judge.ts';
import { Slots } from './slots.ts';
import { Slot, Verdict } from './verdict.ts';

export interface SpanWriterSettings extends JudgeSettings {
  readonly limits: Limits;
  readonly eventTime: 'clamped' | 'recorded';
  readonly counters: Counters;
}

const PAST_US = 24 * 3600 * 1e6;
const FUTURE_US = 600 * 1e6;
const SERVICE_CHARS_MAX = 256;
/** Verdicts kept per name for front ends that hold texts. */
const TEXT_VERDICTS_MAX = 256;
const RESOURCES_MAX = 1024;
const REDACTED = new Verdict(undefined);

/**
 * Takes spans from a front end (protobuf, JSON) attribute by attribute and fills the batch: names become current ones,
 * values become verdicts, and only what a verdict lets through is stored. Front ends never touch the batch.
 */
export class SpanWriter {
  readonly slots: Slots;
  readonly names: AttributeNames;
  readonly row: AttributeRow;
  readonly spanName: Route;
  readonly eventName: Route;
  readonly scopeText: Route;
  readonly #judge: Judge;
  readonly #settings: SpanWriterSettings;
  /** Positions in the batch of the resources that it has so far. */
  readonly #shared = new Map<Resource, number>();
  readonly #resources = new Map<string, Resource>();
  readonly #builder = new BatchBuilder();
  #epoch = 0;
  #receivedUs = 0;
  /** Whether the sender may set security attributes. */
  #securityKept = true;

  /** Spans of the batch that were refused, by reason. */
  badTraceIds = 0;
  badSpanIds = 0;
  droppedNames = 0;
  droppedLinks = 0;
  badParents = 0;
  deepValues = 0;
  droppedItems = 0;
  redactionFailures = 0;

  constructor(settings: SpanWriterSettings) {
    this.#settings = settings;
    this.slots = new Slots();
    this.names = new AttributeNames(this.slots, settings.limits.batchAttributeNamesMax);
    this.row = new AttributeRow(this.slots, settings.limits.spanAttributesMax);
    this.#judge = new Judge(settings, this.slots);
    const scrub = { do: 'scrub' } as const;
    this.spanName = this.names.free(new Slot('span name', -1, true), scrub);
    this.eventName = this.names.free(new Slot('event name', -1, true), scrub);
    this.scopeText = this.names.free(new Slot('scope', -1, true), { do: 'scrub-version' });
  }

  get rejected(): number {
    return this.badTraceIds + this.badSpanIds;
  }

  get accepted(): number {
    return this.#builder.count;
  }

  /** Starts a batch. Returns true when names were forgotten, so that caches over them must be emptied. */
  begin(receivedUs: number, securityKept: boolean): boolean {
    this.#builder.reset();
    this.#epoch++;
    this.#receivedUs = receivedUs;
    this.#securityKept = securityKept;
    this.#shared.clear();
    this.badTraceIds = 0;
    this.badSpanIds = 0;
    this.redactionFailures = 0;
    this.droppedNames = 0;
    this.droppedLinks = 0;
    this.badParents = 0;
    this.deepValues = 0;
    this.droppedItems = 0;
    this.row.forgetCounts();
    if (!this.names.crowded) return false;
    this.names.forget();
    return true;
  }

  /**
   * The verdict on a well-formed text, worked out anew. A failing detector loses the value, never lets it through.
   */
  judge(route: Route, text: string): Verdict {
    try {
      return this.#judge.text(route.action, route.rank, text);
    } catch {
      this.redactionFailures++;
      return REDACTED;
    }
  }

  /** The same for callers that hold texts, with a small memory per name. */
  judgeText(route: Route, text: string): Verdict {
    const known = route.verdicts.get(text);
    if (known !== undefined) return known;
    const verdict = this.judge(route, toWellFormed(text));
    if (route.verdicts.size >= TEXT_VERDICTS_MAX) route.verdicts.clear();
    if (text.length <= TEXT_VERDICTS_MAX) route.verdicts.set(text, verdict);
    return verdict;
  }

  /** Plan of a well-formed attribute name; undefined: the attribute is dropped and counted. */
  plan(name: string): NamePlan | undefined {
    const plan = this.names.plan(name);
    if (plan === undefined) this.droppedNames++;
    return plan;
  }

  judged(route: Route, verdict: Verdict): void {
    if (this.#mayStore(route)) this.row.judged(route.slot, route.rank, verdict);
  }

  number(route: Route, value: number): void {
    if (!this.#mayStore(route)) return;
    if (!Number.isFinite(value)) {
      this.judged(route, this.judgeText(route, String(value)));
      return;
    }
    // -0 and 0 must be one value.
    const verdict = route.plain && value < 1e12 ? undefined : this.#judge.number(route.action, route.rank, value);
    if (verdict === undefined) this.row.put(route.slot, route.rank, TAG_NUMBER, value + 0, undefined);
    else this.row.judged(route.slot, route.rank, verdict);
  }

  boolean(route: Route, value: boolean): void {
    if (!this.#mayStore(route)) return;
    const verdict = route.plain ? undefined : this.#judge.boolean(route.action, route.rank, value);
    if (verdict === undefined) this.row.put(route.slot, route.rank, TAG_BOOLEAN, value ? 1 : 0, undefined);
    else this.row.judged(route.slot, route.rank, verdict);
  }

  /** An array or map. */
  tree(route: Route, tree: Tree): void {
    if (!this.#mayStore(route)) return;
    try {
      this.row.judged(route.slot, route.rank, this.#treeVerdict(route, tree));
    } catch {
      this.redactionFailures++;
    }
  }

  #treeVerdict(route: Route, tree: Tree): Verdict {
    const scalars = Array.isArray(tree) ? toScalars(tree) : undefined;
    if (scalars !== undefined) return this.#judge.list(route.action, route.rank, scalars.map(plainScalar));
    const found: Category[] = [];
    const text = toWellFormed(toScrubbedText(tree, found));
    const verdict = this.#judge.text(route.action, route.rank, text);
    return found.length === 0
      ? verdict
      : new Verdict(verdict.stored ? verdict.value : undefined, [...found, ...verdict.found], verdict.sides);
  }

  #mayStore(route: Route): boolean {
    if (this.#securityKept) return true;
    const { name } = route.slot;
    return !name.startsWith('apisec.') && name !== 'user.hash' && name !== 'user.roles';
  }

  /** Ends the attributes read since `row.begin()` and makes a resource of them. */
  resource(): Resource {
    this.row.finish();
    const attributes = this.row.entries();
    const value = new Map<string, Value>(attributes);
    const text = (name: string): string => {
      const found = value.get(name);
      return found === undefined || typeof found === 'object' ? '' : String(found).slice(0, SERVICE_CHARS_MAX);
    };
    const dropped = value.get('apisec.dropped_spans');
    return this.#interned({
      service: text('service.name') || 'unknown_service',
      version: text('service.version'),
      clock: text('host.id') || text('host.name') || text('k8s.pod.uid') || text('service.instance.id'),
      signals: signalBits(value.get('apisec.signals')),
      droppedSpans: typeof dropped === 'number' && dropped > 0 ? Math.floor(dropped) : 0,
      attributes,
    });
  }

  /** Senders repeat their resource in every export: one object stands for all that are equal. */
  #interned(resource: Resource): Resource {
    const key = JSON.stringify([resource.service, resource.attributes]);
    const known = this.#resources.get(key);
    if (known !== undefined) return known;
    if (this.#resources.size >= RESOURCES_MAX) this.#resources.clear();
    this.#resources.set(key, resource);
    return resource;
  }

  /** Position of a resource in the batch; the same object always has the same. */
  addResource(resource: Resource): number {
    let index = this.#shared.get(resource);
    if (index === undefined) {
      index = this.#builder.addResource(resource);
      this.#shared.set(resource, index);
    }
    return index;
  }

  addScope(name: string, version: string): number {
    const scope = { name: this.#plain(this.scopeText, name), version: this.#plain(this.scopeText, version) };
    return this.#builder.addScope(scope);
  }

  #plain(route: Route, text: string): string {
    const verdict = this.judgeText(route, text);
    this.row.tally(verdict.found);
    return verdict.text;
  }

  /** Adds the span itself. Read its attributes after `row.begin()`, then call `endSpan`, then its events and links. */
  span(
    ids: Uint32Array,
    kind: number,
    status: number,
    flags: number,
    startUs: number,
    endUs: number,
    name: Verdict,
    resource: number,
    scope: number,
  ): void {
    const eventUs = this.#eventUs(endUs);
    if (name.found.length > 0) this.row.tally(name.found);
    this.#builder.span(
      ids[0]!,
      ids[1]!,
      ids[2]!,
      ids[3]!,
      ids[4]!,
      ids[5]!,
      ids[6]!,
      ids[7]!,
      kind >= 0 && kind <= 5 ? kind : 0,
      status >= 0 && status <= 2 ? status : 0,
      flags,
      startUs,
      endUs,
      eventUs,
      this.#string(name),
      resource,
      scope,
    );
  }

  #eventUs(endUs: number): number {
    if (this.#settings.eventTime === 'recorded') return endUs > 0 ? endUs : this.#receivedUs;
    return endUs >= this.#receivedUs - PAST_US && endUs <= this.#receivedUs + FUTURE_US ? endUs : this.#receivedUs;
  }

  endSpan(): void {
    const { row } = this;
    row.finish();
    for (let i = 0; i < row.count; i++) {
      const slot = row.slot[i]!;
      if (slot.hidden) continue;
      const tag = row.tag[i]!;
      this.#builder.attr(this.#key(slot), tag, this.#cell(tag, row.number[i]!, row.verdict[i]));
    }
  }

  event(timeUs: number, name: Verdict): void {
    if (name.found.length > 0) this.row.tally(name.found);
    this.#builder.event(timeUs, this.#string(name));
  }

  endEvent(): void {
    const { row } = this;
    for (let i = 0; i < row.count; i++) {
      const slot = row.slot[i]!;
      if (slot.hidden) continue;
      const tag = row.tag[i]!;
      this.#builder.eventAttr(this.#key(slot), tag, this.#cell(tag, row.number[i]!, row.verdict[i]));
    }
  }

  /** `ids`: four words of trace id, two of span id. */
  link(ids: Uint32Array): void {
    this.#builder.link(ids[0]!, ids[1]!, ids[2]!, ids[3]!, ids[4]!, ids[5]!);
  }

  #key(slot: Slot): number {
    if (slot.field >= 0) return slot.field;
    if (slot.epoch !== this.#epoch) {
      slot.key = this.#builder.key(slot.name);
      slot.epoch = this.#epoch;
    }
    return slot.key;
  }

  #cell(tag: number, number: number, verdict: Verdict | undefined): number {
    if (tag === TAG_STRING) return this.#string(verdict!);
    return tag === TAG_LIST ? this.#builder.list(verdict!.list) : number;
  }

  #string(verdict: Verdict): number {
    if (verdict.epoch !== this.#epoch) {
      verdict.id = this.#builder.string(verdict.text);
      verdict.epoch = this.#epoch;
    }
    return verdict.id;
  }

  /** Ends the batch and writes down what was counted. */
  end(): SpanBatch {
    const { counters, keepClientAddress } = this.#settings;
    const { row } = this;
    for (const [i, category] of CATEGORIES.entries()) {
      const count = row.found[i]!;
      if (count === 0) continue;
      counters.add('redaction_seen_total', count, category);
      const kept = category === 'client_address' && keepClientAddress === 'full';
      if (!kept) counters.add('redaction_masked_total', count, category);
    }
    const count = (name: string, n: number, label = ''): void => {
      if (n > 0) counters.add(name, n, label);
    };
    count('spans_rejected_total', this.badTraceIds, 'trace-id');
    count('spans_rejected_total', this.badSpanIds, 'span-id');
    count('attribute_duplicates_total', row.duplicates);
    count('attribute_conflicts_total', row.conflicts);
    count('redaction_failures_total', this.redactionFailures);
    count('dropped_total', row.overflow, 'decode:span-attributes');
    count('dropped_total', this.droppedNames, 'decode:attribute-names');
    count('dropped_total', this.droppedLinks, 'decode:link-ids');
    count('dropped_total', this.badParents, 'decode:parent-id');
    count('dropped_total', this.deepValues, 'decode:value-depth');
    count('dropped_total', this.droppedItems, 'decode:value-items');
    return this.#builder.build();
  }
}

/** An item of a list as a single value would be: no -0, no infinities, no lone surrogates. */
function plainScalar(item: Scalar): Scalar {
  if (typeof item === 'string') return toWellFormed(item);
  if (typeof item === 'boolean') return item;
  return Number.isFinite(item) ? item + 0 : String(item);
}

const LONE_SURROGATE = /[\ud800-\udfff]/;

/** Lone surrogates, which JSON can carry and UTF-8 cannot, become U+FFFD as they do on the protobuf side. */
export function toWellFormed(text: string): string {
  if (!LONE_SURROGATE.test(text)) return text;
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}

function signalBits(value: Value | undefined): number {
  if (value === undefined) return 0;
  const names = Array.isArray(value) ? value : String(value).split(/[\s,]+/);
  let bits = 0;
  for (const name of names) {
    if (Object.hasOwn(Signal, String(name))) bits |= Signal[name as SignalName];
  }
  return bits;
}
