/**
 * Calls to data stores that no OpenTelemetry instrumentation covers: a function in, its own result out, and beside it a CLIENT span
 * that says which table, how many rows and which data types.
 */
import { type Attributes, context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { countRecords } from './body-walk.ts';
import { type Effect, instant, type ObjectRef, toObjectAttributes } from './record.ts';
import type { RequestState } from './request-state.ts';
import { activeState, guarded } from './runtime.ts';
import { APISEC_VERSION, ATTR, RESPONSE_DATA_PREFIX, TRACER_NAME } from './semconv.ts';

/** A call to a data store that no OpenTelemetry instrumentation covers, such as an embedded database. */
export interface StoreCall {
  /** `db.system.name`: `sqlite`. */
  readonly system: string;
  /** `db.operation.name`: `SELECT`. */
  readonly operation: string;
  /** `db.collection.name`: the table. */
  readonly collection?: string;
  /** `db.namespace`: the database. */
  readonly namespace?: string;
  /** The objects that are read or changed. */
  readonly object?: ObjectRef;
  /** What the call does to them, when that is more than a read. */
  readonly effect?: Effect;
}

/**
 * Runs `run` inside a CLIENT span with `db.*` attributes, the number of rows it returns and the data types of its columns.
 * The result, or what it throws, is the caller's, unchanged; a promise is followed. Without an SDK it only runs `run`.
 */
export function traceStore<T>(call: StoreCall, run: () => T): T {
  const state = activeState();
  const name = call.collection === undefined ? call.operation : `${call.operation} ${call.collection}`;
  const span = trace.getTracer(TRACER_NAME, APISEC_VERSION).startSpan(name, {
    kind: SpanKind.CLIENT,
    attributes: callAttributes(call, state),
    startTime: instant(),
  });
  const fail = (error: unknown) => {
    guarded(() => {
      span.setAttribute(ATTR.errorType, error instanceof Error ? error.name : 'Error');
      span.setStatus({ code: SpanStatusCode.ERROR });
    });
    span.end(instant());
  };
  const succeed = (rows: unknown) => {
    guarded(() => span.setAttributes(rowAttributes(call, rows, state)));
    span.end(instant());
  };
  let result: T;
  try {
    result = context.with(trace.setSpan(context.active(), span), run);
  } catch (error) {
    fail(error);
    throw error;
  }
  if (result instanceof Promise) result.then(succeed, fail);
  else succeed(result);
  return result;
}

function callAttributes(call: StoreCall, state: RequestState | undefined): Attributes {
  const attributes: Attributes = { [ATTR.dbSystemName]: call.system, [ATTR.dbOperationName]: call.operation };
  if (call.collection !== undefined) attributes[ATTR.dbCollectionName] = call.collection;
  if (call.namespace !== undefined) attributes[ATTR.dbNamespace] = call.namespace;
  if (call.effect !== undefined) attributes[ATTR.effect] = call.effect;
  return state === undefined ? attributes : { ...attributes, ...toObjectAttributes(state, call.object) };
}

/** Rows are an array or one object; a driver's summary of a change is neither rows nor data. */
function rowAttributes(call: StoreCall, rows: unknown, state: RequestState | undefined): Attributes {
  if (typeof rows !== 'object' || !/^(?:select|find|get|scan|query|read)/i.test(call.operation)) return {};
  const attributes: Attributes = { [ATTR.dbReturnedRows]: Array.isArray(rows) ? rows.length : countRecords(rows) };
  if (state === undefined) return attributes;
  const facts = state.runtime.profiles.facts(`store ${call.system} ${call.collection} ${call.operation}`, rows);
  for (const [type, count] of facts.dataTypes) attributes[RESPONSE_DATA_PREFIX + type] = count;
  return attributes;
}
