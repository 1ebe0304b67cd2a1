import type { RuleException } from '../model/ast.ts';
import type { ListTable } from './list-table.ts';
import { parseAlternatives } from './parse-selection.ts';
import { MapReader } from './reader.ts';
import type { Problems } from './rule-error.ts';
import type { MapNode, Node } from './yaml-node.ts';

/** An exception as a document of its own, or one entry of a rule's `exceptions` (which omits `rule`). */
export interface PlacedException {
  readonly rule: string | undefined;
  readonly map: MapNode;
  readonly exception: RuleException;
}

export function parseException(
  map: MapNode,
  ofRule: string | undefined,
  lists: ListTable,
  problems: Problems,
): PlacedException | undefined {
  const before = problems.count;
  const keys = ['match', 'reason', 'expires'];
  const reader = new MapReader(map, ofRule === undefined ? ['rule', ...keys] : keys, problems);
  const rule = ofRule ?? reader.requiredText('rule');
  const match = reader.required('match');
  const alternatives = match === undefined ? [] : parseAlternatives(match, '"match"', lists, problems);
  const reason = reader.requiredText('reason');
  const expires = reader.required('expires');
  const expiresUs = expires === undefined ? undefined : parseExpiry(expires);
  if (expires !== undefined && expiresUs === undefined) {
    reader.fail(expires.at, 'E_TYPE', '"expires" must be a day (2027-06-30) or an RFC 3339 time');
  }
  if (problems.count > before || reason === undefined || expiresUs === undefined) {
    return undefined;
  }
  return { rule, map, exception: { match: alternatives, reason, expiresUs } };
}

const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** Microseconds from which it no longer holds; a day is included whole, in UTC. */
function parseExpiry(node: Node): number | undefined {
  const text = node.kind === 'scalar' ? String(node.value) : '';
  const day = DAY.exec(text);
  if (day !== null) {
    const midnight = Date.parse(text);
    return Number.isNaN(midnight) ? undefined : (midnight + 86_400_000) * 1000;
  }
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time * 1000;
}
