/**
 * What a data-type detector is: a field name and one value in, a confidence out; it never keeps or returns the value.
 */

/** Which law or standard cares; the collector derives it from the type, it never travels. */
export type DataClass = 'pii' | 'pci' | 'phi' | 'secret';

/** Facts about one value that rule most detectors out before any of them looks at the characters again. */
export interface Shape {
  readonly digits: number;
  readonly letters: number;
  readonly spaces: number;
  readonly at: boolean;
  readonly dots: number;
  readonly colons: number;
  readonly length: number;
}

export interface Detector {
  /** Snake case, as in `apisec.response.data.<type>`. */
  readonly type: string;
  readonly dataClass: DataClass;
  /** Values have no form of their own (names, addresses): the field's name must agree. */
  readonly weak: boolean;
  /** One value suffices whatever the field is called (e-mail addresses, JWTs, check-summed IBANs). */
  readonly decisive: boolean;
  /** Whether a field name, in lower case with words joined by `_`, suggests the type. */
  readonly name: RegExp;
  /** Confidence 0..1 that the value is of this type. Linear in the value's length. */
  confidence(value: string, shape: Shape): number;
  /** How many stand in a text, for types whose form is recognisable inside one. Linear in the text's length. */
  count?(text: string): number;
}

/** One pass over at most `limit` characters. */
export function shapeOf(value: string): Shape {
  let digits = 0;
  let letters = 0;
  let spaces = 0;
  let at = false;
  let dots = 0;
  let colons = 0;
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code >= 48 && code <= 57) digits++;
    else if ((code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code > 127) letters++;
    else if (code === 32) spaces++;
    else if (code === 64) at = true;
    else if (code === 46) dots++;
    else if (code === 58) colons++;
  }
  return { digits, letters, spaces, at, dots, colons, length: value.length };
}

/** `homePhoneNumber`, `home-phone.number` and `Home Phone Number` become `home_phone_number`. */
export function normaliseName(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();
}

/** A pattern that matches any of the given words, each bounded by `_` or an end of the normalised name. */
export function words(...alternatives: readonly string[]): RegExp {
  return new RegExp(`(?:^|_)(?:${alternatives.join('|')})(?:_|\\d|$)`);
}
