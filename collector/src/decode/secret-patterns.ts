import type { Hit } from './findings.ts';
import { categoryOfName } from './sensitive-names.ts';

// Finds credentials inside longer text: tokens with a maker's prefix, JWTs, PEM blocks, and whatever follows a name
// that announces a secret. Every step looks at each character a bounded number of times.

/**
 * What issued tokens begin with, and the shortest rest that makes one. Taken from the makers' own documentation; the
 * prefix exists so that scanners find it.
 */
const PREFIXES: readonly (readonly [prefix: string, restMin: number])[] = [
  // cloud providers
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA'].map((prefix) => [prefix, 16] as const),
  ['A3T', 17],
  ['ABSK', 60],
  ['bedrock-api-key-', 20],
  ['AIza', 30],
  ['ya29.', 20],
  ['GOCSPX-', 20],
  ['LTAI', 17],
  ['dop_v1_', 40],
  ['doo_v1_', 40],
  ['dor_v1_', 40],
  ['HRKU-AA', 40],
  ['fo1_', 40],
  ['fm1a_', 80],
  ['fm1r_', 80],
  ['fm2_', 80],
  ['FlyV1', 40],
  ['dapi', 32],
  ['v1.0-', 80],
  ['hvs.', 24],
  ['hvb.', 60],
  ['pul-', 40],
  ['tfp_', 40],
  ['pscale_', 32],
  ['nvapi-', 40],
  ['ops_eyJ', 100],
  // code hosts and package registries
  ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => [prefix, 30] as const),
  ['github_pat_', 60],
  ...['glpat-', 'gldt-', 'glft-', 'glrt-', 'glptt-', 'gloas-', 'glimt-', 'glagent-', 'glsoat-', 'glffct-'].map(
    (prefix) => [prefix, 18] as const,
  ),
  ['glcbt-', 18],
  ['GR1348941', 18],
  ['npm_', 30],
  ['pypi-AgE', 40],
  ['rubygems_', 40],
  ['CLOJARS_', 40],
  ['cio', 32],
  ['AKCp', 50],
  ['cmVmd', 50],
  ['sgp_', 32],
  ['PMAK-', 50],
  ['pnu_', 30],
  ['lin_api_', 30],
  ['ntn_', 40],
  ['rdme_', 60],
  // payment
  ...['sk_live_', 'sk_test_', 'sk_prod_', 'rk_live_', 'rk_test_', 'rk_prod_', 'whsec_'].map(
    (prefix) => [prefix, 10] as const,
  ),
  ['sq0atp-', 20],
  ['sq0csp-', 20],
  ['EAAA', 50],
  ['EAAC', 60],
  ['EAAM', 60],
  ['shpat_', 30],
  ['shpca_', 30],
  ['shppa_', 30],
  ['shpss_', 30],
  ['FLWSECK_TEST-', 12],
  ['FLWPUBK_TEST-', 20],
  ['EZAK', 50],
  ['EZTK', 50],
  ['duffel_test_', 40],
  ['duffel_live_', 40],
  ['fio-u-', 50],
  ['shippo_live_', 36],
  ['shippo_test_', 36],
  // chat, mail, telephony
  ...['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxo-', 'xoxs-', 'xoxe-', 'xoxe.xox', 'xapp-'].map(
    (prefix) => [prefix, 12] as const,
  ),
  ['SG.', 50],
  ['xkeysib-', 60],
  ['SK', 32],
  ['key-', 32],
  ['pubkey-', 32],
  // models
  ['sk-ant-', 40],
  ['sk-proj-', 40],
  ['sk-svcacct-', 40],
  ['sk-admin-', 40],
  ['sk-', 40],
  ['hf_', 30],
  ['api_org_', 30],
  ['pplx-', 40],
  // observability and others
  ['glc_', 32],
  ['glsa_', 38],
  ['eyJrIjoi', 60],
  ['NRAK-', 27],
  ['NRJS-', 19],
  ['NRII-', 30],
  ['sntrys_', 40],
  ['sntryu_', 40],
  ['dt0c01.', 60],
  ['dp.pt.', 40],
  ['ico-', 32],
  ['API-', 26],
  ['p8e-', 32],
  ['sha256~', 43],
  ['4b1d', 38],
  ['AGE-SECRET-KEY-1', 50],
  ['A3-', 30],
  ['s-s4t2', 60],
  ['sm_aat_', 16],
  ['sm_pat_', 16],
  ['sm_sat_', 16],
  ['tk-us-', 40],
  ['dnkey-', 60],
  ['ATATT3', 60],
  ['sl.', 100],
  ['lob_', 30],
  ['live_pub_', 30],
  ['test_pub_', 30],
];

/** Two-character prefixes of ordinary words need a rest that only a generator writes. */
const HEX_REST = new Set(['SK', 'key-', 'pubkey-', 'dapi', '4b1d', 'pul-', 'cio']);
const MIXED_REST = new Set(['sk-', 'hf_', 'sl.', 'LTAI', 'v1.0-', 'A3T']);

/** The prefixes by their first three characters; `SK` is two, so every hex digit may follow it. */
const BY_START = new Map<string, (readonly [string, number])[]>();
for (const entry of PREFIXES) {
  const rests = entry[0].length > 2 ? [''] : [...'0123456789abcdefABCDEF'];
  for (const rest of rests) {
    const start = (entry[0] + rest).slice(0, 3);
    BY_START.set(start, [...(BY_START.get(start) ?? []), entry]);
  }
}

const STARTS_MASK = 0x3fff;
const startIndex = (a: number, b: number, c: number): number => ((a << 9) ^ (b << 5) ^ c) & STARTS_MASK;
const STARTS = new Uint8Array(STARTS_MASK + 1);
for (const start of [...BY_START.keys(), 'eyJ', 'ZXl', '---', 'atl']) {
  STARTS[startIndex(start.charCodeAt(0), start.charCodeAt(1), start.charCodeAt(2))] = 1;
}

/** False when no known secret begins with these three characters; cheap enough to ask at every word. */
export function maybeSecretStart(a: number, b: number, c: number): boolean {
  return STARTS[startIndex(a, b, c)] === 1;
}

/** Characters of issued tokens; `/`, `+` and `=` only inside, see tokens(). */
const TOKEN = /[A-Za-z0-9_~.-]{16,}/g;
/** A JWT once more base64-encoded. */
const JWT_ENCODED = /(?<![A-Za-z0-9+/])ZXlK[A-Za-z0-9+/]{40,}={0,2}/g;
const WEBHOOK =
  /hooks\.slack\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+/]{20,}|webhook\.office\.com\/webhookb2\/[^\s"']{30,}/g;
const PEM_START = '-----BEGIN';
const PEM_END = '-----END';

/** True for at least three of: lower case, upper case, digit, sign. Words and slugs have two. */
export function isMixed(text: string): boolean {
  return Number(/[a-z]/.test(text)) + Number(/[A-Z]/.test(text)) + Number(/\d/.test(text)) >= 3;
}

function isIssuedToken(token: string): boolean {
  const entries = BY_START.get(token.slice(0, 3));
  if (entries === undefined) return false;
  for (const [prefix, restMin] of entries) {
    if (token.length < prefix.length + restMin || !token.startsWith(prefix)) continue;
    const rest = token.slice(prefix.length);
    if (HEX_REST.has(prefix)) {
      if (/^[0-9a-fA-F]{32,}/.test(rest) || (prefix === 'cio' && /^[A-Za-z0-9]{32}$/.test(rest))) return true;
    } else if (MIXED_REST.has(prefix)) {
      if (isMixed(rest) || (prefix === 'hf_' && /^[A-Za-z]{34}$/.test(rest))) return true;
    } else return true;
  }
  return false;
}

/** Azure client secrets carry their mark inside: three characters, a digit, `Q~`. */
const AZURE_SECRET = /^[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}$/;

/** Where in a token a JWT begins (RFC 7519: `eyJ`, header, dot, claims); -1 when nowhere. */
function jwtFrom(token: string): number {
  const at = token.indexOf('eyJ');
  if (at < 0) return -1;
  const dot = token.indexOf('.', at + JWT_HEADER_CHARS_MIN);
  return dot > 0 && token.length - dot > JWT_CLAIMS_CHARS_MIN ? at : -1;
}

/** Where in a token an issued one begins: at its start or after a sign ("backup-ghp_…"); -1 when nowhere. */
function issuedFrom(token: string): number {
  if (AZURE_SECRET.test(token) || token.includes('.atlasv1.')) return 0;
  for (let at = 0; at < token.length - TOKEN_REST_MIN; at++) {
    if (at > 0 && !SIGNS.includes(token[at - 1]!)) continue;
    if (isIssuedToken(token.slice(at, at + TOKEN_CHARS_SEEN))) return at;
  }
  return jwtFrom(token);
}

const JWT_HEADER_CHARS_MIN = 11;
const JWT_CLAIMS_CHARS_MIN = 4;
/** Of a token at one place; longer ones are no more certain and would cost their length squared. */
const TOKEN_CHARS_SEEN = 256;
const SIGNS = '-._~';
const TOKEN_REST_MIN = 12;

/** Tokens with a maker's prefix, JWTs, PEM blocks, webhook addresses. */
export function findIssuedSecrets(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    const at = issuedFrom(token);
    if (at < 0) continue;
    // base64 tokens go on after `/`, `+`, `=`.
    let to = match.index + token.length;
    while (to < text.length && /[A-Za-z0-9_~./+=%-]/.test(text[to]!)) to++;
    hits.push({ from: match.index + at, to, category: 'secret' });
  }
  for (const pattern of [JWT_ENCODED, WEBHOOK]) {
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
const ASSIGNMENT = /([A-Za-z][A-Za-z0-9_.-]{0,63})(\\?["']?\s{0,3}(?:=>|[:=])\s{0,3}\\?["']?)/g;

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
