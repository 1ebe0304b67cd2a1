import { type Detector, words } from './detector.ts';

/** Dates between 1900 and now in a field that speaks of birth; a date alone says nothing. */
export const dateOfBirth: Detector = {
  type: 'date_of_birth',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words('dob', 'birth_?date', 'date_?of_?birth', 'birth_?day', 'born', 'born_?on', 'birthdate'),
  confidence(value, shape) {
    if (shape.digits < 5 || shape.length > 30) return 0;
    const iso = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?$/.exec(value);
    if (iso) return isDate(Number(iso[1]), Number(iso[2]), Number(iso[3])) ? 0.9 : 0;
    const local = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{2}|\d{4})$/.exec(value);
    if (!local) return 0;
    const [first, second] = [Number(local[1]), Number(local[2])];
    const year = Number(local[3]) + ((local[3] ?? '').length === 2 ? 1900 : 0);
    return isDate(year, first, second) || isDate(year, second, first) ? 0.85 : 0;
  },
};

function isDate(year: number, month: number, day: number): boolean {
  return year >= 1900 && year <= 2100 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}
