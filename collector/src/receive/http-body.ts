import type { IncomingMessage } from 'node:http';
import { RejectedError } from '../base/errors.ts';
import type { HalfOpen, HalfOpenLedger } from './half-open-ledger.ts';

/** The sender went away in the middle of its body: nobody is left to answer. */
export class SenderGoneError extends Error {}

const FIRST_CAPACITY_BYTES = 256 * 1024;

/**
 * Reads a body into one growing buffer of its own. Keeping the chunks instead would be cheaper for honest senders and
 * hundreds of times dearer for one that sends a byte per chunk.
 *
 * @throws RejectedError `too-large` as soon as more than `bytesMax` has come, SenderGoneError.
 */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
  ledger: HalfOpenLedger,
): Promise<Uint8Array<ArrayBuffer>> {
  const body = new GrowingBody(request, bytesMax);
  ledger.add(body);
  try {
    await consume(request, bytesMax, (chunk) => body.append(chunk));
    return body.bytes();
  } finally {
    ledger.delete(body);
  }
}

/**
 * Reads what is left of a body and keeps nothing, so that the sender gets to read its answer.
 *
 * @throws as `readBody`
 */
export async function discardBody(request: IncomingMessage, bytesMax: number): Promise<void> {
  if (request.readableEnded || request.destroyed) return;
  await consume(request, bytesMax, () => undefined);
}

function consume(request: IncomingMessage, bytesMax: number, take: (chunk: Buffer) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= bytesMax) {
        take(chunk);
        return;
      }
      request.off('data', onData);
      reject(tooLarge(bytesMax));
    };
    request.on('data', onData);
    request.once('end', resolve);
    request.once('error', () => reject(new SenderGoneError()));
    request.once('close', () => reject(new SenderGoneError()));
  });
}

export function tooLarge(bytesMax: number): RejectedError {
  return new RejectedError('too-large', `the body has more than ${bytesMax} bytes`);
}

class GrowingBody implements HalfOpen {
  readonly #request: IncomingMessage;
  readonly #bytesMax: number;
  readonly #beganMs = performance.now();
  #buffer = Buffer.allocUnsafeSlow(0);
  #length = 0;

  constructor(request: IncomingMessage, bytesMax: number) {
    this.#request = request;
    this.#bytesMax = bytesMax;
  }

  append(chunk: Buffer): void {
    const length = this.#length + chunk.length;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(chunk, this.#length);
    this.#length = length;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer.buffer, 0, this.#length);
  }

  heldBytes(): number {
    return this.#buffer.length;
  }

  progressBytes(): number {
    return this.#length;
  }

  beganMs(): number {
    return this.#beganMs;
  }

  destroy(): void {
    this.#request.socket.destroy();
  }

  /** The declared length only caps the last step: it costs a sender nothing to declare much. */
  #grow(length: number): void {
    const declared = Number(this.#request.headers['content-length'] ?? this.#bytesMax);
    const doubled = Math.max(FIRST_CAPACITY_BYTES, this.#buffer.length * 2);
    const grown = Buffer.allocUnsafeSlow(Math.max(length, Math.min(doubled, declared, this.#bytesMax)));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
