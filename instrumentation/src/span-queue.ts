/**
 * Ended spans in, batches to an exporter out: bounded, delayed by at most a second, and every span it cannot hold is counted
 * and reported on the next one that leaves.
 */
import { context } from '@opentelemetry/api';
import { ExportResultCode, suppressTracing } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { RetryingSpanExporter } from './retrying-exporter.ts';
import { ATTR } from './semconv.ts';

export interface QueueLimits {
  readonly spansMax: number;
  readonly batchMax: number;
  readonly delayMs: number;
}

export const QUEUE_LIMITS: QueueLimits = { spansMax: 8192, batchMax: 512, delayMs: 1000 };

export class SpanQueue {
  readonly #exporter: RetryingSpanExporter;
  readonly #limits: QueueLimits;
  #spans: ReadableSpan[] = [];
  #unreported = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(exporter: SpanExporter, limits: QueueLimits = QUEUE_LIMITS) {
    this.#exporter =
      exporter instanceof RetryingSpanExporter
        ? exporter
        : new RetryingSpanExporter(exporter, { onDropped: (spans) => this.reportDropped(spans) });
    this.#limits = limits;
  }

  /** Spans lost elsewhere on their way out; they are reported with the next span that leaves. */
  reportDropped(spans: number): void {
    this.#unreported += spans;
  }

  add(span: ReadableSpan): void {
    if (this.#closed || this.#spans.length >= this.#limits.spansMax) {
      this.#unreported++;
      return;
    }
    this.#spans.push(span);
    if (this.#spans.length >= this.#limits.batchMax) this.#sendBatch();
    else this.#timer ??= setTimeout(() => this.#sendAll(), this.#limits.delayMs).unref();
  }

  async forceFlush(): Promise<void> {
    this.#sendAll();
    await this.#exporter.forceFlush();
  }

  async shutdown(): Promise<void> {
    this.#sendAll();
    this.#closed = true;
    await this.#exporter.shutdown();
  }

  #sendAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#spans.length > 0) this.#sendBatch();
  }

  #sendBatch(): void {
    const batch = this.#spans.splice(0, this.#limits.batchMax);
    const { resource } = batch[0]!;
    const send = () => context.with(suppressTracing(context.active()), () => this.#export(batch));
    if (resource.asyncAttributesPending === true) void resource.waitForAsyncAttributes?.().then(send, send);
    else send();
  }

  #export(batch: ReadableSpan[]): void {
    const dropped = this.#unreported;
    this.#unreported = 0;
    if (dropped > 0) batch[0]!.attributes[ATTR.droppedSpans] = dropped;
    this.#exporter.export(batch, (result) => {
      if (result.code !== ExportResultCode.SUCCESS) this.#unreported += dropped;
    });
  }
}
