import type { Database } from 'better-sqlite3';

/**
 * A moment in, fewer rows out, and no counter lower than before. Of each finding the earliest matches (those kept in
 * full) and the latest stay as they are, so that first and last seen, evidence and trace ids remain exact; older ones in
 * between are folded into the finding's counts. Everything runs in short transactions, so that an acknowledgement never
 * waits for it.
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
}

const DAY_US = 86_400_000_000;
const ROWS_PER_STEP = 2_000;
/** Latest matches that are never folded: enough for ten distinct traces in ordinary findings. */
const LATEST_KEPT = 32;

interface Foldable {
  readonly finding: number;
}
interface Sum {
  readonly matches: number;
  readonly records: number;
}

export function createRetention(database: Database, earliestKept: number) {
  const foldable = database.prepare(
    `SELECT finding FROM findings
     WHERE first_us < :cutoff AND count - folded_count > :kept AND finding > :after ORDER BY finding LIMIT 1`,
  );
  const chosen = `SELECT match FROM matches WHERE finding = :finding AND shown = 1 AND event_us < :cutoff
    AND (event_us, trace_id, entry_span_id) >
        (SELECT event_us, trace_id, entry_span_id FROM matches WHERE finding = :finding AND shown = 1
         ORDER BY event_us, trace_id, entry_span_id LIMIT 1 OFFSET :earliest)
    AND (event_us, trace_id, entry_span_id) <
        (SELECT event_us, trace_id, entry_span_id FROM matches WHERE finding = :finding AND shown = 1
         ORDER BY event_us DESC, trace_id DESC, entry_span_id DESC LIMIT 1 OFFSET :latest)
    ORDER BY event_us, trace_id, entry_span_id LIMIT ${ROWS_PER_STEP}`;
  const sum = database.prepare(
    `SELECT count(*) AS matches, coalesce(sum(records), 0) AS records FROM matches WHERE match IN (${chosen})`,
  );
  const removeDetails = database.prepare(`DELETE FROM match_details WHERE match IN (${chosen})`);
  const removeMatches = database.prepare(`DELETE FROM matches WHERE match IN (${chosen})`);
  const addFolded = database.prepare(
    `UPDATE findings SET folded_count = folded_count + :matches, folded_records = folded_records + :records,
       details = details - :details WHERE finding = :finding`,
  );
  const staleHidden = database.prepare(
    `SELECT match FROM matches WHERE shown = 0 AND event_us < ? ORDER BY event_us LIMIT ${ROWS_PER_STEP}`,
  );
  const removeDetail = database.prepare('DELETE FROM match_details WHERE match = ?');
  const removeMatch = database.prepare('DELETE FROM matches WHERE match = ?');
  const fewerDetails = database.prepare(
    `UPDATE findings SET details = details - 1 WHERE finding = (SELECT finding FROM match_details WHERE match = ?)`,
  );
  const removeMarks = database.prepare(
    `DELETE FROM trace_marks WHERE trace_id IN (SELECT trace_id FROM trace_marks WHERE event_us < ? LIMIT ${ROWS_PER_STEP})`,
  );
  const oldFinding = database.prepare(
    `SELECT finding FROM findings f WHERE (count > 0 AND last_us < :cutoff)
       OR (count = 0 AND status = 'open' AND status_at_us IS NULL
           AND NOT EXISTS (SELECT 1 FROM matches m WHERE m.finding = f.finding)) LIMIT 1`,
  );
  const findingParts = ['match_details', 'matches'].map((table) =>
    database.prepare(
      `DELETE FROM ${table} WHERE match IN (SELECT match FROM ${table} WHERE finding = ? LIMIT ${ROWS_PER_STEP})`,
    ),
  );
  const removeFinding = database.prepare('DELETE FROM findings WHERE finding = ?');

  const foldStep = database.transaction((finding: number, cutoff: number): number => {
    // OFFSET counts from 0: the row at `earliest` is the last one kept at the front.
    const which = { finding, cutoff, earliest: earliestKept - 1, latest: LATEST_KEPT - 1 };
    const { matches, records } = sum.get(which) as Sum;
    if (matches === 0) return 0;
    const details = removeDetails.run(which).changes;
    removeMatches.run(which);
    addFolded.run({ finding, matches, records, details });
    return matches;
  });

  function fold(cutoff: number): number {
    let folded = 0;
    let after = -1;
    for (;;) {
      const next = foldable.get({ cutoff, kept: earliestKept + LATEST_KEPT, after }) as Foldable | undefined;
      if (next === undefined) return folded;
      after = next.finding;
      for (let step = foldStep(after, cutoff); step > 0; step = foldStep(after, cutoff)) folded += step;
    }
  }

  /** Withdrawals that found nothing to withdraw, and contents that a later one replaced. */
  const dropHiddenStep = database.transaction((cutoff: number): number => {
    const rows = staleHidden.pluck().all(cutoff) as number[];
    for (const match of rows) {
      fewerDetails.run(match);
      removeDetail.run(match);
      removeMatch.run(match);
    }
    return rows.length;
  });

  function forgetFinding(finding: number): void {
    for (const part of findingParts) while (part.run(finding).changes > 0);
    removeFinding.run(finding);
  }

  function run(nowUs: number, settings: RetentionSettings): RetentionResult {
    const matchesBefore = nowUs - settings.matchDays * DAY_US;
    const foldedMatches = fold(matchesBefore);
    while (dropHiddenStep(matchesBefore) > 0);
    let forgottenTraceMarks = 0;
    for (;;) {
      const { changes } = removeMarks.run(nowUs - settings.traceMarkDays * DAY_US);
      if (changes === 0) break;
      forgottenTraceMarks += changes;
    }
    let forgottenFindings = 0;
    for (;;) {
      const old = oldFinding.get({ cutoff: nowUs - settings.findingDays * DAY_US }) as Foldable | undefined;
      if (old === undefined) break;
      forgetFinding(old.finding);
      forgottenFindings += 1;
    }
    return { foldedMatches, forgottenTraceMarks, forgottenFindings };
  }

  return { run };
}
