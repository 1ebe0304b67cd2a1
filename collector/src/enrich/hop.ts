import { FIELD_COUNT, Field, type FieldKey, type Hop, Signal, type Value } from '@spanwarden/rules';
import {
  attribute,
  KIND_CONSUMER,
  KIND_SERVER,
  keyName,
  type Resource,
  SPAN_KINDS,
  SPAN_STATUSES,
  type SpanBatch,
  STATUS_ERROR,
  spanIdHex,
  toValue,
} from '../base/batch.ts';
import type { ApiStyle } from '../base/outcome.ts';
import { type DataSeen, FACT_PLACE, gatherFacts } from './facts.ts';

export type Exposure = 'external' | 'internal' | 'partner' | 'third-party';
export type Outcome = 'success' | 'denied' | 'missing' | 'failed';
/** What became of the caller's identity on the way to a hop; see `identity.ts`. */
export type IdentityEdge =
  | 'propagated'
  | 'exchanged'
  | 'dropped_to_service'
  | 'changed_subject'
  | 'changed_tenant'
  | 'none'
  | 'unknown';

/** The operation that a serving hop answers. */
export interface OperationKey {
  readonly style: ApiStyle;
  /** HTTP method in upper case, '' where the style has none. */
  readonly method: string;
  /** Route template, rpc method, or GraphQL operation. */
  readonly route: string;
}

/** How `field` finds a value. */
const FACT = 1;
const ATTRIBUTE = 0;
const RESOURCE = 2;
const COMPUTED: Partial<Record<FieldKey, number>> = {
  spanKind: 3,
  spanName: 4,
  spanStatus: 5,
  spanDepth: 6,
  spanChildCount: 7,
  spanDurationMs: 8,
  spanRoot: 9,
  serviceName: 10,
  entry: 11,
  exposure: 12,
  endpoint: 13,
  operation: 14,
  outcome: 15,
  callerService: 16,
  principalId: 17,
  identity: 18,
  requestDataTypes: 19,
  requestDataClasses: 20,
  responseDataTypes: 21,
  responseDataClasses: 22,
  egressDataTypes: 23,
  egressDataClasses: 24,
  apiStyle: 25,
  objectType: 26,
  objectIds: 27,
  objectIdKind: 28,
  egressThirdParty: 29,
  serviceVersion: 30,
  signals: RESOURCE,
  deploymentEnvironmentName: RESOURCE,
};
const ACCESS = new Uint8Array(FIELD_COUNT);
for (let id = 0; id < FIELD_COUNT; id++) ACCESS[id] = FACT_PLACE[id] === -1 ? ATTRIBUTE : FACT;
for (const [key, access] of Object.entries(COMPUTED)) ACCESS[Field[key as FieldKey]] = access;

/** No response data was looked for, so its absence says nothing. */
const UNCLASSIFIED = /^(?:skipped_.*|error)$/;

/**
 * One span of a call path: its attributes where they lie in the batch, and beside them what enrichment concluded. The
 * fields from `serves` on are written by enrichers while a path is enriched, each by the one that declares it, and never
 * after.
 */
export class PathHop implements Hop {
  readonly index: number;
  readonly parent: number;
  readonly depth: number;
  readonly childCount: number;
  readonly batch: SpanBatch;
  readonly row: number;
  readonly resource: Resource;
  readonly kind: number;
  readonly coverage: number;
  /** Data types that the span counts. */
  readonly data: readonly DataSeen[];
  readonly #facts: readonly (Value | undefined)[];
  readonly #factsFrom: number;

  /** It answers a call: a server span, or a span of unknown kind that is called from elsewhere. */
  serves = false;
  /** It answers a call that another span of its service answers already (proxy or framework within one service). */
  isNested = false;
  /** Position of the topmost span of this service on the way up: where the service was entered. */
  localRoot = -1;
  style: ApiStyle | undefined = undefined;
  operationKey: OperationKey | undefined = undefined;
  operationId: string | undefined = undefined;
  operation: string | undefined = undefined;
  endpoint: string | undefined = undefined;
  entry = false;
  caller: string | undefined = undefined;
  exposure: Exposure | undefined = undefined;
  /** Why `exposure` is what it is. */
  exposureReason: string | undefined = undefined;
  outcome: Outcome | undefined = undefined;
  principal: string | undefined = undefined;
  /** `apisec.auth.verified` of the hop that the principal was taken from. */
  principalVerified: string | undefined = undefined;
  identity: IdentityEdge | undefined = undefined;
  requestTypes: readonly string[] | undefined = undefined;
  requestClasses: readonly string[] | undefined = undefined;
  responseTypes: readonly string[] | undefined = undefined;
  responseClasses: readonly string[] | undefined = undefined;
  egressTypes: readonly string[] | undefined = undefined;
  egressClasses: readonly string[] | undefined = undefined;
  objectType: Value | undefined = undefined;
  objectIds: Value | undefined = undefined;
  objectIdKind: Value | undefined = undefined;
  thirdParty: boolean | undefined = undefined;

  /** `facts[factsFrom..]` has room for FACT_COUNT values. */
  constructor(
    position: { readonly index: number; readonly parent: number; readonly depth: number; readonly childCount: number },
    batch: SpanBatch,
    row: number,
    facts: (Value | undefined)[],
    factsFrom: number,
  ) {
    this.index = position.index;
    this.parent = position.parent;
    this.depth = position.depth;
    this.childCount = position.childCount;
    this.batch = batch;
    this.row = row;
    this.resource = batch.resources[batch.resource[row]!]!;
    this.kind = batch.kind[row]!;
    this.data = gatherFacts(batch, row, facts, factsFrom);
    this.#facts = facts;
    this.#factsFrom = factsFrom;
    this.coverage = this.#coverage();
  }

  get spanId(): string {
    return spanIdHex(this.batch, this.row);
  }

  get startUs(): number {
    return this.batch.startUs[this.row]!;
  }

  get endUs(): number {
    return this.batch.endUs[this.row]!;
  }

  get eventUs(): number {
    return this.batch.eventUs[this.row]!;
  }

  get clock(): string {
    return this.resource.clock !== '' ? this.resource.clock : this.resource.service;
  }

  get service(): string {
    return this.resource.service;
  }

  get name(): string {
    return this.batch.strings[this.batch.name[this.row]!]!;
  }

  get flags(): number {
    return this.batch.flags[this.row]!;
  }

  get isServer(): boolean {
    return this.kind === KIND_SERVER;
  }

  get isConsumer(): boolean {
    return this.kind === KIND_CONSUMER;
  }

  get hasParentId(): boolean {
    return this.batch.parentId[2 * this.row] !== 0 || this.batch.parentId[2 * this.row + 1] !== 0;
  }

  get hasErrorStatus(): boolean {
    return this.batch.status[this.row] === STATUS_ERROR;
  }

  /** A value that enrichment reads, by field id; only for fields listed in `facts.ts`. */
  fact(id: number): Value | undefined {
    return this.#facts[this.#factsFrom + FACT_PLACE[id]!];
  }

  /** The same where it is a text. */
  text(id: number): string | undefined {
    const value = this.fact(id);
    return typeof value === 'string' && value !== '' ? value : undefined;
  }

  /** The same where it is a number; numeric texts count, since some senders write status codes so. */
  number(id: number): number | undefined {
    const value = this.fact(id);
    if (typeof value === 'number') return value;
    if (typeof value !== 'string' || value === '') return undefined;
    const parsed = Number(value);
    return Number.isFinite(parsed) ? parsed : undefined;
  }

  field(id: number): Value | undefined {
    switch (ACCESS[id]) {
      case ATTRIBUTE:
        return attribute(this.batch, this.row, id);
      case FACT:
        return this.fact(id);
      case RESOURCE:
        return attribute(this.batch, this.row, id) ?? this.#ofResource(keyName(this.batch, id));
      case 3:
        return SPAN_KINDS[this.kind];
      case 4:
        return this.name;
      case 5:
        return SPAN_STATUSES[this.batch.status[this.row]!];
      case 6:
        return this.depth;
      case 7:
        return this.childCount;
      case 8:
        return Math.max(0, this.endUs - this.startUs) / 1000;
      case 9:
        return !this.hasParentId;
      case 10:
        return this.resource.service;
      case 11:
        return this.entry;
      case 12:
        return this.exposure;
      case 13:
        return this.endpoint;
      case 14:
        return this.operation;
      case 15:
        return this.outcome;
      case 16:
        return this.caller;
      case 17:
        return this.principal;
      case 18:
        return this.identity;
      case 19:
        return this.requestTypes;
      case 20:
        return this.requestClasses;
      case 21:
        return this.responseTypes;
      case 22:
        return this.responseClasses;
      case 23:
        return this.egressTypes;
      case 24:
        return this.egressClasses;
      case 25:
        return this.style === undefined ? this.fact(id) : this.style.replace('-', '_');
      case 26:
        return this.objectType;
      case 27:
        return this.objectIds;
      case 28:
        return this.objectIdKind;
      case 29:
        return this.thirdParty;
      case 30:
        return this.resource.version === '' ? undefined : this.resource.version;
      default:
        return undefined;
    }
  }

  named(name: string): Value | undefined {
    const { batch, row } = this;
    const key = batch.keys.indexOf(name);
    if (key !== -1) {
      const to = batch.attrFrom[row + 1]!;
      for (let i = batch.attrFrom[row]!; i < to; i++) {
        if (batch.attrKey[i] === FIELD_COUNT + key) return toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
      }
    }
    return this.#ofResource(name);
  }

  #ofResource(name: string): Value | undefined {
    for (const [key, value] of this.resource.attributes) if (key === name) return value;
    return undefined;
  }

  #coverage(): number {
    if (this.fact(Field.apisecVersion) === undefined) return 0;
    const { signals } = this.resource;
    if ((signals & Signal.data) === 0) return signals;
    const classified = this.fact(Field.responseClassified);
    return typeof classified === 'string' && UNCLASSIFIED.test(classified) ? signals & ~Signal.data : signals;
  }
}
