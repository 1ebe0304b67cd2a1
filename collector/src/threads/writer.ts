import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Counters } from '../base/counters.ts';
import { UnavailableError } from '../base/errors.ts';
import { openSpanLog } from '../log/span-log.ts';
import { openStore } from '../store/store.ts';
import type { Ack, FromWriter, ThreadConfig, ToWriter, ToWriterFromMain } from './messages.ts';

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

const MAINTAIN_MS = 250;
const COUNTERS_MS = 500;

const { config, pipelinePort, durable } = workerData as WriterData;
const main = parentPort!;
const durableOffset = new BigInt64Array(durable);
const counters = new Counters();
const store = openStore(config.dataDir, { assembleIdleMs: config.limits.assembleIdleMs });
const log = openSpanLog(config.dataDir, {
  retentionDays: config.retentionDays,
  maxBytes: config.retentionBytesMax,
  counters,
  nextOffsetAtLeast: store.checkpoint()?.nextOffset ?? 0,
});

const queue: ToWriter[] = [];
let scheduled = false;
let failed = false;
let horizonOffset = store.checkpoint()?.horizonOffset ?? 0;

const tell = (message: FromWriter): void => main.postMessage(message);

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

main.on('message', (message: ToWriterFromMain) => {
  if (message.type === 'stop') stop();
  else patch(message);
});

function patch({ id, finding, patch: change, ifRevision }: Extract<ToWriterFromMain, { type: 'patch' }>): void {
  try {
    const result = store.setFindingStatus(finding, change as Parameters<typeof store.setFindingStatus>[1], ifRevision);
    tell({ type: 'patched', id, result, error: undefined });
  } catch (error) {
    tell({ type: 'patched', id, result: undefined, error: error instanceof Error ? error.message : String(error) });
  }
}

const maintenance = setInterval(() => {
  if (failed || queue.length > 0) return;
  try {
    const startMs = performance.now();
    const more = log.maintain({ horizonOffset, nowUs: Date.now() * 1000 });
    counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'merge');
    if (more) setImmediate(() => undefined);
  } catch (error) {
    fail(error);
  }
}, MAINTAIN_MS);

function report(): void {
  tell({ type: 'counters', rows: counters.snapshot(), gauges: [] });
}
const reporting = setInterval(report, COUNTERS_MS);

function stop(): void {
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
