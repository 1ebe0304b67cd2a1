import { type Detector, words } from './detector.ts';

const JWT = /(?<![\w-])eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*/g;

/** Prefixes that their issuers publish so that scanners can find leaked keys. */
const ISSUED =
  /(?<![\w-])(?:AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|AIza[\w-]{35}|npm_[A-Za-z0-9]{36}|SG\.[\w-]{16,}\.[\w-]{16,}|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----)/g;

/** Signed tokens in compact form (RFC 7519). */
export const jwt: Detector = {
  type: 'jwt',
  dataClass: 'secret',
  weak: false,
  decisive: true,
  name: words('jwt', 'id_?token', 'access_?token', 'refresh_?token', 'bearer'),
  confidence: (value, shape) => (shape.dots >= 2 && countMatches(value, JWT) > 0 ? 0.98 : 0),
  count: (text) => countMatches(text, JWT),
};

/** Keys with a published prefix and private keys, whatever the field is called. */
export const secret: Detector = {
  type: 'secret',
  dataClass: 'secret',
  weak: false,
  decisive: true,
  name: words('api_?key', 'secret', 'client_?secret', 'private_?key', 'secret_?key', 'access_?key'),
  confidence: (value, shape) => (shape.length >= 16 && countMatches(value, ISSUED) > 0 ? 0.98 : 0),
  count: (text) => countMatches(text, ISSUED),
};

/** Passwords have no form: a field of that name that holds anything but a mask. */
export const password: Detector = {
  type: 'password',
  dataClass: 'secret',
  weak: true,
  decisive: false,
  name: words('password', 'passwd', 'pwd', 'passphrase', 'password_?hash', 'pin_?code'),
  confidence: (value, shape) => (shape.length >= 4 && !/^[*•x]+$/i.test(value) && shape.spaces < 6 ? 0.8 : 0),
};

function countMatches(text: string, pattern: RegExp): number {
  let found = 0;
  for (const _ of text.matchAll(pattern)) found++;
  return found;
}
