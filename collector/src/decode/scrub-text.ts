import { type Category, type Hit, maskHits } from './findings.ts';
import {
  findAddresses,
  findEmails,
  findIbans,
  findPaymentCards,
  findPhones,
  findSocialSecurityNumbers,
} from './personal-data.ts';
import { secretStart } from './secret-formats.ts';
import { findAnnounced, findIssuedSecrets } from './secret-patterns.ts';

const AT = 1;
const DIGITS = 2;
const ADDRESS = 4;
const TOKEN = 8;
const ASSIGNED = 16;
const QUERY = 32;
const IBAN = 64;
const AUTHORITY = 128;
const ENCODED = 256;

const DIGIT_SEQUENCE_MIN = 9;
const TOKEN_CHARS_MIN = 16;
const IBAN_DIGITS_MIN = 10;
const SCHEMES = /\b(?:bearer|basic|digest|negotiate|token|apikey)[ +]/i;

const DIGIT = 1;
const LOWER = 2;
const UPPER = 3;
/** Signs inside tokens: `-`, `.`, `_`, `~`. */
const SIGN = 4;
const OTHER = 5;
const CLASS = new Uint8Array(128).fill(OTHER);
for (let code = 48; code <= 57; code++) CLASS[code] = DIGIT;
for (let code = 97; code <= 122; code++) CLASS[code] = LOWER;
for (let code = 65; code <= 90; code++) CLASS[code] = UPPER;
for (const sign of '-._~') CLASS[sign.charCodeAt(0)] = SIGN;

/** What single characters make possible. */
const HINTS = new Uint8Array(128);
HINTS[64] = AT; // @
HINTS[58] = ASSIGNED; // :
HINTS[61] = ASSIGNED; // =
HINTS[63] = QUERY; // ?
HINTS[59] = QUERY; // ;
HINTS[35] = QUERY; // #
/** Between digits of one number these do not occur: `,` `/` `:`. */
const ENDS_NUMBER = new Uint8Array(128);
for (const sign of ',/:') ENDS_NUMBER[sign.charCodeAt(0)] = 1;

const isHexDigit = (code: number): boolean => (code >= 48 && code <= 57) || ((code | 32) >= 97 && (code | 32) <= 102);

/** n, r, t: behind a backslash they are a line end or a tab. */
const isBlankEscape = (code: number): boolean => code === 110 || code === 114 || code === 116;

/** Two letters and two digits. */
function isIbanStart(text: string, at: number): boolean {
  const second = text.charCodeAt(at + 1) | 32;
  const third = text.charCodeAt(at + 2);
  const fourth = text.charCodeAt(at + 3);
  return second >= 97 && second <= 122 && third >= 48 && third <= 57 && fourth >= 48 && fourth <= 57;
}

/**
 * One pass over the characters: which detectors could find anything at all. Ordinary values (methods, routes, host
 * names, versions, UUIDs) give 0, so no pattern ever runs on them.
 */
// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: one pass over the characters is what makes it cheap
export function suspects(text: string): number {
  let found = 0;
  let sequence = 0; // digits so far, with at most two separators between
  let gap = 0;
  let digits = 0;
  let ibanMarked = false;
  let dots = 0;
  let colons = 0;
  let token = 0;
  let mark = 0; // the greatest secretStart of this token

  let inWord = false;
  let blanks = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Scripts without blanks write numbers and tokens right behind their letters.
    const kind = code < 128 ? CLASS[code]! : OTHER;
    if (kind <= UPPER) {
      if (kind === DIGIT) {
        digits++;
        gap = 0;
        if (++sequence >= DIGIT_SEQUENCE_MIN) found |= DIGITS;
      } else sequence = 0;
      if (!inWord) {
        mark = Math.max(mark, secretStart(code, text.charCodeAt(i + 1), text.charCodeAt(i + 2)));
        if (kind !== DIGIT && isIbanStart(text, i)) ibanMarked = true;
        inWord = true;
      }
      token++;
      continue;
    }
    inWord = false;
    if (++gap > 2 || (code < 128 && ENDS_NUMBER[code] === 1)) sequence = 0;
    if (kind === SIGN) {
      token++;
      if (code === 46) dots++;
      else if (code === 45 && text.charCodeAt(i + 1) === 45 && text.charCodeAt(i + 2) === 45) found |= TOKEN;
      else if (code === 126 && text.charCodeAt(i - 1) === 81) mark = Math.max(mark, 1);
      continue;
    }
    if (mark > 0 && token >= TOKEN_CHARS_MIN) found |= TOKEN;
    if (mark < 2 || (code !== 47 && code !== 43 && code !== 61)) {
      token = 0;
      mark = 0;
    }
    if (code >= 128) continue;
    found |= HINTS[code]!;
    if (code === 58) colons++;
    else if (code === 92 && isBlankEscape(text.charCodeAt(i + 1))) i++;
    else if (code === 32 || code === 43) blanks++;
    else if (code === 37 && isHexDigit(text.charCodeAt(i + 1)) && isHexDigit(text.charCodeAt(i + 2)))
      found |= ENCODED | AT;
    else if (code === 47 && text.charCodeAt(i - 1) === 47 && text.charCodeAt(i - 2) === 58) found |= AUTHORITY | TOKEN;
  }
  if (mark > 0 && token >= TOKEN_CHARS_MIN) found |= TOKEN;
  if (colons >= 3 || (digits >= 4 && (dots >= 3 || colons >= 2))) found |= ADDRESS;
  if (ibanMarked && digits >= IBAN_DIGITS_MIN) found |= IBAN;
  if (blanks > 0 && (found & ASSIGNED) === 0 && SCHEMES.test(text)) found |= ASSIGNED;
  return found;
}

const USERINFO = /:\/\/([^\s/?#@"']{1,256})@/g;
/** `name=value` of a query, a fragment or matrix parameters inside longer text. */
const QUERY_PAIR = /(?<=[?&#]|;(?=jsession))([^\s=&?#;"'<>]{1,128})=([^\s&#;"'<>]*)/g;

function reduceUrls(text: string, flags: number, found: Category[]): string {
  let reduced = text;
  if ((flags & AUTHORITY) !== 0 && text.includes('@')) {
    reduced = reduced.replace(USERINFO, () => {
      found.push('url_credential');
      return '://';
    });
  }
  if ((flags & QUERY) !== 0 && (flags & ASSIGNED) !== 0) {
    reduced = reduced.replace(QUERY_PAIR, (_pair, name: string, value: string) => {
      if (value !== '') found.push('query_value');
      return name;
    });
  }
  return reduced;
}

const WORD = /[^\s"'<>]+/g;
const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
/** URLs inside of URLs are encoded twice. */
const ENCODINGS_MAX = 2;

/**
 * Percent-encoding hides blanks, plus signs and digits from every detector: a word that tells more when it is decoded
 * takes its decoded form.
 */
function revealed(text: string): string {
  return text.replace(WORD, (word) => {
    if (!word.includes('%')) return word;
    const plain = percentDecoded(word);
    return classifyText(plain).length > classifyText(word).length ? plain : word;
  });
}

/** `text` less its percent-encoding; an escape that is malformed stays and saves none of the others. */
export function percentDecoded(text: string): string {
  let plain = text;
  for (let i = 0; i < ENCODINGS_MAX && plain.includes('%'); i++) plain = plain.replace(ESCAPES, decodedEscapes);
  return plain;
}

function decodedEscapes(escapes: string): string {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return escapes;
  }
}

/** What scrubText may leave alone, because the attribute's own meaning asks for it. */
export const KEEP_NOTHING = 0;
/** Dotted numbers are versions, not addresses (user agents, versions). */
export const KEEP_DOTTED = ADDRESS;

/**
 * Free text with URL credentials, query values, secrets and personal data replaced by marks. Each thing masked is
 * pushed to `found`.
 */
export function scrubText(text: string, found: Category[], keep = KEEP_NOTHING): string {
  const flags = suspects(text) & ~keep;
  if (flags === 0) return text;
  const hits: Hit[] = [];
  const reduced = reduceUrls(text, flags, found);
  if ((flags & ENCODED) !== 0) {
    const plain = revealed(reduced);
    if (plain !== reduced) return scrubText(plain, found, keep | ENCODED);
  }
  findHits(reduced, flags, hits);
  if (hits.length === 0) return reduced;
  const masked = maskHits(reduced, hits);
  for (const hit of hits) found.push(hit.category);
  return masked;
}

/** Blanks that no detector knows as such: escaped ones, and those that keep a number on one line. */
const OTHER_BLANKS = /\\[nrt]|[\u00a0\u2007\u202f]/g;

function findHits(written: string, flags: number, hits: Hit[]): void {
  // As long as before, so that every hit is where it was written.
  const text = written.replace(OTHER_BLANKS, (blank) => (blank.length === 2 ? '  ' : ' '));
  if ((flags & TOKEN) !== 0) findIssuedSecrets(text, hits);
  if ((flags & ASSIGNED) !== 0) findAnnounced(text, hits);
  if ((flags & AT) !== 0) findEmails(text, hits);
  if ((flags & DIGITS) !== 0) {
    findPaymentCards(text, hits);
    findSocialSecurityNumbers(text, hits);
    findPhones(text, hits);
  }
  if ((flags & IBAN) !== 0) findIbans(text, hits);
  if ((flags & ADDRESS) !== 0) findAddresses(text, hits);
}

/** The kinds of secrets and personal data in `text`, which itself stays with the caller. */
export function classifyText(text: string): Category[] {
  const hits: Hit[] = [];
  findHits(text, suspects(text), hits);
  return hits.map((hit) => hit.category);
}
