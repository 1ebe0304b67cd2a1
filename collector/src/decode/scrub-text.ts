import { type Category, type Hit, maskHits } from './findings.ts';
import {
  findAddresses,
  findEmails,
  findIbans,
  findPaymentCards,
  findPhones,
  findSocialSecurityNumbers,
} from './personal-data.ts';
import { findAnnounced, findIssuedSecrets } from './secret-patterns.ts';

const AT = 1;
const DIGITS = 2;
const ADDRESS = 4;
const TOKEN = 8;
const ASSIGNED = 16;
const QUERY = 32;
const IBAN = 64;
const AUTHORITY = 128;

const DIGIT_SEQUENCE_MIN = 9;
const TOKEN_CHARS_MIN = 16;
const SCHEMES = /\b(?:bearer|basic|digest|negotiate|token|apikey)[ +]/i;

/**
 * One pass over the characters: which detectors could find anything at all. Ordinary values (methods, routes, host
 * names, versions) give 0, so no pattern ever runs on them.
 */
export function suspects(text: string): number {
  let found = 0;
  let sequence = 0; // digits so far, with single separators between
  let gap = 0;
  let digits = 0;
  let uppers = 0;
  let dots = 0;
  let colons = 0;
  let token = 0;
  let space = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 48 && code <= 57) {
      digits++;
      sequence++;
      gap = 0;
      token++;
      if (sequence >= DIGIT_SEQUENCE_MIN) found |= DIGITS;
    } else if ((code >= 97 && code <= 122) || code === 95 || code === 126) {
      sequence = 0;
      token++;
    } else if (code >= 65 && code <= 90) {
      sequence = 0;
      token++;
      uppers++;
    } else {
      if (++gap > 2 || code === 44 || code === 58 || code === 47) sequence = 0;
      if (code === 46) {
        dots++;
        token++;
      } else if (code === 45) token++;
      else {
        if (token >= TOKEN_CHARS_MIN) found |= TOKEN;
        token = 0;
        if (code === 64) found |= AT;
        else if (code === 58) {
          colons++;
          found |= ASSIGNED;
        } else if (code === 61) found |= ASSIGNED;
        else if (code === 63 || code === 59 || code === 35) found |= QUERY;
        else if (code === 37 && text.charCodeAt(i + 1) === 52 && text.charCodeAt(i + 2) === 48) found |= AT;
        else if (code === 47 && i > 1 && text.charCodeAt(i - 1) === 47 && text.charCodeAt(i - 2) === 58)
          found |= AUTHORITY;
        else if (code === 32 || code === 43) space = true;
      }
    }
  }
  if (token >= TOKEN_CHARS_MIN) found |= TOKEN;
  if (digits >= 4 && (dots >= 3 || colons >= 2)) found |= ADDRESS;
  else if (colons >= 3) found |= ADDRESS;
  if (digits >= 10 && uppers >= 2) found |= IBAN;
  else if (digits >= 10 && text.length <= 48) found |= IBAN;
  if (space && (found & ASSIGNED) === 0 && SCHEMES.test(text)) found |= ASSIGNED;
  return found;
}

const USERINFO = /:\/\/([^\s/?#@"']{1,256})@/g;
/** `name=value` of a query, a fragment or matrix parameters inside longer text. */
const QUERY_PAIR = /(?<=[?&#]|;(?=jsession))([^\s=&?#;"'<>]{1,128})=([^\s&#;"'<>]*)/g;

function reduceUrls(text: string, flags: number, found: Category[]): string {
  let reduced = text;
  if ((flags & AUTHORITY) !== 0 && text.includes('@')) {
    reduced = reduced.replace(USERINFO, () => {
      found.push('url_credential');
      return '://';
    });
  }
  if ((flags & QUERY) !== 0 && (flags & ASSIGNED) !== 0) {
    reduced = reduced.replace(QUERY_PAIR, (_pair, name: string, value: string) => {
      if (value !== '') found.push('query_value');
      return name;
    });
  }
  return reduced;
}

/** What scrubText may leave alone, because the attribute's own meaning asks for it. */
export const KEEP_NOTHING = 0;
/** Dotted numbers are versions, not addresses (user agents, versions). */
export const KEEP_DOTTED = ADDRESS;

/**
 * Free text with URL credentials, query values, secrets and personal data replaced by marks. Each thing masked is
 * pushed to `found`.
 */
export function scrubText(text: string, found: Category[], keep = KEEP_NOTHING): string {
  const flags = suspects(text) & ~keep;
  if (flags === 0) return text;
  const hits: Hit[] = [];
  const reduced = reduceUrls(text, flags, found);
  findHits(reduced, flags, hits);
  if (hits.length === 0) return reduced;
  const masked = maskHits(reduced, hits);
  for (const hit of hits) found.push(hit.category);
  return masked;
}

function findHits(text: string, flags: number, hits: Hit[]): void {
  if ((flags & TOKEN) !== 0) findIssuedSecrets(text, hits);
  if ((flags & ASSIGNED) !== 0) findAnnounced(text, hits);
  if ((flags & AT) !== 0) findEmails(text, hits);
  if ((flags & DIGITS) !== 0) {
    findPaymentCards(text, hits);
    findSocialSecurityNumbers(text, hits);
    findPhones(text, hits);
  }
  if ((flags & IBAN) !== 0) findIbans(text, hits);
  if ((flags & ADDRESS) !== 0) findAddresses(text, hits);
}

/** The kinds of secrets and personal data in `text`, which itself stays with the caller. */
export function classifyText(text: string): Category[] {
  const hits: Hit[] = [];
  findHits(text, suspects(text), hits);
  return hits.map((hit) => hit.category);
}
