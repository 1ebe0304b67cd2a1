import type { CallPath, Completeness, Value } from '@spanwarden/rules';
import { traceIdHex } from '../base/batch.ts';
import type { PathTree } from '../base/trace.ts';
import type { EnrichSettings } from './draft.ts';
import { FACT_COUNT } from './facts.ts';
import { PathHop } from './hop.ts';
import { standardEnrichers } from './standard.ts';

export type { EnrichSettings, EstateSettings } from './draft.ts';
export type { Exposure, IdentityEdge, OperationKey, Outcome } from './hop.ts';
export { PathHop } from './hop.ts';

/**
 * Trees of spans in, call paths as rules see them out: every hop with its attributes and with what they add up to
 * (operation, exposure, principal, data, objects, egress). It judges nothing, and asks neither the network nor a clock.
 */

/** A call path whose hops tell more than rules ask for. */
export interface EnrichedPath extends CallPath {
  readonly hops: readonly PathHop[];
  /** `hops`, and behind them those that a limit cut: they are counted, not judged. */
  readonly counted: readonly PathHop[];
}

export type Enrich = (tree: PathTree, trace: { readonly revision: number }) => EnrichedPath;

/** @returns a pure function: equal trees give equal call paths */
export function createEnricher(settings: EnrichSettings): Enrich {
  const enrichers = standardEnrichers(settings);
  return (tree, trace) => {
    const counted = toHops(tree);
    const draft = { tree, hops: counted };
    for (const enricher of enrichers) enricher.run(draft);
    return new TreePath(tree, trace.revision, counted);
  };
}

function toHops(tree: PathTree): PathHop[] {
  const hops: PathHop[] = [];
  const facts = new Array<Value | undefined>(tree.row.length * FACT_COUNT);
  for (let index = 0; index < tree.row.length; index++) {
    const position = {
      index,
      parent: tree.parent[index]!,
      depth: tree.depth[index]!,
      childCount: tree.childCount[index]!,
    };
    hops.push(new PathHop(position, tree.batch[index]!, tree.row[index]!, facts, index * FACT_COUNT));
  }
  return hops;
}

class TreePath implements EnrichedPath {
  readonly revision: number;
  readonly hops: readonly PathHop[];
  readonly counted: readonly PathHop[];
  readonly completeness: Completeness;
  readonly eventUs: number;
  readonly #tree: PathTree;

  constructor(tree: PathTree, revision: number, counted: readonly PathHop[]) {
    this.#tree = tree;
    this.revision = revision;
    this.counted = counted;
    this.hops = tree.hopCount === counted.length ? counted : counted.slice(0, tree.hopCount);
    this.completeness = tree.completeness;
    let eventUs = Number.NEGATIVE_INFINITY;
    for (const hop of counted) if (hop.eventUs > eventUs) eventUs = hop.eventUs;
    this.eventUs = eventUs;
  }

  get traceId(): string {
    return traceIdHex(this.#tree.batch[0]!, this.#tree.row[0]!);
  }

  get entrySpanId(): string {
    return this.counted[this.#tree.root]!.spanId;
  }

  skewUs(a: number, b: number): number {
    return this.#tree.skewUs(a, b);
  }
}
