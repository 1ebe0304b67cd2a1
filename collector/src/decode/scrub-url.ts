import { type Category, markOf } from './findings.ts';
import { classifyText, scrubText, suspects } from './scrub-text.ts';
import { isMixed } from './secret-patterns.ts';
import { categoryOfName } from './sensitive-names.ts';

/** What is left of a URL, path or query, and what it gave away. */
export interface ScrubbedUrl {
  /** 'https', '' when the URL has none. */
  readonly scheme: string;
  readonly host: string;
  /** 0 when not given. */
  readonly port: number;
  readonly path: string;
  /** Parameter names, each once, in order. */
  readonly params: readonly string[];
  /** Parameters that held something sensitive, and `path:<type>` for path segments. */
  readonly exposed: readonly string[];
}

const PARAMS_MAX = 64;
const PARAM_NAME_CHARS_MAX = 64;
const NONE: readonly string[] = [];

function decoded(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Path segments after which an unguessable segment is a credential. */
const TOKEN_SEGMENTS = new Set(
  'token tokens reset reset-password password-reset verify verification confirm activate activation invite invitation magic magic-link unsubscribe session sessions auth callback apikey api-key secret secrets'.split(
    ' ',
  ),
);
const TOKEN_SEGMENT_CHARS_MIN = 20;

function segmentCategory(segment: string, previous: string): Category | undefined {
  const found = classifyText(segment);
  if (found.length > 0) return found[0];
  if (segment.length >= TOKEN_SEGMENT_CHARS_MIN && TOKEN_SEGMENTS.has(previous.toLowerCase()) && isMixed(segment)) {
    return 'secret';
  }
  return undefined;
}

/** A URL path whose personal and secret segments are marks, and whose matrix parameters are names. */
export function scrubPath(path: string, found: Category[], exposed: string[]): string {
  const plain = suspects(path) === 0;
  if (plain && path.length < TOKEN_SEGMENT_CHARS_MIN) return path;
  const segments = path.split('/');
  let previous = '';
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]!;
    const clean = scrubSegment(segment, previous, found, exposed);
    previous = segment;
    segments[i] = clean;
  }
  return segments.join('/');
}

function scrubSegment(segment: string, previous: string, found: Category[], exposed: string[]): string {
  const semicolon = segment.indexOf(';');
  if (semicolon >= 0) {
    const matrix = namesOf(segment.slice(semicolon + 1), /;/, found, exposed);
    const head = scrubSegment(segment.slice(0, semicolon), previous, found, exposed);
    return matrix.length === 0 ? head : `${head};${matrix.join(';')}`;
  }
  const text = decoded(segment);
  const category = segmentCategory(text, previous);
  if (category === undefined) return segment;
  found.push(category);
  exposed.push(`path:${category}`);
  // A segment with more in it ("user-jane@example.com") keeps what is innocent.
  const rest = scrubText(text, []);
  return rest === text ? markOf(category) : rest;
}

function namesOf(query: string, separator: RegExp, found: Category[], exposed: string[]): string[] {
  const names: string[] = [];
  const seen = new Set<string>();
  for (const pair of query.split(separator, PARAMS_MAX)) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = scrubName(decoded(equals < 0 ? pair : pair.slice(0, equals)), found, exposed);
    const value = equals < 0 ? '' : pair.slice(equals + 1);
    if (value !== '') judgeValue(name, value, found, exposed);
    if (name === '' || seen.has(name)) continue;
    seen.add(name);
    names.push(name);
  }
  return names;
}

function scrubName(name: string, found: Category[], exposed: string[]): string {
  const own: Category[] = [];
  const clean = scrubText(name.slice(0, PARAM_NAME_CHARS_MAX), own);
  for (const category of own) {
    found.push(category);
    exposed.push(`query:${category}`);
  }
  // Names are joined with `&`: what would break the list apart is no name.
  return clean.replace(/[&\s]+/g, '_');
}

function judgeValue(name: string, value: string, found: Category[], exposed: string[]): void {
  const byName = categoryOfName(name);
  // One pass for the plain value and one for `+` as a blank would disagree about "+1415…", so a plus stays a plus.
  const category = byName ?? classifyText(decoded(value))[0];
  if (category !== undefined && !exposed.includes(name)) exposed.push(name);
  found.push(category ?? 'query_value');
}

/** A query string reduced to its parameter names; a leading `?` is allowed. */
export function scrubQuery(query: string, found: Category[], exposed: string[]): string[] {
  const bare = query.startsWith('?') ? query.slice(1) : query;
  return bare === '' ? [] : namesOf(bare, /[&]/, found, exposed);
}

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]{0,30}):\/\//;

/** Takes an absolute URL, or a path with query and fragment, apart. Fragments and user names never come out. */
export function scrubUrl(text: string, found: Category[]): ScrubbedUrl {
  let rest = text;
  let scheme = '';
  let host = '';
  let port = 0;
  const exposed: string[] = [];
  const match = SCHEME.exec(text);
  if (match !== null || text.startsWith('//')) {
    scheme = match?.[1]?.toLowerCase() ?? '';
    rest = text.slice(match?.[0].length ?? 2);
    const end = rest.search(/[/?#\\]/);
    const authority = end < 0 ? rest : rest.slice(0, end);
    rest = end < 0 ? '' : rest.slice(end);
    const at = authority.lastIndexOf('@');
    if (at > 0) {
      found.push('url_credential');
      exposed.push('userinfo');
    }
    ({ host, port } = splitHostPort(authority.slice(at + 1)));
  }
  const hash = rest.indexOf('#');
  if (hash >= 0) {
    const fragment = rest.slice(hash + 1);
    if (fragment !== '') found.push('url_fragment');
    if (fragment.includes('=')) namesOf(fragment.replace(/^[/!]*\??/, ''), /[&?]/, found, exposed);
    rest = rest.slice(0, hash);
  }
  const question = rest.indexOf('?');
  const path = scrubPath(question < 0 ? rest : rest.slice(0, question), found, exposed);
  const params = question < 0 ? NONE : scrubQuery(rest.slice(question + 1), found, exposed);
  return { scheme, host, port, path, params, exposed };
}

/** `host:port` and `[v6]:port` apart; port 0 when absent or no number. */
export function splitHostPort(authority: string): { host: string; port: number } {
  const close = authority.startsWith('[') ? authority.indexOf(']') : -1;
  const colon = authority.indexOf(':', Math.max(close, 0));
  if (colon < 0 || (close < 0 && authority.indexOf(':', colon + 1) >= 0)) {
    return { host: close > 0 ? authority.slice(1, close) : authority, port: 0 };
  }
  const port = Number(authority.slice(colon + 1));
  const host = close > 0 ? authority.slice(1, close) : authority.slice(0, colon);
  return { host, port: Number.isInteger(port) && port > 0 && port < 65536 ? port : 0 };
}

/** The URL put together again without anything that was taken out. */
export function joinUrl(url: ScrubbedUrl): string {
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  const authority =
    url.host === '' ? '' : `${url.scheme === '' ? '' : `${url.scheme}:`}//${host}${url.port > 0 ? `:${url.port}` : ''}`;
  const query = url.params.length === 0 ? '' : `?${url.params.join('&')}`;
  return `${authority}${url.path}${query}`;
}
