import type { CallPath, Evaluation, RuleSet } from '@spanwarden/rules';
import type { Counters } from '../base/counters.ts';
import type { Checkpoint, EdgeFact, OperationFact, StoreDelta, TraceMark } from '../base/outcome.ts';
import { DeltaBuilder } from './delta.ts';
import { toEvidence } from './evidence.ts';

/**
 * Enriched call paths of closed traces in, signed deltas for the store out. It never sees a clock: what it says of a
 * call path depends on that call path and the rules alone.
 */

/** What enrichment found out about one call path besides its hops. */
export interface PathFacts {
  readonly operations: readonly OperationFact[];
  readonly edges: readonly EdgeFact[];
}

export interface Detector {
  /** Adds (1) or takes back (-1) what one call path says. */
  observe(path: CallPath, facts: PathFacts, sign: 1 | -1): void;
  mark(mark: TraceMark): void;
  /** Everything observed since the last call. */
  take(checkpoint: Checkpoint): StoreDelta;
  /** True when nothing was observed since the last `take`. */
  readonly isIdle: boolean;
}

export function createDetector(ruleSet: RuleSet, counters: Counters): Detector {
  const deltas = new DeltaBuilder();

  function observe(path: CallPath, facts: PathFacts, sign: 1 | -1): void {
    for (const fact of facts.operations) deltas.operation(fact, sign);
    for (const fact of facts.edges) deltas.edge(fact, sign);
    const evaluation = ruleSet.evaluate(path);
    for (const match of evaluation.matches) {
      deltas.match({
        sign,
        traceId: path.traceId,
        entrySpanId: path.entrySpanId,
        pathEventUs: path.eventUs,
        match,
        evidence: sign === 1 ? toEvidence(path, match) : [],
      });
    }
    for (const { rule, service, missing } of evaluation.unknowns) deltas.unknown(rule, service, missing, sign);
    if (sign === 1) count(evaluation);
  }

  function count(evaluation: Evaluation): void {
    counters.add('call_paths_total');
    for (const match of evaluation.matches) counters.add('rule_matches_total', 1, match.rule.id);
    for (const { rule, count: excepted } of evaluation.excepted) counters.add('rule_excepted_total', excepted, rule);
  }

  return {
    observe,
    mark: (mark) => deltas.mark(mark),
    take: (checkpoint) => deltas.take(checkpoint),
    get isIdle() {
      return deltas.isEmpty;
    },
  };
}
