import type { RuleRef } from '@spanwarden/rules';
import type { Database, Statement } from 'better-sqlite3';
import { createAudit } from './audit.ts';
import type { MatchDetail } from './match-detail.ts';
import {
  type ArchiveReason,
  type Confidence,
  type FindingDetail,
  type FindingStatus,
  type FindingView,
  type Severity,
  toRfc3339,
} from './views.ts';

/** Filters in, pages of findings and single findings out; it changes nothing, and every value is bound, never spliced. */

export interface FindingsQuery {
  readonly status?: readonly string[] | undefined;
  /** Rule ids. */
  readonly rule?: readonly string[] | undefined;
  readonly severity?: readonly string[] | undefined;
  readonly principal?: string | undefined;
  readonly operation?: string | undefined;
  /** Findings last seen at or after this event time. */
  readonly sinceUs?: number | undefined;
  /** Findings first seen before this event time. */
  readonly untilUs?: number | undefined;
  readonly limit: number;
  /** Where the page before ended. */
  readonly after?: FindingPlace | undefined;
}

/** A finding's place in the order of lists: latest first seen first, then by fingerprint. */
export interface FindingPlace {
  readonly firstUs: number;
  readonly fingerprint: string;
}

export interface FindingsPage {
  readonly items: readonly FindingView[];
  /** Undefined on the last page. */
  readonly next: FindingPlace | undefined;
}

export interface FindingQueries {
  findings(query: FindingsQuery): FindingsPage;
  /** By id or fingerprint. */
  finding(id: string): FindingDetail | undefined;
}

interface Row {
  readonly finding: number;
  readonly fingerprint: string;
  readonly id: string;
  readonly revision: number;
  readonly count: number;
  readonly records: number;
  readonly episodes: number;
  readonly first_us: number;
  readonly last_us: number;
  readonly detectable_us: number;
  readonly rule_body: string;
  readonly severity: Severity;
  readonly shown_match: number | null;
  readonly summary: string;
  readonly principal: string | null;
  readonly operation: string | null;
  readonly subject_kind: string;
  readonly subject_id: string;
  readonly status: FindingStatus;
  readonly status_reason: ArchiveReason | null;
  readonly status_until_us: number | null;
  readonly status_note: string | null;
  readonly status_at_us: number | null;
}

interface DetailRow {
  readonly trace_id: Buffer;
  readonly entry_span_id: Buffer;
  readonly body: string;
}

const TRACE_IDS_PER_END = 10;
/** Matches read per end to find that many distinct traces; one trace can hold many call paths. */
const MATCHES_READ_PER_END = 200;
const HISTORY_ENTRIES = 50;
const FROM = 'FROM findings f JOIN rules r ON r.rule = f.rule';

export function createFindingQueries(database: Database, assembleIdleMs: number): FindingQueries {
  const audit = createAudit(database);
  const pages = new Map<string, Statement<unknown[]>>();
  const byId = database.prepare(
    `SELECT f.*, r.body AS rule_body ${FROM} WHERE (f.id = :id OR f.fingerprint = :id) AND f.count > 0
     ORDER BY f.fingerprint LIMIT 1`,
  );
  const earliest = database.prepare(
    `SELECT trace_id FROM matches WHERE finding = ? AND shown = 1
     ORDER BY event_us, trace_id, entry_span_id LIMIT ${MATCHES_READ_PER_END}`,
  );
  const latest = database.prepare(
    `SELECT trace_id FROM matches WHERE finding = ? AND shown = 1
     ORDER BY event_us DESC, trace_id DESC, entry_span_id DESC LIMIT ${MATCHES_READ_PER_END}`,
  );
  const detail = database.prepare('SELECT trace_id, entry_span_id, body FROM match_details WHERE match = ?');

  /** Ten earliest and ten latest distinct traces, in the order in which they matched. */
  function traceIds(finding: number): string[] {
    const front = distinct(earliest.pluck().iterate(finding) as Iterable<Buffer>);
    const back = distinct(latest.pluck().iterate(finding) as Iterable<Buffer>);
    return [...front, ...back.filter((id) => !front.includes(id)).reverse()];
  }

  function toView(row: Row): FindingView {
    const rule = JSON.parse(row.rule_body) as RuleRef;
    return {
      id: row.id,
      fingerprint: row.fingerprint,
      rule: { id: rule.id, version: rule.version, title: rule.title },
      severity: row.severity,
      confidence: toConfidence(rule),
      status: row.status,
      summary: row.summary,
      subject: { kind: row.subject_kind, id: row.subject_id },
      operation: row.operation,
      principal: row.principal,
      firstSeen: toRfc3339(row.first_us),
      detectableAt: toRfc3339(row.detectable_us),
      raisedAt: toRfc3339(row.detectable_us + assembleIdleMs * 1000),
      lastSeen: toRfc3339(row.last_us),
      dwellMs: Math.floor((row.last_us - row.first_us) / 1000),
      count: row.count,
      records: row.records,
      traceIds: traceIds(row.finding),
    };
  }

  function toFullView(row: Row): FindingDetail {
    const rule = JSON.parse(row.rule_body) as RuleRef;
    const stored = row.shown_match === null ? undefined : (detail.get(row.shown_match) as DetailRow | undefined);
    const full = stored === undefined ? undefined : (JSON.parse(stored.body) as MatchDetail);
    return {
      ...toView(row),
      revision: row.revision,
      episodes: row.episodes,
      explanation: row.summary,
      key: full?.key.map(([field, value]) => ({ field, value })) ?? [],
      evidence:
        stored === undefined || full === undefined
          ? null
          : {
              traceId: stored.trace_id.toString('hex'),
              entrySpanId: stored.entry_span_id.toString('hex'),
              spans: full.spans,
              measures: full.clauses,
              baseline: null,
            },
      ruleDetail: { status: rule.status, hash: rule.hash, engineVersion: rule.engineVersion, tags: rule.tags },
      responseAdvice: rule.respond,
      suggestedRateLimit: null,
      triage: {
        reason: row.status_reason,
        until: row.status_until_us === null ? null : toRfc3339(row.status_until_us),
        note: row.status_note,
        changedAt: row.status_at_us === null ? null : toRfc3339(row.status_at_us),
      },
      history: audit
        .of(row.fingerprint, HISTORY_ENTRIES)
        .map(({ entry, atUs, actor, action, change }) => ({ entry, at: toRfc3339(atUs), actor, action, change })),
    };
  }

  return {
    findings(query) {
      const { where, values } = toFilter(query);
      let page = pages.get(where);
      if (page === undefined) {
        page = database.prepare(
          `SELECT f.*, r.body AS rule_body ${FROM} WHERE ${where} ORDER BY f.first_us DESC, f.fingerprint LIMIT ?`,
        );
        pages.set(where, page);
      }
      const rows = page.all(...values, query.limit + 1) as Row[];
      const last = rows[query.limit - 1];
      const next =
        rows.length > query.limit && last !== undefined
          ? { firstUs: last.first_us, fingerprint: last.fingerprint }
          : undefined;
      return { items: rows.slice(0, query.limit).map(toView), next };
    },
    finding(id) {
      const row = byId.get({ id }) as Row | undefined;
      return row === undefined ? undefined : toFullView(row);
    },
  };
}

/** Conditions come from this fixed list only, so that there are few statements and none from a caller's text. */
function toFilter(query: FindingsQuery): { readonly where: string; readonly values: (string | number)[] } {
  const where = ['f.count > 0'];
  const values: (string | number)[] = [];
  const add = (condition: string, ...bound: (string | number)[]): void => {
    where.push(condition);
    values.push(...bound);
  };
  const addList = (column: string, list: readonly string[] | undefined): void => {
    if (list?.length === 1) add(`f.${column} = ?`, list[0]!);
    // The plus keeps SQLite from the column's index: rows come in the order of the list then, and need no sorting.
    else if (list !== undefined) add(`+f.${column} IN (SELECT value FROM json_each(?))`, JSON.stringify(list));
  };
  addList('status', query.status);
  addList('rule_id', query.rule);
  addList('severity', query.severity);
  if (query.principal !== undefined) add('f.principal = ?', query.principal);
  if (query.operation !== undefined) add('f.operation = ?', query.operation);
  if (query.sinceUs !== undefined) add('f.last_us >= ?', query.sinceUs);
  if (query.untilUs !== undefined) add('f.first_us < ?', query.untilUs);
  if (query.after !== undefined) {
    const { firstUs, fingerprint } = query.after;
    add('f.first_us <= ? AND (f.first_us < ? OR f.fingerprint > ?)', firstUs, firstUs, fingerprint);
  }
  return { where: where.join(' AND '), values };
}

/**
 * How far a finding can be trusted follows from how far its rule has been tried: stable rules have a story test, test
 * rules ran on real traffic, experimental and deprecated ones promise nothing.
 */
function toConfidence({ status }: RuleRef): Confidence {
  if (status === 'stable') return 'high';
  return status === 'test' ? 'medium' : 'low';
}

function distinct(ids: Iterable<Buffer>): string[] {
  const found = new Set<string>();
  for (const id of ids) {
    found.add(id.toString('hex'));
    if (found.size === TRACE_IDS_PER_END) break;
  }
  return [...found];
}
