import type { ClosedBy } from '../base/trace.ts';
import type { FormerRevision } from './open-traces.ts';

/**
 * Open traces as bytes for the checkpoint, without their spans: those are in the log and are read again from there.
 *
 * Format 1: version (1 byte), clock (double, microseconds), then until the end, longest idle first:
 * trace id (16 bytes), clock - first (varint), clock - latest (varint), opening offset (varint), revision (varint),
 * former (1 byte: 0 none, else 1 + position in CLOSED_BY). Varints are little-endian base 128 as in protobuf.
 */

const VERSION = 1;
const CLOSED_BY: readonly ClosedBy[] = ['idle', 'cap', 'limit', 'flush'];

export interface TraceState {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly offset: number;
  readonly revision: number;
  readonly former: Pick<FormerRevision, 'revision' | 'closedBy'> | undefined;
}

export class SnapshotWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #clockUs: number;

  constructor(clockUs: number) {
    this.#clockUs = clockUs;
    this.#bytes[0] = VERSION;
    this.#view.setFloat64(1, clockUs);
    this.#length = 9;
  }

  add(state: TraceState): void {
    if (this.#length + 64 > this.#bytes.length) this.#grow();
    this.#view.setUint32(this.#length, state.w0);
    this.#view.setUint32(this.#length + 4, state.w1);
    this.#view.setUint32(this.#length + 8, state.w2);
    this.#view.setUint32(this.#length + 12, state.w3);
    this.#length += 16;
    this.#varint(this.#clockUs - state.firstUs);
    this.#varint(this.#clockUs - state.lastUs);
    this.#varint(state.offset);
    this.#varint(state.revision);
    this.#bytes[this.#length++] = state.former === undefined ? 0 : 1 + CLOSED_BY.indexOf(state.former.closedBy);
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  #grow(): void {
    const grown = new Uint8Array(this.#bytes.length * 2);
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads a snapshot; no bytes mean no open traces. @throws Error when the bytes are of another format or cut off */
export function parseSnapshot(bytes: Uint8Array): { readonly clockUs: number; readonly traces: TraceState[] } {
  const traces: TraceState[] = [];
  if (bytes.length === 0) return { clockUs: Number.NEGATIVE_INFINITY, traces };
  if (bytes[0] !== VERSION) throw new Error(`snapshot of open traces has format ${bytes[0]}, expected ${VERSION}`);
  if (bytes.length < 9) throw new Error(`snapshot of open traces is cut off after ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const clockUs = view.getFloat64(1);
  let at = 9;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error(`snapshot of open traces is cut off after ${bytes.length} bytes`);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    if (at + 16 > bytes.length) throw new Error(`snapshot of open traces is cut off after ${bytes.length} bytes`);
    const w0 = view.getUint32(at);
    const w1 = view.getUint32(at + 4);
    const w2 = view.getUint32(at + 8);
    const w3 = view.getUint32(at + 12);
    at += 16;
    const firstUs = clockUs - varint();
    const lastUs = clockUs - varint();
    const offset = varint();
    const revision = varint();
    const closedBy = CLOSED_BY[varint() - 1];
    const former = closedBy === undefined ? undefined : { revision: revision - 1, closedBy };
    traces.push({ w0, w1, w2, w3, firstUs, lastUs, offset, revision, former });
  }
  return { clockUs, traces };
}
