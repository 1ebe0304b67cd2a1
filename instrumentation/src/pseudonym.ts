import { createHmac } from 'node:crypto';

/** Kinds of values that become pseudonyms; part of the hashed text, so that equal values of two kinds never match. */
export type PseudonymDomain =
  | 'user'
  | 'service'
  | 'api_key'
  | 'token'
  | 'session'
  | 'tenant'
  | 'login'
  | 'ip'
  | `object:${string}`;

/** Turns a personal or secret value into 22 characters that mean nothing without the key. */
export type Pseudonym = (domain: PseudonymDomain, ...parts: readonly string[]) => string;

/** RFC 2104: a key shorter than the hash weakens it; phone numbers and short ids need every bit. */
export const HASH_KEY_BYTES_MIN = 32;

const CACHE_MAX = 8192;

/**
 * First 16 bytes of HMAC-SHA256(key, `v1|domain|part|part…`), base64url without padding: the same recipe as the collector's,
 * so that a value hashed here and one hashed there are equal under one key.
 *
 * Results are cached, because the same principals and objects return; the cache is dropped whole when it is full.
 */
export function createPseudonym(key: Uint8Array): Pseudonym {
  const cache = new Map<string, string>();
  return (domain, ...parts) => {
    const text = ['v1', domain, ...parts].join('|');
    let result = cache.get(text);
    if (result === undefined) {
      result = createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('base64url');
      if (cache.size >= CACHE_MAX) cache.clear();
      cache.set(text, result);
    }
    return result;
  };
}
