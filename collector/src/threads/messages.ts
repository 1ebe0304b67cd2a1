import type { RejectedCode, UnavailableCode } from '../base/errors.ts';
import type { Checkpoint, StoreDelta } from '../base/outcome.ts';
import type { Config } from '../config.ts';
import type { LogRecord } from '../log/record.ts';

/** What the threads say to each other. Bytes travel by transfer, one message per export; nothing here is per span. */

/** The configuration with its secrets laid open, because a masked Secret does not survive the trip between threads. */
export interface ThreadConfig extends Omit<Config, 'consoleToken' | 'hashKey' | 'otlpTokens'> {
  readonly hashKey: string;
}

export type CounterRows = readonly (readonly [name: string, label: string, value: number])[];

/** main -> pipeline */
export type ToPipeline =
  | {
      readonly type: 'export';
      readonly id: number;
      readonly bytes: Uint8Array;
      readonly encoding: 'protobuf' | 'json';
      readonly compression: 'none' | 'gzip';
      readonly bytesMax: number;
      readonly receivedUs: number;
    }
  | { readonly type: 'drain' };

/** Something that the operator should read in the log; holds no value of a span. */
export interface Notice {
  readonly type: 'notice';
  readonly message: string;
}

/** pipeline -> main */
export type FromPipeline =
  | Notice
  | { readonly type: 'ready' }
  | { readonly type: 'rejected'; readonly id: number; readonly code: RejectedCode; readonly message: string }
  | { readonly type: 'bug'; readonly id: number | undefined; readonly stage: string; readonly message: string }
  | { readonly type: 'counters'; readonly rows: CounterRows; readonly gauges: CounterRows };

/** pipeline -> writer */
export type ToWriter =
  | { readonly type: 'append'; readonly record: LogRecord; readonly ack: Ack }
  | { readonly type: 'barrier'; readonly ack: Ack }
  | { readonly type: 'apply'; readonly delta: StoreDelta }
  | { readonly type: 'end' };

/** The answer that the sender of export `id` gets once everything before it is durable. */
export interface Ack {
  readonly id: number;
  readonly rejectedSpans: number;
  readonly message: string;
}

/** main -> writer */
export type ToWriterFromMain = {
  readonly type: 'patch';
  readonly id: number;
  readonly finding: string;
  readonly patch: unknown;
  readonly ifRevision: number | undefined;
};

/** writer -> main */
export type FromWriter =
  | Notice
  | { readonly type: 'ready'; readonly checkpoint: Checkpoint | undefined }
  | { readonly type: 'acks'; readonly acks: readonly Ack[] }
  | { readonly type: 'failed'; readonly code: UnavailableCode; readonly message: string }
  | { readonly type: 'patched'; readonly id: number; readonly result: unknown; readonly error: string | undefined }
  | { readonly type: 'counters'; readonly rows: CounterRows; readonly gauges: CounterRows }
  | { readonly type: 'stopped' };

/** main -> reader and back: one call each way. */
export interface ReaderCall {
  readonly id: number;
  readonly method: 'findings' | 'finding' | 'operations' | 'callGraph' | 'trace';
  readonly argument: unknown;
}
export interface ReaderAnswer {
  readonly type: 'answer';
  readonly id: number;
  readonly result: unknown;
  readonly error: string | undefined;
}
