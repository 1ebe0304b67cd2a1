import Database from 'better-sqlite3';

/** `ok`, or what SQLite says is wrong with a database file. */
export function integrityOf(path: string): string {
  const db = new Database(path);
  try {
    return String(db.pragma('integrity_check', { simple: true }));
  } finally {
    db.close();
  }
}
