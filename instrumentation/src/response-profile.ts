/**
 * How thoroughly a response is looked at: a body and what kind of response it is in, facts out. Every response is counted; the
 * fields are looked into when the response is new or unusual of its kind, else estimated from the last look.
 */
import { BodyWalker, countRecords } from './body-walk.ts';

export type Classified =
  | 'full'
  | 'sampled'
  | 'estimated'
  | 'skipped_size'
  | 'skipped_encoding'
  | 'skipped_type'
  | 'error';

export interface BodyFacts {
  readonly classified: Classified;
  readonly records: number;
  readonly dataTypes: ReadonlyMap<string, number>;
  readonly fields: readonly string[];
  readonly schemaHash: string | undefined;
}

export interface ProfileSettings {
  readonly classify: 'full' | 'sampled' | 'off';
  readonly classifyIntervalMs: number;
}

/** Looks before estimates begin: as many values as a field's evidence wants. */
const FIRST_LOOKS = 20;
const SHAPES_MAX = 32;
const PROFILES_MAX = 500;

interface Profile {
  readonly walker: BodyWalker;
  readonly shapes: Set<string>;
  looks: number;
  lastLookMs: number;
  recordsP95: number;
  perRecord: ReadonlyMap<string, number>;
  fields: readonly string[];
  schemaHash: string | undefined;
}

/** All kinds of responses of one process, the longest unused forgotten first. */
export class ResponseProfiles {
  readonly #profiles = new Map<string, Profile>();
  readonly #settings: ProfileSettings;
  readonly #now: () => number;

  constructor(settings: ProfileSettings, now: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#now = now;
  }

  /**
   * Never throws: what cannot be looked at is `error`.
   *
   * @param kind route, status, content type and principal class
   */
  facts(kind: string, body: unknown): BodyFacts {
    try {
      return this.#facts(kind, body);
    } catch {
      return { classified: 'error', records: 1, dataTypes: new Map(), fields: [], schemaHash: undefined };
    }
  }

  #facts(kind: string, body: unknown): BodyFacts {
    if (this.#settings.classify === 'off')
      return {
        classified: 'skipped_type',
        records: countRecords(body),
        dataTypes: new Map(),
        fields: [],
        schemaHash: undefined,
      };
    const profile = this.#profile(kind);
    const records = countRecords(body);
    const unusual = records > profile.recordsP95 * 1.5;
    profile.recordsP95 = nextQuantile(profile.recordsP95, records);
    const isNewShape = addShape(profile.shapes, shapeKey(body));
    const now = this.#now();
    const due = now - profile.lastLookMs >= this.#settings.classifyIntervalMs;
    if (this.#settings.classify === 'sampled' && profile.looks >= FIRST_LOOKS && !due && !unusual && !isNewShape)
      return estimate(profile, records);
    const result = profile.walker.walk(body);
    profile.looks++;
    profile.lastLookMs = now;
    const perRecord = new Map<string, number>();
    for (const [type, count] of result.dataTypes) perRecord.set(type, count / Math.max(1, result.records));
    profile.perRecord = perRecord;
    profile.fields = result.fields;
    profile.schemaHash = result.schemaHash;
    return { ...result, classified: result.sampled ? 'sampled' : 'full' };
  }

  #profile(kind: string): Profile {
    let profile = this.#profiles.get(kind);
    if (profile === undefined) {
      profile = {
        walker: new BodyWalker(),
        shapes: new Set(),
        looks: 0,
        lastLookMs: 0,
        recordsP95: 0,
        perRecord: new Map(),
        fields: [],
        schemaHash: undefined,
      };
      if (this.#profiles.size >= PROFILES_MAX) this.#profiles.delete(this.#profiles.keys().next().value as string);
    } else this.#profiles.delete(kind);
    this.#profiles.set(kind, profile);
    return profile;
  }
}

function estimate(profile: Profile, records: number): BodyFacts {
  const dataTypes = new Map<string, number>();
  if (records > 0)
    for (const [type, share] of profile.perRecord) dataTypes.set(type, Math.max(1, Math.round(share * records)));
  return { classified: 'estimated', records, dataTypes, fields: profile.fields, schemaHash: profile.schemaHash };
}

/** Stochastic estimate of the 95th percentile: steps up often and down seldom, in proportion to its size. */
function nextQuantile(quantile: number, value: number): number {
  if (quantile === 0) return value;
  const step = Math.max(0.5, quantile * 0.05);
  return Math.max(1, value > quantile ? quantile + step * 0.95 : quantile - step * 0.05);
}

/** The keys of the body and of its first record: what a changed answer changes first. */
function shapeKey(body: unknown): string {
  const first = Array.isArray(body) ? body[0] : body;
  if (typeof first !== 'object' || first === null) return typeof first;
  const keys = Object.keys(first);
  for (const key of keys.slice(0, 8)) {
    const inner = (first as Record<string, unknown>)[key];
    const item = Array.isArray(inner) ? inner[0] : inner;
    if (typeof item === 'object' && item !== null)
      return `${keys.join()}|${key}|${Object.keys(item).slice(0, 64).join()}`;
  }
  return keys.slice(0, 64).join();
}

function addShape(shapes: Set<string>, shape: string): boolean {
  if (shapes.has(shape) || shapes.size >= SHAPES_MAX) return false;
  shapes.add(shape);
  return true;
}
