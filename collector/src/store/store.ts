import type { Database } from 'better-sqlite3';
import { Counters } from '../base/counters.ts';
import { DEFAULT_LIMITS } from '../base/limits.ts';
import type { Checkpoint, StoreDelta } from '../base/outcome.ts';
import { type AuditVerdict, createAudit } from './audit.ts';
import { createCheckpointQuery } from './checkpoint-query.ts';
import { openInMemory, openWritable, STORE_FILE } from './database.ts';
import { createFindingQueries } from './finding-queries.ts';
import { createFindingWriter } from './finding-writer.ts';
import { migrate } from './migrate.ts';
import { createReader, type ReaderSettings, type StoreReader } from './reader.ts';
import { createRetention, type RetentionResult, type RetentionSettings } from './retention.ts';
import { createCounts, type StoreCounts } from './store-counts.ts';
import { toStoreFailure } from './store-failure.ts';
import { createTrafficWriter } from './traffic-writer.ts';
import { createTriage, type FindingChange } from './triage.ts';
import type { FindingDetail } from './views.ts';

/**
 * Deltas of detection in, findings, operations, call graph and the position in the log that they came from out, in one
 * SQLite file. It never asks in which order deltas came: whatever it answers is a function of their sum.
 */

export interface StoreSettings extends ReaderSettings {
  /** Matches per finding that are kept in full, the earliest ones. Default 16. */
  readonly evidenceMatchesMax?: number;
  /** Wall clock in microseconds for audit entries. Default the system's. */
  readonly now?: () => number;
  /** Counts what was written, folded and cut. */
  readonly counters?: Counters;
}

export interface Store {
  /**
   * Writes outputs and checkpoint in one transaction; durable when it returns, absent when it throws.
   *
   * @throws UnavailableError when the disk is full or fails
   */
  apply(delta: StoreDelta): { readonly changedFindings: readonly string[] };
  /** Where the log has been worked through to; undefined in a new store. */
  checkpoint(): Checkpoint | undefined;
  /** Changes a finding's triage state if it still has `ifRevision` (any when undefined). */
  setFindingStatus(id: string, change: FindingChange, ifRevision?: number): StatusResult;
  counts(): StoreCounts;
  /**
   * Keeps the file small; no counter falls. One call does a bounded amount of work; the last one truncates the WAL, so
   * that what was deleted is gone from disk.
   */
  retain(nowUs: number, settings?: Partial<RetentionSettings>): RetainResult;
  /** Re-computes the audit chain. */
  verifyAudit(): AuditVerdict;
  close(): void;
}

export type StatusResult =
  | { readonly outcome: 'changed'; readonly finding: FindingDetail }
  | { readonly outcome: 'not-found' }
  | { readonly outcome: 'conflict'; readonly revision: number };

export interface RetainResult extends RetentionResult {
  readonly expiredArchives: number;
  /** False while there is more to do, or a reader keeps the WAL alive: call again later. */
  readonly erased: boolean;
}

const DEFAULT_RETENTION: RetentionSettings = { matchDays: 30, traceMarkDays: 30, findingDays: 400 };
const EVIDENCE_MATCHES_MAX = 16;

/**
 * Opens or creates the store in `directory`.
 *
 * @throws StoreVersionError when a newer version wrote it
 */
export function openStore(directory: string, settings: StoreSettings): Store {
  const database = openWritable(directory);
  try {
    migrate(database, `${directory}/${STORE_FILE}`);
  } catch (error) {
    database.close();
    throw error;
  }
  return createStore(database, settings);
}

/** A store without a file, and the queries on it: gone when closed. */
export function openMemoryStore(settings: StoreSettings): { readonly store: Store; readonly reader: StoreReader } {
  const database = openInMemory();
  migrate(database, 'memory');
  return { store: createStore(database, settings), reader: createReader(database, settings) };
}

function createStore(database: Database, settings: StoreSettings): Store {
  const evidenceMatchesMax = settings.evidenceMatchesMax ?? EVIDENCE_MATCHES_MAX;
  const now = settings.now ?? (() => Date.now() * 1000);
  const counters = settings.counters ?? new Counters();
  const audit = createAudit(database);
  const triage = createTriage(database, audit, now);
  const findings = createFindingWriter(database, {
    evidenceMatchesMax,
    onReopen: (finding) => triage.reopened(finding),
    onCut: () => counters.dropped('store', 'evidence-matches'),
  });
  const traffic = createTrafficWriter(database);
  const retention = createRetention(database, evidenceMatchesMax);
  const queries = createFindingQueries(database, settings.assembleIdleMs ?? DEFAULT_LIMITS.assembleIdleMs);
  const counts = createCounts(database);
  const writeCheckpoint = database.prepare('INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)');

  const applyAll = database.transaction((delta: StoreDelta): string[] => {
    traffic.operations(delta.operations);
    traffic.edges(delta.edges);
    traffic.unknowns(delta.unknowns);
    traffic.traceMarks(delta.traceMarks);
    const changed = findings.apply(delta.matches);
    const { nextOffset, horizonOffset, openTraces } = delta.checkpoint;
    writeCheckpoint.run(nextOffset, horizonOffset, openTraces);
    return changed;
  });
  const change = database.transaction((id: string, to: FindingChange, ifRevision?: number) =>
    triage.change(id, to, ifRevision),
  );
  const expire = database.transaction((nowUs: number) => triage.expire(nowUs));

  return {
    apply(delta) {
      try {
        return { changedFindings: applyAll.immediate(delta) };
      } catch (error) {
        findings.forget();
        traffic.forget();
        throw toStoreFailure(error);
      }
    },
    checkpoint: createCheckpointQuery(database),
    setFindingStatus(id, to, ifRevision) {
      const result = change.immediate(id, to, ifRevision);
      if (result.outcome !== 'changed') return result;
      return { outcome: 'changed', finding: queries.finding(result.fingerprint)! };
    },
    counts,
    retain(nowUs, wanted = {}) {
      const expiredArchives = expire.immediate(nowUs);
      const result = retention.run(nowUs, { ...DEFAULT_RETENTION, ...wanted });
      if (result.more) return { ...result, expiredArchives, erased: false };
      const [wal] = database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
      return { ...result, expiredArchives, erased: wal?.busy === 0 };
    },
    verifyAudit: () => audit.verify(),
    close: () => void database.close(),
  };
}
