/**
 * Structured bodies: a parsed value in, record count, fields and data types out; bounded in nodes, depth and time, and no value
 * is kept.
 */
import { createHash } from 'node:crypto';
import { types } from 'node:util';
import { FieldEvidence } from './data-types/field-evidence.ts';
import { DETECTORS } from './data-types/registry.ts';
import { safeName } from './url-scrub.ts';

/** How far one body is looked into. Reaching a limit makes the result a sample; record counts stay exact. */
export interface WalkLimits {
  readonly nodesMax: number;
  readonly depthMax: number;
  /** Items looked at per array; the rest are extrapolated. */
  readonly itemsMax: number;
  /** Values judged per field and body. */
  readonly valuesMax: number;
  readonly fieldsMax: number;
  /** After this long values are only counted and earlier bodies of the route speak for them. */
  readonly budgetMs: number;
}

export const WALK_LIMITS: WalkLimits = {
  nodesMax: 20_000,
  depthMax: 12,
  itemsMax: 50,
  valuesMax: 20,
  fieldsMax: 400,
  budgetMs: 20,
};

export interface WalkResult {
  readonly records: number;
  /** How many records carry each type: the most that any one field of that type has. */
  readonly dataTypes: ReadonlyMap<string, number>;
  /** Paths of the fields that carry a type, at most 40: `items[].email`. */
  readonly fields: readonly string[];
  /** 12 hex digits over the sorted paths and kinds of all fields. */
  readonly schemaHash: string;
  /** Whether a limit was reached or an array extrapolated. */
  readonly sampled: boolean;
}

/** Types beside which a plain `name` is a person's. */
const PERSONAL: ReadonlySet<string> = new Set([
  'email',
  'phone',
  'date_of_birth',
  'us_ssn',
  'street_address',
  'payment_card',
  'passport',
  'driver_license',
]);

const FIELD_PATHS_MAX = 40;
const KEYS_MAX = 64;

/** One field of a body's shape, reused from body to body of the same route so that its evidence grows. */
class FieldNode {
  readonly evidence: FieldEvidence;
  readonly name: string;
  readonly children = new Map<string, FieldNode>();
  epoch = 0;
  /** How often the field occurred; a key that is a value seldom comes back. */
  seen = 0;
  /** Values in this body, weighted by extrapolation. */
  values = 0;
  looked = 0;
  hits: number[] = [];
  kinds = 0;

  constructor(name: string, evidenceName: string) {
    this.name = name;
    this.evidence = new FieldEvidence(evidenceName);
  }

  enter(epoch: number): void {
    this.seen++;
    if (this.epoch === epoch) return;
    this.epoch = epoch;
    this.values = 0;
    this.looked = 0;
    this.kinds = 0;
    this.hits = [];
  }
}

const JUDGED_ENOUGH = 1e9;

/** Keys that programmers write around records. */
const CONTAINER =
  /^(?:items?|data|results?|rows|records?|edges|nodes?|content|entries|values|hits|list|page|attributes|users?|customers?|accounts?|profiles?|orders?|patients?|members?|contacts?|person|people|address(?:es)?|payments?|cards?|billing|shipping)$/;

const FAMILIAR = 3;

/** The key, or `*` for one that may itself be a value: neither from a dictionary nor seen before. */
function shownName(node: FieldNode): string {
  const known = node.evidence.name.hinted || CONTAINER.test(node.name);
  return known || (node.seen >= FAMILIAR && /^[a-z]/.test(node.name)) ? node.name : '*';
}

const KIND_STRING = 1;
const KIND_NUMBER = 2;
const KIND_BOOLEAN = 4;
const KIND_OBJECT = 8;
const KIND_ARRAY = 16;

/** Walks bodies of one route and remembers, per field, what values have shown. */
export class BodyWalker {
  readonly #root = new FieldNode('', '');
  readonly #limits: WalkLimits;
  readonly #now: () => number;
  #fieldCount = 0;
  #epoch = 0;
  #nodes = 0;
  #records = 0;
  #judged = 0;
  #deadline = 0;
  #sampled = false;

  constructor(limits: WalkLimits = WALK_LIMITS, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  walk(body: unknown): WalkResult {
    this.#epoch++;
    this.#nodes = 0;
    this.#records = 0;
    this.#judged = 0;
    this.#sampled = false;
    this.#deadline = this.#now() + this.#limits.budgetMs;
    this.#visit(this.#root, body, 0, 1);
    const dataTypes = new Map<string, number>();
    const typed: string[] = [];
    const paths: string[] = [];
    this.#collect(this.#root, { exact: '', shown: '' }, dataTypes, typed, paths);
    return {
      records: Math.max(this.#records, countRecords(body)),
      dataTypes,
      fields: [...new Set(typed)].slice(0, FIELD_PATHS_MAX),
      schemaHash: createHash('sha256').update(paths.sort().join('\n')).digest('hex').slice(0, 12),
      sampled: this.#sampled,
    };
  }

  #visit(node: FieldNode, raw: unknown, depth: number, weight: number): void {
    node.enter(this.#epoch);
    if (this.#exhausted()) return;
    const value = toJsonValue(raw);
    if (typeof value === 'string') this.#look(node, value, KIND_STRING, weight);
    else if (typeof value === 'number' || typeof value === 'bigint')
      this.#look(node, String(value), KIND_NUMBER, weight);
    else if (typeof value === 'boolean') node.kinds |= KIND_BOOLEAN;
    else if (typeof value === 'object' && value !== null) this.#visitObject(node, value, depth, weight);
  }

  #visitObject(node: FieldNode, value: object, depth: number, weight: number): void {
    if (depth >= this.#limits.depthMax || isOpaque(value)) {
      this.#sampled = true;
      return;
    }
    if (Array.isArray(value)) this.#visitItems(node, value, depth, weight);
    else this.#visitKeys(node, value as Record<string, unknown>, depth, weight);
  }

  #visitItems(node: FieldNode, items: readonly unknown[], depth: number, weight: number): void {
    node.kinds |= KIND_ARRAY;
    if (isRecord(items[0])) this.#records = Math.max(this.#records, items.length);
    const looked = Math.min(items.length, this.#limits.itemsMax);
    if (looked < items.length) this.#sampled = true;
    const item = this.#child(node, '[]', node.name);
    const itemWeight = looked === 0 ? weight : (weight * items.length) / looked;
    for (let index = 0; index < looked; index++) this.#visit(item, items[index], depth + 1, itemWeight);
  }

  #visitKeys(node: FieldNode, object: Record<string, unknown>, depth: number, weight: number): void {
    node.kinds |= KIND_OBJECT;
    const keys = Object.keys(object);
    const dynamic = keys.length > KEYS_MAX;
    for (const key of keys) {
      if (this.#exhausted()) return;
      const name = dynamic ? '*' : safeName(key);
      this.#visit(this.#child(node, name, name === '*' ? node.name : name), object[key], depth + 1, weight);
    }
  }

  #look(node: FieldNode, value: string, kind: number, weight: number): void {
    node.kinds |= kind;
    node.values += weight;
    if (node.looked >= this.#limits.valuesMax || this.#late()) return;
    node.looked++;
    if (kind === KIND_NUMBER && value.length < 9 && !node.evidence.name.hinted) return;
    const detector = node.evidence.add(value);
    if (detector >= 0) node.hits[detector] = (node.hits[detector] ?? 0) + 1;
  }

  #child(node: FieldNode, name: string, evidenceName: string): FieldNode {
    let child = node.children.get(name);
    if (child === undefined) {
      child = new FieldNode(name === '[]' ? node.name : name, evidenceName);
      if (this.#fieldCount >= this.#limits.fieldsMax) {
        this.#sampled = true;
        return child;
      }
      this.#fieldCount++;
      node.children.set(name, child);
    }
    return child;
  }

  #exhausted(): boolean {
    if (++this.#nodes <= this.#limits.nodesMax) return false;
    this.#sampled = true;
    return true;
  }

  /** Reads the clock for one value in sixteen. */
  #late(): boolean {
    if ((++this.#judged & 15) === 0 && this.#now() > this.#deadline) this.#judged = JUDGED_ENOUGH;
    if (this.#judged < JUDGED_ENOUGH) return false;
    this.#sampled = true;
    return true;
  }

  #collect(node: FieldNode, path: Path, dataTypes: Map<string, number>, typed: string[], paths: string[]): void {
    const verdicts = this.#judge(node, dataTypes);
    for (const [name, child] of node.children) {
      if (child.epoch !== this.#epoch) continue;
      const next = { exact: join(path.exact, name), shown: join(path.shown, name === '[]' ? name : shownName(child)) };
      paths.push(`${next.exact}:${child.kinds}`);
      if (verdicts.has(child)) typed.push(next.shown);
      this.#collect(child, next, dataTypes, typed, paths);
    }
  }

  /** Types of a node's own fields; a second round judges plain names once their siblings are known to be personal. */
  #judge(node: FieldNode, dataTypes: Map<string, number>): ReadonlySet<FieldNode> {
    const typed = new Set<FieldNode>();
    let personal = false;
    for (const beside of [false, true]) {
      if (beside && !personal) break;
      for (const child of node.children.values()) {
        if (child.epoch !== this.#epoch || child.values === 0 || typed.has(child)) continue;
        const verdict = child.evidence.verdict(beside);
        if (verdict === undefined) continue;
        const { type } = DETECTORS[verdict.detector]!;
        const share = child.looked === 0 ? verdict.hitRate : (child.hits[verdict.detector] ?? 0) / child.looked;
        const carried = Math.round(share * child.values);
        if (carried > 0) dataTypes.set(type, Math.max(dataTypes.get(type) ?? 0, carried));
        typed.add(child);
        personal ||= PERSONAL.has(type);
      }
    }
    return typed;
  }
}

/** A field's place: as it is, for the schema hash, and as it may be shown. */
interface Path {
  readonly exact: string;
  readonly shown: string;
}

function join(path: string, name: string): string {
  if (name === '[]') return `${path}[]`;
  return path === '' ? name : `${path}.${name}`;
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Proxies run code when they are looked at, and binary data has no fields. */
function isOpaque(value: object): boolean {
  return types.isProxy(value) || ArrayBuffer.isView(value);
}

/** What `JSON.stringify` would write for it; it has done so already when we look. */
function toJsonValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' && !ArrayBuffer.isView(value) ? toJSON.call(value, '') : value;
}

const COUNT_DEPTH_MAX = 5;
const LIST_NAME =
  /^(?:items|data|results?|rows|records|edges|nodes|content|entries|values|hits|list|page|hydra:member)$/;

/**
 * How many records a body holds: the length of its longest array of objects, found along first items only so that it is cheap
 * enough for every response; 0 for an empty list, else 1.
 */
export function countRecords(body: unknown): number {
  const longest = longestArray(toJsonValue(body), 0);
  if (longest > 0) return longest;
  if (Array.isArray(body)) return body.length;
  if (typeof body !== 'object' || body === null) return body === undefined || body === null ? 0 : 1;
  if (types.isProxy(body)) return 1;
  for (const [key, value] of Object.entries(body))
    if (LIST_NAME.test(key) && Array.isArray(value) && value.length === 0) return 0;
  return 1;
}

function longestArray(raw: unknown, depth: number): number {
  const value = depth === 0 ? raw : toJsonValue(raw);
  if (typeof value !== 'object' || value === null || depth > COUNT_DEPTH_MAX || isOpaque(value)) return 0;
  if (Array.isArray(value)) {
    const own = isRecord(value[0]) ? value.length : 0;
    return Math.max(own, value.length > 0 ? longestArray(value[0], depth + 1) : 0);
  }
  let longest = 0;
  let seen = 0;
  for (const key of Object.keys(value)) {
    if (++seen > KEYS_MAX) break;
    const inner = (value as Record<string, unknown>)[key];
    if (typeof inner === 'object' && inner !== null) longest = Math.max(longest, longestArray(inner, depth + 1));
  }
  return longest;
}
