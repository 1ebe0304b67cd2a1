import { type Completeness, Field, type IncompleteReason } from '@spanwarden/rules';
import { attribute, KIND_CLIENT, KIND_CONSUMER, KIND_SERVER } from '../base/batch.ts';
import { type ClosedBy, clockOf, type MissingParent } from '../base/trace.ts';
import { HAS_APISEC, HAS_DROPS, type SortedSpans } from './sorted-spans.ts';

/**
 * Says what is known to be missing of a call path (rule language, section 4, points 1 to 5). Whether a service that a
 * rule's negative selection names was alive is not judged here: that takes history, not the trace.
 *
 * A span is head-sampled when its flags are filled in and lack W3C's sampled bit, while its service lacks our sampler
 * (which records unsampled requests too, and marks its spans with `apisec.version`). A sampled span says nothing: its
 * request was kept as a whole.
 */

const W3C_SAMPLED = 0x01;
const HAS_IS_REMOTE = 0x100;

const COMPLETE: Completeness = Object.freeze({
  complete: true,
  score: 1,
  reasons: Object.freeze([]),
  missingParents: 0,
  missingAnswers: 0,
  droppedSpans: 0,
});

/**
 * Which client spans of a trace wait for an answer that never came. An answer is owed when the target is known to send
 * spans: its `server.service.name` has spans with `apisec.version` in this trace, or another call to the same
 * `server.address:server.port` in this trace was answered by such a service, or the operator lists the host.
 */
export class Answers {
  readonly #spans: SortedSpans;
  readonly #coveredHosts: ReadonlySet<string>;
  /** Client spans that were answered, or that only wrap another client span. */
  readonly #settled: Uint8Array;
  readonly #parent: Int32Array;
  #covered: { readonly services: ReadonlySet<string>; readonly hosts: ReadonlySet<string> } | undefined;

  constructor(spans: SortedSpans, parent: Int32Array, coveredHosts: ReadonlySet<string>) {
    this.#spans = spans;
    this.#parent = parent;
    this.#coveredHosts = coveredHosts;
    this.#settled = new Uint8Array(spans.count);
    for (let i = 0; i < spans.count; i++) {
      const up = parent[i]!;
      if (up === -1) continue;
      if (this.#isAnswer(i, up)) this.#settleUp(up);
      else if (spans.kind[i] === KIND_CLIENT && spans.kind[up] === KIND_CLIENT) this.#settled[up] = 1;
    }
  }

  isMissing(i: number): boolean {
    if (this.#spans.kind[i] !== KIND_CLIENT || this.#settled[i] === 1) return false;
    const batch = this.#spans.batch[i]!;
    const row = this.#spans.row[i]!;
    const service = attribute(batch, row, Field.serverServiceName);
    const address = attribute(batch, row, Field.serverAddress);
    if (service === undefined && address === undefined) return false;
    this.#covered ??= this.#findCovered();
    if (typeof service === 'string' && this.#covered.services.has(service)) return true;
    if (typeof address !== 'string') return false;
    const host = `${address}:${attribute(batch, row, Field.serverPort) ?? ''}`;
    return this.#covered.hosts.has(host) || this.#coveredHosts.has(host) || this.#coveredHosts.has(address);
  }

  #isAnswer(i: number, up: number): boolean {
    const kind = this.#spans.kind[i];
    return kind === KIND_SERVER || kind === KIND_CONSUMER || this.#spans.service[i] !== this.#spans.service[up];
  }

  /** The spans above an answer, as far as they are of the calling service, waited for it. */
  #settleUp(from: number): void {
    const { kind, service } = this.#spans;
    let at = from;
    while (this.#settled[at] === 0 && kind[at] !== KIND_SERVER && kind[at] !== KIND_CONSUMER) {
      this.#settled[at] = 1;
      const up = this.#parent[at]!;
      if (up === -1 || service[up] !== service[at]) return;
      at = up;
    }
  }

  #findCovered() {
    const spans = this.#spans;
    const services = new Set<string>();
    const hosts = new Set<string>();
    for (let i = 0; i < spans.count; i++) {
      if ((spans.marks[i]! & HAS_APISEC) === 0) continue;
      services.add(spans.service[i]!);
      const up = this.#parent[i]!;
      if (spans.kind[i] !== KIND_SERVER || up === -1 || spans.kind[up] !== KIND_CLIENT) continue;
      const address = attribute(spans.batch[up]!, spans.row[up]!, Field.serverAddress);
      const port = attribute(spans.batch[up]!, spans.row[up]!, Field.serverPort);
      if (address !== undefined) hosts.add(`${address}:${port ?? ''}`);
    }
    return { services, hosts };
  }
}

interface PathFacts {
  readonly spans: SortedSpans;
  /** Spans of the call path. */
  readonly members: readonly number[];
  readonly answers: Answers;
  readonly closedBy: ClosedBy;
  readonly truncated: boolean;
}

export function toCompleteness(path: PathFacts, missingParent: MissingParent, isCycle: boolean): Completeness {
  const { spans, members, answers, closedBy } = path;
  let missingAnswers = 0;
  let isHeadSampled = false;
  let droppedSpans = 0;
  let dropsSeen: Map<string, number> | undefined;
  for (const i of members) {
    if (answers.isMissing(i)) missingAnswers++;
    const flags = spans.batch[i]!.flags[spans.row[i]!]!;
    if ((flags & (HAS_IS_REMOTE | W3C_SAMPLED)) === HAS_IS_REMOTE && (spans.marks[i]! & HAS_APISEC) === 0) {
      isHeadSampled = true;
    }
    const dropped = droppedBy(spans, i);
    if (dropped > 0) {
      dropsSeen ??= new Map();
      const sender = `${spans.service[i]}\u0000${clockOf(spans.batch[i]!, spans.row[i]!)}`;
      const before = dropsSeen.get(sender) ?? 0;
      if (dropped > before) {
        dropsSeen.set(sender, dropped);
        droppedSpans += dropped - before;
      }
    }
  }
  const missingParents = missingParent === 'none' || missingParent === 'outside' ? 0 : 1;
  const reasons: IncompleteReason[] = [];
  if (closedBy === 'cap') reasons.push('still-open');
  if (closedBy === 'limit' || path.truncated) reasons.push('truncated');
  if (missingParents > 0) reasons.push('missing-parent');
  if (missingAnswers > 0) reasons.push('missing-answer');
  if (isHeadSampled) reasons.push('head-sampled');
  if (droppedSpans > 0) reasons.push('dropped-spans');
  if (isCycle) reasons.push('cycle');
  if (reasons.length === 0) return COMPLETE;
  const received = members.length;
  const score = received / (received + missingParents + missingAnswers + droppedSpans);
  return { complete: false, score, reasons, missingParents, missingAnswers, droppedSpans };
}

/** Spans that the sender of a span says it dropped: a running total of the sender, on its resource or on the span. */
function droppedBy(spans: SortedSpans, i: number): number {
  const batch = spans.batch[i]!;
  const row = spans.row[i]!;
  const { droppedSpans } = batch.resources[batch.resource[row]!]!;
  if ((spans.marks[i]! & HAS_DROPS) === 0) return droppedSpans;
  const own = attribute(batch, row, Field.droppedSpans);
  return typeof own === 'number' && own > droppedSpans ? own : droppedSpans;
}
