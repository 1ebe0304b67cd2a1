/** What follows the prefix of an issued token: letters, digits and `_~.-`; hex; or an unguessable mix. */
type Rest = 'plain' | 'hex' | 'mixed';

interface SecretFormat {
  readonly prefix: string;
  /** Characters that must follow at least. */
  readonly restMin: number;
  readonly rest: Rest;
}

/**
 * `prefix:characters that follow at least`, by what follows. From the makers' own documentation: such prefixes exist so
 * that scanners find them.
 */
const FORMATS: readonly (readonly [Rest, string])[] = [
  // cloud providers
  [
    'plain',
    'AKIA:16 ASIA:16 ABIA:16 ACCA:16 bedrock-api-key-:20 AIza:30 ya29.:20 GOCSPX-:20 LTAI:17 dop_v1_:40 doo_v1_:40 ' +
      'dor_v1_:40 HRKU-AA:40 fo1_:40 FlyV1:40 hvs.:24 hvb.:60 tfp_:40 nvapi-:40',
  ],
  ['hex', 'dapi:32 pul-:40'],
  ['mixed', 'A3T:17 v1.0-:80'],
  // code hosts and package registries
  [
    'plain',
    'ghp_:30 gho_:30 ghu_:30 ghs_:30 ghr_:30 github_pat_:60 glpat-:18 gldt-:18 glft-:18 glrt-:18 glptt-:18 gloas-:18 ' +
      'glimt-:18 glagent-:18 glsoat-:18 glffct-:18 glcbt-:18 GR1348941:18 npm_:30 pypi-AgE:40 rubygems_:40 CLOJARS_:40 ' +
      'AKCp:50 cmVmd:50 sgp_:32 PMAK-:50 pnu_:30 lin_api_:30 ntn_:40 rdme_:60 ATATT3:60',
  ],
  // payment and commerce
  [
    'plain',
    'sk_live_:10 sk_test_:10 sk_prod_:10 rk_live_:10 rk_test_:10 rk_prod_:10 whsec_:10 sq0atp-:20 sq0csp-:20 EAAA:50 ' +
      'EAAC:60 EAAM:60 shpat_:30 shpca_:30 shppa_:30 shpss_:30 FLWSECK_TEST-:12 FLWPUBK_TEST-:20 EZAK:50 EZTK:50 ' +
      'shippo_live_:36 shippo_test_:36',
  ],
  // chat, mail, telephony
  ['plain', 'xoxb-:12 xoxp-:12 xoxa-:12 xoxr-:12 xoxo-:12 xoxs-:12 xoxe-:12 xoxe.xox:12 xapp-:12 SG.:50 xkeysib-:60'],
  ['hex', 'SK:32 key-:32 pubkey-:32'],
  // language models
  ['plain', 'sk-ant-:40 sk-proj-:40 sk-svcacct-:40 sk-admin-:40 api_org_:30 pplx-:40 hf_:34'],
  ['mixed', 'sk-:40'],
  // observability and others
  [
    'plain',
    'glsa_:38 NRAK-:27 NRJS-:19 NRII-:30 sntryu_:40 dt0c01.:60 dp.pt.:40 ico-:32 API-:26 p8e-:32 sha256~:43 ' +
      'AGE-SECRET-KEY-1:50 A3-:30 s-s4t2:60 sm_aat_:16 sm_pat_:16 sm_sat_:16 tk-us-:40 dnkey-:60 live_pub_:30 test_pub_:30',
  ],
  ['mixed', 'sl.:100'],
];

/** Whole tokens whose prefix alone is too short to tell. */
const WHOLE_TOKENS: readonly RegExp[] = [
  /^[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34}$/, // Azure client secret
  /^pat[A-Za-z0-9]{14}\.[0-9a-f]{64}$/, // Airtable
  /^4b1d[A-Za-z0-9]{38}$/, // ClickHouse Cloud
  /^[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}$/, // Terraform Cloud
  /^(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-]/, // Authress
];
/** Tokens whose rest is base64, so that `/`, `+` and `=` occur early in it. */
export const BASE64_TOKEN =
  /(?<![A-Za-z0-9])(?:ABSK|bedrock-api-key-|fm[12][ar]?_|pscale_(?:tkn|oauth|pw)_|ops_eyJ|duffel_(?:test|live)_|fio-u-|glc_|eyJrIjoi|sntrys_)[A-Za-z0-9_~./+=-]{32,}/g;
const BASE64_STARTS = ['ABS', 'fm1', 'fm2', 'psc', 'ops', 'duf', 'fio', 'glc', 'eyJ', 'snt', 'ZXl'];
const WHOLE_TOKEN_STARTS = ['pat', '4b1', 'sc_', 'ext', 'sca', 'aut'];

/** The formats by the first three characters; where a prefix is two, every hex digit may follow. */
const BY_START = new Map<string, SecretFormat[]>();
for (const [rest, list] of FORMATS) {
  for (const entry of list.split(' ')) {
    const colon = entry.lastIndexOf(':');
    const prefix = entry.slice(0, colon);
    const format: SecretFormat = { prefix, restMin: Number(entry.slice(colon + 1)), rest };
    for (const third of prefix.length > 2 ? [''] : [...'0123456789abcdefABCDEF']) {
      const start = (prefix + third).slice(0, 3);
      BY_START.set(start, [...(BY_START.get(start) ?? []), format]);
    }
  }
}

const STARTS_MASK = 0x3fff;
const startIndex = (a: number, b: number, c: number): number => ((a << 9) ^ (b << 5) ^ c) & STARTS_MASK;
const STARTS = new Uint8Array(STARTS_MASK + 1);
const mark = (starts: Iterable<string>, as: number): void => {
  for (const start of starts) STARTS[startIndex(start.charCodeAt(0), start.charCodeAt(1), start.charCodeAt(2))] = as;
};
mark([...BY_START.keys(), ...WHOLE_TOKEN_STARTS, 'eyJ', 'atl'], 1);
mark(BASE64_STARTS, 2);

/**
 * 0 when no known secret begins with these three characters, 2 when base64 may follow, else 1. Cheap enough to ask at
 * every word.
 */
export function secretStart(a: number, b: number, c: number): number {
  return STARTS[startIndex(a, b, c)]!;
}

/** True for at least three of: lower case, upper case, digit, sign. Words and slugs have two. */
export function isMixed(text: string): boolean {
  return Number(/[a-z]/.test(text)) + Number(/[A-Z]/.test(text)) + Number(/\d/.test(text)) >= 3;
}

/** Of a token at one place; longer ones are no more certain and would cost their length squared. */
const CHARS_SEEN = 256;

function fits(format: SecretFormat, text: string, from: number, to: number): boolean {
  const restFrom = from + format.prefix.length;
  if (!text.startsWith(format.prefix, from)) return false;
  const rest = text.slice(restFrom, Math.min(to, restFrom + CHARS_SEEN));
  if (rest.length < format.restMin) return false;
  if (format.rest === 'hex') return /^[0-9a-fA-F]{32}/.test(rest);
  return format.rest === 'plain' || isMixed(rest);
}

/** True when an issued token begins at `from` of the token that ends at `to`. */
export function isIssuedToken(text: string, from: number, to: number): boolean {
  const formats = BY_START.get(text.slice(from, from + 3));
  return formats?.some((format) => fits(format, text, from, to)) ?? false;
}

/** True for a whole token in a form that only one maker uses. */
export function isWholeToken(token: string): boolean {
  return token.length <= CHARS_SEEN && WHOLE_TOKENS.some((pattern) => pattern.test(token));
}
