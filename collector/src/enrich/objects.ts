import { Field, Signal, type Value } from '@spanwarden/rules';
import type { Pseudonym } from '../base/pseudonym.ts';
import type { Enricher } from './draft.ts';
import type { PathHop } from './hop.ts';
import { idKind } from './path-template.ts';

/**
 * Which objects each hop handled. Attributes win; where a service does not send object signals, the last parameter of a
 * served route names the object: `/accounts/{id}/statements` with `/accounts/42/statements` is account 42, kept as a
 * pseudonym. Such ids are evidence that an object was asked for, and leave coverage as it is.
 */
export function createObjects(pseudonym: Pseudonym | undefined): Enricher {
  return {
    name: 'objects',
    reads: ['serves', 'operationKey'],
    writes: ['objectType', 'objectIds', 'objectIdKind'],
    because: 'needs the route',
    run({ hops }) {
      for (const hop of hops) {
        hop.objectType = hop.fact(Field.objectType);
        hop.objectIds = toList(hop.fact(Field.objectIds));
        hop.objectIdKind = hop.fact(Field.objectIdKind);
        if (pseudonym !== undefined && hop.objectIds === undefined && hop.serves) deriveObject(hop, pseudonym);
      }
    },
  };
}

/** Some senders write a single id as a text. */
function toList(ids: Value | undefined): Value | undefined {
  return typeof ids === 'string' || typeof ids === 'number' ? [ids] : ids;
}

function deriveObject(hop: PathHop, pseudonym: Pseudonym): void {
  if ((hop.coverage & Signal.object) !== 0) return;
  const route = hop.operationKey?.route;
  const path = hop.text(Field.urlPath);
  if (route === undefined || path === undefined || !route.includes('{')) return;
  const parameter = lastParameter(route, path);
  if (parameter === undefined) return;
  const kind = idKind(parameter.value);
  // Scrubbing left a mark in place of the value: nothing tells two objects apart.
  if (parameter.value.startsWith('[') || parameter.value.startsWith('{')) return;
  hop.objectType ??= parameter.type;
  hop.objectIds = [pseudonym(`object:${parameter.type}`, parameter.value)];
  hop.objectIdKind ??= kind ?? 'other';
}

/** The last `{parameter}` of a route, the path's segment in its place, and the literal before it. */
function lastParameter(route: string, path: string): { readonly type: string; readonly value: string } | undefined {
  const query = path.indexOf('?');
  const segments = (query === -1 ? path : path.slice(0, query)).split('/').filter((segment) => segment !== '');
  const template = route.split('/').filter((segment) => segment !== '');
  if (segments.length !== template.length) return undefined;
  for (let i = template.length - 1; i > 0; i--) {
    if (!isParameter(template[i]!)) {
      if (template[i]!.includes('{')) return undefined;
      continue;
    }
    const literal = template[i - 1]!;
    return literal.includes('{') ? undefined : { type: toSingular(literal), value: segments[i]! };
  }
  return undefined;
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{') && segment.endsWith('}') && segment !== '{*}';
}

/** `accounts` to `account`, `companies` to `company`; what does not look like an English plural stays. */
function toSingular(word: string): string {
  const lower = word.toLowerCase();
  if (lower.endsWith('ies') && lower.length > 4) return `${lower.slice(0, -3)}y`;
  if (/(?:ss|x|ch|sh)es$/.test(lower)) return lower.slice(0, -2);
  if (lower.endsWith('s') && !/(?:ss|us|is)$/.test(lower)) return lower.slice(0, -1);
  return lower;
}
