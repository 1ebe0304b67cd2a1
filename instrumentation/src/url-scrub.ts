/**
 * URLs: raw path and query in, names and shapes out; no value of a parameter and no path segment that could be one remains.
 */
import { typeOfValue } from './data-types/text.ts';

/** What an attribute may hold of one query string. */
export interface QueryFacts {
  /** Parameter names, at most 40; names that are no identifiers are shown as `*`. */
  readonly params: readonly string[];
  /** Names of parameters that carry a secret or a regulated number. */
  readonly secrets: readonly string[];
  /** Data types of the values. */
  readonly dataTypes: ReadonlyMap<string, number>;
  /** The value of `limit`, `page_size` and the like. */
  readonly pageSize: number | undefined;
}

const PARAMS_MAX = 40;
const NAME = /^[A-Za-z_$][\w$.[\]-]{0,63}$/;
const CREDENTIAL_NAME =
  /^(?:.*[_-])?(?:token|jwt|secret|password|passwd|pwd|api_?key|apikey|access_?key|signature|sig|session_?id|sid|auth|code_verifier|client_secret)$/i;
const SECRET_TYPES: ReadonlySet<string> = new Set(['jwt', 'secret', 'password', 'payment_card', 'us_ssn']);
const PAGE_SIZE_NAME = /^(?:limit|page_?size|per_?page|size|count|max_?results|first|top|\$top|take|rows)$/i;

export function queryFacts(query: URLSearchParams): QueryFacts {
  const params = new Set<string>();
  const secrets = new Set<string>();
  const dataTypes = new Map<string, number>();
  let pageSize: number | undefined;
  let seen = 0;
  for (const [rawName, value] of query) {
    if (++seen > PARAMS_MAX) break;
    const name = safeName(rawName);
    params.add(name);
    const type = typeOfValue(rawName, value.slice(0, 256));
    if (type !== undefined) dataTypes.set(type, (dataTypes.get(type) ?? 0) + 1);
    if (value !== '' && (CREDENTIAL_NAME.test(rawName) || SECRET_TYPES.has(type ?? ''))) secrets.add(name);
    if (PAGE_SIZE_NAME.test(rawName) && /^\d{1,9}$/.test(value)) pageSize = Number(value);
  }
  return { params: [...params], secrets: [...secrets], dataTypes, pageSize };
}

/** A name that programmers choose; anything else may be a value in the wrong place. */
export function safeName(name: string): string {
  return NAME.test(name) && !/\d{4}/.test(name) ? name : '*';
}

/**
 * A path without values: along a known route its parameters are named, elsewhere a segment stays only when it is a plain word.
 *
 * @param route as the framework matched it: `/accounts/:id`
 */
export function scrubPath(path: string, route: string | undefined): string {
  const parts = path.split('/');
  const template = route?.split('/');
  if (template !== undefined && template.length === parts.length)
    return parts.map((part, index) => scrubSegment(part, template[index] as string)).join('/');
  return parts.slice(0, SEGMENTS_MAX).map(maskSegment).join('/');
}

const SEGMENTS_MAX = 24;

function scrubSegment(part: string, template: string): string {
  if (/^[:{*]/.test(template)) return `{${template.replace(/[^A-Za-z_]/g, '') || 'rest'}}`;
  return part === template ? part : maskSegment(part);
}

/** Words as programmers write them into routes: `orders`, `v1`, `api-keys`, `search.json`. */
const WORD = /^(?:[a-z]{1,24}(?:[-_][a-z]{1,24}){0,3}(?:\.[a-z]{2,5})?|v\d{1,2}(?:\.\d)?|)$/;

function maskSegment(part: string): string {
  if (WORD.test(part)) return part;
  if (/^\d+$/.test(part)) return '{int}';
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(part)) return '{uuid}';
  return /^[\w-]{16,}$/.test(part) && /\d/.test(part) ? '{token}' : '{text}';
}

/** Scheme, host, port and a masked path; neither user info, query nor fragment. */
export function scrubUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${scrubPath(pathname, undefined)}`;
  } catch {
    return '{url}';
  }
}

/** Splits a request target. A target that cannot be parsed has an empty path. */
export function splitTarget(target: string): { readonly path: string; readonly query: URLSearchParams } {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1, mark + 1 + QUERY_CHARS_MAX));
  if (path.startsWith('/')) return { path, query };
  try {
    return { path: new URL(path).pathname, query };
  } catch {
    return { path: '', query };
  }
}

const QUERY_CHARS_MAX = 8192;
