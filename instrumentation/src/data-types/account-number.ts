import { type Detector, words } from './detector.ts';

/** Card verification values, by the field's name: storing or returning one is always wrong. */
export const cardVerification: Detector = {
  type: 'card_verification',
  dataClass: 'pci',
  weak: true,
  decisive: false,
  name: words('cvv', 'cvc', 'cvv2', 'cvc2', 'card_?verification(?:_?(?:value|code))?', 'security_?code'),
  confidence: (value) => (/^\d{3,4}$/.test(value) ? 0.8 : 0),
};

/** Domestic bank account and routing numbers, by the field's name. */
export const bankAccount: Detector = {
  type: 'bank_account',
  dataClass: 'pii',
  weak: true,
  decisive: false,
  name: words(
    'bank_?account(?:_?(?:number|no))?',
    'account_?(?:number|no)',
    'acct_?(?:number|no)',
    'routing_?(?:number|no)',
    'sort_?code',
  ),
  confidence: (value, shape) => (shape.digits >= 6 && /^\d[\d -]{4,20}\d$/.test(value) ? 0.7 : 0),
};
