import type { RuleRef } from '@spanwarden/rules';
import type { Database } from 'better-sqlite3';
import type { MatchDelta } from '../base/outcome.ts';
import { prepareFindingSql } from './finding-sql.ts';
import { type MatchDetail, toDetail, toSubject } from './match-detail.ts';
import { type NetFinding, type NetMatch, toNetFindings } from './match-rows.ts';

/**
 * Signed matches in, finding rows kept as aggregates of the matches that are left out; it never asks in which order they
 * came. Must run inside a transaction of the caller.
 *
 * A call path counts once per finding. Its rows sum their signs per content; with a positive sum over all contents the
 * path is shown, by its latest content (a later revision holds more spans). One shown row per path is the rule; more
 * rows exist only while a withdrawal waits for its match, or when the rules changed in between.
 */
export interface FindingWriter {
  /** Ids of the findings whose content changed, sorted. */
  apply(matches: readonly MatchDelta[]): string[];
  /** Forgets cached row ids, which a rolled back transaction may have taken back. */
  forget(): void;
}

export interface FindingWriterSettings {
  /** Matches per finding that are kept in full, the earliest ones. */
  readonly evidenceMatchesMax: number;
  /** A closed finding's behaviour started again after a silent window. */
  readonly onReopen: (finding: { readonly fingerprint: string; readonly status: string }) => void;
  /** A match was counted and not kept in full. */
  readonly onCut: () => void;
}

interface FindingRow {
  finding: number;
  fingerprint: string;
  id: string;
  revision: number;
  count: number;
  records: number;
  episodes: number;
  details: number;
  first_us: number;
  last_us: number;
  status: string;
  status_reason: string | null;
}

interface MatchRow {
  match: number;
  content: Buffer;
  presence: number;
  shown: number;
  event_us: number;
  path_event_us: number;
  window_us: number;
  records: number;
}

/** Names a call path. */
interface Path {
  readonly trace_id: Buffer;
  readonly entry_span_id: Buffer;
}

/** A match's place in its finding; matches are ordered by it. */
interface Place extends Path {
  readonly event_us: number;
}

interface Neighbour {
  event_us: number;
  window_us: number;
}

/** What one delta does to one finding. */
interface Work {
  readonly row: FindingRow;
  changed: boolean;
  /** The earliest match may be another one now. */
  headMoved: boolean;
  /** An end of the time range may have gone. */
  shrunk: boolean;
  readonly before: { readonly episodes: number; readonly lastUs: number };
}

export function createFindingWriter(database: Database, settings: FindingWriterSettings): FindingWriter {
  const sql = prepareFindingSql(database);
  const ruleRows = new Map<string, number>();

  function apply(matches: readonly MatchDelta[]): string[] {
    const changed: string[] = [];
    for (const finding of toNetFindings(matches)) {
      const id = applyFinding(finding);
      if (id !== undefined) changed.push(id);
    }
    return changed.sort();
  }

  function applyFinding({ fingerprint, paths }: NetFinding): string | undefined {
    const row = findingRow(fingerprint, paths);
    if (row === undefined) return undefined;
    const before = { episodes: row.episodes, lastUs: row.count === 0 ? Number.POSITIVE_INFINITY : row.last_us };
    const work: Work = { row, changed: false, headMoved: false, shrunk: false, before };
    for (const contents of paths) applyPath(work, contents);
    finish(work);
    return work.changed ? row.id : undefined;
  }

  /** The finding's row, made when something of it is left to store. */
  function findingRow(fingerprint: string, paths: NetFinding['paths']): FindingRow | undefined {
    const known = sql.findingByFingerprint.get(fingerprint) as FindingRow | undefined;
    if (known !== undefined) return known;
    const first = paths.flat().find(({ net }) => net !== 0)?.delta;
    if (first === undefined) return undefined;
    const detail = toDetail(first);
    const subject = toSubject(detail);
    const { rule } = first.match;
    sql.insertFinding.run({
      fingerprint,
      id: toFindingId(fingerprint),
      rule: ruleRow(rule),
      rule_id: rule.id,
      severity: rule.level,
      summary: detail.explanation,
      subject_kind: subject.kind,
      subject_id: subject.id,
    });
    return sql.findingByFingerprint.get(fingerprint) as FindingRow;
  }

  function ruleRow(rule: RuleRef): number {
    const content = `${rule.id}@${rule.version}:${rule.engineVersion}:${rule.hash}`;
    let id = ruleRows.get(content);
    if (id === undefined) {
      sql.insertRule.run(content, JSON.stringify(rule));
      id = Number(sql.ruleByContent.get(content));
      ruleRows.set(content, id);
    }
    return id;
  }

  function applyPath(work: Work, contents: readonly NetMatch[]): void {
    const { finding } = work.row;
    const { traceId, entrySpanId } = contents[0]!;
    const rows = sql.rowsOfPath.all(finding, traceId, entrySpanId) as MatchRow[];
    const shownBefore = rows.find(({ shown }) => shown === 1);
    const deltas = new Map<MatchRow, MatchDelta>();
    for (const net of contents) {
      const known = rows.find(({ content }) => content.equals(net.content));
      if (known === undefined) {
        if (net.net === 0) continue;
        const added = newRow(net);
        rows.push(added);
        deltas.set(added, net.delta);
      } else {
        known.presence += net.net;
        deltas.set(known, net.delta);
      }
    }
    const shownAfter = toShown(rows);
    const path = { trace_id: traceId, entry_span_id: entrySpanId };
    if (shownBefore !== undefined && shownBefore !== shownAfter) hide(work, shownBefore, path);
    // A new row is stored as shown; only one that was hidden has to be changed.
    if (shownAfter?.match === 0) shownAfter.shown = 1;
    for (const row of rows) {
      const delta = deltas.get(row);
      if (delta !== undefined) writeRow(work, row, delta, path);
    }
    if (shownAfter !== undefined && shownBefore !== shownAfter) show(work, shownAfter, path);
  }

  /** Stores one row's sum; a row without one is gone, and so is what was kept to show it. */
  function writeRow(work: Work, row: MatchRow, delta: MatchDelta, path: Path): void {
    const { finding } = work.row;
    if (row.presence === 0) {
      if (row.match !== 0) {
        dropDetail(work, row.match);
        sql.deleteMatch.run(row.match);
      }
      return;
    }
    const isNew = row.match === 0;
    if (isNew) {
      const rule = ruleRow(delta.match.rule);
      const inserted = sql.insertMatch.run({ ...row, ...path, finding, rule });
      row.match = Number(inserted.lastInsertRowid);
    } else {
      sql.updatePresence.run(row.presence, row.match);
    }
    if (row.presence < 0) dropDetail(work, row.match);
    else if (delta.sign === 1) keepDetail(work, row, isNew, delta, path);
  }

  function show(work: Work, row: MatchRow, path: Path): void {
    const finding = work.row;
    work.changed = true;
    if (finding.count === 0 || row.event_us <= finding.first_us) work.headMoved = true;
    finding.episodes += episodesAround(work, { event_us: row.event_us, ...path }, row.window_us);
    finding.first_us = finding.count === 0 ? row.event_us : Math.min(finding.first_us, row.event_us);
    finding.last_us = finding.count === 0 ? row.event_us : Math.max(finding.last_us, row.event_us);
    finding.count += 1;
    finding.records += row.records;
    if (row.shown === 0) sql.setShown.run(1, row.match);
  }

  function hide(work: Work, row: MatchRow, path: Path): void {
    const finding = work.row;
    work.changed = true;
    if (row.event_us <= finding.first_us) work.headMoved = true;
    if (row.event_us <= finding.first_us || row.event_us >= finding.last_us) work.shrunk = true;
    sql.setShown.run(0, row.match);
    finding.count -= 1;
    finding.records -= row.records;
    finding.episodes -= episodesBetween(finding.finding, { event_us: row.event_us, ...path }, row.window_us);
  }

  /** How many more episodes there are with a match at `at`; most matches come last, and then nothing has to be read. */
  function episodesAround({ row: finding, shrunk }: Work, at: Place, windowUs: number): number {
    if (finding.count === 0) return 1;
    if (!shrunk && at.event_us > finding.last_us) return startsEpisode(finding.last_us, at.event_us, windowUs);
    return episodesBetween(finding.finding, at, windowUs);
  }

  function episodesBetween(finding: number, at: Place, windowUs: number): number {
    const previous = sql.previousShown.get(finding, at.event_us, at.trace_id, at.entry_span_id) as
      | Neighbour
      | undefined;
    const next = sql.nextShown.get(finding, at.event_us, at.trace_id, at.entry_span_id) as Neighbour | undefined;
    const own = startsEpisode(previous?.event_us, at.event_us, windowUs);
    if (next === undefined) return own;
    const nextWith = startsEpisode(at.event_us, next.event_us, next.window_us);
    return own + nextWith - startsEpisode(previous?.event_us, next.event_us, next.window_us);
  }

  /** Keeps what is shown of a match if it is one of the earliest; of a match that was stored before, the newest says. */
  function keepDetail(work: Work, row: MatchRow, isNew: boolean, delta: MatchDelta, path: Path): void {
    const finding = work.row;
    const known = isNew ? undefined : (sql.detail.get(row.match) as { body: string } | undefined);
    if (known === undefined) {
      if (!hasRoomForDetail(work, { event_us: row.event_us, ...path })) return;
      const body = JSON.stringify(toDetail(delta));
      sql.insertDetail.run({ match: row.match, finding: finding.finding, event_us: row.event_us, ...path, body });
      finding.details += 1;
      return;
    }
    const body = JSON.stringify(toDetail(delta));
    if (known.body === body) return;
    sql.updateDetail.run(body, row.match);
    work.changed = true;
    work.headMoved = true;
  }

  /** Makes room at the expense of a later match when there is one. */
  function hasRoomForDetail(work: Work, at: Place): boolean {
    const finding = work.row;
    if (finding.details < settings.evidenceMatchesMax) return true;
    settings.onCut();
    const latest = sql.latestDetail.get(finding.finding) as (Place & { match: number }) | undefined;
    if (latest === undefined || comparePlaces(at, latest) >= 0) return false;
    dropDetail(work, latest.match);
    return true;
  }

  function dropDetail(work: Work, match: number): void {
    work.row.details -= sql.deleteDetail.run(match).changes;
  }

  /** Writes the aggregate back. */
  function finish(work: Work): void {
    const { row: finding } = work;
    if (work.changed) finding.revision += 1;
    if (work.shrunk && finding.count > 0) {
      const range = sql.range.get({ finding: finding.finding }) as { first_us: number; last_us: number };
      finding.first_us = range.first_us;
      finding.last_us = range.last_us;
    }
    if (work.headMoved && finding.count > 0) writeHead(finding);
    if (isClosed(finding) && finding.episodes > work.before.episodes && finding.last_us > work.before.lastUs) {
      settings.onReopen(finding);
      sql.reopen.run(finding.finding);
    }
    sql.updateFinding.run(finding);
  }

  /** What the finding says of itself comes from its earliest match, or from the earliest that is kept in full. */
  function writeHead({ finding }: FindingRow): void {
    const head = sql.head.get(finding) as { rule: number; path_event_us: number };
    const rule = JSON.parse(String(sql.ruleBody.get(head.rule))) as RuleRef;
    sql.updateHead.run({
      finding,
      rule: head.rule,
      rule_id: rule.id,
      severity: rule.level,
      detectable_us: head.path_event_us,
    });
    const full = sql.headDetail.get(finding) as { match: number; body: string } | undefined;
    if (full === undefined) return;
    const detail = JSON.parse(full.body) as MatchDetail;
    const subject = toSubject(detail);
    sql.updateSummary.run({
      finding,
      shown_match: full.match,
      summary: detail.explanation,
      principal: detail.principal,
      operation: detail.operation,
      subject_kind: subject.kind,
      subject_id: subject.id,
    });
  }

  return { apply, forget: () => ruleRows.clear() };
}

export function toFindingId(fingerprint: string): string {
  return `F-${fingerprint.slice(fingerprint.indexOf(':') + 1).slice(0, 12)}`;
}

const isClosed = ({ status, status_reason }: FindingRow): boolean =>
  status === 'resolved' || (status === 'archived' && status_reason === 'remediated');

/** 1 when a match at `at` is the first, or comes after more silence than its window. */
function startsEpisode(previousUs: number | undefined, at: number, windowUs: number): 0 | 1 {
  return previousUs === undefined || at - previousUs > windowUs ? 1 : 0;
}

function newRow({ content, net, delta }: NetMatch): MatchRow {
  const { match, pathEventUs } = delta;
  return {
    match: 0,
    content,
    presence: net,
    shown: 0,
    event_us: match.eventUs,
    path_event_us: pathEventUs,
    window_us: match.windowMs * 1000,
    records: match.records,
  };
}

/** The row by which a call path is shown; none when as many were withdrawn as were added. */
function toShown(rows: readonly MatchRow[]): MatchRow | undefined {
  let sum = 0;
  let best: MatchRow | undefined;
  for (const row of rows) {
    sum += row.presence;
    if (row.presence > 0 && (best === undefined || compareContents(row, best) > 0)) best = row;
  }
  return sum > 0 ? best : undefined;
}

function compareContents(a: MatchRow, b: MatchRow): number {
  return a.path_event_us - b.path_event_us || a.event_us - b.event_us || Buffer.compare(a.content, b.content);
}

function comparePlaces(a: Place, b: Place): number {
  return (
    a.event_us - b.event_us ||
    Buffer.compare(a.trace_id, b.trace_id) ||
    Buffer.compare(a.entry_span_id, b.entry_span_id)
  );
}
