import { closeSync, fsyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { createRandom } from '../support/random.ts';
import { AckLog } from './power-loss.ts';

/** A process that commits rows to a plain SQLite database in WAL mode and acknowledges each commit: folder, log, FULL or NORMAL, seed, commits. */
const [folder, log, synchronous, seed, commits] = process.argv.slice(2) as [string, string, string, string, string];
const random = createRandom(Number(seed));
const acks = new AckLog(log);

function open(): Database.Database {
  const db = new Database(join(folder, 'rows.db'));
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.pragma('wal_autocheckpoint = 40');
  return db;
}

let db = open();
db.exec('CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL)');
const directory = openSync(folder, 'r');
fsyncSync(directory);
closeSync(directory);
let id = 0;
for (let commit = 0; commit < Number(commits); commit++) {
  if (commit === Math.floor(Number(commits) / 2)) {
    db.close();
    db = open();
  }
  const insert = db.prepare('INSERT INTO rows (id, body) VALUES (?, ?)');
  db.transaction(() => {
    for (let row = 1 + random.below(4); row > 0; row--)
      insert.run(++id, Buffer.alloc(100 + random.below(3_000), id % 251));
  })();
  acks.append(String(id));
}
