/**
 * Wraps a span exporter that tries only once: batches in, the same batches out again until they are accepted, refused for good,
 * or pushed out of a bounded buffer; every lost span is counted.
 */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { retryVerdict } from './grpc-status.ts';

export interface RetryOptions {
  /** Bytes of waiting spans, estimated; beyond it the oldest batch is dropped. Default 16 MiB. */
  readonly bufferBytesMax?: number;
  /** First delay and its bound, when the server names none. Default 1 s growing 1.5-fold to 5 s. */
  readonly delayMs?: number;
  readonly delayMsMax?: number;
  /** How long a caller is kept waiting for an answer before the batch counts as taken over. Default 25 s. */
  readonly answerMs?: number;
  /** How long `shutdown` and `forceFlush` go on trying. Default 5 s. */
  readonly flushMs?: number;
  /** Called with the number of spans of each batch that is given up. */
  readonly onDropped?: (spans: number) => void;
  /** Between -1 and 1; tests make it constant. */
  readonly jitter?: () => number;
}

interface Batch {
  readonly spans: ReadableSpan[];
  readonly bytes: number;
  answer: ((result: ExportResult) => void) | undefined;
  timer: NodeJS.Timeout | undefined;
  attempts: number;
}

const MIB = 1024 * 1024;
const GROWTH = 1.5;
const JITTER = 0.2;
/** A server may name any delay; we wait no longer than this. */
const SERVER_DELAY_MS_MAX = 60_000;

export class RetryingSpanExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #options: Required<RetryOptions>;
  /** The first one is being sent or waits for its next attempt. */
  readonly #batches: Batch[] = [];
  #bytes = 0;
  #running = false;
  #closed = false;
  #dropped = 0;
  #wake: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(exporter: SpanExporter, options: RetryOptions = {}) {
    this.#exporter = exporter;
    this.#options = {
      bufferBytesMax: 16 * MIB,
      delayMs: 1000,
      delayMsMax: 5000,
      answerMs: 25_000,
      flushMs: 5000,
      onDropped: () => {},
      jitter: () => Math.random() * 2 - 1,
      ...options,
    };
  }

  /** Spans given up so far. */
  get dropped(): number {
    return this.#dropped;
  }

  export(spans: ReadableSpan[], answer: (result: ExportResult) => void): void {
    if (this.#closed) {
      this.#drop(spans.length);
      answer({ code: ExportResultCode.FAILED, error: new Error('the exporter is shut down') });
      return;
    }
    const batch: Batch = { spans, bytes: estimateBytes(spans), answer, timer: undefined, attempts: 0 };
    batch.timer = setTimeout(() => settle(batch, { code: ExportResultCode.SUCCESS }), this.#options.answerMs).unref();
    this.#batches.push(batch);
    this.#bytes += batch.bytes;
    this.#makeRoom();
    if (!this.#running) void this.#run();
  }

  /** Resolves when everything was sent, or after `flushMs`. */
  async forceFlush(): Promise<void> {
    this.#wake?.();
    if (this.#batches.length > 0) await this.#untilIdle(this.#options.flushMs);
    await this.#exporter.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    this.#closed = true;
    for (const batch of this.#batches.splice(0)) this.#giveUp(batch, new Error('the exporter was shut down'));
    this.#bytes = 0;
    this.#wake?.();
    await this.#exporter.shutdown();
  }

  #untilIdle(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The batch in front stays: it may be on the wire. */
  #makeRoom(): void {
    while (this.#bytes > this.#options.bufferBytesMax && this.#batches.length > 1) {
      const [oldest] = this.#batches.splice(this.#running ? 1 : 0, 1);
      if (oldest === undefined) return;
      this.#bytes -= oldest.bytes;
      this.#giveUp(oldest, new Error('the retry buffer is full'));
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let batch = this.#batches[0]; batch !== undefined; batch = this.#batches[0]) {
      const result = await this.#send(batch);
      if (this.#closed) break;
      if (result.code !== ExportResultCode.SUCCESS) {
        const { retryable, delayMs } = retryVerdict(result.error);
        if (retryable) {
          await this.#pause(delayMs ?? this.#backoff(batch.attempts++));
          continue;
        }
        this.#giveUp(batch, result.error);
      }
      settle(batch, result);
      this.#remove(batch);
    }
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #remove(batch: Batch): void {
    const index = this.#batches.indexOf(batch);
    if (index < 0) return;
    this.#batches.splice(index, 1);
    this.#bytes -= batch.bytes;
  }

  #send(batch: Batch): Promise<ExportResult> {
    return new Promise((resolve) => {
      try {
        this.#exporter.export(batch.spans, resolve);
      } catch (error) {
        resolve({ code: ExportResultCode.FAILED, error: error as Error });
      }
    });
  }

  #backoff(attempt: number): number {
    const { delayMs, delayMsMax, jitter } = this.#options;
    return Math.min(delayMsMax, delayMs * GROWTH ** attempt) * (1 + JITTER * jitter());
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.min(delayMs, SERVER_DELAY_MS_MAX)).unref();
      this.#wake = done;
    });
  }

  #giveUp(batch: Batch, error: Error | undefined): void {
    this.#drop(batch.spans.length);
    settle(batch, { code: ExportResultCode.FAILED, error: error ?? new Error('export failed') });
  }

  #drop(spans: number): void {
    this.#dropped += spans;
    this.#options.onDropped(spans);
  }
}

function settle(batch: Batch, result: ExportResult): void {
  clearTimeout(batch.timer);
  const { answer } = batch;
  batch.answer = undefined;
  answer?.(result);
}

const SPAN_BYTES = 400;
const ATTRIBUTE_BYTES = 64;

function estimateBytes(spans: readonly ReadableSpan[]): number {
  let bytes = 0;
  for (const span of spans) bytes += SPAN_BYTES + ATTRIBUTE_BYTES * Object.keys(span.attributes).length;
  return bytes;
}
