import type { Database } from 'better-sqlite3';
import type { Checkpoint } from '../base/outcome.ts';

interface Row {
  readonly next_offset: number;
  readonly horizon_offset: number;
  readonly open_traces: Buffer;
}

/** Reads how far the log has been worked through; undefined in a new store. */
export function createCheckpointQuery(database: Database): () => Checkpoint | undefined {
  const statement = database.prepare('SELECT next_offset, horizon_offset, open_traces FROM checkpoint');
  return () => {
    const row = statement.get() as Row | undefined;
    if (row === undefined) return undefined;
    const { next_offset: nextOffset, horizon_offset: horizonOffset, open_traces: openTraces } = row;
    return { nextOffset, horizonOffset, openTraces: new Uint8Array(openTraces) };
  };
}
