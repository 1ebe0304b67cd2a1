import { type Detector, words } from './detector.ts';

/** Postal street addresses, by the field's name and a value with words and a number. */
export const streetAddress: Detector = {
  type: 'street_address',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: /(?:^|_)(?:street(?:_?(?:address|name|line))?|(?:home|billing|shipping|postal|mailing|delivery|residential)_?address|address(?:_?line)?(?:_?\d)?|addr1?)$/,
  confidence(value, shape) {
    if (shape.letters < 3 || shape.digits === 0 || shape.spaces === 0 || shape.length > 160 || shape.at) return 0;
    return /\d/.test(value) && /\p{L}{3}/u.test(value) ? 0.75 : 0;
  },
};

/** Postal codes of the countries whose form is distinct enough, in a field called so. */
export const postalCode: Detector = {
  type: 'postal_code',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words('zip', 'zip_?code', 'postal_?code', 'post_?code', 'plz'),
  confidence(value, shape) {
    if (shape.length < 4 || shape.length > 10 || shape.digits < 2) return 0;
    return /^(?:\d{4,5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{4} ?[A-Z]{2})$/i.test(
      value,
    )
      ? 0.85
      : 0;
  },
};
