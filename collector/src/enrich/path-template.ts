/**
 * Paths in, templates out: `/users/42/orders/7f3a…` becomes `/users/{id}/orders/{id}`. A first cut by the form of each
 * segment; it learns nothing, so equal paths always give equal templates (design: detection, section 5, step 1).
 * When in doubt a segment stays: splitting one endpoint costs memory, merging two hides one.
 */

/** Deeper paths end in `{*}`. */
const SEGMENTS_MAX = 16;
/** A longer segment names nothing. */
const SEGMENT_CHARS_MAX = 64;
const CACHED_MAX = 10_000;

const HEX_CHARS_MIN = 16;
const ULID_CHARS = 26;
const UUID_CHARS = 36;
const RANDOM_CHARS_MIN = 10;

const DIGIT = 1;
const HEX_LETTER = 2;
const LOWER = 4;
const UPPER = 8;
const DASH = 16;
const OTHER = 32;
const DOT = 64;
const CLASS = new Uint8Array(128).fill(OTHER);
for (let code = 48; code <= 57; code++) CLASS[code] = DIGIT;
for (let code = 97; code <= 122; code++) CLASS[code] = code <= 102 ? LOWER | HEX_LETTER : LOWER;
for (let code = 65; code <= 90; code++) CLASS[code] = code <= 70 ? UPPER | HEX_LETTER : UPPER;
CLASS[45] = DASH;
CLASS[95] = DASH;
CLASS[46] = DOT;

export type IdKind = 'int' | 'uuid' | 'random' | 'email' | 'phone' | 'other';

/**
 * What a path segment is when it is not a name: `int` (also decimals), `uuid`, `random` (hex of 16 and more, ULID, mixed
 * letters and digits, prefixed ids), `email`, `phone`, `other` (dates, very long texts, marks that scrubbing left);
 * undefined when it is a name. `v1` is a name.
 */
export function idKind(segment: string): IdKind | undefined {
  const length = segment.length;
  if (length === 0) return undefined;
  if (length > SEGMENT_CHARS_MAX) return 'other';
  const first = segment.charCodeAt(0);
  if (first === 123 || first === 91) return isMark(segment) ? markKind(segment) : undefined; // { [
  let digits = 0;
  let hexLetters = 0;
  let lower = 0;
  let upper = 0;
  let dashes = 0;
  let dots = 0;
  let others = 0;
  for (let i = 0; i < length; i++) {
    const code = segment.charCodeAt(i);
    const kind = code < 128 ? CLASS[code]! : OTHER;
    if (code === 64) return 'email'; // @
    if (kind === DIGIT) digits++;
    else if (kind === DASH) dashes++;
    else if (kind === DOT) dots++;
    else if (kind === OTHER) others++;
    else {
      if (kind & HEX_LETTER) hexLetters++;
      if (kind & LOWER) lower++;
      else upper++;
    }
  }
  const letters = lower + upper;
  if (digits === length || (digits > 0 && digits + dots + dashes === length && dots <= 1 && dashes === 0)) return 'int';
  if (digits > 0 && letters === 0 && others === 0) return dashes === 0 && dots > 1 ? undefined : 'other'; // a date
  if (first === 43 && digits + dashes + 1 === length && digits >= 7) return 'phone'; // +
  if (length === UUID_CHARS && dashes === 4 && digits + hexLetters === 32 && hexLetters === letters) return 'uuid';
  if (digits === 0) return undefined;
  if (dashes + dots + others === 0)
    return isRandomWord(length, digits, hexLetters, letters, lower, upper) ? 'random' : undefined;
  return others === 0 && hasIdPart(segment) ? 'random' : undefined;
}

/** A word of letters and digits that no one would write as a name. */
function isRandomWord(
  length: number,
  digits: number,
  hexLetters: number,
  letters: number,
  lower: number,
  upper: number,
): boolean {
  if (hexLetters === letters && length >= HEX_CHARS_MIN) return true;
  if (length === ULID_CHARS && lower === 0) return true;
  if (length < RANDOM_CHARS_MIN) return false;
  return digits * 4 >= length || (lower > 0 && upper > 1 && digits > 1);
}

/** `ord-123456`, `cus_9s6XKzkNRiz8i3`: a part that is a long number or random. */
function hasIdPart(segment: string): boolean {
  for (const part of segment.split(/[-_.]/)) {
    if (part.length < 4) continue;
    const kind = idKind(part);
    if (kind === 'int' || kind === 'random') return true;
  }
  return false;
}

/** What scrubbing or a framework left in place of a value: `{id}`, `[email]`. */
function isMark(segment: string): boolean {
  const last = segment.charCodeAt(segment.length - 1);
  return last === 125 || last === 93;
}

function markKind(mark: string): IdKind {
  if (mark.includes('email')) return 'email';
  return mark.includes('phone') ? 'phone' : 'other';
}

/** A path as a template with `{id}` in place of ids; query and fragment are left out. */
export function toPathTemplate(path: string): string {
  const cut = path.search(/[?#]/);
  const plain = cut === -1 ? path : path.slice(0, cut);
  let template = '';
  let segments = 0;
  for (let from = 0; from < plain.length; ) {
    let to = plain.indexOf('/', from);
    if (to === -1) to = plain.length;
    if (to > from) {
      if (++segments > SEGMENTS_MAX) return `${template}/{*}`;
      const segment = plain.slice(from, to);
      template += idKind(segment) === undefined ? `/${segment}` : '/{id}';
    }
    from = to + 1;
  }
  return template === '' ? '/' : template;
}

const routes = new Map<string, string>();

/**
 * A framework's route as a template: `:id`, `<int:id>` and `{id:[0-9]+}` become `{id}`, `*rest` becomes `{*}`; one
 * leading slash, no trailing one. Undefined for a route that catches everything, since it names nothing.
 */
export function toRouteTemplate(route: string): string | undefined {
  let known = routes.get(route);
  if (known === undefined) {
    known = normaliseRoute(route);
    if (routes.size >= CACHED_MAX) routes.clear();
    routes.set(route, known);
  }
  return known === '' ? undefined : known;
}

function normaliseRoute(route: string): string {
  const plain = route
    .trim()
    .replace(/^\^/, '')
    .replace(/\$$/, '')
    .replace(/[?#].*$/, '');
  const segments: string[] = [];
  for (const segment of plain.split('/')) {
    if (segment === '') continue;
    if (segments.length === SEGMENTS_MAX) {
      segments.push('{*}');
      break;
    }
    segments.push(normaliseSegment(segment));
  }
  const template = `/${segments.join('/')}`;
  return template === '/{*}' ? '' : template;
}

function normaliseSegment(segment: string): string {
  if (segment.length > 4 * SEGMENT_CHARS_MAX) return '{id}';
  if (/^[*(]/.test(segment) || segment.startsWith('{*') || segment.endsWith('*}')) return '{*}';
  return segment
    .replace(/:([A-Za-z_]\w*)(?:\([^)]*\))?[?*+]?/g, '{$1}')
    .replace(/<(?:[^:<>]*:)?([^<>]+)>/g, '{$1}')
    .replace(/\{([A-Za-z_][\w-]*)[:=][^}]*\}/g, '{$1}');
}
