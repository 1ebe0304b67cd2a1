import { MessageChannel, type Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Counters } from '../base/counters.ts';
import { RejectedError, UnavailableError } from '../base/errors.ts';
import type { ExportAnswer, ExportRequest } from '../receive/export-request.ts';
import type { CounterRows, FromPipeline, FromWriter, ThreadConfig, ToPipeline, ToWriterFromMain } from './messages.ts';
import { startWorker } from './start.ts';

/**
 * Pipeline and writer as one thing that lives and dies together, seen from the main thread: exports in, durable answers
 * out. When either fails nothing is acknowledged any more: what waits is refused retryably, and both start anew from
 * what the disk holds.
 */
export interface Engine {
  /** Resolves when the export is durable. @throws RejectedError, UnavailableError */
  admit(request: ExportRequest): Promise<ExportAnswer>;
  /** Changes a finding's status; resolves with the changed finding as the store gives it. */
  patchFinding(finding: string, patch: unknown, ifRevision: number | undefined): Promise<unknown>;
  /** Why exports are refused just now; undefined when they are not. */
  readonly notReady: string | undefined;
  /** Counters and gauges of both threads, since the process started. */
  metrics(): CounterRows;
  /** Writes a checkpoint and ends both threads. */
  stop(): Promise<void>;
}

const RESTART_MS = 1000;
const STOP_MS = 8000;

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

interface Threads {
  readonly pipeline: Worker;
  readonly writer: Worker;
}

export async function startEngine(
  config: ThreadConfig,
  logger: Logger,
  onReadiness: (notReady: string | undefined) => void,
): Promise<Engine> {
  const counters = new Counters();
  const reported = new Map<'pipeline' | 'writer', { readonly rows: CounterRows; readonly gauges: CounterRows }>();
  /** Counters of threads that ended, so that totals never fall. */
  const ended: CounterRows[] = [];
  const exports = new Map<number, Waiting<ExportAnswer>>();
  const patches = new Map<number, Waiting<unknown>>();
  let threads: Threads | undefined = await start();
  let notReady: string | undefined;
  let stopping = false;
  let lastId = 0;

  async function start(): Promise<Threads> {
    const { port1, port2 } = new MessageChannel();
    const durable = new SharedArrayBuffer(8);
    const { worker: writer, ready } = await startWorker<Extract<FromWriter, { type: 'ready' }>>('writer', {
      workerData: { config, pipelinePort: port1, durable },
      transferList: [port1],
    });
    try {
      const { worker: pipeline } = await startWorker('pipeline', {
        workerData: { config, writerPort: port2, durable, checkpoint: ready.checkpoint },
        transferList: [port2],
      });
      writer.on('message', onWriter);
      pipeline.on('message', onPipeline);
      for (const worker of [writer, pipeline]) {
        worker.on(
          'error',
          (error) =>
            void restart(new UnavailableError('store-failed', `a thread failed: ${error.stack ?? error.message}`)),
        );
      }
      return { pipeline, writer };
    } catch (error) {
      await writer.terminate();
      throw error;
    }
  }

  function onPipeline(message: FromPipeline): void {
    if (message.type === 'counters') reported.set('pipeline', message);
    else if (message.type === 'notice') logger.error(message.message);
    else if (message.type === 'rejected') reject(exports, message.id, new RejectedError(message.code, message.message));
    else if (message.type === 'bug') {
      logger.error({ stage: message.stage }, message.message);
      if (message.id !== undefined) reject(exports, message.id, new Error(`internal error in ${message.stage}`));
    }
  }

  function onWriter(message: FromWriter): void {
    if (message.type === 'counters') reported.set('writer', message);
    else if (message.type === 'notice') logger.error(message.message);
    else if (message.type === 'acks') {
      for (const { id, rejectedSpans, message: why } of message.acks) {
        exports.get(id)?.resolve({ rejectedSpans, message: why });
        exports.delete(id);
      }
    } else if (message.type === 'patched') {
      if (message.error !== undefined) reject(patches, message.id, new Error(message.error));
      else patches.get(message.id)?.resolve(message.result);
      patches.delete(message.id);
    } else if (message.type === 'failed') {
      void restart(new UnavailableError(message.code, message.message, 2 * RESTART_MS));
    }
  }

  function reject<T>(waiting: Map<number, Waiting<T>>, id: number, error: Error): void {
    waiting.get(id)?.reject(error);
    waiting.delete(id);
  }

  function refuseAll(error: Error): void {
    for (const id of [...exports.keys()]) reject(exports, id, error);
    for (const id of [...patches.keys()]) reject(patches, id, error);
  }

  async function restart(reason: UnavailableError): Promise<void> {
    const failed = threads;
    if (failed === undefined || stopping) return;
    threads = undefined;
    notReady = reason.code;
    onReadiness(notReady);
    logger.error({ code: reason.code }, reason.message);
    counters.add('engine_restarts_total');
    refuseAll(reason);
    await Promise.all([failed.pipeline.terminate(), failed.writer.terminate()]);
    for (const { rows } of reported.values()) ended.push(rows);
    reported.clear();
    while (!stopping && threads === undefined) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
      try {
        threads = await start();
      } catch (error) {
        logger.error(
          { code: reason.code },
          `cannot start again yet: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
    if (stopping) return;
    notReady = undefined;
    onReadiness(undefined);
  }

  return {
    admit({ bytes, encoding, compression, bytesMax }) {
      if (threads === undefined) {
        return Promise.reject(
          new UnavailableError(stopping ? 'shutting-down' : 'store-failed', notReady ?? 'shutting down', RESTART_MS),
        );
      }
      const id = ++lastId;
      const receivedUs = Date.now() * 1000;
      const message: ToPipeline = { type: 'export', id, bytes, encoding, compression, bytesMax, receivedUs };
      threads.pipeline.postMessage(message, [bytes.buffer as ArrayBuffer]);
      return new Promise((resolve, reject) => exports.set(id, { resolve, reject }));
    },
    patchFinding(finding, patch, ifRevision) {
      if (threads === undefined)
        return Promise.reject(new UnavailableError('store-failed', 'the store is restarting', RESTART_MS));
      const id = ++lastId;
      threads.writer.postMessage({ type: 'patch', id, finding, patch, ifRevision } satisfies ToWriterFromMain);
      return new Promise((resolve, reject) => patches.set(id, { resolve, reject }));
    },
    get notReady() {
      return notReady;
    },
    metrics() {
      return addUp([
        counters.snapshot(),
        ...ended,
        ...Array.from(reported.values(), ({ rows, gauges }) => [...rows, ...gauges]),
      ]);
    },
    async stop() {
      stopping = true;
      const running = threads;
      threads = undefined;
      if (running !== undefined) {
        const ended = new Promise<void>((resolve) => running.writer.once('exit', () => resolve()));
        running.pipeline.postMessage({ type: 'drain' } satisfies ToPipeline);
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
        await Promise.all([running.pipeline.terminate(), running.writer.terminate()]);
      }
      refuseAll(new UnavailableError('shutting-down', 'the collector is shutting down', RESTART_MS));
    },
  };
}

/** Sums rows of the same name and label. */
export function addUp(sources: readonly CounterRows[]): CounterRows {
  const sums = new Map<string, [string, string, number]>();
  for (const [name, label, value] of sources.flat()) {
    const key = `${name}\u0000${label}`;
    const known = sums.get(key);
    if (known === undefined) sums.set(key, [name, label, value]);
    else known[2] += value;
  }
  return [...sums.values()];
}
