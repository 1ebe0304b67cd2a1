import type { CallPath, Hop, Value } from '@spanwarden/rules';
import { Field } from '@spanwarden/rules';
import { keyName, SPAN_KINDS, SPAN_STATUSES, type SpanBatch, spanIdHex, toHex, toValue } from './base/batch.ts';
import { createPseudonym } from './base/pseudonym.ts';
import { Secret } from './base/secret.ts';
import type { TraceRevision } from './base/trace.ts';
import { createPathBuilder } from './call-paths.ts';
import { type Config, toEstate } from './config.ts';
import type { TraceView } from './serve/contract.ts';

/** The stored spans of one trace in, what the API shows of it out: the same assembly and enrichment as in detection, done again. */

interface StoredSpans {
  readTrace(traceId: string): SpanBatch | undefined;
}
interface Marks {
  traceMark(traceId: string): { readonly revision: number; readonly closedBy: 'idle' | 'cap' | 'limit' } | undefined;
}

export function createTraceView(
  config: Pick<Config, 'limits' | 'coveredHosts' | 'ownHosts' | 'exposures'> & { readonly hashKey: string },
  spans: StoredSpans,
  marks: Marks,
): (traceId: string) => TraceView | undefined {
  const { limits, coveredHosts } = config;
  const pseudonym = createPseudonym(new Secret(config.hashKey));
  const toPaths = createPathBuilder({ limits, coveredHosts, estate: toEstate(config), pseudonym });
  return (traceId) => {
    const batch = spans.readTrace(traceId);
    if (batch === undefined || batch.count === 0) return undefined;
    const mark = marks.traceMark(traceId);
    const rows = {
      batch: Array.from({ length: batch.count }, () => batch),
      row: Array.from({ length: batch.count }, (_, row) => row),
    };
    const trace: TraceRevision = { rows, revision: mark?.revision ?? 1, closedBy: mark?.closedBy ?? 'idle' };
    const paths = toPaths(trace);
    return {
      traceId,
      revision: trace.revision,
      completeness: worst(paths),
      spans: Array.from({ length: batch.count }, (_, row) => toSpan(batch, row)).sort(
        (a, b) => a.startUnixUs - b.startUnixUs || (a.spanId < b.spanId ? -1 : a.spanId > b.spanId ? 1 : 0),
      ),
      callPaths: paths.map((path) => ({
        entrySpanId: path.entrySpanId,
        completeness: path.completeness,
        hops: depthFirst(path).map((hop) => toHop(path, hop)),
      })),
    };
  };
}

/** Each hop behind its parent and before its parent's next child, as people read a call path; children by start. */
function depthFirst({ hops }: CallPath): Hop[] {
  const children = new Map<number, Hop[]>();
  for (const hop of hops) {
    const siblings = children.get(hop.parent);
    if (siblings === undefined) children.set(hop.parent, [hop]);
    else siblings.push(hop);
  }
  const ordered: Hop[] = [];
  const waiting = (children.get(-1) ?? []).reverse();
  for (let hop = waiting.pop(); hop !== undefined; hop = waiting.pop()) {
    ordered.push(hop);
    for (const child of (children.get(hop.index) ?? []).reverse()) waiting.push(child);
  }
  return ordered;
}

/** A trace is as complete as its least complete call path. */
function worst(paths: readonly CallPath[]): TraceView['completeness'] {
  let found = paths[0]!.completeness;
  for (const { completeness } of paths)
    if (completeness.score < found.score || (found.complete && !completeness.complete)) found = completeness;
  return found;
}

function toSpan(batch: SpanBatch, row: number): TraceView['spans'][number] {
  // keys come from the wire: without a prototype none of them means anything
  const attributes: Record<string, Value> = Object.create(null);
  for (let i = batch.attrFrom[row]!; i < batch.attrFrom[row + 1]!; i++) {
    attributes[keyName(batch, batch.attrKey[i]!)] = toValue(batch, batch.attrTag[i]!, batch.attrValue[i]!);
  }
  const hasParent = batch.parentId[2 * row] !== 0 || batch.parentId[2 * row + 1] !== 0;
  return {
    spanId: spanIdHex(batch, row),
    parentSpanId: hasParent ? toHex(batch.parentId, 2 * row, 2) : '',
    service: batch.resources[batch.resource[row]!]!.service,
    kind: SPAN_KINDS[batch.kind[row]!]!,
    name: batch.strings[batch.name[row]!]!,
    startUnixUs: batch.startUs[row]!,
    durationUs: Math.max(0, batch.endUs[row]! - batch.startUs[row]!),
    status: SPAN_STATUSES[batch.status[row]!]!,
    attributes,
  };
}

function toHop(path: CallPath, hop: Hop): TraceView['callPaths'][number]['hops'][number] {
  return {
    spanId: hop.spanId,
    parentSpanId: hop.parent < 0 ? '' : path.hops[hop.parent]!.spanId,
    depth: hop.depth,
    service: String(hop.field(Field.serviceName)),
    operation: text(hop.field(Field.operation)),
    principal: text(hop.field(Field.principalId)),
  };
}

const text = (value: Value | undefined): string | null => (value === undefined ? null : String(value));
