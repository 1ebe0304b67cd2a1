import type { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import type { ApiBackend } from '../serve/api.ts';
import type { Notice, ReaderAnswer, ReaderCall, ThreadConfig } from './messages.ts';
import { startWorker } from './start.ts';

/** The read side of the API, answered by the reader thread. */
export interface Queries extends Pick<ApiBackend, 'findings' | 'finding' | 'operations' | 'callGraph' | 'trace'> {
  stop(): Promise<void>;
}

/** Starts the reader thread; it is started anew when it fails, and the queries it was answering fail. */
export async function startQueries(config: ThreadConfig, logger: Logger): Promise<Queries> {
  const calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  let stopped = false;
  let worker = await start();

  async function start(): Promise<Worker> {
    const { worker: started } = await startWorker('reader', { workerData: { config } });
    started.on('message', (message: ReaderAnswer | Notice) => {
      if (message.type === 'notice') {
        logger.error(message.message);
        return;
      }
      const { id, result, error } = message;
      const call = calls.get(id);
      calls.delete(id);
      if (error === undefined) call?.resolve(result as never);
      else call?.reject(new Error(error));
    });
    started.on('error', (error) => {
      logger.error(`the reader thread failed: ${error.message}`);
      for (const { reject } of calls.values()) reject(new Error('the query failed'));
      calls.clear();
      if (!stopped) {
        start().then(
          (next) => {
            worker = next;
          },
          (failure: Error) => logger.error(`the reader thread did not start again: ${failure.message}`),
        );
      }
    });
    return started;
  }

  const ask =
    (method: ReaderCall['method']) =>
    (argument: unknown): Promise<never> =>
      new Promise((resolve, reject) => {
        const id = ++lastId;
        calls.set(id, { resolve, reject });
        worker.postMessage({ id, method, argument } satisfies ReaderCall);
      });

  return {
    findings: ask('findings'),
    finding: ask('finding'),
    operations: ask('operations'),
    callGraph: ask('callGraph'),
    trace: ask('trace'),
    async stop() {
      stopped = true;
      await worker.terminate();
    },
  };
}
