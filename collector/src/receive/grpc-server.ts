import { createServer } from 'node:net';
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Counters } from '../base/counters.ts';
import { type Limits, MiB } from '../base/limits.ts';
import type { ExportAnswer } from './export-request.ts';
import type { Gate } from './gate.ts';
import { createCallWatch, toStatus } from './grpc-call-watch.ts';
import { GrpcCompression } from './grpc-compression.ts';
import { type ConnectionLimits, GrpcConnections } from './grpc-connections.ts';
import type { HalfOpenLedger } from './half-open-ledger.ts';
import { listen } from './listen.ts';
import { IGNORED_SIGNALS, ignoredWarning, TRACES } from './signals.ts';
import { encodeExportResponse } from './wire.ts';

export interface GrpcServerSettings {
  readonly address: string;
  readonly port: number;
  readonly limits: Limits;
  readonly connectionLimits: ConnectionLimits;
  readonly counters: Counters;
}

export interface GrpcServer {
  readonly port: number;
  /** What grpc.health.v1 says about the whole server and the trace service. */
  setServing(serving: boolean): void;
  connections(): number;
  /** Stops listening, tells clients to go (GOAWAY), lets answers go out, closes what is left after `lingerMs`. */
  close(lingerMs: number): Promise<void>;
}

const CLOSE_POLL_MS = 10;

/**
 * OTLP over gRPC: calls come in, message bytes go to the gate, status and ExportTraceServiceResponse go out; it never
 * inflates or decodes a message. Sockets are our own and injected into grpc-js, whose limits count per connection only.
 *
 * @throws ListenError
 */
export async function openGrpcServer(
  settings: GrpcServerSettings,
  gate: Gate,
  ledger: HalfOpenLedger,
): Promise<GrpcServer> {
  const { counters } = settings;
  // The library prints headers it dislikes, tokens included, to stderr.
  setLogVerbosity(logVerbosity.NONE);
  const connections = new GrpcConnections(settings.connectionLimits, ledger, counters);
  const compression = new GrpcCompression();
  const server = new Server({
    ...serverOptions(settings.limits),
    interceptors: [createCallWatch(connections, compression, gate, counters)],
  });
  const health = new HealthImplementation({ '': 'SERVING', [TRACES.grpcService]: 'SERVING' });
  health.addToServer(server);
  server.addService(exportService(TRACES.grpcService), { Export: exportTraces(gate, compression, settings.limits) });
  for (const signal of IGNORED_SIGNALS) {
    const warning = encodeExportResponse({ rejectedSpans: 0, message: ignoredWarning(signal) });
    const drop = (_call: ExportCall, answer: sendUnaryData<Buffer>): void => {
      counters.add('ignored_exports_total', 1, signal.name);
      answer(null, warning);
    };
    server.addService(exportService(signal.grpcService), { Export: drop });
  }

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer({ noDelay: true }, (socket) => {
    if (connections.accept(socket)) injector.injectConnection(socket);
  });
  const port = await listen(listener, settings.address, settings.port, 'OTLP/gRPC').catch((error: unknown) => {
    connections.destroyAll();
    server.forceShutdown();
    throw error;
  });
  return {
    port,
    setServing(serving) {
      for (const name of ['', TRACES.grpcService]) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    connections: () => connections.size(),
    async close(lingerMs) {
      listener.close();
      injector.drain(lingerMs);
      const deadlineMs = performance.now() + lingerMs;
      while (connections.size() > 0 && performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, CLOSE_POLL_MS));
      }
      connections.destroyAll();
      server.forceShutdown();
    },
  };
}

/** The library's defaults let one unauthenticated connection hold more than a gigabyte and live for ever. */
function serverOptions(limits: Limits): Record<string, number> {
  return {
    'grpc.max_receive_message_length': limits.grpcMessageBytesMax,
    'grpc.max_concurrent_streams': 64,
    'grpc-node.max_session_memory': Math.max(64, Math.ceil(limits.grpcMessageBytesMax / MiB)),
    'grpc.max_connection_idle_ms': 300_000,
    'grpc.max_connection_age_ms': 1_800_000,
    'grpc.max_connection_age_grace_ms': 30_000,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.enable_channelz': 0,
  };
}

type ExportCall = ServerUnaryCall<Buffer, Buffer>;

function exportService(name: string): ServiceDefinition {
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    Export: {
      path: `/${name}/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
}

function exportTraces(
  gate: Gate,
  compression: GrpcCompression,
  limits: Limits,
): (call: ExportCall, answer: sendUnaryData<Buffer>) => void {
  const submit = (message: Buffer): Promise<ExportAnswer> =>
    gate.submit({
      bytes: toOwnedBytes(message),
      encoding: 'protobuf',
      compression: compression.isCompressed(message) ? 'gzip' : 'none',
      bytesMax: limits.grpcMessageBytesMax,
      transport: 'grpc',
    });
  return (call, answer) => {
    gate.countRequest('grpc', call.request.length);
    submit(call.request).then(
      (result) => answer(null, encodeExportResponse(result)),
      (error: unknown) => answer(toStatus(gate.fail(error))),
    );
  };
}

/**
 * A message in an ArrayBuffer of its own. grpc-js hands out a view behind the five bytes of the frame's head; only
 * small messages share Node's buffer pool and have to be copied.
 */
function toOwnedBytes(message: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = message;
  const isAlone = buffer instanceof ArrayBuffer && byteOffset <= 5 && buffer.byteLength === byteOffset + length;
  return isAlone ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(message);
}
