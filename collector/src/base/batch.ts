import { BatchBuilder } from './batch-builder.ts';
import { keyName, type Resource, type Scope, type SpanBatch, toValue } from './span-batch.ts';

export { BatchBuilder } from './batch-builder.ts';
export * from './span-batch.ts';

/** Copies the given rows of one or more batches, in the given order, into a new batch that shares nothing with them. */
export function copyRows(rows: Iterable<readonly [batch: SpanBatch, row: number]>): SpanBatch {
  const builder = new BatchBuilder();
  const resourceIds = new Map<Resource, number>();
  const scopeIds = new Map<Scope, number>();
  for (const [from, row] of rows) copyRow(builder, from, row, resourceIds, scopeIds);
  return builder.build();
}

function copyRow(
  builder: BatchBuilder,
  from: SpanBatch,
  row: number,
  resourceIds: Map<Resource, number>,
  scopeIds: Map<Scope, number>,
): void {
  const resource = from.resources[from.resource[row]!]!;
  let resourceId = resourceIds.get(resource);
  if (resourceId === undefined) {
    resourceId = builder.addResource(resource);
    resourceIds.set(resource, resourceId);
  }
  const scope = from.scopes[from.scope[row]!]!;
  let scopeId = scopeIds.get(scope);
  if (scopeId === undefined) {
    scopeId = builder.addScope(scope);
    scopeIds.set(scope, scopeId);
  }
  const t = row * 4;
  const s = row * 2;
  builder.span(
    from.traceId[t]!,
    from.traceId[t + 1]!,
    from.traceId[t + 2]!,
    from.traceId[t + 3]!,
    from.spanId[s]!,
    from.spanId[s + 1]!,
    from.parentId[s]!,
    from.parentId[s + 1]!,
    from.kind[row]!,
    from.status[row]!,
    from.flags[row]!,
    from.startUs[row]!,
    from.endUs[row]!,
    from.eventUs[row]!,
    builder.string(from.strings[from.name[row]!]!),
    resourceId,
    scopeId,
  );
  for (let i = from.attrFrom[row]!; i < from.attrFrom[row + 1]!; i++) {
    builder.attrValueOf(
      builder.key(keyName(from, from.attrKey[i]!)),
      toValue(from, from.attrTag[i]!, from.attrValue[i]!),
    );
  }
  for (let e = from.eventFrom[row]!; e < from.eventFrom[row + 1]!; e++) {
    builder.event(from.eventTimeUs[e]!, builder.string(from.strings[from.eventName[e]!]!));
    for (let i = from.eventAttrFrom[e]!; i < from.eventAttrFrom[e + 1]!; i++) {
      const value = toValue(from, from.eventAttrTag[i]!, from.eventAttrValue[i]!);
      builder.eventAttrValueOf(builder.key(keyName(from, from.eventAttrKey[i]!)), value);
    }
  }
  for (let l = from.linkFrom[row]!; l < from.linkFrom[row + 1]!; l++) {
    const w = l * 4;
    builder.link(
      from.linkTraceId[w]!,
      from.linkTraceId[w + 1]!,
      from.linkTraceId[w + 2]!,
      from.linkTraceId[w + 3]!,
      from.linkSpanId[l * 2]!,
      from.linkSpanId[l * 2 + 1]!,
    );
  }
}
