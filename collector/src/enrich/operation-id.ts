import { createHash } from 'node:crypto';
import type { OperationKey } from './hop.ts';

const CACHED_MAX = 20_000;
const ids = new Map<string, string>();

/** The id under which an operation is kept: 16 hex digits of SHA-256 over service, style, method and route. */
export function operationId(service: string, { style, method, route }: OperationKey): string {
  const text = `${service}\u0000${style}\u0000${method}\u0000${route}`;
  let id = ids.get(text);
  if (id === undefined) {
    id = createHash('sha256').update(text).digest('hex').slice(0, 16);
    if (ids.size >= CACHED_MAX) ids.clear();
    ids.set(text, id);
  }
  return id;
}
