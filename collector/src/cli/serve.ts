import pino from 'pino';
import type { Config } from '../config.ts';
import { type Server, startServer } from '../server.ts';
import { say } from './output.ts';

/** JSON lines on stderr, so that stdout stays free for data. */
export const createLogger = (config: Config): pino.Logger =>
  pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));

/** Runs the collector until SIGTERM or SIGINT. */
export async function serve(config: Config): Promise<void> {
  const server = await startServer(config, createLogger(config));
  for (const line of greeting(config, server)) say(line);
  await untilStopped();
  say('stopping: finishing what is in flight');
  await server.stop();
}

export function greeting(config: Config, server: Server): string[] {
  const api = `http://${config.httpAddress}:${server.apiPort}`;
  return [
    `spanwarden listens: OTLP/gRPC ${config.otlpAddress}:${server.grpcPort}, OTLP/HTTP ${config.otlpAddress}:${server.httpPort}, REST and metrics ${api}`,
    `data in ${config.dataDir}`,
    server.token.created
      ? `token for ${api}/api, shown this once and stored in ${config.dataDir}/console-token: ${server.token.value}`
      : `token for ${api}/api: as configured, or in ${config.dataDir}/console-token`,
  ];
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.once('SIGINT', () => process.exit(130));
      resolve();
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}
