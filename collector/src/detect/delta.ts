import type {
  ApiStyle,
  Checkpoint,
  EdgeDelta,
  MatchDelta,
  NodeKind,
  OperationDelta,
  StoreDelta,
  TraceMark,
  UnknownDelta,
} from '../base/outcome.ts';

/**
 * Adds up what many call paths say until a checkpoint takes it: facts with a sign come in, one StoreDelta goes out. It
 * never looks at a rule or a span, and a fact that is withdrawn before it was taken leaves nothing behind but its times.
 */

/** One call of one operation. */
export interface OperationFact {
  readonly id: string;
  readonly service: string;
  readonly style: ApiStyle;
  readonly method: string;
  readonly route: string;
  readonly error: boolean;
  /** Event time of the call, microseconds. */
  readonly eventUs: number;
  /** Observed properties of this call. `records` is 0 where it does not apply. */
  readonly facets: readonly { readonly facet: string; readonly value: string; readonly records: number }[];
}

/** One call along one edge of the call graph. */
export interface EdgeFact {
  readonly level: 'service' | 'operation';
  readonly from: string;
  readonly fromKind: NodeKind;
  readonly to: string;
  readonly toKind: NodeKind;
  readonly error: boolean;
  readonly eventUs: number;
  readonly dataTypes: readonly { readonly type: string; readonly records: number }[];
}

interface Span {
  firstUs: number;
  lastUs: number;
}
interface OperationSum extends Span {
  readonly fact: OperationFact;
  calls: number;
  errors: number;
  readonly facets: Map<string, { readonly facet: string; readonly value: string; calls: number; records: number }>;
}
interface EdgeSum extends Span {
  readonly fact: EdgeFact;
  calls: number;
  errors: number;
  readonly dataTypes: Map<string, number>;
}

export class DeltaBuilder {
  #operations = new Map<string, OperationSum>();
  #edges = new Map<string, EdgeSum>();
  #matches: MatchDelta[] = [];
  #unknowns = new Map<string, { rule: string; service: string; missing: string; count: number }>();
  #traceMarks: TraceMark[] = [];

  /** True when `take` would give nothing but a checkpoint. */
  get isEmpty(): boolean {
    return (
      this.#operations.size === 0 &&
      this.#edges.size === 0 &&
      this.#matches.length === 0 &&
      this.#unknowns.size === 0 &&
      this.#traceMarks.length === 0
    );
  }

  operation(fact: OperationFact, sign: 1 | -1): void {
    let sum = this.#operations.get(fact.id);
    if (sum === undefined) {
      sum = { fact, calls: 0, errors: 0, firstUs: fact.eventUs, lastUs: fact.eventUs, facets: new Map() };
      this.#operations.set(fact.id, sum);
    }
    sum.calls += sign;
    if (fact.error) sum.errors += sign;
    widen(sum, fact.eventUs);
    for (const { facet, value, records } of fact.facets) {
      const key = `${facet}\u0000${value}`;
      const known = sum.facets.get(key);
      if (known === undefined) sum.facets.set(key, { facet, value, calls: sign, records: sign * records });
      else {
        known.calls += sign;
        known.records += sign * records;
      }
    }
  }

  edge(fact: EdgeFact, sign: 1 | -1): void {
    const key = `${fact.level}\u0000${fact.fromKind}\u0000${fact.from}\u0000${fact.toKind}\u0000${fact.to}`;
    let sum = this.#edges.get(key);
    if (sum === undefined) {
      sum = { fact, calls: 0, errors: 0, firstUs: fact.eventUs, lastUs: fact.eventUs, dataTypes: new Map() };
      this.#edges.set(key, sum);
    }
    sum.calls += sign;
    if (fact.error) sum.errors += sign;
    widen(sum, fact.eventUs);
    for (const { type, records } of fact.dataTypes)
      sum.dataTypes.set(type, (sum.dataTypes.get(type) ?? 0) + sign * records);
  }

  match(delta: MatchDelta): void {
    this.#matches.push(delta);
  }

  unknown(rule: string, service: string, missing: string, sign: 1 | -1): void {
    const key = `${rule}\u0000${service}\u0000${missing}`;
    const known = this.#unknowns.get(key);
    if (known === undefined) this.#unknowns.set(key, { rule, service, missing, count: sign });
    else known.count += sign;
  }

  mark(mark: TraceMark): void {
    this.#traceMarks.push(mark);
  }

  /** Everything since the last `take`, together with how far the log has been worked through. */
  take(checkpoint: Checkpoint): StoreDelta {
    const delta: StoreDelta = {
      operations: Array.from(this.#operations.values(), toOperationDelta),
      edges: Array.from(this.#edges.values(), toEdgeDelta),
      matches: this.#matches,
      unknowns: Array.from(this.#unknowns.values()).filter(({ count }) => count !== 0) satisfies UnknownDelta[],
      traceMarks: this.#traceMarks,
      checkpoint,
    };
    this.#operations = new Map();
    this.#edges = new Map();
    this.#matches = [];
    this.#unknowns = new Map();
    this.#traceMarks = [];
    return delta;
  }
}

function widen(sum: Span, eventUs: number): void {
  if (eventUs < sum.firstUs) sum.firstUs = eventUs;
  if (eventUs > sum.lastUs) sum.lastUs = eventUs;
}

function toOperationDelta({ fact, calls, errors, firstUs, lastUs, facets }: OperationSum): OperationDelta {
  const { id, service, style, method, route } = fact;
  return { id, service, style, method, route, calls, errors, firstUs, lastUs, facets: [...facets.values()] };
}

function toEdgeDelta({ fact, calls, errors, firstUs, lastUs, dataTypes }: EdgeSum): EdgeDelta {
  const { level, from, fromKind, to, toKind } = fact;
  const types = Array.from(dataTypes, ([type, records]) => ({ type, records }));
  return { level, from, fromKind, to, toKind, calls, errors, firstUs, lastUs, dataTypes: types };
}
