import type { CallPath } from '../model/call-path.ts';
import { Field } from '../model/field.ts';
import type { EvidenceHop } from '../model/finding.ts';
import { entryOf, serviceOf } from './entry.ts';

export const EVIDENCE_HOPS_MAX = 20;
const SERVICE_LINES_MAX = 4;

/** Names by hop position, the hops that tell most first. */
export type Roles = ReadonlyMap<number, readonly string[]>;

/**
 * The hops that a match stands on and those that connect them, at most 20, ordered as in the call path. Hops are taken
 * in the order of `roles`, each with its whole way to those before it, so that the result hangs together; only a hop
 * whose role would not be shown at all may stand alone. The way up to the entry comes last, if there is room.
 */
export function selectEvidence(path: CallPath, roles: Roles): readonly EvidenceHop[] {
  const chosen = new Set<number>();
  const shown = new Set<string>();
  for (const [hop, names] of roles) {
    const way = wayTo(path, hop, chosen);
    const isTooFar = chosen.size + way.length > EVIDENCE_HOPS_MAX;
    if (!isTooFar) {
      addAll(chosen, way);
    } else if (names.some((name) => !shown.has(name)) && chosen.size < EVIDENCE_HOPS_MAX) {
      chosen.add(hop);
    } else {
      continue;
    }
    addAll(shown, names);
  }
  const wayUp = wayTo(path, entryOf(path).index, chosen);
  if (chosen.size + wayUp.length <= EVIDENCE_HOPS_MAX) {
    addAll(chosen, wayUp);
  }
  return [...chosen].toSorted((a, b) => a - b).map((hop) => ({ hop, roles: roles.get(hop) ?? [] }));
}

/** The hop and everything between it and the chosen ones; just the hop where nothing is chosen yet. */
function wayTo(path: CallPath, hop: number, chosen: ReadonlySet<number>): readonly number[] {
  if (chosen.size === 0 || chosen.has(hop)) {
    return chosen.has(hop) ? [] : [hop];
  }
  const up = ancestorsOf(path, hop);
  const direct = up.findIndex((ancestor) => chosen.has(ancestor));
  if (direct >= 0) {
    return up.slice(0, direct);
  }
  // Nothing chosen is above: go to the common ancestor, and down to the highest of the chosen.
  const top = [...chosen].reduce((a, b) => (path.hops[b]!.depth < path.hops[a]!.depth ? b : a));
  const down = ancestorsOf(path, top);
  const meets = up.findIndex((ancestor) => down.includes(ancestor));
  if (meets < 0) {
    return [hop];
  }
  return [...up.slice(0, meets + 1), ...down.slice(1, down.indexOf(up[meets]!))];
}

/** The hop itself first, the root last. */
function ancestorsOf(path: CallPath, hop: number): readonly number[] {
  const way: number[] = [];
  for (let at = hop; at >= 0; at = path.hops[at]!.parent) {
    way.push(at);
  }
  return way;
}

function addAll<T>(set: Set<T>, members: readonly T[]): void {
  for (const member of members) {
    set.add(member);
  }
}

/** `edge-gw → orders → ledger`; several ways from the entry are joined by commas, one inside another is left out. */
export function servicesAlong(path: CallPath, hops: Iterable<number>): string {
  const entry = entryOf(path).index;
  const lines = new Set<string>();
  for (const hop of hops) {
    const way = ancestorsOf(path, hop).toReversed();
    const from = Math.max(0, way.indexOf(entry));
    const services = way.slice(from).map((index) => serviceOf(path.hops[index]!));
    lines.add(services.filter((service, i) => service !== services[i - 1]).join(' → '));
  }
  const whole = [...lines].filter((line) => ![...lines].some((other) => other.startsWith(`${line} → `)));
  const shown = whole.slice(0, SERVICE_LINES_MAX).join(', ');
  return whole.length > SERVICE_LINES_MAX ? `${shown} and ${whole.length - SERVICE_LINES_MAX} more` : shown;
}

/**
 * Records that the matched hops answered or read. Hops on one line pass the same records on, so along a line the
 * greatest count holds; hops beside each other add up.
 */
export function recordsOf(path: CallPath, bound: Iterable<number>): number {
  const hops = [...new Set(bound)].toSorted((a, b) => path.hops[b]!.depth - path.hops[a]!.depth);
  const isBound = new Set(hops);
  const below = new Map<number, number>();
  let total = 0;
  for (const index of hops) {
    const hop = path.hops[index]!;
    const own = hop.field(Field.responseRecordCount) ?? hop.field(Field.dbReturnedRows);
    const records = Math.max(typeof own === 'number' ? own : 0, below.get(index) ?? 0);
    const above = ancestorsOf(path, index).find((ancestor) => ancestor !== index && isBound.has(ancestor));
    if (above === undefined) {
      total += records;
    } else {
      below.set(above, (below.get(above) ?? 0) + records);
    }
  }
  return total;
}
