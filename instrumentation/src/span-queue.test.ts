import { ExportResultCode } from '@opentelemetry/core';
import { emptyResource, resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { describe, expect, test } from 'vitest';
import { type OutgoingSpan, SpanQueue } from './span-queue.ts';

function span(name: string): OutgoingSpan {
  return { name, attributes: {}, resource: emptyResource() } as unknown as OutgoingSpan;
}

/** Accepts everything, or refuses for good as often as told. */
function recording(refusals = 0) {
  const batches: ReadableSpan[][] = [];
  let left = refusals;
  const exporter: SpanExporter = {
    export(spans, answer) {
      batches.push(spans);
      if (left-- > 0) answer({ code: ExportResultCode.FAILED, error: Object.assign(new Error('bad'), { code: 3 }) });
      else answer({ code: ExportResultCode.SUCCESS });
    },
    shutdown: async () => {},
  };
  const reported = () => batches.flat().map((sent) => sent.attributes['apisec.dropped_spans']);
  return { exporter, batches, reported };
}

const limits = { spansMax: 3, batchMax: 10, delayMs: 60_000 };

describe('the queue', () => {
  test('sends in batches, the last one when it is flushed', async () => {
    const { exporter, batches } = recording();
    const queue = new SpanQueue(exporter, (resource) => resource, { ...limits, spansMax: 10, batchMax: 2 });
    for (const name of ['a', 'b', 'c']) queue.add(span(name));
    await queue.forceFlush();
    expect(batches.map((batch) => batch.map(({ name }) => name))).toEqual([['a', 'b'], ['c']]);
  });

  test('refuses what it cannot hold and says how many on the next span that leaves', async () => {
    const { exporter, reported } = recording();
    const queue = new SpanQueue(exporter, (resource) => resource, limits);
    for (const name of ['a', 'b', 'c', 'd', 'e']) queue.add(span(name));
    await queue.forceFlush();
    queue.add(span('f'));
    await queue.forceFlush();
    expect(reported()).toEqual([2, undefined, undefined, undefined]);
  });

  test('reports a batch that was refused for good, and its report again with it', async () => {
    const { exporter, reported } = recording(2);
    const queue = new SpanQueue(exporter, (resource) => resource, limits);
    for (const names of [['a', 'b'], ['c'], ['d']]) {
      for (const name of names) queue.add(span(name));
      await queue.forceFlush();
    }
    expect(reported()).toEqual([undefined, undefined, 2, 3]);
  });

  test('gives spans their resource when they leave', async () => {
    const { exporter, batches } = recording();
    const resource = resourceFromAttributes({ 'service.name': 'shop' });
    const queue = new SpanQueue(exporter, () => resource, limits);
    queue.add(span('a'));
    await queue.shutdown();
    queue.add(span('late'));
    expect(batches.flat().map((sent) => sent.resource)).toEqual([resource]);
  });
});
