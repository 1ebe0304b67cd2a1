import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import type { HalfOpen, HalfOpenLedger } from './half-open-ledger.ts';

/** Heap that a received chunk costs on top of its bytes; grpc-js keeps each DATA frame as a slice of its own. */
const CHUNK_OVERHEAD_BYTES = 512;

/** A call whose request is not complete. */
export interface UnfinishedCall {
  /** A message of so many bytes is complete and waits for the end of its stream. */
  holds(bytes: number): void;
  /** The request is complete, or there will be no more of it. True the first time. */
  end(): boolean;
}

interface CallAccount {
  readonly startedMs: number;
  readonly startedAtBytes: number;
  extraBytes: number;
}

/**
 * One gRPC socket and what is unfinished on it. Held bytes are those read since the oldest unfinished call began: never
 * too few, and on a busy healthy connection not many, because its calls end. A connection that has not begun any call
 * counts as unfinished itself, so that a slow or half handshake does not last.
 */
export class GrpcConnection implements HalfOpen {
  readonly #socket: Socket;
  readonly #ledger: HalfOpenLedger;
  readonly #openedMs = performance.now();
  /** Oldest first. */
  readonly #calls = new Set<CallAccount>();
  #awaitsFirstCall = true;

  constructor(socket: Socket, ledger: HalfOpenLedger) {
    this.#socket = socket;
    this.#ledger = ledger;
    ledger.add(this);
    socket.once('close', () => ledger.delete(this));
  }

  begin(call: ServerInterceptingCallInterface): UnfinishedCall {
    const account: CallAccount = {
      startedMs: performance.now(),
      startedAtBytes: this.#socket.bytesRead,
      extraBytes: 0,
    };
    if (this.#calls.size === 0 && !this.#socket.destroyed) this.#ledger.add(this);
    this.#awaitsFirstCall = false;
    this.#calls.add(account);
    chunksOf(call)?.on('data', () => {
      account.extraBytes += CHUNK_OVERHEAD_BYTES;
    });
    return {
      holds: (bytes) => {
        account.extraBytes += bytes;
        this.#ledger.enforceBudget();
      },
      end: () => {
        if (!this.#calls.delete(account)) return false;
        if (this.#calls.size === 0) this.#ledger.delete(this);
        return true;
      },
    };
  }

  heldBytes(): number {
    if (this.#awaitsFirstCall) return this.#socket.bytesRead;
    let oldest: CallAccount | undefined;
    let extraBytes = 0;
    for (const account of this.#calls) {
      oldest ??= account;
      extraBytes += account.extraBytes;
    }
    return oldest === undefined ? 0 : this.#socket.bytesRead - oldest.startedAtBytes + extraBytes;
  }

  progressBytes(): number {
    return this.#socket.bytesRead;
  }

  beganMs(): number {
    for (const account of this.#calls) return account.startedMs;
    return this.#openedMs;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/**
 * The HTTP/2 stream under a call. grpc-js has no public way to see single frames, and without one a flood of one-byte
 * frames costs twenty times the bytes that the socket counts; should the field go, only that refinement goes.
 */
function chunksOf(call: ServerInterceptingCallInterface): Readable | undefined {
  const stream: unknown = Reflect.get(call, 'stream');
  return stream instanceof Readable ? stream : undefined;
}
