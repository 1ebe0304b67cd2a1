import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { SpanBatch } from '../../base/batch.ts';
import { openSpanLogReader, type SpanLogReader } from '../reader.ts';
import { decodeBatch, type LogRecord } from '../record.ts';
import type { Damage, SpanLogSettings } from '../settings.ts';
import { openSpanLog, type SpanLog } from '../span-log.ts';
import { type PlainSpan, RECEIVED_US, toPlainSpans } from './spans.ts';

export interface OpenLog {
  readonly directory: string;
  readonly log: SpanLog;
  readonly reader: SpanLogReader;
  /** What writer and reader reported as damaged. */
  readonly damage: Damage[];
  open(settings?: SpanLogSettings): void;
  close(): void;
  reopen(settings?: SpanLogSettings): void;
  /** Maintains until there is nothing to do. */
  settle(horizonOffset: number, nowUs?: number): void;
  expectTraces(expected: ReadonlyMap<string, PlainSpan[]>, beforeOffset?: number): void;
}

/** A log in a folder of its own for each test of a file, with a reader beside it. */
export function useLog(defaults: SpanLogSettings): OpenLog {
  let directory = '';
  let opened: { log: SpanLog; reader: SpanLogReader } | undefined;
  const damage: Damage[] = [];
  const onDamage = (one: Damage) => void damage.push(one);
  const parts = () => {
    if (opened === undefined) throw new Error('the log is closed');
    return opened;
  };
  const use: OpenLog = {
    get directory() {
      return directory;
    },
    get log() {
      return parts().log;
    },
    get reader() {
      return parts().reader;
    },
    damage,
    open(settings = defaults) {
      const log = openSpanLog(directory, { onDamage, ...settings });
      opened = { log, reader: openSpanLogReader(directory, { onDamage }) };
    },
    close() {
      opened?.reader.close();
      opened?.log.close();
      opened = undefined;
    },
    reopen(settings) {
      use.close();
      use.open(settings);
    },
    settle(horizonOffset, nowUs = RECEIVED_US) {
      for (let steps = 0; use.log.maintain({ horizonOffset, nowUs }); steps++) {
        if (steps > 100_000) throw new Error('maintenance does not end');
      }
    },
    expectTraces(expected, beforeOffset) {
      for (const [traceId, spans] of expected) {
        expect(toPlainSpans(use.reader.readTrace(traceId, beforeOffset))).toEqual(spans);
      }
    },
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'span-log-'));
    damage.length = 0;
    use.open();
  });
  afterEach(() => {
    use.close();
    rmSync(directory, { recursive: true });
  });
  return use;
}

export function byTrace(batches: Iterable<SpanBatch>): Map<string, PlainSpan[]> {
  const traces = new Map<string, PlainSpan[]>();
  for (const batch of batches) {
    for (const span of toPlainSpans(batch)) traces.set(span.traceId, [...(traces.get(span.traceId) ?? []), span]);
  }
  return traces;
}

export const batchesOf = (records: readonly LogRecord[]): SpanBatch[] =>
  records.map((record) => decodeBatch(record.bytes));
