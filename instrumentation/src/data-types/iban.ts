import { type Detector, words } from './detector.ts';

/** Lengths of the national formats in the IBAN registry. */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 ' +
    'FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 ' +
    'LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 ' +
    'SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** International bank account numbers (ISO 13616): country, its length, and the mod-97 check. */
export const iban: Detector = {
  type: 'iban',
  dataClass: 'pii',
  weak: false,
  decisive: true,
  name: words('iban', 'bank_?account(?:_?(?:number|no))?'),
  confidence(value, shape) {
    if (shape.digits < 8 || shape.length < 15) return 0;
    if (shape.length <= 42 && isIban(value.replace(/ /g, ''))) return 0.98;
    return countIbans(value) > 0 ? 0.95 : 0;
  },
  count: countIbans,
};

const START = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?= ?[A-Z0-9])/g;

function countIbans(text: string): number {
  let found = 0;
  for (const { index } of text.matchAll(START)) {
    const length = LENGTHS.get(text.slice(index, index + 2));
    if (length === undefined) continue;
    let taken = '';
    let at = index;
    while (at < text.length && taken.length < length && /[A-Z0-9 ]/.test(text[at] as string)) {
      if (text[at] !== ' ') taken += text[at];
      at++;
    }
    if (!/[A-Za-z0-9]/.test(text[at] ?? ' ') && isIban(taken)) found++;
  }
  return found;
}

export function isIban(text: string): boolean {
  if (LENGTHS.get(text.slice(0, 2)) !== text.length || !/^[A-Z]{2}\d{2}[A-Z0-9]+$/.test(text)) return false;
  let remainder = 0;
  for (const character of text.slice(4) + text.slice(0, 4)) {
    const code = character.charCodeAt(0);
    remainder = code <= 57 ? remainder * 10 + code - 48 : remainder * 100 + code - 55;
    remainder %= 97;
  }
  return remainder === 1;
}
