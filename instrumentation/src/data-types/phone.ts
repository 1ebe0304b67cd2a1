import { type Detector, words } from './detector.ts';

/** Telephone numbers: E.164 with its plus sign, or national numbers written with separators. */
export const phone: Detector = {
  type: 'phone',
  dataClass: 'pii',
  weak: false,
  decisive: false,
  name: words(
    'phone',
    'phones',
    'telephone',
    'tel',
    'mobile',
    'cell',
    'cellphone',
    'msisdn',
    'fax',
    'phone_?number',
    'contact_?(?:number|no)',
  ),
  confidence(value, shape) {
    if (shape.digits < 7 || shape.digits > 60) return 0;
    if (shape.length > 24 || shape.letters > 0) return countNumbers(value) > 0 ? 0.6 : 0;
    const text = value.trim();
    if (!isNumber(text)) return 0;
    if (text.startsWith('+')) return 0.75;
    return /[ ().-]/.test(text) ? 0.6 : 0.35;
  },
  count: countNumbers,
};

const CANDIDATE = /(?<![\w.+/:-])(?:\+|\(|0|[2-9])[\d().\- ]{6,22}\d(?![\w/:-]|\.\d)/g;

function countNumbers(text: string): number {
  let found = 0;
  for (const [candidate] of text.matchAll(CANDIDATE)) {
    if (/[ ().+-]/.test(candidate) && isNumber(candidate)) found++;
  }
  return found;
}

const PUNCTUATION = /^\+?[\d(][\d().\- /]*$/;
const DATE = /^(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4})$/;

/** National numbers need a trunk zero or the North American 3-3-4 grouping, so that dates, amounts and ids stay out. */
export function isNumber(text: string): boolean {
  if (!PUNCTUATION.test(text) || DATE.test(text) || /[-. ]{3}/.test(text)) return false;
  const digits = text.replace(/\D/g, '');
  if (/^(\d)\1+$/.test(digits)) return false;
  if (text.startsWith('+')) return /^[1-9]\d{6,14}$/.test(digits) && !/\.\d+\./.test(text.replace(/\.\d{2,4}/g, ''));
  const national = digits.length === 11 && digits.startsWith('1') ? digits.slice(1) : digits;
  if (/^(?:1[ -.]?)?\(?[2-9]\d{2}\)?[ .-]?[2-9]\d{2}[ .-]?\d{4}$/.test(text)) return national.length === 10;
  return /^\(?0[1-9]/.test(text) && digits.length >= 9 && digits.length <= 12 && !/\.\d+\.\d+\./.test(text);
}
