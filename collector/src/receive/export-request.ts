/** The contract between the receiver and whatever makes an export durable. */

/** One OTLP trace export as it came, neither inflated nor decoded. */
export interface ExportRequest {
  /** The message. Its ArrayBuffer belongs to this request alone, so it may be transferred; the view need not span all of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly encoding: 'protobuf' | 'json';
  readonly compression: 'none' | 'gzip';
  /** Most bytes the inflated message may have; beyond it MUST come a `RejectedError` with code `too-large`. */
  readonly bytesMax: number;
  readonly transport: Transport;
}

export type Transport = 'grpc' | 'http';

/** Success, perhaps with spans refused for good. `message` '' and `rejectedSpans` 0 = full success; a message alone = a warning. */
export interface ExportAnswer {
  readonly rejectedSpans: number;
  readonly message: string;
}

export const FULL_SUCCESS: ExportAnswer = { rejectedSpans: 0, message: '' };

/**
 * Takes one export. MUST resolve only when everything accepted is durable. MUST reject with `RejectedError` or
 * `UnavailableError`; any other error counts as a bug and is answered INTERNAL / 500.
 */
export type Admit = (request: ExportRequest) => Promise<ExportAnswer>;
