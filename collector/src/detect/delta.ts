import type {
  Checkpoint,
  EdgeDelta,
  EdgeFact,
  MatchDelta,
  OperationDelta,
  OperationFact,
  StoreDelta,
  TraceMark,
  UnknownDelta,
} from '../base/outcome.ts';

/**
 * Adds up what many call paths say until a checkpoint takes it: facts with a sign come in, one StoreDelta goes out. It
 * never looks at a rule or a span, and a fact that is withdrawn before it was taken leaves nothing behind but its times.
 */

interface Span {
  firstUs: number;
  lastUs: number;
}
interface OperationSum extends Span {
  readonly fact: OperationFact;
  calls: number;
  errors: number;
  readonly facets: Map<string, Map<string, FacetSum>>;
}
interface FacetSum {
  readonly facet: string;
  readonly value: string;
  calls: number;
  records: number;
}
interface EdgeSum extends Span {
  readonly fact: EdgeFact;
  calls: number;
  errors: number;
  readonly dataTypes: Map<string, number>;
}

export class DeltaBuilder {
  #operations = new Map<string, OperationSum>();
  /** By caller, then by callee; the few that differ in level or kinds share a list. */
  #edges = new Map<string, Map<string, EdgeSum[]>>();
  #matches: MatchDelta[] = [];
  /** Counts by rule, service and what was missing. */
  #unknowns = new Map<string, Map<string, Map<string, number>>>();
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
      const known = facetSum(sum.facets, facet, value);
      known.calls += sign;
      known.records += sign * records;
    }
  }

  edge(fact: EdgeFact, sign: 1 | -1): void {
    const sum = this.#edgeSum(fact);
    sum.calls += sign;
    if (fact.error) sum.errors += sign;
    widen(sum, fact.eventUs);
    for (const { type, records } of fact.dataTypes)
      sum.dataTypes.set(type, (sum.dataTypes.get(type) ?? 0) + sign * records);
  }

  /** Found by one part of the key after the other: joining the parts to one text for every call costs more than adding it up. */
  #edgeSum(fact: EdgeFact): EdgeSum {
    const sums = inner(inner(this.#edges, fact.from, newMap<EdgeSum[]>), fact.to, newList<EdgeSum>);
    const known = sums.find(
      ({ fact: other }) =>
        other.level === fact.level && other.fromKind === fact.fromKind && other.toKind === fact.toKind,
    );
    if (known !== undefined) return known;
    const sum = { fact, calls: 0, errors: 0, firstUs: fact.eventUs, lastUs: fact.eventUs, dataTypes: new Map() };
    sums.push(sum);
    return sum;
  }

  match(delta: MatchDelta): void {
    this.#matches.push(delta);
  }

  unknown(rule: string, service: string, missing: string, sign: 1 | -1): void {
    const counts = inner(inner(this.#unknowns, rule, newMap<Map<string, number>>), service, newMap<number>);
    counts.set(missing, (counts.get(missing) ?? 0) + sign);
  }

  mark(mark: TraceMark): void {
    this.#traceMarks.push(mark);
  }

  /** Everything since the last `take`, together with how far the log has been worked through. */
  take(checkpoint: Checkpoint): StoreDelta {
    const delta: StoreDelta = {
      operations: Array.from(this.#operations.values(), toOperationDelta),
      edges: [...this.#edges.values()].flatMap((callees) => [...callees.values()].flat().map(toEdgeDelta)),
      matches: this.#matches,
      unknowns: [...toUnknowns(this.#unknowns)],
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

const newMap = <V>(): Map<string, V> => new Map();
const newList = <V>(): V[] => [];

/** What `map` holds under `key`, made when it is not there yet. */
function inner<V>(map: Map<string, V>, key: string, make: () => V): V {
  let found = map.get(key);
  if (found === undefined) {
    found = make();
    map.set(key, found);
  }
  return found;
}

function facetSum(facets: Map<string, Map<string, FacetSum>>, facet: string, value: string): FacetSum {
  const values = inner(facets, facet, newMap<FacetSum>);
  return inner(values, value, () => ({ facet, value, calls: 0, records: 0 }));
}

function* toUnknowns(
  unknowns: ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, number>>>,
): Iterable<UnknownDelta> {
  for (const [rule, services] of unknowns) {
    for (const [service, counts] of services) {
      for (const [missing, count] of counts) if (count !== 0) yield { rule, service, missing, count };
    }
  }
}

function widen(sum: Span, eventUs: number): void {
  if (eventUs < sum.firstUs) sum.firstUs = eventUs;
  if (eventUs > sum.lastUs) sum.lastUs = eventUs;
}

function toOperationDelta({ fact, calls, errors, firstUs, lastUs, facets }: OperationSum): OperationDelta {
  const { id, service, style, method, route } = fact;
  return {
    id,
    service,
    style,
    method,
    route,
    calls,
    errors,
    firstUs,
    lastUs,
    facets: [...facets.values()].flatMap((values) => [...values.values()]),
  };
}

function toEdgeDelta({ fact, calls, errors, firstUs, lastUs, dataTypes }: EdgeSum): EdgeDelta {
  const { level, from, fromKind, to, toKind } = fact;
  const types = Array.from(dataTypes, ([type, records]) => ({ type, records }));
  return { level, from, fromKind, to, toKind, calls, errors, firstUs, lastUs, dataTypes: types };
}
