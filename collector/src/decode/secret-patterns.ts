import type { Hit } from './findings.ts';
import { BASE64_TOKEN, isIssuedToken, isWholeToken } from './secret-formats.ts';
import { categoryOfName } from './sensitive-names.ts';

// Finds credentials inside longer text: tokens with a maker's prefix, JWTs, PEM blocks, and whatever follows a name
// that announces a secret. Every step looks at each character a bounded number of times.

/** Characters of issued tokens; `/`, `+` and `=` come only later in one. */
const TOKEN = /[A-Za-z0-9_~.-]{16,}/g;
/** A JWT once more base64-encoded. */
const JWT_ENCODED = /(?<![A-Za-z0-9+/])ZXlK[A-Za-z0-9+/]{40,}={0,2}/g;
/** Addresses that let anyone who knows them post. */
const WEBHOOK =
  /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+/]{20,}|webhook\.office\.com\/webhookb2\/[^\s"']{30,}/g;
const PEM_START = '-----BEGIN';
const PEM_END = '-----END';

/** Where in a token a JWT begins (RFC 7519: `eyJ`, header, dot, claims); -1 when nowhere. */
function jwtFrom(token: string): number {
  const at = token.indexOf('eyJ');
  if (at < 0) return -1;
  const dot = token.indexOf('.', at + JWT_HEADER_CHARS_MIN);
  return dot > 0 && token.length - dot > JWT_CLAIMS_CHARS_MIN ? at : -1;
}

/** Where in the token [from, to) an issued one begins: at its start or after a sign ("backup-ghp_…"); -1 when nowhere. */
function issuedFrom(text: string, from: number, to: number): number {
  const token = text.slice(from, to);
  if (isWholeToken(token)) return from;
  for (let at = from; at < to - TOKEN_REST_MIN; at++) {
    if ((at === from || SIGNS.includes(text[at - 1]!)) && isIssuedToken(text, at, to)) return at;
  }
  const jwt = jwtFrom(token);
  return jwt < 0 ? -1 : from + jwt;
}

const JWT_HEADER_CHARS_MIN = 11;
const JWT_CLAIMS_CHARS_MIN = 4;
const SIGNS = '-._~';
const TOKEN_REST_MIN = 12;

/** Tokens with a maker's prefix, JWTs, PEM blocks, webhook addresses. */
export function findIssuedSecrets(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(TOKEN)) {
    let to = match.index + match[0].length;
    const from = issuedFrom(text, match.index, to);
    if (from < 0) continue;
    // base64 tokens go on after `/`, `+`, `=`.
    while (to < text.length && /[A-Za-z0-9_~./+=%-]/.test(text[to]!)) to++;
    hits.push({ from, to, category: 'secret' });
  }
  for (const pattern of [BASE64_TOKEN, JWT_ENCODED, WEBHOOK]) {
    for (const match of text.matchAll(pattern)) {
      hits.push({ from: match.index, to: match.index + match[0].length, category: 'secret' });
    }
  }
  let begin = text.indexOf(PEM_START);
  while (begin >= 0) {
    const end = text.indexOf(PEM_END, begin);
    const to =
      end < 0 ? text.length : Math.min(text.length, text.indexOf('-----', end + PEM_END.length) + 5 || text.length);
    hits.push({ from: begin, to: Math.max(to, begin + PEM_START.length), category: 'secret' });
    begin = text.indexOf(PEM_START, Math.max(to, begin + 1));
  }
}

const SCHEME_VALUE = /\b(?:bearer|basic|digest|negotiate|token|apikey)[ +]+([A-Za-z0-9._~+/=-]{8,})/gi;
/** A name, an optional closing quote, `=`, `:` or `=>`, an optional opening quote. */
const ASSIGNMENT = /(?<![A-Za-z0-9_.-])([A-Za-z_][A-Za-z0-9_.-]{0,127})(\\?["']?\s{0,3}(?:=>|[:=])\s{0,3}\\?["']?)/g;

/**
 * What follows a name that announces it: `password=x`, `"email": "x"`, `api_key: x`, `Bearer x`. The value of a name
 * with a form of its own (e-mail, card) is masked under that name too.
 */
export function findAnnounced(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(SCHEME_VALUE)) {
    const value = match[1]!;
    if (!/[\d=+/_-]/.test(value)) continue;
    const to = match.index + match[0].length;
    hits.push({ from: to - value.length, to, category: 'secret' });
  }
  // "password=password=…": what is already masked is not looked at again, or the time would grow with the square.
  let covered = 0;
  for (const match of text.matchAll(ASSIGNMENT)) {
    if (match.index < covered) continue;
    const category = categoryOfName(match[1]!);
    if (category === undefined) continue;
    const from = match.index + match[0].length;
    const to = endOfValue(text, from, match[2]!);
    covered = to;
    if (to > from && !isPlaceholder(text.slice(from, Math.min(to, from + PLACEHOLDER_CHARS_MAX))))
      hits.push({ from, to, category });
  }
}

const PLACEHOLDER_CHARS_MAX = 64;

/** What stands where a value would: nothing to hide. */
function isPlaceholder(value: string): boolean {
  return /^(?:\?|\$\d+|:\w+|\{\w+\}|%s|null|true|false|undefined|\*+|<[\w ]+>|\[[\w ]+\])$/i.test(value);
}

function endOfValue(text: string, from: number, separator: string): number {
  const quote = separator.endsWith('"') ? '"' : separator.endsWith("'") ? "'" : '';
  if (quote !== '') {
    let to = from;
    while (to < text.length && text[to] !== quote) to += text[to] === '\\' && text[to + 1] !== quote ? 2 : 1;
    return Math.min(to, text.length);
  }
  let to = from;
  while (to < text.length && !/[\s&;,"'<>(){}[\]|]/.test(text[to]!)) to++;
  return to;
}
