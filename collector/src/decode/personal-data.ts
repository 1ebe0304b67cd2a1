import { parseAddress } from './addresses.ts';
import type { Hit } from './findings.ts';

// Finds personal data inside longer text. Every pattern is linear: repeats are bounded or cannot overlap.

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const isLetter = (code: number): boolean => (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
const isWord = (code: number): boolean => isDigit(code) || isLetter(code) || code > 127;

const EMAIL_LOCAL_MAX = 64;
const EMAIL_DOMAIN_MAX = 255;
const TOP_LEVEL_DOMAIN = /^[A-Za-z]{2,24}$|^xn--[A-Za-z0-9-]{2,59}$/;

function isLocalPart(code: number): boolean {
  return isWord(code) || code === 46 || code === 43 || code === 45 || code === 95 || code === 39 || code === 37;
}

function emailAround(text: string, at: number, width: number): Hit | undefined {
  let from = at;
  while (from > 0 && at - from < EMAIL_LOCAL_MAX && isLocalPart(text.charCodeAt(from - 1))) from--;
  while (from < at && (text[from] === '.' || text[from] === "'")) from++;
  if (from === at) return undefined;
  const domainFrom = at + width;
  let to = domainFrom;
  while (to < text.length && to - domainFrom < EMAIL_DOMAIN_MAX) {
    const code = text.charCodeAt(to);
    if (!isWord(code) && code !== 46 && code !== 45) break;
    to++;
  }
  while (to > domainFrom && !isWord(text.charCodeAt(to - 1))) to--;
  const labels = text.slice(domainFrom, to).split('.');
  const last = labels[labels.length - 1]!;
  if (labels.length < 2 || labels.includes('')) return undefined;
  // "jane@example.com_2" or "jane@example.com42": cut what cannot be a top-level domain, keep the address masked.
  const letters = /^[A-Za-z]+/.exec(last)?.[0].length ?? 0;
  if (!TOP_LEVEL_DOMAIN.test(last) && letters < 2) return undefined;
  return { from, to, category: 'email' };
}

/** E-mail addresses, also with the at sign percent-encoded. */
export function findEmails(text: string, hits: Hit[]): void {
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const hit = emailAround(text, at, 1);
    if (hit !== undefined) hits.push(hit);
  }
  for (let at = text.indexOf('%40'); at >= 0; at = text.indexOf('%40', at + 1)) {
    const hit = emailAround(text, at, 3);
    if (hit !== undefined) hits.push(hit);
  }
}

/** Luhn check (ISO/IEC 7812-1, annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  let double = false;
  for (let i = digits.length - 1; i >= 0; i--) {
    let digit = digits.charCodeAt(i) - 48;
    if (double) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
    double = !double;
  }
  return sum % 10 === 0;
}

/** First and last issuer prefix (equal in length), lengths of the number. */
const ISSUERS: readonly (readonly [from: string, to: string, lengths: readonly number[]])[] = [
  ['4', '4', [13, 16, 19]], // Visa
  ['51', '55', [16]], // Mastercard
  ['2221', '2720', [16]],
  ['34', '34', [15]], // American Express
  ['37', '37', [15]],
  ['300', '305', [14, 16]], // Diners Club
  ['36', '36', [14, 16]],
  ['38', '39', [14, 16]],
  ['6011', '6011', [16, 19]], // Discover
  ['644', '649', [16, 19]],
  ['65', '65', [16, 19]],
  ['62', '62', [16, 17, 18, 19]], // UnionPay
  ['3528', '3589', [16]], // JCB
  ['50', '50', [16, 18, 19]], // Maestro
  ['56', '58', [16, 18, 19]],
  ['6304', '6304', [16, 18, 19]],
  ['6759', '6763', [16, 18, 19]],
];

function hasIssuer(digits: string): boolean {
  return ISSUERS.some(([from, to, lengths]) => {
    const prefix = digits.slice(0, from.length);
    return prefix >= from && prefix <= to && lengths.includes(digits.length);
  });
}

/** True for a digit string that a payment network could have issued. */
export function isPaymentCard(digits: string): boolean {
  return digits.length >= 13 && digits.length <= 19 && hasIssuer(digits) && passesLuhn(digits);
}

const DIGIT_RUN = /\d+(?:[ -]\d+)*/g;
/** How printed cards are grouped; anything else with separators is a list of numbers. */
const CARD_GROUPS = new Set(['4,4,4,4', '4,6,5', '4,6,4', '4,4,4,4,3', '4,4,5', '4,4,4,1']);

/** Payment cards, plain or in their usual groups. */
export function findPaymentCards(text: string, hits: Hit[]): void {
  for (const run of text.matchAll(DIGIT_RUN)) {
    const from = run.index;
    const to = from + run[0].length;
    if (run[0].length < 13 || !standsAlone(text, from, to)) continue;
    findCardGroups(run[0], from, hits);
  }
}

function standsAlone(text: string, from: number, to: number): boolean {
  if (from > 0) {
    const before = text.charCodeAt(from - 1);
    if (isDigit(before) || isLetter(before)) return false;
    if (before === 46 && from > 1 && isDigit(text.charCodeAt(from - 2))) return false;
  }
  if (to < text.length) {
    const after = text.charCodeAt(to);
    if (isDigit(after) || isLetter(after)) return false;
    if (after === 46 && to + 1 < text.length && isDigit(text.charCodeAt(to + 1))) return false;
  }
  return true;
}

function findCardGroups(run: string, offset: number, hits: Hit[]): void {
  const groups = [...run.matchAll(/\d+/g)];
  for (let i = 0; i < groups.length; i++) {
    let digits = '';
    let sizes = '';
    for (let j = i; j < groups.length && j < i + 5; j++) {
      digits += groups[j]![0];
      sizes += (j === i ? '' : ',') + groups[j]![0].length;
      if (digits.length > 19) break;
      if ((j === i || CARD_GROUPS.has(sizes)) && isPaymentCard(digits)) {
        const to = offset + groups[j]!.index + groups[j]![0].length;
        hits.push({ from: offset + groups[i]!.index, to, category: 'payment_card' });
        i = j;
        break;
      }
    }
  }
}

/** Area, group and serial number rules of the Social Security Administration. */
export function isSocialSecurityNumber(area: string, group: string, serial: string): boolean {
  return area !== '000' && area !== '666' && area < '900' && group !== '00' && serial !== '0000';
}

const SSN = /(?<![\w.-])(\d{3})([- ])(\d{2})\2(\d{4})(?![\w-])(?!\.\d)/g;

/** US social security numbers in their written form; bare digits need a name that says so. */
export function findSocialSecurityNumbers(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(SSN)) {
    if (!isSocialSecurityNumber(match[1]!, match[3]!, match[4]!)) continue;
    hits.push({ from: match.index, to: match.index + match[0].length, category: 'us_ssn' });
  }
}

const PHONE_INTERNATIONAL = /(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){6,14}(?!\d)/g;
const PHONE_NORTH_AMERICA =
  /(?<![\w.+-])(?<!\d[ .-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?![\w-])(?!\.\d)/g;

/** Phone numbers in E.164 or the written North American form; other national forms need a name that says so. */
export function findPhones(text: string, hits: Hit[]): void {
  if (text.includes('+')) {
    for (const match of text.matchAll(PHONE_INTERNATIONAL)) {
      hits.push({ from: match.index, to: match.index + match[0].length, category: 'phone' });
    }
  }
  for (const match of text.matchAll(PHONE_NORTH_AMERICA)) {
    hits.push({ from: match.index, to: match.index + match[0].length, category: 'phone' });
  }
}

/** Length of an IBAN per country (SWIFT IBAN registry). */
const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ' +
    'ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 ' +
    'LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 ' +
    'QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** Country length and ISO 7064 mod 97-10 of compact, upper-case text. */
export function isIban(compact: string): boolean {
  if (IBAN_LENGTHS.get(compact.slice(0, 2)) !== compact.length) return false;
  const turned = compact.slice(4) + compact.slice(0, 4);
  let rest = 0;
  for (let i = 0; i < turned.length; i++) {
    const code = turned.charCodeAt(i);
    if (isDigit(code)) rest = (rest * 10 + code - 48) % 97;
    else if (code >= 65 && code <= 90) rest = (rest * 100 + code - 55) % 97;
    else return false;
  }
  return rest === 1;
}

const IBAN_START = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?= ?[A-Za-z0-9])/g;

/** IBANs, compact or in groups set apart by blanks; hyphens would find them in UUIDs. */
export function findIbans(text: string, hits: Hit[]): void {
  for (const match of text.matchAll(IBAN_START)) {
    const length = IBAN_LENGTHS.get(match[0].slice(0, 2).toUpperCase());
    if (length === undefined) continue;
    let compact = '';
    let to = match.index;
    while (to < text.length && compact.length < length) {
      const code = text.charCodeAt(to);
      if (isDigit(code) || isLetter(code)) compact += text[to];
      else if (code !== 32) break;
      to++;
    }
    if (to < text.length && (isDigit(text.charCodeAt(to)) || isLetter(text.charCodeAt(to)))) continue;
    if (isIban(compact.toUpperCase())) hits.push({ from: match.index, to, category: 'iban' });
  }
}

const IPV4 = /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w])(?!\.\d)/g;
const IPV6 = /(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:\.\d{1,3}){0,3}(?![\w:])/g;

/** Addresses that can belong to a person: the public ones. Private, loopback and link-local ones name no one. */
export function findAddresses(text: string, hits: Hit[]): void {
  for (const pattern of [IPV4, IPV6]) {
    for (const match of text.matchAll(pattern)) {
      if (match[0].length < 7) continue;
      if (parseAddress(match[0])?.scope !== 'public') continue;
      hits.push({ from: match.index, to: match.index + match[0].length, category: 'ip_address' });
    }
  }
}
