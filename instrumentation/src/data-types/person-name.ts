import { type Detector, words } from './detector.ts';

/**
 * Names of people, by the field's name; a plain `name` counts only beside other personal data (see the classifier).
 */
export const personName: Detector = {
  type: 'person_name',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words(
    '(?:first|last|middle|full|given|family|maiden|legal|display|real)_?name',
    'surname',
    '(?:customer|patient|holder|owner|contact|employee|member|passenger|guest|driver|client|account_?holder|card_?holder|beneficiary|recipient)_?name',
    'cardholder',
  ),
  confidence(value, shape) {
    if (shape.letters < 2 || shape.digits > 0 || shape.length > 60 || shape.spaces > 4 || shape.at) return 0;
    return NAME.test(value) ? 0.7 : 0.3;
  },
};

/** A field called just `name`, `user` or the like, whose values may be people. */
export const AMBIGUOUS_NAME = /^(?:name|person|patient|customer|contact)$/;

const NAME = /^\p{Lu}[\p{L}'’.-]*(?: (?:\p{Lu}[\p{L}'’.-]*|de|van|von|der|da|di|la|le|bin|al)){0,4}$/u;
