import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What a sender was told is stored, itself durable: one line per acknowledged export, synced before the next step. */
export class Ledger {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'a', 0o600);
  }

  stored(flight: number, request: number): void {
    writeSync(this.#fd, `${flight} ${request}\n`);
    fsyncSync(this.#fd);
  }

  /** [flight, request] of every acknowledged export, read back from disk. */
  entries(): [number, number][] {
    return readFileSync(this.#path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ').map(Number) as [number, number]);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
