import type Database from 'better-sqlite3';
import { DamagedError } from './byte-reader.ts';
import type { Damage, SpanLogReaderSettings } from './settings.ts';

/** Counts each damaged thing once and tells the operator of it. */
export type ReportDamage = (damage: Damage) => void;

export function createDamageReport({ counters, onDamage }: SpanLogReaderSettings): ReportDamage {
  const seen = new Set<string>();
  return (damage) => {
    const key = `${damage.what} ${damage.id}`;
    if (seen.has(key)) return;
    seen.add(key);
    counters?.add('log_damaged_total', 1, damage.what);
    onDamage?.(damage);
  };
}

const CODES = ['SQLITE_CORRUPT', 'SQLITE_NOTADB'];

/** Why something is damaged, when that is what the error says: our own checksum or SQLite's. */
export function damageIn(error: unknown): string | undefined {
  if (error instanceof DamagedError) return error.message;
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' && CODES.some((known) => code.startsWith(known)) ? String(message) : undefined;
}

/** Damage that the writer met, kept so that merging and retention go round it from then on. */
export interface DamageTable {
  mark(damage: Damage, nowUs: number): void;
  has(what: Damage['what'], id: number): boolean;
}

export function openDamageTable(database: Database.Database, report: ReportDamage): DamageTable {
  const insert = database.prepare('INSERT OR IGNORE INTO damage (what, id, reason, found_us) VALUES (?, ?, ?, ?)');
  const find = database.prepare('SELECT 1 FROM damage WHERE what = ? AND id = ?').pluck();
  return {
    mark(damage, nowUs) {
      report(damage);
      insert.run(damage.what, damage.id, damage.reason, nowUs);
    },
    has: (what, id) => find.get(what, id) === 1,
  };
}
