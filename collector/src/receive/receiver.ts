import type { Counters } from '../base/counters.ts';
import type { Limits } from '../base/limits.ts';
import type { Admit } from './export-request.ts';
import { Gate, type ReceiverLog } from './gate.ts';
import { type GrpcServer, openGrpcServer } from './grpc-server.ts';
import { HalfOpenLedger } from './half-open-ledger.ts';
import { type HttpServer, openHttpServer } from './http-server.ts';
import { createCredentialCheck } from './ingest-tokens.ts';
import { createMemoryGuard } from './memory-guard.ts';

export interface ReceiverSettings {
  readonly grpcAddress: string;
  /** 0 = the system chooses. */
  readonly grpcPort: number;
  readonly httpAddress: string;
  /** 0 = the system chooses. */
  readonly httpPort: number;
  readonly limits: Limits;
  /** SHA-256 digests (32 bytes each) of the tokens that may send; none = everybody may. */
  readonly tokens?: readonly Buffer[] | undefined;
  /** Cap on the resident memory of the process: exports are refused from 70 %, unread from 85 %. Undefined = no cap. */
  readonly memoryBytesMax?: number | undefined;
  /** Open connections per transport. */
  readonly connectionsMax?: number | undefined;
  /** Open gRPC connections of one remote address. */
  readonly connectionsPerAddressMax?: number | undefined;
  readonly logger: ReceiverLog;
  readonly counters: Counters;
}

export interface Receiver {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** While not ready, exports are refused retryably with `reason` and the gRPC health service says NOT_SERVING. */
  setReady(ready: boolean, reason: string): void;
  /** Estimated cost of what is admitted and not yet answered. */
  inFlightBytes(): number;
  /** Held for requests that have begun and are not complete. */
  halfOpenBytes(): number;
  /** Open connections of both transports. */
  connections(): Promise<number>;
  /**
   * Refuses new exports retryably, waits at most `graceMs` for those admitted, then closes all connections and ports.
   * Calling it again waits for the first call's end.
   */
  stop(graceMs: number): Promise<void>;
}

const CONNECTIONS_MAX = 1024;
const CONNECTIONS_PER_ADDRESS_MAX = 64;
/** Time for the last answers to leave the sockets. */
const LINGER_MS = 500;

/**
 * Opens both OTLP ports. Exports of traces come in from any sender, `admit` gets those that pass, senders get the answer
 * the OTLP specification (1.11) asks for; nothing here looks into an export or stores anything.
 *
 * Counters: `requests_total{transport}` and `received_bytes_total{transport}` (complete trace exports, as on the wire),
 * `requests_rejected_total{reason}` (for good), `requests_refused_total{reason}` (retryable), `ignored_exports_total{signal}`,
 * `connections_closed_total{reason}`, `receive_bugs_total`.
 *
 * @throws ListenError when a port cannot be had; RangeError for a token digest of the wrong length.
 */
export async function createReceiver(settings: ReceiverSettings, admit: Admit): Promise<Receiver> {
  const { limits, counters, logger, connectionsMax = CONNECTIONS_MAX } = settings;
  const { connectionsPerAddressMax = CONNECTIONS_PER_ADDRESS_MAX } = settings;
  const checkCredentials = createCredentialCheck(settings.tokens ?? []);
  const memory = createMemoryGuard(settings.memoryBytesMax);
  const ledger = new HalfOpenLedger(limits, memory, counters);
  const gate = new Gate(
    { inFlightBytesMax: limits.inFlightBytesMax, checkCredentials, memory, counters, logger },
    admit,
  );
  const stopTimers = (): void => {
    memory.stop();
    ledger.stop();
  };

  const connectionLimits = { connectionsMax, connectionsPerAddressMax, stallMs: limits.stallMs };
  const grpcSettings = { address: settings.grpcAddress, port: settings.grpcPort, limits, connectionLimits, counters };
  const httpSettings = { address: settings.httpAddress, port: settings.httpPort, limits, connectionsMax, counters };
  const { grpc, http } = await openBoth(
    () => openGrpcServer(grpcSettings, gate, ledger),
    () => openHttpServer(httpSettings, gate, ledger),
  ).catch((error: unknown) => {
    stopTimers();
    throw error;
  });

  let stopped: Promise<void> | undefined;
  const stop = async (graceMs: number): Promise<void> => {
    gate.stop();
    grpc.setServing(false);
    await withinMs(gate.idle(), graceMs);
    await Promise.all([grpc.close(LINGER_MS), http.close(LINGER_MS)]);
    stopTimers();
  };
  return {
    grpcPort: grpc.port,
    httpPort: http.port,
    setReady(ready, reason) {
      gate.setNotReady(ready ? undefined : reason);
      grpc.setServing(ready && !gate.isStopping());
    },
    inFlightBytes: () => gate.inFlightBytes(),
    halfOpenBytes: () => ledger.heldBytes(),
    connections: async () => grpc.connections() + (await http.connections()),
    stop(graceMs) {
      stopped ??= stop(graceMs);
      return stopped;
    },
  };
}

/** Both or none: a half-open receiver would hold a port that nobody serves. */
async function openBoth(
  openGrpc: () => Promise<GrpcServer>,
  openHttp: () => Promise<HttpServer>,
): Promise<{ grpc: GrpcServer; http: HttpServer }> {
  const grpc = await openGrpc();
  try {
    return { grpc, http: await openHttp() };
  } catch (error) {
    await grpc.close(0);
    throw error;
  }
}

async function withinMs(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, timeUp]);
  clearTimeout(timer);
}
