import { ExportResultCode } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { describe, expect, test } from 'vitest';
import { retryDelayMs, retryVerdict } from './grpc-status.ts';
import { RetryingSpanExporter } from './retrying-exporter.ts';

/** An exporter whose answers are written down beforehand; when they run out it accepts. */
function scripted(answers: (Error | undefined)[]) {
  const attempts: string[][] = [];
  const exporter: SpanExporter = {
    export(spans, answer) {
      attempts.push(spans.map((span) => span.name));
      const error = answers.shift();
      answer(error === undefined ? { code: ExportResultCode.SUCCESS } : { code: ExportResultCode.FAILED, error });
    },
    shutdown: async () => {},
  };
  return { exporter, attempts };
}

function grpcError(code: number, details?: Buffer): Error {
  const metadata = { get: (name: string) => (name === 'grpc-status-details-bin' && details ? [details] : []) };
  return Object.assign(new Error(`code ${code}`), { code, metadata });
}

const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo';

/** `google.rpc.Status` with a RetryInfo of so many milliseconds, written by hand. */
function statusWithDelay(code: number, delayMs: number): Buffer {
  const message = (field: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
  const duration = Buffer.concat([Buffer.from([0x10]), varint(delayMs * 1_000_000)]);
  const any = Buffer.concat([message(1, Buffer.from(RETRY_INFO)), message(2, message(1, duration))]);
  return Buffer.concat([Buffer.from([0x08, code]), message(3, any)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}

const span = (name: string) => ({ name, attributes: {} }) as ReadableSpan;
const fast = { delayMs: 1, delayMsMax: 2, jitter: () => 0 };

function exported(exporter: RetryingSpanExporter, ...names: string[]): Promise<number> {
  return new Promise((resolve) => exporter.export(names.map(span), ({ code }) => resolve(code)));
}

describe('what may be tried again', () => {
  test.each([
    [grpcError(14), true],
    [grpcError(4), true],
    [grpcError(8), false],
    [grpcError(8, statusWithDelay(8, 5)), true],
    [grpcError(3), false],
    [grpcError(16), false],
    [grpcError(503), true],
    [grpcError(400), false],
    [Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), true],
    [new Error('a bug'), false],
    [undefined, false],
  ])('%o: %s', (error, retryable) => {
    expect(retryVerdict(error).retryable).toBe(retryable);
  });

  test('the delay is the one that the server names; damaged details name none', () => {
    expect(retryDelayMs(statusWithDelay(14, 1500))).toBe(1500);
    expect(retryDelayMs(statusWithDelay(14, 1500).subarray(0, 30))).toBeUndefined();
    expect(retryDelayMs(Buffer.from([0xff, 0xff]))).toBeUndefined();
  });
});

describe('the exporter', () => {
  test('tries again after UNAVAILABLE and succeeds without losing or repeating a batch', async () => {
    const { exporter, attempts } = scripted([grpcError(14), grpcError(14), undefined]);
    const retrying = new RetryingSpanExporter(exporter, fast);
    expect(await Promise.all([exported(retrying, 'a'), exported(retrying, 'b')])).toEqual([0, 0]);
    expect(attempts).toEqual([['a'], ['a'], ['a'], ['b']]);
    expect(retrying.dropped).toBe(0);
  });

  test('waits for RESOURCE_EXHAUSTED with RetryInfo, but gives up without it and says how many', async () => {
    const dropped: number[] = [];
    const { exporter, attempts } = scripted([grpcError(8, statusWithDelay(8, 2)), undefined, grpcError(8)]);
    const retrying = new RetryingSpanExporter(exporter, { ...fast, onDropped: (spans) => dropped.push(spans) });
    expect(await exported(retrying, 'a')).toBe(ExportResultCode.SUCCESS);
    expect(await exported(retrying, 'b', 'c')).toBe(ExportResultCode.FAILED);
    expect(attempts).toHaveLength(3);
    expect(dropped).toEqual([2]);
  });

  test('never repeats INVALID_ARGUMENT and goes on with the next batch', async () => {
    const { exporter, attempts } = scripted([grpcError(3)]);
    const retrying = new RetryingSpanExporter(exporter, fast);
    expect(await Promise.all([exported(retrying, 'a'), exported(retrying, 'b')])).toEqual([1, 0]);
    expect(attempts).toEqual([['a'], ['b']]);
    expect(retrying.dropped).toBe(1);
  });

  test('drops the oldest waiting batch, counted, when its buffer is full', async () => {
    const { exporter, attempts } = scripted([grpcError(14)]);
    const retrying = new RetryingSpanExporter(exporter, { ...fast, bufferBytesMax: 900 });
    const codes = await Promise.all([exported(retrying, 'a'), exported(retrying, 'b'), exported(retrying, 'c')]);
    expect(codes).toEqual([0, 1, 0]);
    expect(attempts).toEqual([['a'], ['a'], ['c']]);
    expect(retrying.dropped).toBe(1);
  });

  test('answers its caller after a while and still delivers later', async () => {
    const { exporter, attempts } = scripted([grpcError(14), grpcError(14), grpcError(14)]);
    const retrying = new RetryingSpanExporter(exporter, { ...fast, delayMs: 15, delayMsMax: 15, answerMs: 5 });
    const keepAlive = setTimeout(() => {}, 5000);
    expect(await exported(retrying, 'a')).toBe(ExportResultCode.SUCCESS);
    expect(attempts.length).toBeLessThan(4);
    await retrying.forceFlush();
    clearTimeout(keepAlive);
    expect(attempts).toHaveLength(4);
  });

  test('counts what is left when it is shut down during an outage, and refuses more', async () => {
    const { exporter } = scripted(Array.from({ length: 100 }, () => grpcError(14)));
    const retrying = new RetryingSpanExporter(exporter, { ...fast, delayMs: 10_000, delayMsMax: 10_000, flushMs: 5 });
    const first = exported(retrying, 'a', 'b');
    const second = exported(retrying, 'c');
    await retrying.shutdown();
    expect(await Promise.all([first, second, exported(retrying, 'd')])).toEqual([1, 1, 1]);
    expect(retrying.dropped).toBe(4);
  });
});
