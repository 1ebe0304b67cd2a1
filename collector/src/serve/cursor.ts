import type { FindingPlace, OperationPlace } from './backend.ts';

/**
 * Where a page ended, as the opaque text that a client sends back. It holds sort keys only: a forged one shows nothing
 * that the list would not.
 */

type Keys = readonly (string | number)[];

export const toFindingCursor = ({ firstUs, fingerprint }: FindingPlace): string => toCursor([firstUs, fingerprint]);
export const toOperationCursor = ({ service, route, method, id }: OperationPlace): string =>
  toCursor([service, route, method, id]);

/** Undefined for a text that is no cursor of a list of findings. */
export function parseFindingCursor(cursor: string): FindingPlace | undefined {
  const [firstUs, fingerprint] = parseCursor(cursor, 2) ?? [];
  if (typeof firstUs !== 'number' || typeof fingerprint !== 'string') return undefined;
  return { firstUs, fingerprint };
}

/** Undefined for a text that is no cursor of a list of operations. */
export function parseOperationCursor(cursor: string): OperationPlace | undefined {
  const keys = parseCursor(cursor, 4);
  if (keys === undefined || !keys.every((key) => typeof key === 'string')) return undefined;
  const [service, route, method, id] = keys as [string, string, string, string];
  return { service, route, method, id };
}

function toCursor(keys: Keys): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url');
}

function parseCursor(cursor: string, length: number): Keys | undefined {
  let keys: unknown;
  try {
    keys = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return undefined;
  }
  return Array.isArray(keys) && keys.length === length ? (keys as Keys) : undefined;
}
