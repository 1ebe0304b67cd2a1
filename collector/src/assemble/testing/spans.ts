import type { Value } from '@spanwarden/rules';
import { BatchBuilder, copyRows, type Resource, type SpanBatch, spanIdHex, traceIdHex } from '../../base/batch.ts';
import type { ClosedTrace, PathTree, SpanRows } from '../../base/trace.ts';
import type { LogRecord, TraceHistory } from '../assembler.ts';

/** Spans as short literals, for tests: small numbers stand for ids. */
export interface SpanSpec {
  readonly trace?: number;
  readonly id: number;
  /** 0 or absent: none. */
  readonly parent?: number;
  readonly service?: string;
  readonly kind?: 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly name?: string;
  /** Microseconds; the end is 10 later unless given. */
  readonly start?: number;
  readonly end?: number;
  readonly status?: 0 | 1 | 2;
  readonly flags?: number;
  readonly clock?: string;
  readonly version?: string;
  readonly signals?: number;
  readonly droppedSpans?: number;
  readonly links?: readonly { readonly trace?: number; readonly id: number }[];
  readonly attributes?: Readonly<Record<string, Value>>;
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** One batch with these spans in this order. */
export function toBatch(specs: readonly SpanSpec[]): SpanBatch {
  const builder = new BatchBuilder();
  const scope = builder.addScope({ name: 'test', version: '1' });
  for (const spec of specs) {
    const start = spec.start ?? spec.id;
    const end = spec.end ?? start + 10;
    builder.span(
      0xa0000000,
      0,
      0,
      spec.trace ?? 1,
      0xb0000000,
      spec.id,
      spec.parent ? 0xb0000000 : 0,
      spec.parent ?? 0,
      KINDS.indexOf(spec.kind ?? 'server'),
      spec.status ?? 0,
      spec.flags ?? 0,
      start,
      end,
      end,
      builder.string(spec.name ?? 'span'),
      builder.addResource(toResource(spec)),
      scope,
    );
    for (const [name, value] of Object.entries(spec.attributes ?? {})) builder.attrValueOf(builder.key(name), value);
    for (const link of spec.links ?? []) builder.link(0xa0000000, 0, 0, link.trace ?? 1, 0xb0000000, link.id);
  }
  return builder.build();
}

function toResource(spec: SpanSpec): Resource {
  return {
    service: spec.service ?? 'a',
    version: spec.version ?? '',
    clock: spec.clock ?? '',
    signals: spec.signals ?? 0,
    droppedSpans: spec.droppedSpans ?? 0,
    attributes: [],
  };
}

export function rowsOf(batch: SpanBatch): SpanRows {
  const rows = Array.from({ length: batch.count }, (_, row) => row);
  return { batch: rows.map(() => batch), row: rows };
}

/** A trace that closed by silence, of one batch with these spans. */
export function closedTrace(specs: readonly SpanSpec[], closedBy: ClosedTrace['closedBy'] = 'idle'): ClosedTrace {
  const batch = toBatch(specs);
  return { traceId: traceIdHex(batch, 0), revision: 1, closedBy, rows: rowsOf(batch), previous: undefined };
}

export const shortId = (batch: SpanBatch, row: number): number => Number.parseInt(spanIdHex(batch, row).slice(8), 16);

/** `service/kind:id`, unique within a trace. */
export function label(batch: SpanBatch, row: number): string {
  const { service } = batch.resources[batch.resource[row]!]!;
  return `${service}/${KINDS[batch.kind[row]!]}:${shortId(batch, row)}`;
}

export function labels({ batch, row }: SpanRows): string[] {
  return row.map((at, i) => label(batch[i]!, at));
}

/** A tree as text: each hop with its parent. */
export function toText(tree: PathTree): string {
  const names = labels(tree);
  return names.map((name, i) => `${name} < ${tree.parent[i] === -1 ? '-' : names[tree.parent[i]!]}`).join('\n');
}

/** Everything that callers may rely on, as plain data. */
export function describeTree(tree: PathTree) {
  return {
    text: toText(tree),
    hopCount: tree.hopCount,
    root: tree.root,
    depth: tree.depth,
    childCount: tree.childCount,
    missingParent: tree.missingParent,
    completeness: tree.completeness,
  };
}

/** What a log keeps: the rows that were not repeats, under their offsets. */
export class MemoryLog implements TraceHistory {
  readonly records: LogRecord[] = [];
  readonly marks = new Map<string, { revision: number; closedBy: ClosedTrace['closedBy'] }>();
  reads = 0;

  append(offset: number, receivedUs: number, batch: SpanBatch, duplicate: Uint8Array | undefined): void {
    const kept: (readonly [SpanBatch, number])[] = [];
    for (let row = 0; row < batch.count; row++) if (duplicate?.[row] !== 1) kept.push([batch, row]);
    if (kept.length > 0) this.records.push({ offset, receivedUs, batch: copyRows(kept) });
  }

  readTrace(traceId: string, beforeOffset: number): SpanBatch | undefined {
    this.reads++;
    const rows: (readonly [SpanBatch, number])[] = [];
    for (const { offset, batch } of this.records) {
      if (offset >= beforeOffset) continue;
      for (let row = 0; row < batch.count; row++) if (traceIdHex(batch, row) === traceId) rows.push([batch, row]);
    }
    return rows.length === 0 ? undefined : copyRows(rows);
  }

  mark(traceId: string) {
    return this.marks.get(traceId);
  }

  /** Keys of every trace that was stored, as the log gives them. */
  keys(): Uint32Array[] {
    return this.records.map(({ batch }) => {
      const words: number[] = [];
      for (let row = 0; row < batch.count; row++) words.push(batch.traceId[4 * row + 2]!, batch.traceId[4 * row + 3]!);
      return Uint32Array.from(words);
    });
  }
}
