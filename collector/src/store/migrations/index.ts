import { initial } from './0001-initial.ts';

export interface Migration {
  /** The schema version that the file has afterwards; 1, 2, 3 ... without a gap. */
  readonly version: number;
  readonly name: string;
  /** Statements that run in one transaction. A shipped migration never changes again. */
  readonly sql: string;
}

export const MIGRATIONS: readonly Migration[] = [initial];
