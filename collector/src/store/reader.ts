import type { Database } from 'better-sqlite3';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import type { Checkpoint, TraceMark } from '../base/outcome.ts';
import { type CallGraphQuery, createCallGraphQueries } from './call-graph-queries.ts';
import { createCheckpointQuery } from './checkpoint-query.ts';
import { openReadOnly, STORE_FILE } from './database.ts';
import { createFindingQueries, type FindingsPage, type FindingsQuery } from './finding-queries.ts';
import { checkVersion } from './migrate.ts';
import { createOperationQueries, type OperationsPage, type OperationsQuery } from './operation-queries.ts';
import { createCounts, type StoreCounts } from './store-counts.ts';
import type { CallGraphView, FindingDetail } from './views.ts';

export interface ReaderSettings {
  /** Silence after which a trace closes: a finding is raised that long after it became detectable. */
  readonly assembleIdleMs?: number;
}

/** Queries in, views out, each from one snapshot of the store; the handle cannot write. */
export interface StoreReader {
  findings(query: FindingsQuery): FindingsPage;
  /** By id (`F-…`) or fingerprint. */
  finding(id: string): FindingDetail | undefined;
  operations(query: OperationsQuery): OperationsPage;
  callGraph(query: CallGraphQuery): CallGraphView;
  /** What is unusual about a trace (later revision, closed early); undefined for ordinary and unknown ones. */
  traceMark(traceId: string): TraceMark | undefined;
  /** Where the log has been worked through to; undefined in a new store. */
  checkpoint(): Checkpoint | undefined;
  counts(): StoreCounts;
  close(): void;
}

/**
 * Opens the store of `directory` for queries.
 *
 * @throws StoreVersionError when the schema is not the one this version reads
 */
export function openStoreReader(directory: string, settings: ReaderSettings): StoreReader {
  const database = openReadOnly(directory);
  try {
    checkVersion(database, `${directory}/${STORE_FILE}`);
    return createReader(database, settings);
  } catch (error) {
    database.close();
    throw error;
  }
}

export function createReader(database: Database, settings: ReaderSettings): StoreReader {
  const findings = createFindingQueries(database, settings.assembleIdleMs ?? DEFAULT_LIMITS.assembleIdleMs);
  const { operations } = createOperationQueries(database);
  const { callGraph } = createCallGraphQueries(database);
  const mark = database.prepare('SELECT revision, closed_by, event_us FROM trace_marks WHERE trace_id = ?');

  /** All statements of one answer see the same state. */
  function snapshot<Q, R>(answer: (query: Q) => R): (query: Q) => R {
    const transaction = database.transaction(answer);
    return (query) => transaction.deferred(query);
  }

  return {
    findings: snapshot((query: FindingsQuery) => findings.findings(query)),
    finding: snapshot((id: string) => findings.finding(id)),
    operations: snapshot(operations),
    callGraph: snapshot(callGraph),
    traceMark(traceId) {
      const row = mark.get(Buffer.from(traceId, 'hex')) as
        | { revision: number; closed_by: TraceMark['closedBy']; event_us: number }
        | undefined;
      if (row === undefined) return undefined;
      return { traceId, revision: row.revision, closedBy: row.closed_by, eventUs: row.event_us };
    },
    checkpoint: createCheckpointQuery(database),
    counts: createCounts(database),
    close: () => void database.close(),
  };
}
