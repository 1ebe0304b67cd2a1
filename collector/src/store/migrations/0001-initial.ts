/** Findings with their matches, the inventory of operations, the call graph, the audit trail and the checkpoint. */
export const initial = {
  version: 1,
  name: 'initial',
  sql: `
CREATE TABLE rules (
  rule    INTEGER PRIMARY KEY,
  content TEXT NOT NULL UNIQUE,
  body    TEXT NOT NULL
) STRICT;

CREATE TABLE findings (
  finding       INTEGER PRIMARY KEY,
  fingerprint   TEXT NOT NULL UNIQUE,
  id            TEXT NOT NULL,
  revision      INTEGER NOT NULL,
  count         INTEGER NOT NULL,
  records       INTEGER NOT NULL,
  episodes      INTEGER NOT NULL,
  folded_count  INTEGER NOT NULL DEFAULT 0,
  folded_records INTEGER NOT NULL DEFAULT 0,
  details       INTEGER NOT NULL,
  first_us      INTEGER NOT NULL,
  last_us       INTEGER NOT NULL,
  detectable_us INTEGER NOT NULL,
  rule          INTEGER NOT NULL REFERENCES rules,
  rule_id       TEXT NOT NULL,
  severity      TEXT NOT NULL,
  shown_match   INTEGER,
  summary       TEXT NOT NULL,
  principal     TEXT,
  operation     TEXT,
  subject_kind  TEXT NOT NULL,
  subject_id    TEXT NOT NULL,
  status        TEXT NOT NULL DEFAULT 'open',
  status_reason TEXT,
  status_until_us INTEGER,
  status_note   TEXT,
  status_at_us  INTEGER
) STRICT;
CREATE INDEX findings_by_id ON findings (id, fingerprint);
CREATE INDEX findings_by_time ON findings (first_us DESC, fingerprint) WHERE count > 0;
CREATE INDEX findings_by_rule ON findings (rule_id, first_us DESC, fingerprint) WHERE count > 0;
CREATE INDEX findings_by_principal ON findings (principal, first_us DESC, fingerprint) WHERE count > 0;
CREATE INDEX findings_by_operation ON findings (operation, first_us DESC, fingerprint) WHERE count > 0;
CREATE INDEX findings_by_status ON findings (status, first_us DESC, fingerprint) WHERE count > 0;
CREATE INDEX findings_by_last ON findings (last_us) WHERE count > 0;
CREATE INDEX findings_withdrawn ON findings (finding) WHERE count = 0;

CREATE TABLE matches (
  match         INTEGER PRIMARY KEY,
  finding       INTEGER NOT NULL REFERENCES findings,
  trace_id      BLOB NOT NULL,
  entry_span_id BLOB NOT NULL,
  content       BLOB NOT NULL,
  presence      INTEGER NOT NULL,
  shown         INTEGER NOT NULL,
  event_us      INTEGER NOT NULL,
  path_event_us INTEGER NOT NULL,
  window_us     INTEGER NOT NULL,
  records       INTEGER NOT NULL,
  rule          INTEGER NOT NULL REFERENCES rules,
  UNIQUE (finding, trace_id, entry_span_id, content)
) STRICT;
CREATE INDEX matches_by_time ON matches (finding, event_us, trace_id, entry_span_id) WHERE shown = 1;
CREATE INDEX matches_in_debt ON matches (event_us) WHERE shown = 0;

CREATE TABLE match_details (
  match         INTEGER PRIMARY KEY REFERENCES matches,
  finding       INTEGER NOT NULL,
  event_us      INTEGER NOT NULL,
  trace_id      BLOB NOT NULL,
  entry_span_id BLOB NOT NULL,
  body          TEXT NOT NULL
) STRICT;
CREATE INDEX match_details_by_time ON match_details (finding, event_us, trace_id, entry_span_id);

CREATE TABLE operations (
  operation INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  service   TEXT NOT NULL,
  style     TEXT NOT NULL,
  method    TEXT NOT NULL,
  route     TEXT NOT NULL,
  calls     INTEGER NOT NULL,
  errors    INTEGER NOT NULL,
  first_us  INTEGER NOT NULL,
  last_us   INTEGER NOT NULL
) STRICT;
CREATE INDEX operations_by_name ON operations (service, route, method, id);

CREATE TABLE operation_facets (
  operation INTEGER NOT NULL REFERENCES operations,
  facet     TEXT NOT NULL,
  value     TEXT NOT NULL,
  calls     INTEGER NOT NULL,
  records   INTEGER NOT NULL,
  PRIMARY KEY (operation, facet, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE edges (
  edge      INTEGER PRIMARY KEY,
  level     TEXT NOT NULL,
  from_kind TEXT NOT NULL,
  from_id   TEXT NOT NULL,
  to_kind   TEXT NOT NULL,
  to_id     TEXT NOT NULL,
  calls     INTEGER NOT NULL,
  errors    INTEGER NOT NULL,
  first_us  INTEGER NOT NULL,
  last_us   INTEGER NOT NULL,
  UNIQUE (level, from_id, to_id, from_kind, to_kind)
) STRICT;

CREATE TABLE edge_data_types (
  edge    INTEGER NOT NULL REFERENCES edges,
  type    TEXT NOT NULL,
  records INTEGER NOT NULL,
  PRIMARY KEY (edge, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE unknowns (
  rule    TEXT NOT NULL,
  service TEXT NOT NULL,
  missing TEXT NOT NULL,
  count   INTEGER NOT NULL,
  PRIMARY KEY (rule, service, missing)
) STRICT, WITHOUT ROWID;

CREATE TABLE trace_marks (
  trace_id  BLOB PRIMARY KEY,
  revision  INTEGER NOT NULL,
  closed_by TEXT NOT NULL,
  event_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_marks_by_time ON trace_marks (event_us);

CREATE TABLE checkpoint (
  only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
  next_offset    INTEGER NOT NULL,
  horizon_offset INTEGER NOT NULL,
  open_traces    BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
  entry    INTEGER PRIMARY KEY,
  at_us    INTEGER NOT NULL,
  actor    TEXT NOT NULL,
  action   TEXT NOT NULL,
  subject  TEXT NOT NULL,
  body     TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash     BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, entry);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_keeps_content BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
`,
} as const;
