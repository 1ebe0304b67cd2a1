import type { Database } from 'better-sqlite3';

/**
 * A moment in, fewer rows out, and no counter lower than before. Of each finding the earliest matches (those kept in
 * full) and the latest stay as they are, so that first and last seen, evidence and trace ids remain exact; older ones in
 * between are folded into the finding's counts. One call does a bounded amount of work, because acknowledgements wait
 * for it.
 *
 * Age is event time against the latest event time stored: a replay of an old month keeps what a live run of that month
 * kept. The moment given bounds it, so that one span of a far future makes nothing old.
 */
export interface RetentionSettings {
  /** Days that single matches are kept. */
  readonly matchDays: number;
  /** Days that marks of unusual traces are kept: as long as the traces themselves. */
  readonly traceMarkDays: number;
  /** Days after its last match that a finding is kept. */
  readonly findingDays: number;
}

export interface RetentionResult {
  readonly foldedMatches: number;
  readonly forgottenTraceMarks: number;
  readonly forgottenFindings: number;
  /** True when there is more to do: call again soon. */
  readonly more: boolean;
}

const DAY_US = 86_400_000_000;
const ROWS_PER_CALL = 1_000;
/** Findings looked at per call, most of which have nothing to fold. */
const FINDINGS_PER_CALL = 500;
/** Latest matches that are never folded: enough for ten distinct traces in ordinary findings. */
const LATEST_KEPT = 32;

interface Sum {
  readonly matches: number;
  readonly records: number;
}

export function createRetention(database: Database, earliestKept: number) {
  const sql = prepare(database);
  /** Where the last call stopped looking for findings to fold. */
  let foldedUpTo = -1;

  const foldSome = database.transaction((finding: number, cutoff: number, rows: number): number => {
    // OFFSET counts from 0: the row at `earliest` is the last one kept at the front.
    const chosen = { finding, cutoff, rows, earliest: earliestKept - 1, latest: LATEST_KEPT - 1 };
    const { matches, records } = sql.sumOfChosen.get(chosen) as Sum;
    if (matches === 0) return 0;
    const details = sql.deleteChosenDetails.run(chosen).changes;
    sql.deleteChosen.run(chosen);
    sql.addFolded.run({ finding, matches, records, details });
    return matches;
  });

  /** Gives how many matches it folded, and whether it came to the end of the findings. */
  function fold(cutoff: number): { readonly folded: number; readonly ended: boolean } {
    let folded = 0;
    for (let looked = 0; looked < FINDINGS_PER_CALL; looked++) {
      const kept = earliestKept + LATEST_KEPT;
      const finding = sql.nextFoldable.get({ cutoff, kept, after: foldedUpTo }) as number | undefined;
      if (finding === undefined) {
        foldedUpTo = -1;
        return { folded, ended: true };
      }
      folded += foldSome(finding, cutoff, ROWS_PER_CALL - folded);
      if (folded >= ROWS_PER_CALL) break;
      foldedUpTo = finding;
    }
    return { folded, ended: false };
  }

  /** Withdrawals that found nothing to withdraw, and contents that a later one replaced. */
  const dropHidden = database.transaction((cutoff: number): number => {
    const rows = sql.staleHidden.all(cutoff) as number[];
    for (const match of rows) {
      sql.countDetailOut.run(match);
      sql.deleteDetail.run(match);
      sql.deleteMatch.run(match);
    }
    return rows.length;
  });

  /** Deletes one old finding, its matches first; gives whether all of it is gone. */
  const forgetFinding = database.transaction((finding: number): boolean => {
    sql.deleteDetailsOf.run(finding);
    if (sql.deleteMatchesOf.run(finding).changes >= ROWS_PER_CALL) return false;
    sql.deleteFinding.run(finding);
    return true;
  });

  function forgetFindings(cutoff: number): { readonly forgotten: number; readonly ended: boolean } {
    const old = [...sql.oldFindings.all(cutoff), ...sql.emptyFindings.all()] as number[];
    let forgotten = 0;
    for (const finding of old) {
      if (!forgetFinding(finding)) return { forgotten, ended: false };
      forgotten += 1;
    }
    return { forgotten, ended: old.length === 0 };
  }

  function run(nowUs: number, settings: RetentionSettings): RetentionResult {
    const asOfUs = Math.min(nowUs, sql.latestEvent.get() as number);
    const before = (days: number): number => asOfUs - days * DAY_US;
    const { folded, ended: foldEnded } = fold(before(settings.matchDays));
    const hidden = dropHidden(before(settings.matchDays));
    const forgottenTraceMarks = sql.deleteMarks.run(before(settings.traceMarkDays)).changes;
    const { forgotten, ended: forgetEnded } = forgetFindings(before(settings.findingDays));
    const more = !foldEnded || hidden >= ROWS_PER_CALL || forgottenTraceMarks >= ROWS_PER_CALL || !forgetEnded;
    return { foldedMatches: folded, forgottenTraceMarks, forgottenFindings: forgotten, more };
  }

  return { run };
}

function prepare(database: Database) {
  const chosen = `SELECT match FROM matches WHERE finding = :finding AND shown = 1 AND event_us < :cutoff
    AND (event_us, trace_id, entry_span_id) >
        (SELECT event_us, trace_id, entry_span_id FROM matches WHERE finding = :finding AND shown = 1
         ORDER BY event_us, trace_id, entry_span_id LIMIT 1 OFFSET :earliest)
    AND (event_us, trace_id, entry_span_id) <
        (SELECT event_us, trace_id, entry_span_id FROM matches WHERE finding = :finding AND shown = 1
         ORDER BY event_us DESC, trace_id DESC, entry_span_id DESC LIMIT 1 OFFSET :latest)
    ORDER BY event_us, trace_id, entry_span_id LIMIT :rows`;
  const one = (sql: string) => database.prepare(sql);
  return {
    latestEvent: one(
      `SELECT max(coalesce((SELECT max(last_us) FROM findings WHERE count > 0), 0),
                  coalesce((SELECT max(event_us) FROM trace_marks), 0))`,
    ).pluck(),
    nextFoldable: one(
      `SELECT finding FROM findings
       WHERE first_us < :cutoff AND count - folded_count > :kept AND finding > :after ORDER BY finding LIMIT 1`,
    ).pluck(),
    sumOfChosen: one(
      `SELECT count(*) AS matches, coalesce(sum(records), 0) AS records FROM matches WHERE match IN (${chosen})`,
    ),
    deleteChosenDetails: one(`DELETE FROM match_details WHERE match IN (${chosen})`),
    deleteChosen: one(`DELETE FROM matches WHERE match IN (${chosen})`),
    addFolded: one(
      `UPDATE findings SET folded_count = folded_count + :matches, folded_records = folded_records + :records,
         details = details - :details WHERE finding = :finding`,
    ),
    staleHidden: one(
      `SELECT match FROM matches WHERE shown = 0 AND event_us < ? ORDER BY event_us LIMIT ${ROWS_PER_CALL}`,
    ).pluck(),
    countDetailOut: one(
      'UPDATE findings SET details = details - 1 WHERE finding = (SELECT finding FROM match_details WHERE match = ?)',
    ),
    deleteDetail: one('DELETE FROM match_details WHERE match = ?'),
    deleteMatch: one('DELETE FROM matches WHERE match = ?'),
    deleteMarks: one(
      `DELETE FROM trace_marks WHERE trace_id IN
         (SELECT trace_id FROM trace_marks WHERE event_us < ? LIMIT ${ROWS_PER_CALL})`,
    ),
    oldFindings: one('SELECT finding FROM findings WHERE count > 0 AND last_us < ? LIMIT 20').pluck(),
    /** Withdrawn, and nobody said anything of it. */
    emptyFindings: one(
      `SELECT finding FROM findings f WHERE count = 0 AND status_at_us IS NULL
         AND NOT EXISTS (SELECT 1 FROM matches m WHERE m.finding = f.finding) LIMIT 20`,
    ).pluck(),
    deleteDetailsOf: one('DELETE FROM match_details WHERE finding = ?'),
    deleteMatchesOf: one(
      `DELETE FROM matches WHERE match IN (SELECT match FROM matches WHERE finding = ? LIMIT ${ROWS_PER_CALL})`,
    ),
    deleteFinding: one('DELETE FROM findings WHERE finding = ?'),
  };
}
