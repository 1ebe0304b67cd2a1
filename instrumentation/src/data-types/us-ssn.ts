import { type Detector, words } from './detector.ts';

/** United States social security numbers, with the area, group and serial numbers that are never issued left out. */
export const usSsn: Detector = {
  type: 'us_ssn',
  dataClass: 'pii',
  weak: false,
  decisive: false,
  name: words('ssn', 'ssn_?last_?4', 'social_?security(?:_?(?:number|num|no))?', 'tax_?id', 'tin', 'itin'),
  confidence(value, shape) {
    if (shape.digits < 9) return 0;
    if (shape.length === 9 && shape.digits === 9) return isSsn(value) ? 0.35 : 0;
    if (shape.length === 11 && shape.digits === 9) return countNumbers(value) === 1 ? 0.9 : 0;
    return countNumbers(value) > 0 ? 0.85 : 0;
  },
  count: countNumbers,
};

/** Separated by one and the same character: nine bare digits are too common to count inside a text. */
const SEPARATED = /(?<![\w.-])(\d{3})([-. ])(\d{2})\2(\d{4})(?![\w-])/g;

function countNumbers(text: string): number {
  let found = 0;
  for (const [, area, , group, serial] of text.matchAll(SEPARATED)) if (isSsn(`${area}${group}${serial}`)) found++;
  return found;
}

/** Numbers that the Social Security Administration declared invalid after they were printed in advertisements. */
const ADVERTISED = new Set(['078051120', '219099999', '123456789']);

/** @param digits nine digits */
export function isSsn(digits: string): boolean {
  const area = Number(digits.slice(0, 3));
  return (
    area !== 0 &&
    area !== 666 &&
    area < 900 &&
    digits.slice(3, 5) !== '00' &&
    digits.slice(5) !== '0000' &&
    !/^(\d)\1{8}$/.test(digits) &&
    !ADVERTISED.has(digits)
  );
}
