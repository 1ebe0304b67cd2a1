import { createHmac } from 'node:crypto';
import type { Secret } from './secret.ts';

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

/**
 * First 16 bytes of HMAC-SHA256(key, `v1|domain|part|part…`), base64url without padding: the same recipe as
 * `@spanwarden/instrumentation`, so that a value hashed in a service and one hashed here are equal under one key.
 */
export function createPseudonym(key: Secret): Pseudonym {
  const secret = key.reveal();
  return (domain, ...parts) =>
    createHmac('sha256', secret)
      .update(['v1', domain, ...parts].join('|'))
      .digest()
      .subarray(0, 16)
      .toString('base64url');
}
