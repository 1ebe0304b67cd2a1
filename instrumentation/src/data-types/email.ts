import { type Detector, words } from './detector.ts';

const LOCAL = /[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]/;
const DOMAIN = /[A-Za-z0-9.-]/;
const MAX_LOCAL = 64;
const MAX_DOMAIN = 255;

/** E-mail addresses (RFC 5321 lengths, unquoted local parts, a dotted domain). */
export const email: Detector = {
  type: 'email',
  dataClass: 'pii',
  weak: false,
  decisive: true,
  name: words('e_?mail', 'e_?mails', 'e_?mail_?address', 'mailto', 'contact_?email', 'user_?email'),
  confidence(value, shape) {
    if (!shape.at) return 0;
    const found = countAddresses(value);
    if (found === 0) return 0;
    return shape.spaces === 0 ? 0.98 : 0.95;
  },
  count: countAddresses,
};

/** Walks outwards from every `@`, so that the time is linear although a pattern would backtrack. */
function countAddresses(text: string): number {
  let found = 0;
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > 0 && at - start < MAX_LOCAL && LOCAL.test(text[start - 1] as string)) start--;
    let end = at + 1;
    while (end < text.length && end - at <= MAX_DOMAIN && DOMAIN.test(text[end] as string)) end++;
    if (start < at && isDomain(text.slice(at + 1, end))) found++;
  }
  return found;
}

function isDomain(text: string): boolean {
  const labels = text.replace(/[.-]+$/, '').split('.');
  const top = labels.at(-1) ?? '';
  return (
    labels.length >= 2 &&
    /^(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})$/.test(top) &&
    labels.every((label) => label.length > 0 && label.length <= 63 && !label.startsWith('-') && !label.endsWith('-'))
  );
}
