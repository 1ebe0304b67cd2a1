import type { Database } from 'better-sqlite3';

/** How much the store holds, for metrics. */
export interface StoreCounts {
  /** Findings by rule id, withdrawn ones left out. */
  readonly findingsByRule: readonly (readonly [rule: string, findings: number])[];
  readonly findingsByStatus: readonly (readonly [status: string, findings: number])[];
  /** Rules that could not answer, by what they missed. */
  readonly unknownsByMissing: readonly (readonly [missing: string, answers: number])[];
  readonly matches: number;
  readonly operations: number;
  readonly edges: number;
  readonly databaseBytes: number;
}

export function createCounts(database: Database): () => StoreCounts {
  const pairs = (sql: string) => database.prepare(sql).raw();
  const number = (sql: string) => database.prepare(sql).pluck();
  const byRule = pairs('SELECT rule_id, count(*) FROM findings WHERE count > 0 GROUP BY rule_id ORDER BY rule_id');
  const byStatus = pairs('SELECT status, count(*) FROM findings WHERE count > 0 GROUP BY status ORDER BY status');
  const byMissing = pairs('SELECT missing, sum(count) FROM unknowns GROUP BY missing ORDER BY missing');
  const matches = number('SELECT coalesce(sum(count), 0) FROM findings');
  const operations = number('SELECT count(*) FROM operations WHERE calls > 0');
  const edges = number('SELECT count(*) FROM edges WHERE calls > 0');
  const bytes = number('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
  const read = database.transaction(() => ({
    findingsByRule: byRule.all() as [string, number][],
    findingsByStatus: byStatus.all() as [string, number][],
    unknownsByMissing: byMissing.all() as [string, number][],
    matches: Number(matches.get()),
    operations: Number(operations.get()),
    edges: Number(edges.get()),
    databaseBytes: Number(bytes.get()),
  }));
  return () => read.deferred();
}
