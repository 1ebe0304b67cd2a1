import type { Database } from 'better-sqlite3';
import type { TraceMark } from '../base/outcome.ts';
import { type CallGraphQuery, createCallGraphQueries } from './call-graph-queries.ts';
import { openReadOnly, STORE_FILE } from './database.ts';
import { createFindingQueries, type FindingsPage, type FindingsQuery } from './finding-queries.ts';
import { checkVersion } from './migrate.ts';
import { createOperationQueries, type OperationsPage, type OperationsQuery } from './operation-queries.ts';
import { createCounts, type StoreCounts } from './store-counts.ts';
import type { CallGraphView, FindingDetail } from './views.ts';

/** Queries in, views out, each from one snapshot of the store; the handle cannot write. */
export interface StoreReader {
  findings(query: FindingsQuery): FindingsPage;
  /** By id (`F-…`) or fingerprint. */
  finding(id: string): FindingDetail | undefined;
  operations(query: OperationsQuery): OperationsPage;
  callGraph(query: CallGraphQuery): CallGraphView;
  /** What is unusual about a trace (later revision, closed early); undefined for ordinary and unknown ones. */
  traceMark(traceId: string): TraceMark | undefined;
  counts(): StoreCounts;
  close(): void;
}

/**
 * Opens the store of `directory` for queries.
 *
 * @throws StoreVersionError when the schema is not the one this version reads
 */
export function openStoreReader(directory: string, settings: { readonly assembleIdleMs: number }): StoreReader {
  const database = openReadOnly(directory);
  try {
    checkVersion(database, `${directory}/${STORE_FILE}`);
    return createReader(database, settings);
  } catch (error) {
    database.close();
    throw error;
  }
}

export function createReader(database: Database, settings: { readonly assembleIdleMs: number }): StoreReader {
  const findings = createFindingQueries(database, settings);
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
    counts: createCounts(database),
    close: () => void database.close(),
  };
}
