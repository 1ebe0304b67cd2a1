import { parentPort, workerData } from 'node:worker_threads';
import { openSpanLogReader } from '../log/reader.ts';
import { openStoreReader } from '../store/reader.ts';
import { createTraceView } from '../trace-view.ts';
import type { Notice, ReaderAnswer, ReaderCall, ThreadConfig } from './messages.ts';

/** The reader thread: questions of the API in, answers out, over read-only connections. It never delays a commit. */

const { config } = workerData as { readonly config: ThreadConfig };
const main = parentPort!;
const log = openSpanLogReader(config.dataDir, {
  onDamage: ({ what, id, reason }) =>
    main.postMessage({ type: 'notice', message: `damaged ${what} ${id} in the span log: ${reason}` } satisfies Notice),
});
const store = openStoreReader(config.dataDir, { assembleIdleMs: config.limits.assembleIdleMs });
const traceView = createTraceView(config, log, store);

function answer({ method, argument }: ReaderCall): unknown {
  if (method === 'trace') return traceView(argument as string);
  if (method === 'finding') return store.finding(argument as string);
  return store[method](argument as never);
}

main.on('message', (call: ReaderCall) => {
  let reply: ReaderAnswer;
  try {
    reply = { type: 'answer', id: call.id, result: answer(call), error: undefined };
  } catch (error) {
    reply = {
      type: 'answer',
      id: call.id,
      result: undefined,
      error: error instanceof Error ? error.message : String(error),
    };
  }
  main.postMessage(reply);
});

main.postMessage({ type: 'ready' });
