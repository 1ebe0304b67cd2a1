/**
 * What redaction can come across. The position is the index of its counters; the first group also names data types as
 * `apisec.request.data.<type>` does.
 */
export const CATEGORIES = [
  // data types, found by value or by name
  'email',
  'phone',
  'payment_card',
  'iban',
  'us_ssn',
  'ip_address',
  'secret',
  'person_name',
  'birth_date',
  'postal_address',
  'government_id',
  'bank_account',
  // places that are emptied whatever they hold
  'query_value',
  'url_credential',
  'url_fragment',
  'query_literal',
  'exception_text',
  'status_message',
  'credential_header',
  'body',
  'identity',
  'client_address',
  'process_arguments',
  'baggage',
  'link_attribute',
] as const;

export type Category = (typeof CATEGORIES)[number];

/** What is left of a masked value. */
export const MARKS: Readonly<Partial<Record<Category, string>>> = {
  email: '{email}',
  phone: '{phone}',
  payment_card: '{card}',
  iban: '{iban}',
  us_ssn: '{ssn}',
  ip_address: '{ip}',
  secret: '{secret}',
  person_name: '{name}',
  birth_date: '{birth_date}',
  postal_address: '{address}',
  government_id: '{government_id}',
  bank_account: '{account}',
};

export function markOf(category: Category): string {
  return MARKS[category] ?? `{${category}}`;
}

/** A stretch of text that must not be stored. */
export interface Hit {
  readonly from: number;
  readonly to: number;
  readonly category: Category;
}

/** `text` with every hit replaced by its mark; where hits overlap, the one that begins first covers both. */
export function maskHits(text: string, hits: Hit[]): string {
  if (hits.length === 0) return text;
  if (hits.length > 1) hits.sort((a, b) => a.from - b.from || b.to - a.to);
  let masked = '';
  let at = 0;
  for (const hit of hits) {
    if (hit.from >= at) masked += text.slice(at, hit.from) + markOf(hit.category);
    if (hit.to > at) at = hit.to;
  }
  return masked + text.slice(at);
}
