import { type Category, markOf } from './findings.ts';
import { classifyText, percentDecoded, scrubText, suspects } from './scrub-text.ts';
import { isMixed } from './secret-formats.ts';
import { categoryOfName } from './sensitive-names.ts';

/** Scheme, host and port of a URL; user names and passwords are gone. */
export interface Authority {
  /** 'https', '' when the URL has none. */
  readonly scheme: string;
  readonly host: string;
  /** 0 when not given. */
  readonly port: number;
  /** `https://host:port`, '' for a mere path. */
  readonly text: string;
  readonly found: readonly Category[];
  readonly exposed: readonly string[];
}

/** A query or fragment reduced to its parameter names. */
export interface Params {
  /** Each name once, in order. */
  readonly names: readonly string[];
  /** The names joined by `&`. */
  readonly text: string;
  readonly found: readonly Category[];
  /** Names of the parameters that held something sensitive. */
  readonly exposed: readonly string[];
}

export interface Path {
  readonly text: string;
  readonly found: readonly Category[];
  /** `path:<type>` for each segment that held something sensitive. */
  readonly exposed: readonly string[];
}

export interface ScrubbedUrl {
  readonly authority: Authority;
  readonly path: Path;
  readonly params: Params;
  /** Names in the fragment; the fragment itself never comes out. */
  readonly fragment: Params;
}

const PARAMS_MAX = 64;
const PARAM_NAME_CHARS_MAX = 64;
const NONE: readonly never[] = [];
const NO_PARAMS: Params = { names: NONE, text: '', found: NONE, exposed: NONE };
const NO_AUTHORITY: Authority = { scheme: '', host: '', port: 0, text: '', found: NONE, exposed: NONE };

/** Path segments after which an unguessable segment is a credential. */
const TOKEN_SEGMENTS = new Set(
  (
    'token tokens reset reset-password password-reset verify verification confirm activate activation invite ' +
    'invitation magic magic-link unsubscribe session sessions auth callback apikey api-key secret secrets'
  ).split(' '),
);
const TOKEN_SEGMENT_CHARS_MIN = 20;
const MEMO_MAX = 1024;
const MEMO_CHARS_MAX = 512;

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

interface ParamName {
  readonly name: string;
  readonly category: Category | undefined;
  readonly found: readonly Category[];
}

/** Up to MEMO_MAX results by text; emptied when full, so that hostile texts cannot grow it. */
class Memo<T> {
  readonly #map = new Map<string, T>();
  find(text: string): T | undefined {
    return this.#map.get(text);
  }
  keep(text: string, result: T): T {
    if (text.length > MEMO_CHARS_MAX) return result;
    if (this.#map.size >= MEMO_MAX) this.#map.clear();
    this.#map.set(text, result);
    return result;
  }
}

/**
 * Takes URLs, paths and queries apart and leaves out what must not be stored. Authorities, parameter names and whole
 * queries repeat in real traffic; what was worked out for them is kept in bounded memos.
 */
export class UrlScrubber {
  readonly #authorities = new Memo<Authority>();
  readonly #queries = new Memo<Params>();
  readonly #names = new Memo<ParamName>();

  /** An absolute URL, a `//host` reference, or a path with query and fragment. */
  url(text: string): ScrubbedUrl {
    const pathFrom = authorityEnd(text);
    const authority = pathFrom === 0 ? NO_AUTHORITY : this.#authority(text.slice(0, pathFrom));
    const hash = text.indexOf('#', pathFrom);
    const end = hash < 0 ? text.length : hash;
    const question = text.indexOf('?', pathFrom);
    const pathTo = question < 0 || question > end ? end : question;
    return {
      authority,
      path: this.path(text.slice(pathFrom, pathTo)),
      params: pathTo < end ? this.query(text.slice(pathTo + 1, end)) : NO_PARAMS,
      fragment: hash < 0 ? NO_PARAMS : this.#fragment(text.slice(hash + 1)),
    };
  }

  #authority(text: string): Authority {
    const known = this.#authorities.find(text);
    if (known !== undefined) return known;
    const slashes = text.indexOf('//');
    const scheme = text.slice(0, Math.max(0, slashes - 1)).toLowerCase();
    const rest = text.slice(slashes + 2);
    const at = rest.lastIndexOf('@');
    const { host, port } = splitHostPort(rest.slice(at + 1));
    const own: Category[] = at >= 0 ? ['url_credential'] : [];
    const bracketed = host.includes(':') ? `[${host}]` : host;
    const authority: Authority = {
      scheme,
      host,
      port,
      text: `${scheme === '' ? '' : `${scheme}:`}//${bracketed}${port > 0 ? `:${port}` : ''}`,
      found: own,
      exposed: at > 0 ? ['userinfo'] : NONE,
    };
    return this.#authorities.keep(text, authority);
  }

  /** A path whose personal and secret segments are marks, and whose matrix parameters are names. */
  path(text: string): Path {
    if (isPlainPath(text)) return { text, found: NONE, exposed: NONE };
    const found: Category[] = [];
    const exposed: string[] = [];
    const segments = text.split('/');
    let previous = '';
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i]!;
      segments[i] = this.#segment(segment, previous, found, exposed);
      previous = segment;
    }
    return { text: segments.join('/'), found, exposed };
  }

  #segment(segment: string, previous: string, found: Category[], exposed: string[]): string {
    const semicolon = segment.indexOf(';');
    if (semicolon >= 0) {
      const matrix = this.#params(segment.slice(semicolon + 1), ';');
      found.push(...matrix.found);
      exposed.push(...matrix.exposed);
      const head = this.#segment(segment.slice(0, semicolon), previous, found, exposed);
      return matrix.names.length === 0 ? head : `${head};${matrix.names.join(';')}`;
    }
    const text = percentDecoded(segment);
    const category = segmentCategory(text, previous);
    if (category === undefined) return segment;
    found.push(category);
    exposed.push(`path:${category}`);
    // A segment with more in it ("user-jane@example.com") keeps what is innocent.
    const rest = scrubText(text, []);
    return rest === text ? markOf(category) : rest;
  }

  /** A query string; a leading `?` is allowed. */
  query(text: string): Params {
    const bare = text.startsWith('?') ? text.slice(1) : text;
    if (bare === '') return NO_PARAMS;
    return this.#queries.find(bare) ?? this.#queries.keep(bare, this.#params(bare, '&'));
  }

  #fragment(text: string): Params {
    if (text === '') return NO_PARAMS;
    // OAuth's implicit flow puts tokens there, single-page routers put a whole path with a query.
    const params = text.includes('=') ? this.#params(text.replace(/^[^?=]{0,256}\?/, ''), '&') : NO_PARAMS;
    return { ...params, found: ['url_fragment', ...params.found] };
  }

  #params(text: string, separator: string): Params {
    const names: string[] = [];
    const found: Category[] = [];
    const exposed: string[] = [];
    let from = 0;
    for (let count = 0; from <= text.length && count < PARAMS_MAX; count++) {
      const next = text.indexOf(separator, from);
      const to = next < 0 ? text.length : next;
      this.#param(text, from, to, names, found, exposed);
      from = to + 1;
    }
    if (from <= text.length) found.push('query_value');
    return { names, text: names.join('&'), found, exposed };
  }

  #param(text: string, from: number, to: number, names: string[], found: Category[], exposed: string[]): void {
    if (from === to) return;
    const equals = text.indexOf('=', from);
    const nameTo = equals < 0 || equals > to ? to : equals;
    const { name, category, found: inName } = this.#name(text.slice(from, nameTo));
    for (const each of inName) {
      found.push(each);
      exposed.push(`query:${each}`);
    }
    if (nameTo + 1 < to) {
      // A plus stays a plus: as a blank it would hide "+1415…".
      const held = category ?? classifyText(percentDecoded(text.slice(nameTo + 1, to)))[0];
      if (held !== undefined && !exposed.includes(name)) exposed.push(name);
      found.push(held ?? 'query_value');
    }
    if (name !== '' && !names.includes(name)) names.push(name);
  }

  #name(raw: string): ParamName {
    const known = this.#names.find(raw);
    if (known !== undefined) return known;
    const found: Category[] = [];
    const clean = scrubText(percentDecoded(raw).slice(0, PARAM_NAME_CHARS_MAX), found);
    // Names are joined with `&`: what would break the list apart is no name.
    const name = clean.replace(/[&\s]+/g, '_');
    return this.#names.keep(raw, { name, category: categoryOfName(name), found });
  }
}

/** Where the path begins: after `scheme://host` or `//host`, 0 for a path. */
function authorityEnd(text: string): number {
  const slashes = text.indexOf('//');
  if (slashes < 0 || slashes > 31) return 0;
  if (
    slashes > 0 &&
    (text.charCodeAt(slashes - 1) !== 58 || !/^[A-Za-z][A-Za-z0-9+.-]*$/.test(text.slice(0, slashes - 1)))
  ) {
    return 0;
  }
  for (let i = slashes + 2; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 47 || code === 63 || code === 35 || code === 92) return i;
  }
  return text.length;
}

/** True for a path in which nothing could be hidden: most paths, told in one pass. */
export function isPlainPath(path: string): boolean {
  return suspects(path) === 0 && !hasLongSegment(path);
}

function hasLongSegment(path: string): boolean {
  let from = 0;
  while (path.length - from >= TOKEN_SEGMENT_CHARS_MIN) {
    const next = path.indexOf('/', from);
    const to = next < 0 ? path.length : next;
    if (to - from >= TOKEN_SEGMENT_CHARS_MIN) return true;
    from = to + 1;
  }
  return false;
}

function segmentCategory(segment: string, previous: string): Category | undefined {
  const found = classifyText(segment);
  if (found.length > 0) return found[0];
  const unguessable = segment.length >= TOKEN_SEGMENT_CHARS_MIN && isMixed(segment);
  return unguessable && TOKEN_SEGMENTS.has(previous.toLowerCase()) ? 'secret' : undefined;
}
