import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { Counters } from './base/counters.ts';
import type { Config } from './config.ts';
import { openHashKey } from './hash-key.ts';
import { createReceiver, type Receiver } from './receive/receiver.ts';
import { type Api, createApi } from './serve/api.ts';
import { openConsoleToken } from './serve/console-token.ts';
import { addUp, type Engine, startEngine } from './threads/engine.ts';
import type { ThreadConfig } from './threads/messages.ts';
import { startQueries } from './threads/queries.ts';

/** The running collector: sockets and answers in this thread, everything else in the threads behind it. */
export interface Server {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly apiPort: number;
  /** The token for /api, and whether it was made just now. */
  readonly token: { readonly value: string; readonly created: boolean };
  /** Key of the pseudonyms, for services that this process starts itself (demo). */
  readonly hashKey: string;
  /** Finishes what is in flight, refuses the rest retryably, writes a checkpoint. */
  stop(): Promise<void>;
}

const DRAIN_MS = 8000;

/** @throws what keeps it from starting: a busy port, an unusable data folder, broken rules */
export async function startServer(config: Config, logger: Logger): Promise<Server> {
  const hashKey = openHashKey(config).reveal();
  const { token, created } = openConsoleToken(config.dataDir, config.consoleToken);
  const threadConfig = toThreadConfig(config, hashKey);
  const counters = new Counters();
  const started: (() => Promise<void>)[] = [];
  let receiver: Receiver | undefined;
  let stopping = false;

  async function stopAll(): Promise<void> {
    for (const stop of started.reverse()) await stop();
  }

  try {
    const engine: Engine = await startEngine(threadConfig, logger, (notReady) =>
      receiver?.setReady(notReady === undefined, notReady ?? ''),
    );
    started.push(() => engine.stop());
    const queries = await startQueries(threadConfig, logger);
    started.push(() => queries.stop());
    const api: Api = await createApi(
      {
        address: config.httpAddress,
        port: config.httpPort,
        token,
        allowedHosts: config.allowedHosts,
        onError: (error) => logger.error(error instanceof Error ? (error.stack ?? error.message) : String(error)),
      },
      {
        findings: queries.findings,
        finding: queries.finding,
        operations: queries.operations,
        callGraph: queries.callGraph,
        trace: queries.trace,
        patchFinding: (id, patch, ifRevision) => engine.patchFinding(id, patch, ifRevision) as never,
        readiness: () => {
          const reason = stopping ? 'shutting-down' : engine.notReady;
          return { ready: reason === undefined, reasons: reason === undefined ? [] : [reason] };
        },
        metrics: () => Promise.resolve(addUp([counters.snapshot(), engine.metrics()])),
      },
    );
    started.push(() => api.stop());
    const listening = await createReceiver(
      {
        grpcAddress: config.otlpAddress,
        grpcPort: config.otlpGrpcPort,
        httpAddress: config.otlpAddress,
        httpPort: config.otlpHttpPort,
        limits: config.limits,
        memoryBytesMax: config.memoryBytesMax,
        tokens: config.otlpTokens.map((value) => createHash('sha256').update(value).digest()),
        counters,
        logger,
      },
      engine.admit,
    );
    receiver = listening;
    started.push(() => listening.stop(DRAIN_MS));
    return {
      grpcPort: listening.grpcPort,
      httpPort: listening.httpPort,
      apiPort: api.port,
      token: { value: token.reveal(), created },
      hashKey,
      async stop() {
        if (stopping) return;
        stopping = true;
        listening.setReady(false, 'shutting-down');
        // the API goes after the engine: until the end /readyz can say that this collector is not ready
        await listening.stop(DRAIN_MS);
        await engine.stop();
        await api.stop();
        await queries.stop();
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

function toThreadConfig(config: Config, hashKey: string): ThreadConfig {
  const { consoleToken: _token, hashKey: _key, otlpTokens: _tokens, ...rest } = config;
  return { ...rest, hashKey };
}
