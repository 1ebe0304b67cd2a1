import type { Database, Statement } from 'better-sqlite3';
import type { EdgeDelta, OperationDelta, TraceMark, UnknownDelta } from '../base/outcome.ts';

/**
 * Signed sums of calls in, rows that add them up out. It keeps no row it was not given and must run inside a
 * transaction of the caller. A row whose calls sum to 0 stays and is listed by nobody: its first match in time may yet
 * come back.
 */
export interface TrafficWriter {
  operations(deltas: readonly OperationDelta[]): void;
  edges(deltas: readonly EdgeDelta[]): void;
  unknowns(deltas: readonly UnknownDelta[]): void;
  traceMarks(marks: readonly TraceMark[]): void;
  /** Forgets cached row ids, which a rolled back transaction may have taken back. */
  forget(): void;
}

/** Row ids remembered at most; beyond it they are looked up again. */
const CACHED_ROWS_MAX = 100_000;

export function createTrafficWriter(database: Database): TrafficWriter {
  const one = (sql: string): Statement => database.prepare(sql);
  const sums = `calls = calls + excluded.calls, errors = errors + excluded.errors,
    first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)`;
  const insertOperation = one(
    `INSERT INTO operations (id, service, style, method, route, calls, errors, first_us, last_us)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET ${sums} RETURNING operation`,
  ).pluck();
  const updateOperation = one(
    `UPDATE operations SET calls = calls + ?, errors = errors + ?, first_us = min(first_us, ?), last_us = max(last_us, ?)
     WHERE operation = ?`,
  );
  const addFacet = one(
    `INSERT INTO operation_facets VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, records = records + excluded.records`,
  );
  const insertEdge = one(
    `INSERT INTO edges (level, from_id, to_id, from_kind, to_kind, calls, errors, first_us, last_us)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (level, from_id, to_id, from_kind, to_kind) DO UPDATE SET ${sums} RETURNING edge`,
  ).pluck();
  const updateEdge = one(
    `UPDATE edges SET calls = calls + ?, errors = errors + ?, first_us = min(first_us, ?), last_us = max(last_us, ?)
     WHERE edge = ?`,
  );
  const addDataType = one(
    'INSERT INTO edge_data_types VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET records = records + excluded.records',
  );
  const addUnknown = one(
    'INSERT INTO unknowns VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
  );
  const addMark = one(
    `INSERT INTO trace_marks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       revision = excluded.revision, closed_by = excluded.closed_by, event_us = excluded.event_us
     WHERE (excluded.revision, excluded.closed_by, excluded.event_us) > (revision, closed_by, event_us)`,
  );
  const operationRows = new Map<string, number>();
  const edgeRows = new Map<string, number>();

  function remember(rows: Map<string, number>, key: string, row: number): number {
    if (rows.size >= CACHED_ROWS_MAX) rows.clear();
    rows.set(key, row);
    return row;
  }

  function operationRow(delta: OperationDelta): number {
    const { id, service, style, method, route, calls, errors, firstUs, lastUs } = delta;
    const known = operationRows.get(id);
    if (known !== undefined) {
      updateOperation.run(calls, errors, firstUs, lastUs, known);
      return known;
    }
    const row = insertOperation.get(id, service, style, method, route, calls, errors, firstUs, lastUs);
    return remember(operationRows, id, Number(row));
  }

  function edgeRow(delta: EdgeDelta): number {
    const { level, from, fromKind, to, toKind, calls, errors, firstUs, lastUs } = delta;
    const key = [level, fromKind, from, toKind, to].join('\u0000');
    const known = edgeRows.get(key);
    if (known !== undefined) {
      updateEdge.run(calls, errors, firstUs, lastUs, known);
      return known;
    }
    const row = insertEdge.get(level, from, to, fromKind, toKind, calls, errors, firstUs, lastUs);
    return remember(edgeRows, key, Number(row));
  }

  return {
    operations(deltas) {
      for (const delta of deltas) {
        const row = operationRow(delta);
        for (const { facet, value, calls, records } of delta.facets) {
          if (calls !== 0 || records !== 0) addFacet.run(row, facet, value, calls, records);
        }
      }
    },
    edges(deltas) {
      for (const delta of deltas) {
        const row = edgeRow(delta);
        for (const { type, records } of delta.dataTypes) if (records !== 0) addDataType.run(row, type, records);
      }
    },
    unknowns(deltas) {
      for (const { rule, service, missing, count } of deltas) addUnknown.run(rule, service, missing, count);
    },
    traceMarks(marks) {
      for (const { traceId, revision, closedBy, eventUs } of marks) {
        addMark.run(Buffer.from(traceId, 'hex'), revision, closedBy, eventUs);
      }
    },
    forget() {
      operationRows.clear();
      edgeRows.clear();
    },
  };
}
