import type { Database } from 'better-sqlite3';
import type { Audit } from './audit.ts';
import type { ArchiveReason, FindingStatus } from './views.ts';
import { toRfc3339 } from './views.ts';

/** A person's verdict on a finding in, status columns and an audit entry out; it never touches what was observed. */

export interface FindingChange {
  readonly status: FindingStatus;
  /** Why it is archived; given with status `archived` and only then. */
  readonly reason?: ArchiveReason | undefined;
  /** RFC 3339; an archived finding opens again then. */
  readonly until?: string | undefined;
  /** Kept as it is when absent. */
  readonly note?: string | undefined;
  /** Who says so. */
  readonly actor?: string | undefined;
}

export type TriageResult =
  | { readonly outcome: 'changed'; readonly fingerprint: string }
  | { readonly outcome: 'not-found' }
  | { readonly outcome: 'conflict'; readonly revision: number };

export interface Triage {
  change(id: string, change: FindingChange, ifRevision: number | undefined): TriageResult;
  /** A closed finding was seen again after a silent window. */
  reopened(finding: { readonly fingerprint: string; readonly status: string }): void;
  /** Opens archived findings whose time is over; gives how many. */
  expire(nowUs: number): number;
}

interface Row {
  readonly finding: number;
  readonly fingerprint: string;
  readonly revision: number;
  readonly status: FindingStatus;
}

const ANONYMOUS = 'console';
const SYSTEM = 'spanwarden';

export function createTriage(database: Database, audit: Audit, now: () => number): Triage {
  const byId = database.prepare(
    `SELECT finding, fingerprint, revision, status FROM findings
     WHERE (id = :id OR fingerprint = :id) AND count > 0 ORDER BY fingerprint LIMIT 1`,
  );
  const update = database.prepare(
    `UPDATE findings SET status = :status, status_reason = :reason, status_until_us = :until_us,
       status_note = coalesce(:note, status_note), status_at_us = :at_us, revision = revision + 1
     WHERE finding = :finding`,
  );
  const expired = database.prepare(
    `SELECT finding, fingerprint, revision, status FROM findings
     WHERE status = 'archived' AND status_until_us <= ? ORDER BY fingerprint`,
  );

  function write(row: Row, { status, reason, until, note }: FindingChange): void {
    const untilUs = until === undefined ? null : Date.parse(until) * 1000;
    update.run({
      finding: row.finding,
      status,
      reason: reason ?? null,
      until_us: untilUs,
      note: note ?? null,
      at_us: now(),
    });
  }

  function record(row: Pick<Row, 'fingerprint' | 'status'>, actor: string, action: string, to: FindingChange): void {
    const until = to.until === undefined ? null : toRfc3339(Date.parse(to.until) * 1000);
    const change = { from: row.status, to: to.status, reason: to.reason ?? null, until, note: to.note ?? null };
    audit.append({ atUs: now(), actor, action, subject: row.fingerprint, change });
  }

  return {
    change(id, change, ifRevision) {
      const row = byId.get({ id }) as Row | undefined;
      if (row === undefined) return { outcome: 'not-found' };
      if (ifRevision !== undefined && ifRevision !== row.revision) {
        return { outcome: 'conflict', revision: row.revision };
      }
      write(row, change);
      record(row, change.actor ?? ANONYMOUS, 'status', change);
      return { outcome: 'changed', fingerprint: row.fingerprint };
    },
    reopened({ fingerprint, status }) {
      record({ fingerprint, status: status as FindingStatus }, SYSTEM, 'reopened', { status: 'open' });
    },
    expire(nowUs) {
      const rows = expired.all(nowUs) as Row[];
      for (const row of rows) {
        write(row, { status: 'open' });
        record(row, SYSTEM, 'expired', { status: 'open' });
      }
      return rows.length;
    },
  };
}
