import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Counters } from '../base/counters.ts';
import { UnavailableError } from '../base/errors.ts';
import type { StoreDelta } from '../base/outcome.ts';
import { openSpanLog } from '../log/span-log.ts';
import { openStore } from '../store/store.ts';
import type { Ack, CounterRows, FromWriter, ThreadConfig, ToWriter, ToWriterFromMain } from './messages.ts';

/**
 * The writer thread: the only one that writes to disk. Appends come from the pipeline in offset order and are grouped
 * naturally: whatever arrived while the last commit was syncing goes into the next. An export is answered only after
 * the commit that holds it. Conclusions are applied behind the appends that they rest on.
 */

interface WriterData {
  readonly config: ThreadConfig;
  readonly pipelinePort: MessagePort;
  /** [0] = offsets below this are durable; the pipeline waits on it before it reads back. */
  readonly durable: SharedArrayBuffer;
}

/** Between two steps of merging or retention while there is nothing to do. */
const MAINTAIN_IDLE_MS = 250;
/** Between two runs of the store's retention while there is more to do. */
const RETAIN_BUSY_MS = 100;
const COUNTERS_MS = 500;
const STORE_COUNTS_MS = 5000;
const RETAIN_MS = 10 * 60_000;
/** Traces of one finding whose spans are kept as evidence beyond retention; the store details as many matches. */
const PINS_PER_FINDING = 16;
const PINNED_FINDINGS_MAX = 100_000;

const { config, pipelinePort, durable } = workerData as WriterData;
const main = parentPort!;
const durableOffset = new BigInt64Array(durable);
const counters = new Counters();
const tell = (message: FromWriter): void => main.postMessage(message);
const store = openStore(config.dataDir, { assembleIdleMs: config.limits.assembleIdleMs, counters });
const log = openSpanLog(config.dataDir, {
  retentionDays: config.retentionDays,
  maxBytes: config.retentionBytesMax,
  counters,
  onDamage: ({ what, id, reason }) =>
    tell({ type: 'notice', message: `damaged ${what} ${id} in the span log: ${reason}` }),
  nextOffsetAtLeast: store.checkpoint()?.nextOffset ?? 0,
});

const queue: ToWriter[] = [];
const pinsOf = new Map<string, number>();
let scheduled = false;
let maintainAtMs = 0;
let retainAtMs = performance.now() + RETAIN_MS;
let failed = false;
let stopped = false;
let horizonOffset = store.checkpoint()?.horizonOffset ?? 0;

function publishDurable(): void {
  Atomics.store(durableOffset, 0, BigInt(log.nextOffset()));
  Atomics.notify(durableOffset, 0);
}

/** Nothing may be acknowledged from a handle that failed once: the main thread restarts the writer, which reads the disk anew. */
function fail(error: unknown): void {
  failed = true;
  const known = error instanceof UnavailableError;
  tell({
    type: 'failed',
    code: known ? error.code : 'store-failed',
    message: error instanceof Error ? error.message : String(error),
  });
}

function drain(): void {
  scheduled = false;
  if (failed) return;
  const batch = queue.splice(0);
  let from = 0;
  try {
    while (from < batch.length) {
      const message = batch[from]!;
      if (message.type === 'append' || message.type === 'barrier') from = appendGroup(batch, from);
      else {
        if (message.type === 'apply') apply(message);
        from++;
      }
    }
    maintain();
  } catch (error) {
    fail(error);
  }
}

/** Commits all appends in a row as one group and acknowledges them. */
function appendGroup(batch: readonly ToWriter[], from: number): number {
  const acks: Ack[] = [];
  const records = [];
  let to = from;
  for (; to < batch.length; to++) {
    const message = batch[to]!;
    if (message.type !== 'append' && message.type !== 'barrier') break;
    if (message.type === 'append') records.push(message.record);
    acks.push(message.ack);
  }
  if (records.length > 0) {
    const startMs = performance.now();
    log.append(records);
    counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'log');
    publishDurable();
  }
  tell({ type: 'acks', acks });
  return to;
}

function apply(message: Extract<ToWriter, { type: 'apply' }>): void {
  const startMs = performance.now();
  store.apply(message.delta);
  pinEvidence(message.delta);
  horizonOffset = message.delta.checkpoint.horizonOffset;
  counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'store');
}

pipelinePort.on('message', (message: ToWriter) => {
  queue.push(message);
  if (!scheduled) {
    scheduled = true;
    setImmediate(drain);
  }
  if (message.type === 'end') setImmediate(stop);
});

main.on('message', patch);

function patch({ id, finding, patch: change, ifRevision }: ToWriterFromMain): void {
  try {
    const result = store.setFindingStatus(finding, change as Parameters<typeof store.setFindingStatus>[1], ifRevision);
    tell({ type: 'patched', id, result, error: undefined });
  } catch (error) {
    tell({ type: 'patched', id, result: undefined, error: error instanceof Error ? error.message : String(error) });
  }
}

/** Pins the evidence of findings. Few: whoever causes many matches must not keep the whole log alive. */
function pinEvidence({ matches }: StoreDelta): void {
  const traceIds: string[] = [];
  for (const { sign, match, traceId } of matches) {
    if (sign !== 1) continue;
    const pins = pinsOf.get(match.fingerprint) ?? 0;
    if (pins >= PINS_PER_FINDING || pinsOf.size >= PINNED_FINDINGS_MAX) continue;
    pinsOf.set(match.fingerprint, pins + 1);
    traceIds.push(traceId);
  }
  if (traceIds.length > 0) log.pin(traceIds);
}

/** One step at a time, between two groups of appends, so that no acknowledgement waits long for it. */
function maintain(): void {
  const startMs = performance.now();
  if (failed || stopped || startMs < maintainAtMs) return;
  try {
    const more = log.maintain({ horizonOffset, nowUs: Date.now() * 1000 });
    const endMs = performance.now();
    counters.add('stage_seconds_total', (endMs - startMs) / 1000, 'merge');
    maintainAtMs = more ? endMs : endMs + MAINTAIN_IDLE_MS;
    if (more && !scheduled) setImmediate(maintain);
    if (endMs >= retainAtMs) {
      const { more: pending } = store.retain(Date.now() * 1000, { traceMarkDays: config.retentionDays });
      retainAtMs = endMs + (pending ? RETAIN_BUSY_MS : RETAIN_MS);
    }
  } catch (error) {
    fail(error);
  }
}
const maintenance = setInterval(maintain, MAINTAIN_IDLE_MS);

let storeGauges: CounterRows = [];
let storeGaugesAtMs = Number.NEGATIVE_INFINITY;

function report(): void {
  const { pendingRecords, segments, usedBytes, reusableBytes } = log.stats();
  if (performance.now() >= storeGaugesAtMs + STORE_COUNTS_MS) {
    storeGaugesAtMs = performance.now();
    const { findingsByRule, operations, edges, databaseBytes } = store.counts();
    storeGauges = [
      ...findingsByRule.map(([rule, findings]) => ['findings_total', rule, findings] as const),
      ['operations', '', operations],
      ['call_graph_edges', '', edges],
      ['database_bytes', 'store', databaseBytes],
    ];
  }
  tell({
    type: 'counters',
    rows: counters.snapshot(),
    gauges: [
      ['log_pending_records', '', pendingRecords],
      ['log_segments', '', segments],
      ['database_bytes', 'log', usedBytes + reusableBytes],
      ...storeGauges,
    ],
  });
}
const reporting = setInterval(report, COUNTERS_MS);

function stop(): void {
  if (stopped) return;
  stopped = true;
  clearInterval(maintenance);
  clearInterval(reporting);
  if (!failed) drain();
  report();
  log.close();
  store.close();
  pipelinePort.close();
  tell({ type: 'stopped' });
  main.close();
}

publishDurable();
tell({ type: 'ready', checkpoint: store.checkpoint() });
