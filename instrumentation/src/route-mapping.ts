/**
 * Declared meaning of routes: a method and path template in, the object type, ids, effect and event of a matching request out.
 */
import type { Effect, SecurityEvent } from './record.ts';

/** One declaration as users write it. */
export interface RouteMappingInput {
  /** `[METHOD ]/path/:id[?query]`. `:id`, `:ids` or else the last parameter is the object; `?name` takes it from the query. */
  readonly match: string;
  /** The type of the object that the id names. */
  readonly object?: string;
  /** What a successful request does to the object. */
  readonly effect?: Effect;
  /** The authentication event that the route is; a status below 400 counts as success. */
  readonly event?: SecurityEvent;
}

export interface RouteMapping {
  readonly method: string | undefined;
  readonly segments: readonly string[];
  readonly idSegment: number;
  readonly queryName: string | undefined;
  readonly object: string | undefined;
  readonly effect: Effect | undefined;
  readonly event: SecurityEvent | undefined;
}

const SHAPE = /^(?:([A-Za-z]+)\s+)?(\/[^?\s]*)(?:\?([\w.[\]-]+))?$/;

export function parseRouteMapping(input: RouteMappingInput, problems: string[]): RouteMapping | undefined {
  const match = SHAPE.exec(String(input.match ?? ''));
  if (match === null) {
    problems.push(`route mapping "${String(input.match)}": expected "[METHOD ]/path/:id" or "[METHOD ]/path?name"`);
    return undefined;
  }
  const segments = (match[2] as string).split('/').filter((segment) => segment !== '');
  const named = segments.findIndex((segment) => /^:ids?$/.test(segment) || /^\{ids?\}$/.test(segment));
  return {
    method: match[1]?.toUpperCase(),
    segments: segments.map((segment) => (isParameter(segment) ? ':' : segment)),
    idSegment: named >= 0 ? named : segments.findLastIndex(isParameter),
    queryName: match[3],
    object: input.object,
    effect: input.effect,
    event: input.event,
  };
}

function isParameter(segment: string): boolean {
  return segment.startsWith(':') || /^\{.*\}$/.test(segment);
}

/** What the declarations say about one request. Ids are raw. */
export interface MappedRequest {
  object?: { readonly type: string; readonly ids: readonly string[] };
  effect?: Effect;
  event?: SecurityEvent;
}

const IDS_MAX = 1000;

/** Every declaration that matches contributes what the earlier ones left open. */
export function mapRequest(
  routes: readonly RouteMapping[],
  method: string,
  path: string,
  query: URLSearchParams,
): MappedRequest {
  const mapped: MappedRequest = {};
  if (routes.length === 0) return mapped;
  const segments = path.split('/').filter((segment) => segment !== '');
  for (const route of routes) {
    if (route.method !== undefined && route.method !== method) continue;
    if (!matches(route.segments, segments)) continue;
    if (route.effect !== undefined) mapped.effect ??= route.effect;
    if (route.event !== undefined) mapped.event ??= route.event;
    if (route.object !== undefined && mapped.object === undefined) {
      const ids = idsOf(route, segments, query);
      if (ids.length > 0) mapped.object = { type: route.object, ids };
    }
  }
  return mapped;
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.length === segments.length && pattern.every((part, index) => part === ':' || part === segments[index]);
}

function idsOf(route: RouteMapping, segments: readonly string[], query: URLSearchParams): readonly string[] {
  const raw =
    route.queryName !== undefined ? query.getAll(route.queryName).join(',') : (segments[route.idSegment] ?? '');
  return decode(raw)
    .split(',', IDS_MAX)
    .filter((id) => id !== '');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The object that a matched route names by itself, where nothing is declared: its last parameter, called after the literal before it.
 * `/accounts/:id/statements` with `/accounts/42/statements` is account 42.
 */
export function routeObject(route: string, path: string): { readonly type: string; readonly id: string } | undefined {
  const template = route.split('/').filter((segment) => segment !== '');
  const segments = path.split('/').filter((segment) => segment !== '');
  if (segments.length !== template.length) return undefined;
  const at = template.findLastIndex(isParameter);
  const literal = template[at - 1];
  if (at < 1 || literal === undefined || isParameter(literal)) return undefined;
  return { type: toSingular(literal), id: decode(segments[at]!) };
}

/** `accounts` to `account`, `companies` to `company`; what does not look like an English plural stays. */
function toSingular(word: string): string {
  const lower = word.toLowerCase();
  if (lower.endsWith('ies') && lower.length > 4) return `${lower.slice(0, -3)}y`;
  if (/(?:ss|x|ch|sh)es$/.test(lower)) return lower.slice(0, -2);
  return lower.endsWith('s') && !/(?:ss|us|is)$/.test(lower) ? lower.slice(0, -1) : lower;
}
