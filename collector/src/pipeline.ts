import type { RuleSet } from '@spanwarden/rules';
import { createAssembler, type TraceHistory } from './assemble/assembler.ts';
import { copyRows, type SpanBatch } from './base/batch.ts';
import type { Counters } from './base/counters.ts';
import type { Limits } from './base/limits.ts';
import type { StoreDelta } from './base/outcome.ts';
import type { Pseudonym } from './base/pseudonym.ts';
import type { ClosedTrace, TraceRevision } from './base/trace.ts';
import { createPathBuilder } from './call-paths.ts';
import { createDecoder, type Decoded, type DecodeRequest } from './decode/decoder.ts';
import { createDumpDecoder, type DumpError } from './decode/trace-dump.ts';
import { createDetector } from './detect/detector.ts';
import type { EstateSettings } from './enrich/enricher.ts';
import { toGraphFacts } from './enrich/graph.ts';

/**
 * The one place that knows every stage, and the order in which spans pass them: decode (and scrub), assemble, enrich,
 * detect. What has to be made durable is handed out before anything is concluded from it. It runs in any thread and
 * does no I/O itself: the log and the store are written by whoever owns the pipeline.
 */

export interface PipelineSettings {
  readonly limits: Limits;
  /** `event` takes event times as recorded. */
  readonly time: 'clamped' | 'event';
  readonly clientAddress: 'full' | 'prefix' | 'hash';
  readonly pseudonym: Pseudonym;
  readonly pseudonymKeyId: string;
  readonly estate: EstateSettings;
  /** `host:port` of services that send spans. */
  readonly coveredHosts: readonly string[];
  readonly ruleSet: RuleSet;
  readonly counters: Counters;
  /** Reads back what was stored of a trace; absent where nothing is stored (scan). */
  readonly history: TraceHistory;
  /** Called for an error that a closed trace provoked; the trace is left out, the process goes on. */
  readonly onBug: (stage: string, error: unknown) => void;
}

/** What an export amounts to once decoded. */
export interface Accepted {
  /** New spans to be stored under `offset`; undefined when all were repeats or there were none. */
  readonly batch: SpanBatch | undefined;
  readonly offset: number;
  readonly rejectedSpans: number;
  /** Why spans were rejected, '' when none were. */
  readonly message: string;
}

export interface Pipeline {
  /** @throws RejectedError when the bytes are unusable */
  accept(request: DecodeRequest, receivedUs: number): Accepted;
  /** Takes a whole trace dump of any known format; says what of it could not be read. @throws RejectedError when nothing could be */
  acceptDump(bytes: Uint8Array, fileName: string, bytesMax: number): readonly DumpError[];
  /** Closes what has been silent long enough at `nowUs`; `conclude` judges it. */
  tick(nowUs: number): void;
  /**
   * Judges closed traces, oldest first, until at least `spansMax` spans are judged; true when more wait. Apart from
   * accepting, so that an acknowledgement never waits for a burst of traces that close together.
   */
  conclude(spansMax: number): boolean;
  /** Closes and judges everything: the input is at its end. */
  flush(): void;
  /** What was concluded since the last call, with the position it belongs to; judges first what waits. */
  checkpoint(): StoreDelta;
  /** True when a checkpoint would say nothing new. */
  isIdle(): boolean;
  /** Rebuilds the open traces after a restart. */
  restore(state: RestoredState): void;
  /** Traces that are open, or closed and not judged yet. */
  readonly openTraces: number;
  readonly openSpans: number;
  readonly openBytes: number;
  /** Spans of closed traces that wait for `conclude`. */
  readonly waitingSpans: number;
}

export interface StoredRecord {
  readonly offset: number;
  readonly receivedUs: number;
  readonly batch: SpanBatch;
}

export interface RestoredState {
  /** `Checkpoint.openTraces` */
  readonly openTraces: Uint8Array;
  /** First offset whose conclusions are not stored. */
  readonly nextOffset: number;
  /** Stored records from the horizon up to `nextOffset`. */
  readonly before: Iterable<StoredRecord>;
  /** Stored records from `nextOffset` on. */
  readonly after: Iterable<StoredRecord>;
  /** Ids of traces that closed recently. */
  readonly recentTraceKeys: Iterable<BigUint64Array | Uint32Array>;
}

export function createPipeline(settings: PipelineSettings): Pipeline {
  const { counters, limits } = settings;
  const decodeSettings = {
    limits,
    pseudonym: settings.pseudonym,
    pseudonymKeyId: settings.pseudonymKeyId,
    eventTime: settings.time === 'event' ? 'recorded' : 'clamped',
    keepClientAddress: settings.clientAddress,
    counters,
  } as const;
  const decoder = createDecoder(decodeSettings);
  const dumps = createDumpDecoder(decodeSettings);
  const toPaths = createPathBuilder(settings);
  const detector = createDetector(settings.ruleSet, counters);
  /** Closed traces that wait to be judged, from `waitingFrom` on. */
  let waiting: ClosedTrace[] = [];
  let waitingFrom = 0;
  let waitingSpans = 0;
  const assembler = createAssembler({ limits, counters }, settings.history, (trace) => {
    waiting.push(trace);
    waitingSpans += trace.rows.row.length;
  });
  let nextOffset = 0;
  let checkpointedOffset = 0;

  function conclude(spansMax: number): boolean {
    if (waitingFrom === waiting.length) return false;
    const startMs = performance.now();
    for (let spans = 0; spans < spansMax && waitingFrom < waiting.length; waitingFrom++) {
      const trace = waiting[waitingFrom]!;
      spans += trace.rows.row.length;
      waitingSpans -= trace.rows.row.length;
      judge(trace);
    }
    counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'conclude');
    if (waitingFrom < waiting.length) return true;
    waiting = [];
    waitingFrom = 0;
    return false;
  }

  function judge(trace: ClosedTrace): void {
    try {
      if (trace.previous !== undefined) observe(trace.traceId, trace.previous, -1);
      observe(trace.traceId, trace, 1);
    } catch (error) {
      counters.add('stage_errors_total', 1, 'conclude');
      settings.onBug('conclude', error);
    }
  }

  function observe(traceId: string, trace: TraceRevision, sign: 1 | -1): void {
    let eventUs = 0;
    for (const path of toPaths(trace)) {
      if (path.eventUs > eventUs) eventUs = path.eventUs;
      detector.observe(path, toGraphFacts(path), sign);
    }
    if (sign === 1 && (trace.revision > 1 || trace.closedBy === 'cap' || trace.closedBy === 'limit')) {
      const closedBy = trace.closedBy === 'flush' ? 'idle' : trace.closedBy;
      detector.mark({ traceId, revision: trace.revision, closedBy, eventUs });
    }
  }

  function acceptDecoded({ batch, receivedSpans, rejectedSpans, message }: Decoded, receivedUs: number): Accepted {
    counters.add('spans_received_total', receivedSpans);
    const offset = nextOffset;
    const startMs = performance.now();
    const { duplicates, duplicate } = assembler.accept(batch, offset, receivedUs);
    counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'assemble');
    if (duplicates > 0) counters.add('spans_duplicate_total', duplicates);
    const fresh = batch.count - duplicates;
    if (fresh === 0) return { batch: undefined, offset, rejectedSpans, message };
    counters.add('spans_stored_total', fresh);
    nextOffset++;
    return { batch: duplicate === undefined ? batch : withoutRows(batch, duplicate), offset, rejectedSpans, message };
  }

  return {
    accept(request, receivedUs) {
      const startMs = performance.now();
      const decoded = decoder.decode(request, receivedUs);
      counters.add('stage_seconds_total', (performance.now() - startMs) / 1000, 'decode');
      return acceptDecoded(decoded, receivedUs);
    },
    acceptDump(bytes, fileName, bytesMax) {
      const { decoded, errors } = dumps.decodeDump(bytes, fileName, 0, bytesMax);
      for (const each of decoded) acceptDecoded(each, 0);
      return errors;
    },
    tick: (nowUs) => assembler.tick(nowUs),
    conclude,
    flush() {
      assembler.flush();
      conclude(Number.POSITIVE_INFINITY);
    },
    checkpoint() {
      conclude(Number.POSITIVE_INFINITY);
      checkpointedOffset = nextOffset;
      return detector.take({
        nextOffset,
        horizonOffset: assembler.horizonOffset(nextOffset),
        openTraces: assembler.snapshot(),
      });
    },
    isIdle: () => detector.isIdle && waiting.length === 0 && checkpointedOffset === nextOffset,
    restore(state) {
      assembler.restore(state.openTraces, state.before, state.recentTraceKeys);
      nextOffset = state.nextOffset;
      checkpointedOffset = nextOffset;
      for (const { offset, receivedUs, batch } of state.after) {
        assembler.accept(batch, offset, receivedUs);
        nextOffset = offset + 1;
      }
    },
    get openTraces() {
      return assembler.openTraces + waiting.length - waitingFrom;
    },
    get openSpans() {
      return assembler.openSpans;
    },
    get openBytes() {
      return assembler.openBytes;
    },
    get waitingSpans() {
      return waitingSpans;
    },
  };
}

/** The batch less its marked rows. */
function withoutRows(batch: SpanBatch, marked: Uint8Array): SpanBatch {
  const kept: (readonly [SpanBatch, number])[] = [];
  for (let row = 0; row < batch.count; row++) if (marked[row] === 0) kept.push([batch, row]);
  return copyRows(kept);
}
