import { Counter, Gauge, Registry } from 'prom-client';
import type { MetricRow } from './backend.ts';

/**
 * Rows of counters and gauges in, the Prometheus text format out. A row whose name is not declared here is exported all
 * the same: a drop that nobody described must not be a drop that nobody sees.
 */

interface Declared {
  readonly help: string;
  /** Names for the parts of a row's label, which are separated by a colon; the last takes what is left. */
  readonly labels: readonly string[];
}

const DECLARED: ReadonlyMap<string, Declared> = new Map(
  Object.entries({
    spans_received_total: { help: 'Spans that arrived in exports that could be decoded', labels: [] },
    spans_stored_total: { help: 'Spans that were new and went into the log', labels: [] },
    spans_duplicate_total: { help: 'Spans that had been received before', labels: [] },
    spans_rejected_total: { help: 'Spans that can never be accepted', labels: ['reason'] },
    spans_refused_total: { help: 'Spans whose sender was told to try again later', labels: ['reason'] },
    requests_total: { help: 'Export requests', labels: ['transport'] },
    requests_rejected_total: { help: 'Export requests that must not be repeated', labels: ['reason'] },
    requests_refused_total: { help: 'Export requests to be repeated later', labels: ['reason'] },
    received_bytes_total: { help: 'Bytes of export requests', labels: ['transport'] },
    ignored_exports_total: { help: 'Exports of signals that are accepted and not kept', labels: ['signal'] },
    connections_closed_total: { help: 'Connections closed by a limit', labels: ['reason'] },
    receive_bugs_total: { help: 'Unexpected errors while receiving', labels: [] },
    dropped_total: { help: 'Detail discarded by a limit or a fault', labels: ['stage', 'reason'] },
    call_paths_total: { help: 'Call paths judged', labels: [] },
    rule_matches_total: { help: 'Call paths on which a rule said yes', labels: ['rule'] },
    rule_excepted_total: { help: 'Matches that an exception covered', labels: ['rule'] },
    findings_total: { help: 'Findings', labels: ['rule'] },
    traces_closed_total: { help: 'Traces closed', labels: ['by'] },
    traces_reopened_total: { help: 'Traces that late spans opened again', labels: [] },
    traces_evicted_total: { help: 'Traces closed early by a limit', labels: ['reason'] },
    stage_seconds_total: { help: 'Seconds spent per stage', labels: ['stage'] },
    stage_errors_total: { help: 'Unexpected errors per stage', labels: ['stage'] },
    redaction_seen_total: { help: 'Values that redaction looked at', labels: ['category'] },
    redaction_masked_total: { help: 'Values that redaction masked', labels: ['category'] },
    open_spans_compacted_total: { help: 'Spans of open traces moved together to free memory', labels: [] },
    log_damaged_total: { help: 'Damaged parts of the log that were set aside', labels: ['what'] },
    log_pending_records: { help: 'Log records not yet merged into segments', labels: [] },
    log_segments: { help: 'Segments of the log', labels: [] },
    operations: { help: 'Operations in the inventory', labels: [] },
    call_graph_edges: { help: 'Edges of the call graph', labels: [] },
    engine_restarts_total: { help: 'Restarts of the pipeline and the writer', labels: [] },
    open_traces: { help: 'Traces that may still grow', labels: [] },
    open_spans: { help: 'Spans of open traces', labels: [] },
    open_bytes: { help: 'Bytes held for open traces', labels: [] },
    queue_bytes: { help: 'Bytes admitted and not yet durable', labels: [] },
    database_bytes: { help: 'Bytes of the databases', labels: ['database'] },
    oldest_data_seconds: { help: 'Unix time of the oldest stored trace', labels: [] },
  }),
);

const PREFIX = 'spanwarden_';
const OTHER: Declared = { help: 'Not described', labels: ['label'] };
/** Exported from the start, so that a rate over them is never missing. */
const ALWAYS = ['spans_received_total', 'spans_stored_total', 'spans_duplicate_total', 'open_traces'];

export async function toMetricsText(rows: readonly MetricRow[]): Promise<string> {
  const registry = new Registry();
  const metrics = new Map<string, { readonly metric: Counter | Gauge; readonly labels: readonly string[] }>();
  const present = new Set(rows.map(([name]) => name));
  const labelled = new Set(rows.filter(([, label]) => label !== '').map(([name]) => toName(name)));
  const missing = ALWAYS.filter((name) => !present.has(name)).map((name): MetricRow => [name, '', 0]);

  function metricOf(name: string) {
    const exported = toName(name);
    let known = metrics.get(exported);
    if (known === undefined) {
      const { help, labels } = DECLARED.get(name) ?? { ...OTHER, labels: labelled.has(exported) ? OTHER.labels : [] };
      const settings = { name: exported, help, labelNames: [...labels], registers: [registry] };
      known = { metric: isCounter(name) ? new Counter(settings) : new Gauge(settings), labels };
      metrics.set(exported, known);
    }
    return known;
  }

  for (const [name, label, value] of [...rows, ...missing]) {
    if (!Number.isFinite(value) || (isCounter(name) && value < 0)) continue;
    const { metric, labels } = metricOf(name);
    metric.inc(toLabels(labels, label), value);
  }
  return registry.metrics();
}

const isCounter = (name: string): boolean => name.endsWith('_total');

const toName = (name: string): string => PREFIX + name.replace(/[^a-zA-Z0-9_]/g, '_');

function toLabels(names: readonly string[], label: string): Record<string, string> {
  const parts = label.split(':');
  const last = names.length - 1;
  return Object.fromEntries(names.map((name, i) => [name, i === last ? parts.slice(i).join(':') : (parts[i] ?? '')]));
}
