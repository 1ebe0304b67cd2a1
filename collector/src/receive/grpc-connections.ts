import type { Socket } from 'node:net';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { Counters } from '../base/counters.ts';
import { GrpcConnection } from './grpc-connection.ts';
import type { HalfOpenLedger } from './half-open-ledger.ts';

export interface ConnectionLimits {
  /** Open gRPC connections in all. */
  readonly connectionsMax: number;
  /** Open gRPC connections of one remote address. */
  readonly connectionsPerAddressMax: number;
  readonly stallMs: number;
}

/** grpc-js says this when the stream under a call no longer exists. */
const PEER_GONE = 'unknown';

/** All open gRPC sockets: how many there may be, which one a call came on, and those that must go. */
export class GrpcConnections {
  readonly #limits: ConnectionLimits;
  readonly #ledger: HalfOpenLedger;
  readonly #counters: Counters;
  readonly #sockets = new Set<Socket>();
  readonly #byEndpoint = new Map<string, GrpcConnection>();
  readonly #perAddress = new Map<string, number>();
  /** Calls answered before their request was complete, and since when. */
  readonly #abandoned = new Map<ServerInterceptingCallInterface, { connection: GrpcConnection; sinceMs: number }>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: ConnectionLimits, ledger: HalfOpenLedger, counters: Counters) {
    this.#limits = limits;
    this.#ledger = ledger;
    this.#counters = counters;
    this.#timer = setInterval(() => this.#closeAbandoned(), limits.stallMs / 4);
    this.#timer.unref();
  }

  /** False when the socket was over a limit or already gone; it is destroyed then. */
  accept(socket: Socket): boolean {
    const { remoteAddress, remotePort, localAddress } = socket;
    // A socket without 'error' listener would end the process on a reset.
    socket.on('error', () => undefined);
    const ofAddress = remoteAddress === undefined ? 0 : (this.#perAddress.get(remoteAddress) ?? 0);
    if (
      remoteAddress === undefined ||
      this.#sockets.size >= this.#limits.connectionsMax ||
      ofAddress >= this.#limits.connectionsPerAddressMax
    ) {
      if (remoteAddress !== undefined) this.#counters.add('connections_closed_total', 1, 'too-many');
      socket.destroy();
      return false;
    }
    const endpoint = toEndpoint(remoteAddress, remotePort, localAddress);
    this.#sockets.add(socket);
    this.#perAddress.set(remoteAddress, ofAddress + 1);
    this.#byEndpoint.set(endpoint, new GrpcConnection(socket, this.#ledger));
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#byEndpoint.delete(endpoint);
      const left = (this.#perAddress.get(remoteAddress) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(remoteAddress, left);
      else this.#perAddress.delete(remoteAddress);
    });
    return true;
  }

  /** Undefined when the socket has closed meanwhile. */
  connectionOf(call: ServerInterceptingCallInterface): GrpcConnection | undefined {
    const { remoteAddress, remotePort, localAddress } = call.getConnectionInfo();
    return this.#byEndpoint.get(toEndpoint(remoteAddress, remotePort, localAddress));
  }

  /**
   * The call has its answer although its request is not complete. A well-behaved client ends the stream now; the
   * connection of one that does not is closed after the stall time.
   */
  abandon(call: ServerInterceptingCallInterface, connection: GrpcConnection): void {
    if (call.getPeer() !== PEER_GONE) this.#abandoned.set(call, { connection, sinceMs: performance.now() });
  }

  size(): number {
    return this.#sockets.size;
  }

  destroyAll(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #closeAbandoned(): void {
    const nowMs = performance.now();
    for (const [call, { connection, sinceMs }] of this.#abandoned) {
      if (call.getPeer() === PEER_GONE) {
        this.#abandoned.delete(call);
      } else if (nowMs - sinceMs >= this.#limits.stallMs) {
        this.#abandoned.delete(call);
        this.#counters.add('connections_closed_total', 1, 'stalled');
        connection.destroy();
      }
    }
  }
}

function toEndpoint(remoteAddress?: string, remotePort?: number, localAddress?: string): string {
  return `${remoteAddress}|${remotePort}|${localAddress}`;
}
