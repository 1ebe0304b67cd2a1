import { Worker, type WorkerOptions } from 'node:worker_threads';

const START_MS = 60_000;

/**
 * Starts the worker `<name>.js` of this folder and waits for its first message, which says that it is ready.
 * Whoever waits gets that message too.
 *
 * @throws what the worker threw while starting, or Error when it is not ready in time
 */
export function startWorker<T = unknown>(
  name: 'pipeline' | 'writer' | 'reader',
  options: WorkerOptions,
): Promise<{ readonly worker: Worker; readonly ready: T }> {
  const worker = new Worker(new URL(`./${name}.js`, import.meta.url), { ...options, name });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(new Error(`the ${name} thread did not start within ${START_MS} ms`)), START_MS);
    const onExit = (code: number): void => fail(new Error(`the ${name} thread ended with code ${code}`));
    function settle(): void {
      clearTimeout(timer);
      worker.off('error', fail).off('exit', onExit);
    }
    function fail(error: Error): void {
      settle();
      void worker.terminate();
      reject(error);
    }
    worker.once('error', fail).once('exit', onExit);
    worker.once('message', (ready: T) => {
      settle();
      resolve({ worker, ready });
    });
  });
}
