import type { Database, Statement } from 'better-sqlite3';

const FINDING_COLUMNS =
  'finding, fingerprint, id, revision, count, records, episodes, details, first_us, last_us, status, status_reason';
const SHOWN_OF_FINDING = 'FROM matches WHERE finding = ? AND shown = 1';

const SQL = {
  insertRule: 'INSERT INTO rules (content, body) VALUES (?, ?) ON CONFLICT DO NOTHING',
  ruleByContent: 'SELECT rule FROM rules WHERE content = ?',
  ruleBody: 'SELECT body FROM rules WHERE rule = ?',

  findingByFingerprint: `SELECT ${FINDING_COLUMNS} FROM findings WHERE fingerprint = ?`,
  insertFinding: `INSERT INTO findings (fingerprint, id, revision, count, records, episodes, details, first_us, last_us, detectable_us,
         rule, rule_id, severity, summary, subject_kind, subject_id)
       VALUES (:fingerprint, :id, 0, 0, 0, 0, 0, 0, 0, 0, :rule, :rule_id, :severity, :summary, :subject_kind, :subject_id)`,
  updateFinding: `UPDATE findings SET revision = :revision, count = :count, records = :records, episodes = :episodes,
         details = :details, first_us = :first_us, last_us = :last_us WHERE finding = :finding`,
  updateHead: `UPDATE findings SET rule = :rule, rule_id = :rule_id, severity = :severity, detectable_us = :detectable_us
       WHERE finding = :finding`,
  updateSummary: `UPDATE findings SET shown_match = :shown_match, summary = :summary, principal = :principal,
         operation = :operation, subject_kind = :subject_kind, subject_id = :subject_id WHERE finding = :finding`,
  reopen: `UPDATE findings SET status = 'open', status_reason = NULL, status_until_us = NULL WHERE finding = ?`,

  rowsOfPath: `SELECT match, content, presence, shown, event_us, path_event_us, window_us, records FROM matches
       WHERE finding = ? AND trace_id = ? AND entry_span_id = ?`,
  insertMatch: `INSERT INTO matches (finding, trace_id, entry_span_id, content, presence, shown, event_us, path_event_us,
         window_us, records, rule)
       VALUES (:finding, :trace_id, :entry_span_id, :content, :presence, :shown, :event_us, :path_event_us,
         :window_us, :records, :rule)`,
  updatePresence: 'UPDATE matches SET presence = ? WHERE match = ?',
  setShown: 'UPDATE matches SET shown = ? WHERE match = ?',
  deleteMatch: 'DELETE FROM matches WHERE match = ?',

  previousShown: `SELECT event_us, window_us ${SHOWN_OF_FINDING} AND (event_us, trace_id, entry_span_id) < (?, ?, ?)
       ORDER BY event_us DESC, trace_id DESC, entry_span_id DESC LIMIT 1`,
  nextShown: `SELECT event_us, window_us ${SHOWN_OF_FINDING} AND (event_us, trace_id, entry_span_id) > (?, ?, ?)
       ORDER BY event_us, trace_id, entry_span_id LIMIT 1`,
  range: `SELECT (SELECT min(event_us) FROM matches WHERE finding = :finding AND shown = 1) AS first_us,
              (SELECT max(event_us) FROM matches WHERE finding = :finding AND shown = 1) AS last_us`,
  head: `SELECT rule, path_event_us ${SHOWN_OF_FINDING} ORDER BY event_us, trace_id, entry_span_id LIMIT 1`,
  headDetail: `SELECT d.match, d.body FROM match_details d JOIN matches m USING (match)
       WHERE d.finding = ? AND m.shown = 1 ORDER BY d.event_us, d.trace_id, d.entry_span_id LIMIT 1`,

  detail: 'SELECT body FROM match_details WHERE match = ?',
  latestDetail: `SELECT match, event_us, trace_id, entry_span_id FROM match_details WHERE finding = ?
       ORDER BY event_us DESC, trace_id DESC, entry_span_id DESC LIMIT 1`,
  insertDetail: `INSERT INTO match_details (match, finding, event_us, trace_id, entry_span_id, body)
       VALUES (:match, :finding, :event_us, :trace_id, :entry_span_id, :body)`,
  updateDetail: 'UPDATE match_details SET body = ? WHERE match = ?',
  deleteDetail: 'DELETE FROM match_details WHERE match = ?',
} as const;

/** Statements that give the value of their one column instead of a row. */
const PLUCKED: readonly (keyof typeof SQL)[] = ['ruleByContent', 'ruleBody'];

export type FindingSql = Readonly<Record<keyof typeof SQL, Statement>>;

/** Every statement that writing findings needs, prepared once per connection. */
export function prepareFindingSql(database: Database): FindingSql {
  const prepared = Object.fromEntries(
    Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]),
  ) as FindingSql;
  for (const name of PLUCKED) prepared[name].pluck();
  return prepared;
}
