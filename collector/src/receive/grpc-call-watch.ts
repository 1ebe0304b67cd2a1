import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
} from '@grpc/grpc-js';
import type { Counters } from '../base/counters.ts';
import { type Failure, GRPC_INVALID_ARGUMENT } from './failure.ts';
import type { Gate } from './gate.ts';
import type { GrpcCompression } from './grpc-compression.ts';
import type { GrpcConnections } from './grpc-connections.ts';
import { encodeStatus } from './wire.ts';

/** Longest service name a health check may ask about; the library repeats it in the status, which is a header. */
const HEALTH_SERVICE_CHARS_MAX = 256;

/** RetryInfo travels as google.rpc.Status bytes in the trailer that all gRPC clients look for it in. */
export function toStatus(failure: Failure): StatusObject {
  const metadata = new Metadata();
  if (failure.retryAfterMs > 0) metadata.set('grpc-status-details-bin', encodeStatus(failure));
  return { code: failure.grpcCode, details: failure.message, metadata };
}

/** Sees each call begin, get its message and end: for the accounts of half-open sockets, and to refuse before reading. */
export function createCallWatch(
  connections: GrpcConnections,
  compression: GrpcCompression,
  gate: Gate,
  counters: Counters,
): ServerInterceptor {
  return (method, call) => {
    const connection = connections.connectionOf(call);
    const unfinished = connection?.begin(call);
    const isExport = method.path.endsWith('/Export');
    compression.takeOver(call, isExport);
    let refused = false;
    const refuse = (failure: Failure): void => {
      refused = true;
      watched.sendStatus(toStatus(failure));
    };
    const watched = new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, pass) {
            if (isExport) {
              try {
                gate.enter({
                  authorization: firstText(metadata, 'authorization'),
                  apiKey: firstText(metadata, 'x-api-key'),
                });
              } catch (error) {
                refuse(gate.fail(error));
                return;
              }
            }
            pass(metadata);
          },
          onReceiveMessage(message: unknown, pass) {
            if (message instanceof Uint8Array) unfinished?.holds(message.length);
            else if (isOverlongHealthCheck(message)) refuse(OVERLONG_HEALTH_CHECK);
            if (!refused) pass(message);
          },
          onReceiveHalfClose(pass) {
            unfinished?.end();
            pass();
          },
          onCancel() {
            if (connection === undefined || !unfinished?.end()) return;
            connections.abandon(call, connection);
            // Not refused by us and still open: grpc-js itself gave the answer.
            if (!refused && isOpen(call)) counters.add('requests_rejected_total', 1, 'broken-off');
          },
        }),
    });
    return watched;
  };
}

const OVERLONG_HEALTH_CHECK: Failure = {
  grpcCode: GRPC_INVALID_ARGUMENT,
  httpStatus: 400,
  message: `a service name has at most ${HEALTH_SERVICE_CHARS_MAX} characters`,
  retryAfterMs: 0,
};

function isOverlongHealthCheck(message: unknown): boolean {
  const service: unknown =
    typeof message === 'object' && message !== null ? Reflect.get(message, 'service') : undefined;
  return typeof service === 'string' && service.length > HEALTH_SERVICE_CHARS_MAX;
}

function isOpen(call: ServerInterceptingCallInterface): boolean {
  return call.getPeer() !== 'unknown';
}

function firstText(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return typeof value === 'string' ? value : undefined;
}
