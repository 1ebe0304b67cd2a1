import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { TraceHistory } from '../assemble/assembler.ts';
import { Counters } from '../base/counters.ts';
import { RejectedError } from '../base/errors.ts';
import type { Checkpoint } from '../base/outcome.ts';
import { createPseudonym } from '../base/pseudonym.ts';
import { Secret } from '../base/secret.ts';
import { loadRules } from '../catalog.ts';
import { toEstate } from '../config.ts';
import { openSpanLogReader } from '../log/reader.ts';
import { toLogRecord } from '../log/record.ts';
import { createPipeline, type Pipeline, type StoredRecord } from '../pipeline.ts';
import { openStoreReader } from '../store/reader.ts';
import type { FromPipeline, ThreadConfig, ToPipeline, ToWriter } from './messages.ts';

/**
 * The pipeline thread: exports in, records for the log and conclusions for the store out. Everything it says goes to
 * the writer in order, so that a conclusion is never on disk before the spans that it rests on.
 */

interface PipelineData {
  readonly config: ThreadConfig;
  readonly writerPort: MessagePort;
  /** [0] = offsets below this are durable. */
  readonly durable: SharedArrayBuffer;
  /** Where the store's conclusions end; undefined in a new store. */
  readonly checkpoint: Checkpoint | undefined;
}

const TICK_MS = 100;
/** Spans of closed traces judged between two looks at what has arrived: about a millisecond. */
const CONCLUDE_SPANS = 200;
/** Spans of closed traces that may wait while exports keep coming; beyond it each export pays for as many as it brings. */
const WAITING_SPANS_MAX = 8000;
/** A checkpoint judges what waits first: with more than this it comes later, CHECKPOINT_MS_MAX at most. */
const CHECKPOINT_WAITING_SPANS = 1000;
const CHECKPOINT_MS = 1000;
const CHECKPOINT_MS_MAX = 5000;
/** A checkpoint lists the open traces: with many of them it comes less often, so that it costs the same. */
const TRACES_PER_CHECKPOINT_SECOND = 20_000;
const COUNTERS_MS = 500;
/** Longest wait for a record of a closed trace to reach the disk before its late spans are judged. */
const DURABLE_WAIT_MS = 30_000;

const { config, writerPort, durable, checkpoint: lastCheckpoint } = workerData as PipelineData;
const main = parentPort!;
const durableOffset = new BigInt64Array(durable);
const counters = new Counters();
const tell = (message: FromPipeline): void => main.postMessage(message);
const log = openSpanLogReader(config.dataDir, {
  counters,
  onDamage: ({ what, id, reason }) =>
    tell({ type: 'notice', message: `damaged ${what} ${id} in the span log: ${reason}` }),
});
const store = openStoreReader(config.dataDir, { assembleIdleMs: config.limits.assembleIdleMs });

const write = (message: ToWriter, transfer: ArrayBuffer[] = []): void => writerPort.postMessage(message, transfer);

/** Offsets below this were handed to the writer. */
let sentOffset = 0;

function waitUntilDurable(offset: number): void {
  const deadline = performance.now() + DURABLE_WAIT_MS;
  for (;;) {
    const reached = Atomics.load(durableOffset, 0);
    if (reached >= BigInt(offset)) return;
    const left = deadline - performance.now();
    if (left <= 0)
      throw new Error(`records below offset ${offset} did not become durable within ${DURABLE_WAIT_MS} ms`);
    Atomics.wait(durableOffset, 0, reached, left);
  }
}

const history: TraceHistory = {
  readTrace(traceId, beforeOffset) {
    waitUntilDurable(Math.min(beforeOffset, sentOffset));
    return log.readTrace(traceId, beforeOffset);
  },
  mark: (traceId) => store.traceMark(traceId),
};

const pipeline: Pipeline = createPipeline({
  limits: config.limits,
  time: config.time,
  clientAddress: config.clientAddress,
  pseudonym: createPseudonym(new Secret(config.hashKey)),
  pseudonymKeyId: config.hashKeyId,
  estate: toEstate(config),
  coveredHosts: config.coveredHosts,
  ruleSet: loadRules(config),
  counters,
  history,
  onBug: (stage, error) =>
    tell({
      type: 'bug',
      id: undefined,
      stage,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }),
});

function restore(): void {
  const { nextOffset, horizonOffset, openTraces } = lastCheckpoint ?? {
    nextOffset: 0,
    horizonOffset: 0,
    openTraces: new Uint8Array(0),
  };
  pipeline.restore({
    openTraces,
    nextOffset,
    before: between(horizonOffset, nextOffset),
    after: log.replay(nextOffset),
    recentTraceKeys: log.recentTraceKeys((Date.now() - config.limits.reopenMs) * 1000),
  });
}

function* between(from: number, to: number): Iterable<StoredRecord> {
  if (from >= to) return;
  for (const record of log.replay(from)) {
    if (record.offset >= to) return;
    yield record;
  }
}

let nowUs = 0;
/** Time of receipt never runs backwards, whatever the wall clock does. */
function advance(receivedUs: number): number {
  if (receivedUs > nowUs) nowUs = receivedUs;
  return nowUs;
}

/** Accepts one export and hands on what is new; returns how many spans that are. */
function take(request: Extract<ToPipeline, { type: 'export' }>): number {
  const receivedUs = advance(request.receivedUs);
  try {
    const { batch, offset, rejectedSpans, message } = pipeline.accept(request, receivedUs);
    const ack = { id: request.id, rejectedSpans, message };
    if (batch === undefined) {
      write({ type: 'barrier', ack });
      return 0;
    }
    const startMs = performance.now();
    const record = toLogRecord(batch, offset, receivedUs);
    counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'encode');
    sentOffset = offset + 1;
    write({ type: 'append', record, ack }, [record.bytes.buffer as ArrayBuffer]);
    return batch.count;
  } catch (error) {
    if (error instanceof RejectedError) {
      tell({ type: 'rejected', id: request.id, code: error.code, message: error.message });
    } else {
      counters.add('stage_errors_total', 1, 'accept');
      tell({
        type: 'bug',
        id: request.id,
        stage: 'accept',
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
    return 0;
  }
}

let checkpointAtMs = 0;
let checkpointedAtMs = 0;

function checkpoint(): void {
  const startMs = performance.now();
  if (startMs < checkpointAtMs || pipeline.isIdle()) return;
  if (pipeline.waitingSpans > CHECKPOINT_WAITING_SPANS && startMs < checkpointedAtMs + CHECKPOINT_MS_MAX) return;
  checkpointedAtMs = startMs;
  const spacingMs = (1000 * pipeline.openTraces) / TRACES_PER_CHECKPOINT_SECOND;
  checkpointAtMs = startMs + Math.min(CHECKPOINT_MS_MAX, spacingMs) - CHECKPOINT_MS / 2;
  write({ type: 'apply', delta: pipeline.checkpoint() });
  counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'checkpoint');
}

function report(): void {
  tell({
    type: 'counters',
    rows: counters.snapshot(),
    gauges: [
      ['open_traces', '', pipeline.openTraces],
      ['open_spans', '', pipeline.openSpans],
      ['open_bytes', '', pipeline.openBytes],
    ],
  });
}

restore();
sentOffset = Number(Atomics.load(durableOffset, 0));

let concluding = false;

/** Judges closed traces in small portions, so that exports that arrive meanwhile get their turn in between. */
function concludeSome(): void {
  concluding = pipeline.waitingSpans > 0;
  if (concluding) setImmediate(concludePortion);
}

function concludePortion(): void {
  pipeline.conclude(CONCLUDE_SPANS);
  concludeSome();
}

function tick(): void {
  pipeline.tick(advance(Date.now() * 1000));
  if (!concluding) concludeSome();
}

let housekeptAtMs = performance.now();

/** Under load messages come before timers: what timers would do is done here too. */
function housekeep(): void {
  const nowMs = performance.now();
  if (nowMs < housekeptAtMs + COUNTERS_MS) return;
  housekeptAtMs = nowMs;
  report();
  checkpoint();
}

main.on('message', (message: ToPipeline) => {
  if (message.type === 'export') {
    const taken = take(message);
    // under overload more is judged than came in, so that what waits cannot grow without bound
    if (pipeline.waitingSpans > WAITING_SPANS_MAX) pipeline.conclude(1.5 * taken);
    if (!concluding) concludeSome();
    housekeep();
  } else stop();
});

/** Open traces stay open in the checkpoint: the next start goes on with them. */
function stop(): void {
  for (const timer of [ticking, checkpointing, reporting]) clearInterval(timer);
  write({ type: 'apply', delta: pipeline.checkpoint() });
  write({ type: 'end' });
  report();
  log.close();
  store.close();
  writerPort.close();
  main.close();
}

const ticking = setInterval(tick, TICK_MS);
const checkpointing = setInterval(checkpoint, CHECKPOINT_MS);
const reporting = setInterval(housekeep, COUNTERS_MS);

tell({ type: 'ready' });
