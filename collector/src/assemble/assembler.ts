import type { SpanBatch } from '../base/batch.ts';
import type { Counters } from '../base/counters.ts';
import type { Limits } from '../base/limits.ts';
import type { ClosedBy, ClosedTrace } from '../base/trace.ts';
import { ClosedMarks } from './closed-marks.ts';
import { NONE } from './open-rows.ts';
import { OpenTable } from './open-table.ts';
import { RecentTraces } from './recent-traces.ts';
import { columnBytes } from './retained-batches.ts';
import { parseSnapshot, SnapshotWriter } from './snapshot.ts';

export type { ClosedBy, ClosedTrace, PathTree, SpanRows, TraceRevision } from '../base/trace.ts';
export { buildPaths, type PathSettings } from './paths.ts';

/**
 * Batches of spans in, closed traces out: every span exactly once, in bounded memory, whatever the order of arrival. It
 * never reads a clock, never judges a span, and never looks at attributes.
 *
 * Time is the time of receipt that callers pass in. What closes when depends on those times alone, not on how often
 * `tick` is called: `accept` first closes what was due by its own time.
 */

/** Reads back what is stored of a trace that closed. MUST show every row accepted under an offset below `beforeOffset`. */
export interface TraceHistory {
  readTrace(traceId: string, beforeOffset: number): SpanBatch | undefined;
  /** The last revision of a trace where it is not the ordinary one (revision 1, closed by silence). */
  mark(traceId: string): { readonly revision: number; readonly closedBy: ClosedBy } | undefined;
}

export interface AssemblerSettings {
  readonly limits: Pick<Limits, 'openTracesMax' | 'openBytesMax' | 'assembleIdleMs' | 'assembleCapMs' | 'reopenMs'>;
  readonly counters: Counters;
}

export interface LogRecord {
  readonly offset: number;
  readonly receivedUs: number;
  readonly batch: SpanBatch;
}

export interface Assembler {
  /**
   * Takes the rows in as record `offset` of the log; offsets and times (whole microseconds) MUST NOT fall. Rows with
   * `duplicate[i] === 1` repeat a span of the same batch, of an open trace or of a recently closed one, and must not be
   * stored again; the first content wins. May call `onClose`.
   */
  accept(
    batch: SpanBatch,
    offset: number,
    receivedUs: number,
  ): { readonly duplicates: number; readonly duplicate: Uint8Array | undefined };
  /** Closes what is due at `nowUs`, ordered by (time it was due, trace id). */
  tick(nowUs: number): void;
  /** Closes everything, ordered by (event time, trace id). */
  flush(): void;
  /** The lowest offset that an open trace has new spans in; `nextOffset` when there is none. */
  horizonOffset(nextOffset: number): number;
  /** The open traces without their spans, for `restore`. */
  snapshot(): Uint8Array;
  /**
   * Rebuilds the open table of an assembler that took nothing in yet: from a snapshot, the log's records from the
   * horizon up to the offset of the snapshot, and the keys (low 64 bits of the ids, or pairs of high and low words) of
   * traces that may have closed.
   */
  restore(
    snapshot: Uint8Array,
    records: Iterable<LogRecord>,
    recentTraceKeys: Iterable<BigUint64Array | Uint32Array>,
  ): void;
  readonly openTraces: number;
  /** Spans held for open traces, those of former revisions included. */
  readonly openSpans: number;
  /** Bytes of columns held for open traces. */
  readonly openBytes: number;
}

/** Memory that compaction does not bother about. */
const COMPACTION_SLACK_BYTES = 4 * 1024 * 1024;
/** Memory may be this many times what open spans need before they are copied together; less when the cap is reached. */
const WASTE_MAX = 3;
const PRESSED_WASTE_MAX = 2;
/** At the cap, traces are evicted down to this share of it, so that the next export does not evict again. */
const PRESSED_FILL = 0.97;
/** One trace may hold this share of `openBytesMax`; beyond it the trace goes on in segments that are judged apart. */
const TRACE_BYTES_SHARE = 1 / 8;

/** `onClose` is called synchronously from `accept`, `tick` and `flush`; rows are valid as long as they are referenced. */
export function createAssembler(
  settings: AssemblerSettings,
  history: TraceHistory,
  onClose: (trace: ClosedTrace) => void,
): Assembler {
  return new TraceAssembler(settings, history, onClose);
}

class TraceAssembler implements Assembler {
  readonly #counters: Counters;
  readonly #history: TraceHistory;
  readonly #onClose: (trace: ClosedTrace) => void;
  readonly #idleUs: number;
  readonly #capUs: number;
  readonly #tracesMax: number;
  readonly #bytesMax: number;
  readonly #table = new OpenTable();
  readonly #batches = this.#table.batches;
  readonly #traces = this.#table.traces;
  readonly #recent: RecentTraces;
  readonly #marks = new ClosedMarks();
  readonly #overfull = new Set<number>();
  #clockUs = Number.NEGATIVE_INFINITY;

  constructor(settings: AssemblerSettings, history: TraceHistory, onClose: (trace: ClosedTrace) => void) {
    const { limits } = settings;
    this.#counters = settings.counters;
    this.#history = history;
    this.#onClose = onClose;
    this.#idleUs = limits.assembleIdleMs * 1000;
    this.#capUs = limits.assembleCapMs * 1000;
    this.#tracesMax = limits.openTracesMax;
    this.#bytesMax = limits.openBytesMax;
    this.#recent = new RecentTraces(this.#table.hash, limits.reopenMs * 1000);
  }

  get openTraces(): number {
    return this.#traces.count;
  }

  get openSpans(): number {
    return this.#table.rows.count;
  }

  get openBytes(): number {
    return this.#batches.heldBytes;
  }

  accept(batch: SpanBatch, offset: number, receivedUs: number) {
    this.tick(receivedUs);
    const batchId = this.#batches.add(batch);
    let duplicate: Uint8Array | undefined;
    let duplicates = 0;
    let slot = NONE;
    const id = batch.traceId;
    for (let row = 0; row < batch.count; row++) {
      const at = 4 * row;
      // Exporters batch by time, so neighbours often are of one trace.
      if (
        slot === NONE ||
        id[at + 3] !== id[at - 1] ||
        id[at + 2] !== id[at - 2] ||
        id[at + 1] !== id[at - 3] ||
        id[at] !== id[at - 4]
      ) {
        slot = this.#slotOf(id[at]!, id[at + 1]!, id[at + 2]!, id[at + 3]!, offset);
      }
      if (!this.#take(slot, batchId, batch, row, offset)) {
        duplicate ??= new Uint8Array(batch.count);
        duplicate[row] = 1;
        duplicates++;
      }
    }
    this.#batches.settle(batchId);
    this.#keepLimits();
    return { duplicates, duplicate };
  }

  tick(nowUs: number): void {
    const now = Math.floor(nowUs);
    if (now > this.#clockUs) this.#clockUs = now;
    const due = this.#dueTraces();
    if (due.length === 0) return;
    for (const slot of due) this.#close(slot, this.#isCapFirst(slot) ? 'cap' : 'idle');
    this.#compactIfWasteful(WASTE_MAX);
  }

  flush(): void {
    const slots = this.#table.slots();
    const eventUs = new Map(slots.map((slot) => [slot, this.#table.eventUs(slot)]));
    slots.sort((a, b) => eventUs.get(a)! - eventUs.get(b)! || this.#traces.compareIds(a, b));
    for (const slot of slots) this.#close(slot, 'flush');
  }

  horizonOffset(nextOffset: number): number {
    const traces = this.#traces;
    let horizon = nextOffset;
    for (let slot = traces.age.head; slot !== NONE; slot = traces.age.next(slot)) {
      if (!traces.isQuiet(slot) && traces.offset[slot]! < horizon) horizon = traces.offset[slot]!;
    }
    return horizon;
  }

  snapshot(): Uint8Array {
    const writer = new SnapshotWriter(this.#clockUs);
    this.#table.writeTo(writer);
    return writer.take();
  }

  restore(
    snapshot: Uint8Array,
    records: Iterable<LogRecord>,
    recentTraceKeys: Iterable<BigUint64Array | Uint32Array>,
  ): void {
    const traces = this.#traces;
    const { clockUs, traces: states } = parseSnapshot(snapshot);
    this.#clockUs = Math.max(this.#clockUs, clockUs);
    const slots: number[] = [];
    for (const state of states) {
      const { w0, w1, w2, w3 } = state;
      const slot = this.#table.open(w0, w1, w2, w3, state.offset, state.firstUs);
      traces.lastUs[slot] = state.lastUs;
      traces.revision[slot] = state.revision;
      slots.push(slot);
      const known = state.former && this.#history.readTrace(this.#table.traceId(slot), state.offset);
      if (known !== undefined) this.#takeFormer(slot, known, state.former!);
    }
    slots.sort((a, b) => traces.firstUs[a]! - traces.firstUs[b]!);
    for (const slot of slots) {
      traces.age.remove(slot);
      traces.age.append(slot);
    }
    for (const { offset, batch } of records) this.#takeReplayed(batch, offset);
    // A slot may belong to another trace by the time limits are next looked at; the next span notices again.
    this.#overfull.clear();
    for (const keys of recentTraceKeys) {
      if (keys instanceof Uint32Array) {
        for (let i = 0; i < keys.length; i += 2) this.#recent.add(keys[i]!, keys[i + 1]!, this.#clockUs);
      } else for (const key of keys) this.#recent.add(Number(key >> 32n), Number(key & 0xffffffffn), this.#clockUs);
    }
  }

  /** The open trace with this id; opens or reopens it. */
  #slotOf(w0: number, w1: number, w2: number, w3: number, offset: number): number {
    const open = this.#table.find(w0, w1, w2, w3);
    if (open !== NONE) return open;
    const slot = this.#table.open(w0, w1, w2, w3, offset, this.#clockUs);
    if (this.#recent.has(w2, w3)) this.#reopen(slot, offset);
    return slot;
  }

  /** The trace may have closed lately: it goes on from what is stored of it. */
  #reopen(slot: number, offset: number): void {
    const traces = this.#traces;
    const traceId = this.#table.traceId(slot);
    const own = this.#marks.get(traceId);
    const mark = own ?? this.#history.mark(traceId);
    const known = own?.sealed ? undefined : this.#history.readTrace(traceId, offset);
    if (known !== undefined && known.count > 0 && columnBytes(known) <= this.#bytesMax * TRACE_BYTES_SHARE) {
      const former = { revision: mark?.revision ?? 1, closedBy: mark?.closedBy ?? 'idle' } as const;
      traces.revision[slot] = former.revision + 1;
      this.#takeFormer(slot, known, former);
      this.#counters.add('traces_reopened_total');
    } else if (mark !== undefined) traces.revision[slot] = mark.revision + 1;
  }

  #takeFormer(
    slot: number,
    known: SpanBatch,
    former: { readonly revision: number; readonly closedBy: ClosedBy },
  ): void {
    const batchId = this.#batches.add(known);
    for (let row = 0; row < known.count; row++) this.#addRow(slot, batchId, known, row);
    this.#batches.settle(batchId);
    this.#traces.former.set(slot, { ...former, rows: this.#traces.spans[slot]! });
  }

  /** False when the row is a repeat. */
  #take(slot: number, batchId: number, batch: SpanBatch, row: number, offset: number): boolean {
    const traces = this.#traces;
    if (!this.#addRow(slot, batchId, batch, row)) return false;
    if (traces.fresh[slot]!++ === 0) traces.wake(slot, offset, this.#clockUs);
    traces.touch(slot, this.#clockUs);
    return true;
  }

  #addRow(slot: number, batchId: number, batch: SpanBatch, row: number): boolean {
    if (!this.#table.add(slot, batchId, batch, row)) return false;
    if (this.#traces.bytes[slot]! > this.#bytesMax * TRACE_BYTES_SHARE) this.#overfull.add(slot);
    return true;
  }

  /** Rows of the log count where they made up an open trace, and change no times: those are in the snapshot. */
  #takeReplayed(batch: SpanBatch, offset: number): void {
    const traces = this.#traces;
    const batchId = this.#batches.add(batch);
    const id = batch.traceId;
    for (let row = 0; row < batch.count; row++) {
      const w0 = id[4 * row]!;
      const w1 = id[4 * row + 1]!;
      const w2 = id[4 * row + 2]!;
      const w3 = id[4 * row + 3]!;
      const slot = this.#table.find(w0, w1, w2, w3);
      if (slot === NONE || offset < traces.offset[slot]!) continue;
      if (this.#addRow(slot, batchId, batch, row)) traces.fresh[slot]!++;
    }
    this.#batches.settle(batchId);
    this.#compactIfWasteful(WASTE_MAX);
  }

  #dueTraces(): number[] {
    const traces = this.#traces;
    const due: number[] = [];
    for (let slot = traces.idle.head; slot !== NONE; slot = traces.idle.next(slot)) {
      if (traces.lastUs[slot]! + this.#idleUs > this.#clockUs) break;
      due.push(slot);
    }
    for (let slot = traces.age.head; slot !== NONE; slot = traces.age.next(slot)) {
      if (traces.firstUs[slot]! + this.#capUs > this.#clockUs) break;
      if (traces.lastUs[slot]! + this.#idleUs > this.#clockUs) due.push(slot);
    }
    if (due.length > 1) due.sort((a, b) => this.#dueUs(a) - this.#dueUs(b) || traces.compareIds(a, b));
    return due;
  }

  #dueUs(slot: number): number {
    return Math.min(this.#traces.lastUs[slot]! + this.#idleUs, this.#traces.firstUs[slot]! + this.#capUs);
  }

  #isCapFirst(slot: number): boolean {
    return this.#traces.firstUs[slot]! + this.#capUs < this.#traces.lastUs[slot]! + this.#idleUs;
  }

  /** Takes a trace out of the table and hands it on; a quiet one goes without a word. */
  #close(slot: number, closedBy: ClosedBy, sealed = false): void {
    const traces = this.#traces;
    const trace = traces.isQuiet(slot) ? undefined : this.#toClosed(slot, closedBy);
    const high = traces.id[4 * slot + 2]!;
    const low = traces.id[4 * slot + 3]!;
    this.#table.remove(slot);
    if (trace === undefined) return;
    const forgotten = this.#recent.evicted;
    this.#recent.add(high, low, this.#clockUs);
    if (this.#recent.evicted > forgotten) {
      this.#counters.dropped('assemble', 'recent-traces', this.#recent.evicted - forgotten);
    }
    if (trace.revision > 1 || closedBy === 'cap' || closedBy === 'limit') {
      this.#marks.set(trace.traceId, { revision: trace.revision, closedBy, sealed });
    }
    this.#counters.add('traces_closed_total', 1, closedBy);
    this.#onClose(trace);
  }

  #toClosed(slot: number, closedBy: ClosedBy): ClosedTrace {
    const traces = this.#traces;
    const rows = this.#table.spansOf(slot);
    const former = traces.former.get(slot);
    return {
      traceId: this.#table.traceId(slot),
      revision: traces.revision[slot]!,
      closedBy,
      rows,
      previous: former && {
        revision: former.revision,
        closedBy: former.closedBy,
        rows: { batch: rows.batch.slice(0, former.rows), row: rows.row.slice(0, former.rows) },
      },
    };
  }

  /** Closes early what the limits have no room for: overfull traces, then the longest idle. */
  #keepLimits(): void {
    const traces = this.#traces;
    for (const slot of this.#overfull) {
      this.#counters.add('traces_evicted_total', 1, 'trace-bytes');
      this.#close(slot, 'limit', true);
    }
    this.#overfull.clear();
    while (traces.count > this.#tracesMax) this.#evict('open-traces');
    this.#compactIfWasteful(WASTE_MAX);
    if (this.#batches.heldBytes <= this.#bytesMax) return;
    this.#compactIfWasteful(PRESSED_WASTE_MAX);
    if (this.#batches.heldBytes <= this.#bytesMax) return;
    while (this.#batches.heldBytes > this.#bytesMax * PRESSED_FILL && traces.count > 0) {
      this.#evict('open-bytes');
      this.#compactIfWasteful(PRESSED_WASTE_MAX);
    }
  }

  #evict(reason: string): void {
    const slot = this.#traces.idle.head;
    if (!this.#traces.isQuiet(slot)) this.#counters.add('traces_evicted_total', 1, reason);
    this.#close(slot, 'limit');
  }

  /** Copies when the batches cost `wasteMax` times what belongs to open rows: what is copied is less than what is won. */
  #compactIfWasteful(wasteMax: number): void {
    const { heldBytes, liveBytes } = this.#batches;
    const slackBytes = Math.min(COMPACTION_SLACK_BYTES, this.#bytesMax / 8);
    if (heldBytes <= wasteMax * liveBytes + slackBytes) return;
    this.#counters.add('open_spans_compacted_total', this.#table.compact());
  }
}
