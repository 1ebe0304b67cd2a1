import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';

/**
 * Who changed what, as a chain of SHA-256 hashes: each entry hashes its content and the hash before it, so that an entry
 * altered or removed behind our back is named. The table refuses updates and deletes. A cut-off tail is noticed only by
 * who kept the head elsewhere.
 */
export interface Audit {
  append(entry: AuditEntry): void;
  /** Newest first. */
  of(subject: string, limit: number): AuditRow[];
  /** Re-computes the chain. */
  verify(): AuditVerdict;
}

export interface AuditEntry {
  readonly atUs: number;
  readonly actor: string;
  readonly action: string;
  /** Fingerprint of the finding. */
  readonly subject: string;
  readonly change: Readonly<Record<string, string | null>>;
}

export interface AuditRow extends AuditEntry {
  readonly entry: number;
}

export type AuditVerdict =
  | { readonly ok: true; readonly entries: number /** Hex; worth keeping elsewhere. */; readonly head: string }
  | { readonly ok: false; readonly entry: number };

interface StoredEntry {
  entry: number;
  at_us: number;
  actor: string;
  action: string;
  subject: string;
  body: string;
  previous: Buffer;
  hash: Buffer;
}

const GENESIS = Buffer.alloc(32);

export function createAudit(database: Database): Audit {
  const last = database.prepare('SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1');
  const insert = database.prepare(
    `INSERT INTO audit (entry, at_us, actor, action, subject, body, previous, hash)
     VALUES (:entry, :at_us, :actor, :action, :subject, :body, :previous, :hash)`,
  );
  const bySubject = database.prepare('SELECT * FROM audit WHERE subject = ? ORDER BY entry DESC LIMIT ?');
  const all = database.prepare('SELECT * FROM audit ORDER BY entry');
  return {
    append({ atUs, actor, action, subject, change }) {
      const before = last.get() as Pick<StoredEntry, 'entry' | 'hash'> | undefined;
      const content = {
        entry: (before?.entry ?? 0) + 1,
        at_us: atUs,
        actor,
        action,
        subject,
        body: JSON.stringify(change),
        previous: before?.hash ?? GENESIS,
      };
      insert.run({ ...content, hash: hashOf(content) });
    },
    of: (subject, limit) => (bySubject.all(subject, limit) as StoredEntry[]).map(toRow),
    verify() {
      let previous: Buffer = GENESIS;
      let entries = 0;
      for (const row of all.iterate() as IterableIterator<StoredEntry>) {
        entries += 1;
        const isWhole = row.entry === entries && row.previous.equals(previous) && row.hash.equals(hashOf(row));
        if (!isWhole) return { ok: false, entry: entries };
        previous = row.hash;
      }
      return { ok: true, entries, head: previous.toString('hex') };
    },
  };
}

function hashOf({ entry, at_us, actor, action, subject, body, previous }: Omit<StoredEntry, 'hash'>): Buffer {
  return createHash('sha256')
    .update(previous)
    .update(JSON.stringify([entry, at_us, actor, action, subject, body]))
    .digest();
}

function toRow({ entry, at_us, actor, action, subject, body }: StoredEntry): AuditRow {
  return { entry, atUs: at_us, actor, action, subject, change: JSON.parse(body) as AuditEntry['change'] };
}
