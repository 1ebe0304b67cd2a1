import type { Completeness } from '@spanwarden/rules';
import type { SpanBatch } from './batch.ts';

/**
 * What assembly hands over: closed traces, and the trees of spans in them. Rows point into batches; no span is copied.
 */

/** Spans as positions in batches: row `row[i]` of `batch[i]`. */
export interface SpanRows {
  readonly batch: readonly SpanBatch[];
  readonly row: readonly number[];
}

/**
 * Why a trace closed: silence, age while spans still arrived, a limit (its spans may be cut), or the end of a scan,
 * which counts as silence.
 */
export type ClosedBy = 'idle' | 'cap' | 'limit' | 'flush';

/** One state of a trace: its spans at a close. */
export interface TraceRevision {
  readonly rows: SpanRows;
  /** 1 at the first close; grows each time late spans amend the trace. */
  readonly revision: number;
  readonly closedBy: ClosedBy;
}

export interface ClosedTrace extends TraceRevision {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** What the revision before this one was made of, so that its conclusions can be taken back. */
  readonly previous: TraceRevision | undefined;
}

/**
 * Why the root of a tree has no parent: it names none, it must not have one (its caller is outside of the estate), or
 * the parent never arrived: `remote` (another process: not instrumented, sampled out or late), `local` (the same
 * process: lost), `unknown` (the sender does not say).
 */
export type MissingParent = 'none' | 'outside' | 'remote' | 'local' | 'unknown';

/**
 * The spans under one root, as a struct of arrays. The first `hopCount` entries are the call path, ordered by (start,
 * span id); entries from there on were cut by a limit: they are counted but not judged, and their `parent` is -1 when
 * it is not in this tree.
 */
export interface PathTree {
  readonly batch: readonly SpanBatch[];
  readonly row: readonly number[];
  readonly hopCount: number;
  /** Position of the root. */
  readonly root: number;
  /** Position of the parent, -1 for the root. */
  readonly parent: readonly number[];
  /** Edges to the root. */
  readonly depth: readonly number[];
  /** Children, cut ones included. */
  readonly childCount: readonly number[];
  /** All positions, each after its parent. */
  readonly topDown: readonly number[];
  readonly missingParent: MissingParent;
  readonly completeness: Completeness;
  /** Upper estimate of how far the clocks of two entries differ, microseconds; 0 on one clock, else at least 100,000. */
  skewUs(a: number, b: number): number;
}

/** Which clock timed a span: host or instance where known, else the service. */
export function clockOf(batch: SpanBatch, row: number): string {
  const resource = batch.resources[batch.resource[row]!]!;
  return resource.clock !== '' ? resource.clock : resource.service;
}

export function serviceOf(batch: SpanBatch, row: number): string {
  return batch.resources[batch.resource[row]!]!.service;
}
