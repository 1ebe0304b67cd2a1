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
const PHONE_DIGITS_MIN = 7;
/** A name does not hold that many digits: a number or a time was put behind it. */
const LONG_NUMBER_DIGITS = 8;
/** Base64 of 15 bytes and more. */
const BASE64_CHARS_MIN = 20;

export type IdKind = 'int' | 'uuid' | 'random' | 'email' | 'phone' | 'other';

/** How many characters of each class a segment has. */
interface Tally {
  digits: number;
  /** a-f, A-F; also counted as lower or upper. */
  hexLetters: number;
  lower: number;
  upper: number;
  /** `-` and `_` */
  dashes: number;
  dots: number;
  others: number;
}

/** Written anew for every segment, so that none is allocated. */
const tally: Tally = { digits: 0, hexLetters: 0, lower: 0, upper: 0, dashes: 0, dots: 0, others: 0 };

/**
 * What a path segment is when it is not a name: `int` (also decimals), `uuid`, `random` (hex of 16 and more, ULID, mixed
 * letters and digits, prefixed ids), `email`, `phone`, `other` (dates, very long texts, marks that scrubbing left);
 * undefined when it is a name. `v1` is a name.
 */
export function idKind(segment: string): IdKind | undefined {
  const length = segment.length;
  if (length === 0) return undefined;
  if (length > SEGMENT_CHARS_MAX) return 'other';
  if (isMark(segment)) return markKind(segment);
  if (segment.includes('@')) return 'email';
  count(segment);
  const { digits, hexLetters, lower, upper, dashes, dots, others } = tally;
  if (lower + upper === 0) return digits === 0 ? undefined : numeric(segment);
  if (length === UUID_CHARS && dashes === 4 && digits + hexLetters === 32) return 'uuid';
  if (others > 0) return undefined;
  if (dots === 0 && length >= BASE64_CHARS_MIN && lower > 2 && upper * 10 >= length * 3) return 'random';
  if (digits === 0) return undefined;
  if (dashes + dots > 0) return hasIdPart(segment) ? 'random' : undefined;
  return isRandomWord(length) ? 'random' : undefined;
}

function count(segment: string): void {
  tally.digits = tally.hexLetters = tally.lower = tally.upper = tally.dashes = tally.dots = tally.others = 0;
  for (let i = 0; i < segment.length; i++) {
    const code = segment.charCodeAt(i);
    if (code >= 48 && code <= 57) tally.digits++;
    else if (code >= 97 && code <= 122) {
      tally.lower++;
      if (code <= 102) tally.hexLetters++;
    } else if (code >= 65 && code <= 90) {
      tally.upper++;
      if (code <= 70) tally.hexLetters++;
    } else if (code === 45 || code === 95) tally.dashes++;
    else if (code === 46) tally.dots++;
    else tally.others++;
  }
}

/** Digits and signs only. Two and more dots are a version or an address, which are names. */
function numeric(segment: string): IdKind | undefined {
  const { digits, dashes, dots, others } = tally;
  if (segment.startsWith('+')) return others === 1 && digits >= PHONE_DIGITS_MIN ? 'phone' : undefined;
  if (others > 0 || dots > 1) return undefined;
  return dashes === 0 || (dashes === 1 && segment.startsWith('-')) ? 'int' : 'other';
}

/** A word of letters and digits that no one would write as a name. */
function isRandomWord(length: number): boolean {
  const { digits, hexLetters, lower, upper } = tally;
  if (hexLetters === lower + upper && length >= HEX_CHARS_MIN) return true;
  if (length === ULID_CHARS && lower === 0) return true;
  if (digits >= LONG_NUMBER_DIGITS) return true;
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
  return (segment.startsWith('{') && segment.endsWith('}')) || (segment.startsWith('[') && segment.endsWith(']'));
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
    .replace(/<(?:[^:<>]*:)?([^<>]+)>/g, '{$1}')
    .replace(/\{([A-Za-z_][\w-]*)[:=][^}]*\}/g, '{$1}')
    .replace(/:([A-Za-z_]\w*)(?:\([^)]*\))?[?*+]?/g, '{$1}');
}
