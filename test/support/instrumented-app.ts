import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const PACKAGE = join(import.meta.dirname, '../../instrumentation');

/** A real application in a process of its own, under `--import @spanwarden/instrumentation/register` or bare. */
export interface InstrumentedApp {
  readonly url: string;
  readonly process: ChildProcess;
  readonly stderr: () => string;
  /** Closes the server and waits until the process has ended by itself. */
  stop(): Promise<void>;
}

/** @param name a file of the instrumentation package's `fixtures` folder */
export async function startApp(
  name: string,
  environment: Readonly<Record<string, string>>,
  instrumented = true,
): Promise<InstrumentedApp> {
  const child = fork(join(PACKAGE, 'fixtures', name), {
    cwd: PACKAGE,
    execArgv: instrumented ? ['--import', '@spanwarden/instrumentation/register'] : [],
    env: { PATH: process.env['PATH'] ?? '', ...environment },
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const exited = once(child, 'exit').then(() => {
    throw new Error(`${name} ended before it listened: ${stderr}`);
  });
  const [message] = (await Promise.race([once(child, 'message'), exited])) as [{ port: number }];
  exited.catch(() => {});
  return {
    url: `http://127.0.0.1:${message.port}`,
    process: child,
    stderr: () => stderr,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.send('stop');
      await exit;
    },
  };
}
