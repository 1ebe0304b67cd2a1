/**
 * Ended spans in, batches to an exporter out: bounded, delayed by at most a second, and every span it cannot hold is counted
 * and reported on the next one that leaves.
 */
import { context } from '@opentelemetry/api';
import { ExportResultCode, getNumberFromEnv, suppressTracing } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { RetryingSpanExporter } from './retrying-exporter.ts';
import { ATTR } from './semconv.ts';

/** A span that is ours to change: the copy that leaves. */
export type OutgoingSpan = Omit<ReadableSpan, 'resource'> & { resource: Resource };

export interface QueueLimits {
  readonly spansMax: number;
  readonly batchMax: number;
  readonly delayMs: number;
}

/** The limits of the design unless the environment names others in OpenTelemetry's way. */
export function queueLimits(): QueueLimits {
  return {
    spansMax: getNumberFromEnv('OTEL_BSP_MAX_QUEUE_SIZE') ?? 8192,
    batchMax: getNumberFromEnv('OTEL_BSP_MAX_EXPORT_BATCH_SIZE') ?? 512,
    delayMs: getNumberFromEnv('OTEL_BSP_SCHEDULE_DELAY') ?? 1000,
  };
}

export class SpanQueue {
  readonly #exporter: RetryingSpanExporter;
  readonly #limits: QueueLimits;
  readonly #toResource: (resource: Resource) => Resource;
  #spans: OutgoingSpan[] = [];
  #unreported = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Batches that wait for late resource attributes. */
  readonly #held = new Set<Promise<void>>();

  /** @param toResource called once the resource's late attributes are known */
  constructor(
    exporter: SpanExporter,
    toResource: (resource: Resource) => Resource,
    limits: QueueLimits = queueLimits(),
  ) {
    this.#exporter =
      exporter instanceof RetryingSpanExporter
        ? exporter
        : new RetryingSpanExporter(exporter, { onDropped: (spans) => this.reportDropped(spans) });
    this.#toResource = toResource;
    this.#limits = limits;
  }

  /** Spans lost elsewhere on their way out; they are reported with the next span that leaves. */
  reportDropped(spans: number): void {
    this.#unreported += spans;
  }

  add(span: OutgoingSpan): void {
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
    await Promise.all(this.#held);
    await this.#exporter.forceFlush();
  }

  async shutdown(): Promise<void> {
    this.#sendAll();
    this.#closed = true;
    await Promise.all(this.#held);
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
    if (resource.asyncAttributesPending !== true || resource.waitForAsyncAttributes === undefined) {
      send();
      return;
    }
    const held: Promise<void> = resource
      .waitForAsyncAttributes()
      .then(send, send)
      .finally(() => this.#held.delete(held));
    this.#held.add(held);
  }

  #export(batch: OutgoingSpan[]): void {
    for (const span of batch) span.resource = this.#toResource(span.resource);
    const dropped = this.#unreported;
    this.#unreported = 0;
    if (dropped > 0) batch[0]!.attributes[ATTR.droppedSpans] = dropped;
    this.#exporter.export(batch, (result) => {
      if (result.code !== ExportResultCode.SUCCESS) this.#unreported += dropped;
    });
  }
}
