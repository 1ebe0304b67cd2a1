import { createRandom, type Random } from './random.ts';

/**
 * Secrets and personal data of every form that must not reach a disk, each value once, so that one that is found names
 * the place it came from; and the search for them in bytes.
 */

/** Recognised wherever they stand, by their form. */
const FORMS = {
  email: ({ word, number }) => `${word(7)}.${word(5)}${number(3)}@${word(6)}.example.com`,
  phone: ({ number }) => `+1 4${number(2)} 5${number(2)} ${number(4)}`,
  'phone-e164': ({ number }) => `+49151${number(8)}`,
  card: ({ number }) => withLuhn(`4${number(14)}`),
  'card-grouped': ({ number }) => withLuhn(`55${number(13)}`).replace(/(\d{4})(?=\d)/g, '$1 '),
  'card-amex': ({ number }) => withLuhn(`37${number(12)}`),
  // Neither 000, 666 nor 9xx, which the Social Security Administration never issues.
  ssn: ({ number }) => `5${number(2)}-${number(2)}-${number(4)}`,
  iban: ({ number }) => toIban('DE', number(18)),
  'iban-grouped': ({ number }) => toIban('FR', number(23)).replace(/(.{4})(?=.)/g, '$1 '),
  jwt: ({ token }) => {
    const part = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
    return `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ sub: token(12), exp: 1_900_000_000 })}.${token(43)}`;
  },
  'aws-key': ({ capitals }) => `AKIA${capitals(16)}`,
  'github-token': ({ token }) => `ghp_${token(36)}`,
  'slack-token': ({ number, token }) => `xoxb-${number(12)}-${number(12)}-${token(24)}`,
  'stripe-key': ({ token }) => `sk_live_${token(24)}`,
  'google-key': ({ token }) => `AIza${token(35)}`,
  'npm-token': ({ token }) => `npm_${token(36)}`,
  pem: ({ token }) => `-----BEGIN PRIVATE KEY-----\n${token(64)}\n${token(40)}\n-----END PRIVATE KEY-----`,
} as const satisfies Record<string, (make: Maker) => string>;

/** Recognised by where they stand. */
const CONTEXTUAL = {
  password: ({ word, number }) => `${word(5)}!${number(4)}Q`,
  session: ({ token }) => token(26),
  opaque: ({ token }) => token(32),
  'user-id': ({ word, number }) => `${word(4)}-${number(6)}`,
  name: ({ word }) => `${word(6)} ${word(9)}`,
} as const satisfies Record<string, (make: Maker) => string>;

export type Form = keyof typeof FORMS;
export type PlantedKind = Form | keyof typeof CONTEXTUAL;
export const EVERY_FORM = Object.keys(FORMS) as Form[];

interface Maker {
  readonly word: (length: number) => string;
  readonly number: (length: number) => string;
  readonly token: (length: number) => string;
  readonly capitals: (length: number) => string;
}

/** One value at one place. */
export interface Planted {
  readonly kind: PlantedKind;
  readonly place: string;
  readonly value: string;
}

const LOWER = 'abcdefghijkmnopqrstuvwxyz';
const CAPITALS = 'ABCDEFGHJKLMNPQRSTUVWXYZ234567';
const MIXED = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789';

function createMaker(random: Random): Maker {
  const from = (letters: string) => (length: number) =>
    Array.from({ length }, () => letters[random.below(letters.length)]).join('');
  const digits = from('0123456789');
  // No leading zero, and never all zeroes: both would make some numbers no numbers of their kind.
  const number = (length: number): string => String(1 + random.below(9)) + digits(length - 1);
  return { word: from(LOWER), number, token: from(MIXED), capitals: from(CAPITALS) };
}

function withLuhn(payload: string): string {
  const sum = [...payload].reverse().reduce((total, character, index) => {
    const digit = Number(character) * (index % 2 === 0 ? 2 : 1);
    return total + (digit > 9 ? digit - 9 : digit);
  }, 0);
  return payload + String((10 - (sum % 10)) % 10);
}

/** Check digits by ISO 7064 mod 97-10. */
function toIban(country: string, account: string): string {
  const digits = [...`${account}${country}00`].map((character) => Number.parseInt(character, 36)).join('');
  return country + String(98n - (BigInt(digits) % 97n)).padStart(2, '0') + account;
}

/** Makes values and remembers them. */
export class Planter {
  readonly planted: Planted[] = [];
  readonly #maker: Maker;
  /** Begins every place: the encoding and the conventions. */
  readonly #carrier: string;

  constructor(seed: number, carrier: string) {
    this.#maker = createMaker(createRandom(seed));
    this.#carrier = carrier;
  }

  plant(kind: PlantedKind, place: string): string {
    const value = { ...FORMS, ...CONTEXTUAL }[kind](this.#maker);
    this.planted.push({ kind, place: `${this.#carrier} ${place}`, value });
    return value;
  }
}

/** What would give a value away: itself, its telling parts, and the encodings in which it could be kept. */
function needlesOf({ kind, value }: Planted): string[] {
  const encoded = encodeURIComponent(value);
  const needles = new Set([value, encoded, encodeURIComponent(encoded), JSON.stringify(value).slice(1, -1)]);
  if (kind === 'pem') for (const line of value.split('\n').slice(1, 3)) needles.add(line);
  if (kind === 'jwt') for (const part of value.split('.').slice(1)) needles.add(part);
  if (kind === 'email') needles.add(value.slice(0, value.indexOf('@')));
  if (kind === 'slack-token') needles.add(value.slice(-24));
  if (/[\d ()+-]{8,}/.test(value)) needles.add(value.replace(/\D/g, ''));
  if (kind === 'iban-grouped') needles.add(value.replaceAll(' ', ''));
  if (value.includes(' ')) needles.add(value.replaceAll(' ', '\u00a0'));
  // An encoding of three bytes in four letters depends on where the value begins.
  for (const offset of [0, 1, 2]) {
    const base64 = Buffer.from('\0'.repeat(offset) + value).toString('base64');
    needles.add(base64.slice(offset === 0 ? 0 : 4, Math.floor((offset + value.length) / 3) * 4));
  }
  return [...needles].filter((needle) => needle.length >= SHORTEST);
}

/** Shorter parts turn up by chance. */
const SHORTEST = 8;

/** Searches bytes for all planted values in one pass: no buffer is read once per value. */
export class PlantedSearch {
  readonly #byStart = new Map<number, { readonly bytes: Buffer; readonly planted: Planted }[]>();
  readonly #starts = new Uint8Array(65_536);

  constructor(planted: readonly Planted[]) {
    for (const each of planted) {
      for (const needle of needlesOf(each)) {
        const bytes = Buffer.from(needle, 'utf8');
        const start = bytes.readUInt32LE(0);
        this.#byStart.set(start, [...(this.#byStart.get(start) ?? []), { bytes, planted: each }]);
        this.#starts[start & 0xffff] = 1;
      }
    }
  }

  /** The planted values that `haystack` gives away, each once. */
  find(haystack: Buffer | string): Planted[] {
    const bytes = typeof haystack === 'string' ? Buffer.from(haystack, 'utf8') : haystack;
    const found = new Set<Planted>();
    for (let at = 0; at + SHORTEST <= bytes.length; at++) {
      if (this.#starts[bytes[at]! | (bytes[at + 1]! << 8)] === 0) continue;
      for (const needle of this.#byStart.get(bytes.readUInt32LE(at)) ?? []) {
        const to = at + needle.bytes.length;
        if (to <= bytes.length && needle.bytes.compare(bytes, at, to) === 0) found.add(needle.planted);
      }
    }
    return [...found];
  }
}
