import type { Database, Statement } from 'better-sqlite3';
import type { ApiStyle } from '../base/outcome.ts';
import { toRisk } from './risk.ts';
import { type AuthnView, type Exposure, type OperationView, toRfc3339 } from './views.ts';

/** Filters in, pages of the inventory out; it changes nothing, and every value is bound, never spliced. */

export interface OperationsQuery {
  readonly service?: string | undefined;
  readonly style?: string | undefined;
  readonly method?: string | undefined;
  readonly exposure?: string | undefined;
  /** A credential scheme that was seen, `none`, or `not observed`. */
  readonly authn?: string | undefined;
  readonly dataType?: string | undefined;
  /** True: a data type was observed in requests or responses; false: none was. */
  readonly sensitive?: boolean | undefined;
  /** Operations called at or after this event time. */
  readonly sinceUs?: number | undefined;
  /** Operations first called before this event time. */
  readonly untilUs?: number | undefined;
  readonly limit: number;
  readonly after?: OperationPlace | undefined;
}

/** An operation's place in the order of lists. */
export interface OperationPlace {
  readonly service: string;
  readonly route: string;
  readonly method: string;
  readonly id: string;
}

export interface OperationsPage {
  readonly items: readonly OperationView[];
  /** Undefined on the last page. */
  readonly next: OperationPlace | undefined;
}

interface Row {
  readonly operation: number;
  readonly id: string;
  readonly service: string;
  readonly style: ApiStyle;
  readonly method: string;
  readonly route: string;
  readonly calls: number;
  readonly errors: number;
  readonly first_us: number;
  readonly last_us: number;
}

interface Facet {
  readonly facet: string;
  readonly value: string;
  readonly calls: number;
  readonly records: number;
}

/** The outermost kind of caller names an operation's exposure. */
const EXPOSURES: readonly Exposure[] = ['external', 'partner', 'third-party', 'internal'];
const NOT_OBSERVED = 'not observed';
/** Facet values that say nothing about the credential. */
const UNTOLD = new Set(['', 'unknown', NOT_OBSERVED]);
const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE', 'MUTATION']);
const DAY_US = 86_400_000_000;

const seen = (facet: string): string =>
  `EXISTS (SELECT 1 FROM operation_facets f WHERE f.operation = o.operation AND f.facet = '${facet}' AND f.calls > 0`;
const SENSITIVE = `(${seen('response-type')}) OR ${seen('request-type')}))`;
const EXPOSURE = `coalesce((SELECT CASE min(CASE f.value WHEN 'external' THEN 0 WHEN 'partner' THEN 1
    WHEN 'third-party' THEN 2 WHEN 'internal' THEN 3 ELSE 4 END)
  WHEN 0 THEN 'external' WHEN 1 THEN 'partner' WHEN 2 THEN 'third-party' WHEN 3 THEN 'internal' END
  FROM operation_facets f WHERE f.operation = o.operation AND f.facet = 'exposure' AND f.calls > 0), 'unknown')`;

export function createOperationQueries(database: Database) {
  const pages = new Map<string, Statement<unknown[]>>();
  const facetsOf = database.prepare(
    `SELECT facet, value, calls, records FROM operation_facets WHERE operation = ? AND calls > 0 ORDER BY facet, value`,
  );

  function operations(query: OperationsQuery): OperationsPage {
    const { where, values } = toFilter(query);
    let page = pages.get(where);
    if (page === undefined) {
      page = database.prepare(
        `SELECT o.* FROM operations o WHERE ${where} ORDER BY o.service, o.route, o.method, o.id LIMIT ?`,
      );
      pages.set(where, page);
    }
    const rows = page.all(...values, query.limit + 1) as Row[];
    const last = rows[query.limit - 1];
    const next =
      rows.length > query.limit && last !== undefined
        ? { service: last.service, route: last.route, method: last.method, id: last.id }
        : undefined;
    const items = rows.slice(0, query.limit).map((row) => toView(row, facetsOf.all(row.operation) as Facet[]));
    return { items, next };
  }

  return { operations };
}

/** Conditions come from this fixed list only, so that there are few statements and none from a caller's text. */
function toFilter(query: OperationsQuery): { readonly where: string; readonly values: (string | number)[] } {
  const where = ['o.calls > 0'];
  const values: (string | number)[] = [];
  const add = (condition: string, ...bound: (string | number)[]): void => {
    where.push(condition);
    values.push(...bound);
  };
  if (query.service !== undefined) add('o.service = ?', query.service);
  if (query.style !== undefined) add('o.style = ?', query.style);
  if (query.method !== undefined) add('o.method = ?', query.method);
  if (query.exposure !== undefined) add(`${EXPOSURE} = ?`, query.exposure);
  if (query.authn === NOT_OBSERVED) {
    add(`NOT ${seen('authn')} AND f.value NOT IN ('', 'unknown', '${NOT_OBSERVED}'))`);
  } else if (query.authn !== undefined) {
    add(`${seen('authn')} AND f.value = ?)`, query.authn);
  }
  if (query.dataType !== undefined) {
    add(
      `(${seen('response-type')} AND f.value = ?) OR ${seen('request-type')} AND f.value = ?))`,
      query.dataType,
      query.dataType,
    );
  }
  if (query.sensitive !== undefined) add(query.sensitive ? SENSITIVE : `NOT ${SENSITIVE}`);
  if (query.sinceUs !== undefined) add('o.last_us >= ?', query.sinceUs);
  if (query.untilUs !== undefined) add('o.first_us < ?', query.untilUs);
  if (query.after !== undefined) {
    const { service, route, method, id } = query.after;
    add('(o.service, o.route, o.method, o.id) > (?, ?, ?, ?)', service, route, method, id);
  }
  return { where: where.join(' AND '), values };
}

function toView(row: Row, facets: readonly Facet[]): OperationView {
  const of = (wanted: string): Facet[] => facets.filter(({ facet }) => facet === wanted);
  const exposures = of('exposure').map(({ value, calls }) => ({ exposure: value, calls }));
  const authn = toAuthn(of('authn'), of('verified'));
  const flows = [
    ...of('request-type').map((facet) => ({ facet, direction: 'request' as const })),
    ...of('response-type').map((facet) => ({ facet, direction: 'response' as const })),
  ].map(({ facet: { value, calls, records }, direction }) => ({ type: value, direction, calls, records }));
  const dataTypes = [...new Set(flows.map(({ type }) => type))].sort();
  const exposure = EXPOSURES.find((wanted) => exposures.some((found) => found.exposure === wanted)) ?? 'unknown';
  const days = Math.max(1, (row.last_us - row.first_us) / DAY_US);
  const records = Math.max(0, ...flows.filter(({ direction }) => direction === 'response').map((flow) => flow.records));
  return {
    id: row.id,
    service: row.service,
    style: row.style,
    method: row.method,
    route: row.route,
    exposure,
    exposures,
    authn,
    dataTypes,
    dataFlows: flows,
    versions: of('version').map(({ value }) => value),
    callers: of('caller').map(({ value }) => value),
    documented: null,
    state: null,
    risk: toRisk({
      external: exposure === 'external',
      unauthenticated: authn.state === 'none' || authn.state === 'mixed',
      weaklyAuthenticated: isWeak(authn),
      dataTypes,
      recordsPerDay: records / days,
      writes: WRITES.has(row.method),
    }),
    calls: row.calls,
    errors: row.errors,
    firstSeen: toRfc3339(row.first_us),
    lastSeen: toRfc3339(row.last_us),
  };
}

function toAuthn(schemes: readonly Facet[], verified: readonly Facet[]): AuthnView {
  const told = schemes.filter(({ value }) => !UNTOLD.has(value));
  const none = told.some(({ value }) => value === 'none');
  const some = told.some(({ value }) => value !== 'none');
  const state = none ? (some ? 'mixed' : 'none') : some ? 'authenticated' : NOT_OBSERVED;
  return {
    state,
    schemes: told.map(({ value, calls }) => ({ scheme: value, calls })),
    verified: verified
      .filter(({ value }) => !UNTOLD.has(value))
      .map(({ value, calls }) => ({ verified: value, calls })),
  };
}

/** `no`: the hooks were active and nothing verified the credential. */
function isWeak({ schemes, verified }: AuthnView): boolean {
  return schemes.some(({ scheme }) => scheme === 'basic') || verified.some((found) => found.verified === 'no');
}
