import type { ClosedBy } from '../base/trace.ts';

/** Closed traces that are remembered; beyond it the one that was closed first is forgotten. */
const MARKS_MAX = 100_000;

/** How a trace closed last, where that was not the ordinary way. */
export interface ClosedMark {
  readonly revision: number;
  readonly closedBy: ClosedBy;
  /** The trace is too large to be read back: late spans make a segment of their own. */
  readonly sealed: boolean;
}

/** Remembers how traces closed, so that a mark still on its way to the store is seen when late spans come. */
export class ClosedMarks {
  readonly #marks = new Map<string, ClosedMark>();

  get(traceId: string): ClosedMark | undefined {
    return this.#marks.get(traceId);
  }

  set(traceId: string, mark: ClosedMark): void {
    this.#marks.delete(traceId);
    this.#marks.set(traceId, mark);
    if (this.#marks.size <= MARKS_MAX) return;
    for (const oldest of this.#marks.keys()) {
      this.#marks.delete(oldest);
      return;
    }
  }
}
