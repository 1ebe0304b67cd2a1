import { type Detector, words } from './detector.ts';

/** Primary account numbers: an issuer prefix with its lengths, and the Luhn check (ISO/IEC 7812). */
export const paymentCard: Detector = {
  type: 'payment_card',
  dataClass: 'pci',
  weak: false,
  decisive: false,
  name: words(
    'card',
    'card_?(?:number|num|no)',
    'cc_?(?:number|num|no)?',
    'pan',
    'credit_?card',
    'debit_?card',
    'cardnumber',
  ),
  confidence(value, shape) {
    if (shape.digits < 12) return 0;
    if (shape.letters === 0 && shape.length <= 23) return isCardText(value.trim()) ? 0.9 : 0;
    return countCards(value) > 0 ? 0.85 : 0;
  },
  count: countCards,
};

const CANDIDATE = /(?<![\d.-])\d(?:[ -]?\d){11,18}(?![\d])/g;

function countCards(text: string): number {
  let found = 0;
  for (const [candidate] of text.matchAll(CANDIDATE)) if (isCardText(candidate)) found++;
  return found;
}

/** Digits in one block, or in groups parted by one and the same separator. */
function isCardText(text: string): boolean {
  if (/^\d+$/.test(text)) return isCardNumber(text);
  const separator = text.includes('-') ? '-' : ' ';
  const groups = text.split(separator);
  if (groups.some((group) => !/^\d+$/.test(group))) return false;
  const lengths = groups.map((group) => group.length).join('-');
  return /^(?:4-4-4-4(?:-3)?|4-6-5|4-6-4)$/.test(lengths) && isCardNumber(groups.join(''));
}

export function isCardNumber(digits: string): boolean {
  return hasIssuer(digits) && passesLuhn(digits);
}

/** Issuer ranges and lengths as the networks publish them; 1-prefixed UATP airline cards included. */
function hasIssuer(digits: string): boolean {
  const length = digits.length;
  const two = Number(digits.slice(0, 2));
  const four = Number(digits.slice(0, 4));
  if (digits.startsWith('4')) return length === 13 || length === 16 || length === 19;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return length === 16;
  if (two === 34 || two === 37) return length === 15;
  if (two === 36 || two === 38 || two === 39 || (four >= 3000 && four <= 3059)) return length === 14;
  if (two === 65 || four === 6011 || (four >= 6440 && four <= 6499)) return length === 16 || length === 19;
  if (four >= 3528 && four <= 3589) return length >= 16 && length <= 19;
  if (two === 62) return length >= 16 && length <= 19;
  if ([5018, 5019, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763].includes(four)) return length >= 12 && length <= 19;
  return digits.startsWith('1') && length === 15;
}

export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    let digit = digits.charCodeAt(digits.length - 1 - index) - 48;
    if (index % 2 === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return sum % 10 === 0;
}
