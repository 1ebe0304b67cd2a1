import type { Effect, ObjectRef } from './record.ts';

/** A call to a data store that no OpenTelemetry instrumentation covers, such as an embedded database. */
export interface StoreCall {
  /** `db.system.name`: `sqlite`. */
  readonly system: string;
  /** `db.operation.name`: `SELECT`. */
  readonly operation: string;
  /** `db.collection.name`: the table. */
  readonly collection?: string;
  /** `db.namespace`: the database. */
  readonly namespace?: string;
  /** The objects that are read or changed. */
  readonly object?: ObjectRef;
  /** What the call does to them, when that is more than a read. */
  readonly effect?: Effect;
}

/**
 * Runs `run` inside a CLIENT span with `db.*` attributes, the number of rows it returns and the data types of its columns.
 * The result, or what it throws, is the caller's, unchanged; a promise is followed. Without an SDK it only runs `run`.
 */
export function traceStore<T>(_call: StoreCall, run: () => T): T {
  return run();
}
