import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectorProcess } from './collector-process.ts';
import type { Truth } from './traffic.ts';

/** What a collector says about the traffic it saw, in a form that two runs can be compared by. */
export interface Outcome {
  /** Calls by `service METHOD route`. */
  readonly operations: Record<string, number>;
  /** Calls by `caller>callee` between services. */
  readonly serviceEdges: Record<string, number>;
  /** Matches by rule id, over all findings. */
  readonly matches: Record<string, number>;
  /** One line of JSON per finding, without what depends on the run, sorted. */
  readonly findings: readonly string[];
}

interface OperationItem {
  readonly service: string;
  readonly method: string;
  readonly route: string;
  readonly calls: number;
}
interface Graph {
  readonly nodes: readonly { readonly id: string; readonly kind: string; readonly name: string }[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly calls: number }[];
}
export type FindingItem = Readonly<Record<string, unknown>> & {
  readonly rule: { readonly id: string };
  readonly count: number;
};

/** How often a finding was rewritten: the one field that differs between two runs over the same spans. */
const VOLATILE = new Set(['revision']);

function stable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stable);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key]) => !VOLATILE.has(key));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, stable(inner)]));
}

const sorted = (counts: Iterable<readonly [string, number]>): Record<string, number> =>
  Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));

export async function readOutcome(collector: CollectorProcess): Promise<Outcome> {
  const operations = await collector.restAll<OperationItem>('/api/v1/operations?limit=200');
  const graph = await collector.rest<Graph>('/api/v1/call-graph');
  const services = new Map(graph.nodes.filter((node) => node.kind === 'service').map((node) => [node.id, node.name]));
  const edges = graph.edges.filter((edge) => services.has(edge.from) && services.has(edge.to));
  const items = await collector.restAll<FindingItem & { id: string }>('/api/v1/findings?limit=200');
  const findings = await Promise.all(items.map((item) => collector.rest<FindingItem>(`/api/v1/findings/${item.id}`)));
  return {
    operations: sorted(operations.map((item) => [`${item.service} ${item.method} ${item.route}`, item.calls])),
    serviceEdges: sorted(edges.map((edge) => [`${services.get(edge.from)}>${services.get(edge.to)}`, edge.calls])),
    matches: sorted(byRule(items)),
    findings: findings.map((finding) => JSON.stringify(stable(finding))).sort(),
  };
}

function byRule(items: readonly FindingItem[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { rule, count } of items) counts.set(rule.id, (counts.get(rule.id) ?? 0) + count);
  return counts;
}

/** The part of an outcome that the generator knows beforehand. */
export function expectedCounts(truth: Truth): Omit<Outcome, 'findings'> {
  return {
    operations: sorted(truth.operations),
    serviceEdges: sorted(truth.serviceEdges),
    matches: sorted(truth.attacks),
  };
}

/** Counters reach /metrics, and conclusions the store, within this time. */
const REPORTED_MS = 2_500;

/** Waits until no trace has been open for a while, so that everything sent has had its effect where it can be read. */
export async function untilSettled(collector: CollectorProcess, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let quietSince = Date.now();
  for (;;) {
    const open = (await collector.metrics()).sum('spanwarden_open_traces');
    if (open > 0) quietSince = Date.now();
    if (Date.now() - quietSince > REPORTED_MS) return;
    if (Date.now() > deadline) throw new Error(`${open} traces still open after ${timeoutMs} ms`);
    await sleep(100);
  }
}
