import { copyRows, type SpanBatch, toHex } from '../base/batch.ts';
import type { SpanRows } from '../base/trace.ts';
import { createIdHash } from './hash.ts';
import { NONE, OpenRows } from './open-rows.ts';
import { OpenTraces } from './open-traces.ts';
import { RetainedBatches } from './retained-batches.ts';
import type { SnapshotWriter } from './snapshot.ts';

/** Spans that compaction copies into one batch at most. */
const COMPACTED_ROWS_MAX = 2048;

/**
 * Open traces, their spans, and the batches that hold them, kept in step. When a trace closes, and why, is decided
 * elsewhere.
 */
export class OpenTable {
  readonly hash = createIdHash();
  readonly batches = new RetainedBatches(this.hash);
  readonly traces = new OpenTraces();
  readonly rows = new OpenRows(this.hash, this.batches);

  /** The slot of the open trace with this id, -1 when it is not open. */
  find(w0: number, w1: number, w2: number, w3: number): number {
    return this.traces.find(w0, w1, w2, w3, this.hash.trace(w0, w1, w2, w3));
  }

  /** Opens a trace that is not open yet. */
  open(w0: number, w1: number, w2: number, w3: number, offset: number, nowUs: number): number {
    return this.traces.open(w0, w1, w2, w3, this.hash.trace(w0, w1, w2, w3), offset, nowUs);
  }

  traceId(slot: number): string {
    return toHex(this.traces.id, 4 * slot, 4);
  }

  /** Adds a row to a trace; false when the trace has that span already. */
  add(slot: number, batchId: number, batch: SpanBatch, row: number): boolean {
    const { traces, rows } = this;
    const hashed = rows.hash(traces.hashed[slot]!, batchId, batch, row);
    if (rows.has(slot, hashed, batch, row)) return false;
    const at = rows.add(slot, hashed, batchId, batch, row);
    if (traces.tail[slot] === NONE) traces.head[slot] = at;
    else rows.link(traces.tail[slot]!, at);
    traces.tail[slot] = at;
    traces.spans[slot]!++;
    traces.bytes[slot]! += this.batches.rowBytes(batchId);
    return true;
  }

  /** The spans of a trace in order of arrival. */
  spansOf(slot: number): SpanRows {
    const batch: SpanBatch[] = [];
    const row: number[] = [];
    for (let at = this.traces.head[slot]!; at !== NONE; at = this.rows.next(at)) {
      batch.push(this.batches.batch(this.rows.batchId(at)));
      row.push(this.rows.row(at));
    }
    return { batch, row };
  }

  /** The latest event time of a trace's spans. */
  eventUs(slot: number): number {
    let latest = Number.NEGATIVE_INFINITY;
    for (let at = this.traces.head[slot]!; at !== NONE; at = this.rows.next(at)) {
      const eventUs = this.batches.batch(this.rows.batchId(at)).eventUs[this.rows.row(at)]!;
      if (eventUs > latest) latest = eventUs;
    }
    return latest;
  }

  /** Takes a trace and its spans out. */
  remove(slot: number): void {
    for (let at = this.traces.head[slot]!; at !== NONE; ) {
      const next = this.rows.next(at);
      this.rows.remove(at);
      at = next;
    }
    this.traces.remove(slot);
  }

  /** All open traces, longest idle first. */
  slots(): number[] {
    const { idle } = this.traces;
    const slots: number[] = [];
    for (let slot = idle.head; slot !== NONE; slot = idle.next(slot)) slots.push(slot);
    return slots;
  }

  /** Writes every trace that has something new, longest idle first. */
  writeTo(writer: SnapshotWriter): void {
    const { traces } = this;
    for (let slot = traces.idle.head; slot !== NONE; slot = traces.idle.next(slot)) {
      if (traces.isQuiet(slot)) continue;
      writer.add({
        w0: traces.id[4 * slot]!,
        w1: traces.id[4 * slot + 1]!,
        w2: traces.id[4 * slot + 2]!,
        w3: traces.id[4 * slot + 3]!,
        firstUs: traces.firstUs[slot]!,
        lastUs: traces.lastUs[slot]!,
        offset: traces.offset[slot]!,
        revision: traces.revision[slot]!,
        former: traces.former.get(slot),
      });
    }
  }

  /** Copies the open rows of thin batches together, longest idle first, and lets those batches go; returns how many. */
  compact(): number {
    const { traces, rows, batches } = this;
    const moving: number[] = [];
    for (let slot = traces.idle.head; slot !== NONE; slot = traces.idle.next(slot)) {
      for (let at = traces.head[slot]!; at !== NONE; at = rows.next(at)) {
        if (batches.isThin(rows.batchId(at))) moving.push(at);
      }
    }
    for (let from = 0; from < moving.length; from += COMPACTED_ROWS_MAX) {
      const chunk = moving.slice(from, from + COMPACTED_ROWS_MAX);
      const copy = copyRows(chunk.map((at) => [batches.batch(rows.batchId(at)), rows.row(at)]));
      const batchId = batches.add(copy);
      for (let row = 0; row < chunk.length; row++) rows.move(chunk[row]!, batchId, row);
    }
    return moving.length;
  }
}
