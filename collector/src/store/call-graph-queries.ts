import type { Database } from 'better-sqlite3';
import type { NodeKind } from '../base/outcome.ts';
import { type CallGraphView, toRfc3339 } from './views.ts';

/** An interval in, the nodes and edges that were seen in it out; it changes nothing. */

export interface CallGraphQuery {
  /** Edges used at or after this event time. */
  readonly sinceUs?: number | undefined;
  /** Edges first used before this event time. */
  readonly untilUs?: number | undefined;
  readonly level?: 'service' | 'operation' | undefined;
}

interface EdgeRow {
  readonly edge: number;
  readonly level: 'service' | 'operation';
  readonly from_kind: NodeKind;
  readonly from_id: string;
  readonly to_kind: NodeKind;
  readonly to_id: string;
  readonly calls: number;
  readonly errors: number;
  readonly first_us: number;
  readonly last_us: number;
}

type Node = CallGraphView['nodes'][number];

const EDGES_MAX = 10_000;

export function createCallGraphQueries(database: Database, edgesMax = EDGES_MAX) {
  const edges = database.prepare(
    `SELECT * FROM edges WHERE calls > 0 AND last_us >= :since AND first_us < :until
       AND (:level IS NULL OR level = :level)
     ORDER BY calls DESC, level, from_id, to_id, from_kind, to_kind LIMIT :limit`,
  );
  const types = database.prepare(
    'SELECT type, records FROM edge_data_types WHERE edge = ? AND records > 0 ORDER BY type',
  );
  const operation = database.prepare('SELECT service, style, method, route FROM operations WHERE id = ?');

  function toNode(kind: NodeKind, id: string): Node {
    const known =
      kind === 'operation'
        ? (operation.get(id) as { service: string; method: string; route: string } | undefined)
        : undefined;
    if (known === undefined) return { id, kind, name: id, service: null };
    return {
      id,
      kind,
      name: [known.method, known.route].filter((part) => part !== '').join(' '),
      service: known.service,
    };
  }

  function callGraph({ sinceUs, untilUs, level }: CallGraphQuery): CallGraphView {
    const rows = edges.all({
      since: sinceUs ?? Number.MIN_SAFE_INTEGER,
      until: untilUs ?? Number.MAX_SAFE_INTEGER,
      level: level ?? null,
      limit: edgesMax + 1,
    }) as EdgeRow[];
    const kept = rows.slice(0, edgesMax).sort(byEnds);
    const nodes = new Map<string, Node>();
    for (const row of kept) {
      for (const [kind, id] of [[row.from_kind, row.from_id] as const, [row.to_kind, row.to_id] as const]) {
        const key = `${kind}\u0000${id}`;
        if (!nodes.has(key)) nodes.set(key, toNode(kind, id));
      }
    }
    return {
      nodes: [...nodes].sort(([a], [b]) => compare(a, b)).map(([, node]) => node),
      edges: kept.map((row) => ({
        from: row.from_id,
        to: row.to_id,
        kind: row.level,
        fromKind: row.from_kind,
        toKind: row.to_kind,
        calls: row.calls,
        errors: row.errors,
        dataTypes: types.all(row.edge) as { type: string; records: number }[],
        firstSeen: toRfc3339(row.first_us),
        lastSeen: toRfc3339(row.last_us),
      })),
      truncated: rows.length > edgesMax,
    };
  }

  return { callGraph };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function byEnds(a: EdgeRow, b: EdgeRow): number {
  return (
    -compare(a.level, b.level) ||
    compare(a.from_id, b.from_id) ||
    compare(a.to_id, b.to_id) ||
    compare(a.from_kind, b.from_kind) ||
    compare(a.to_kind, b.to_kind)
  );
}
