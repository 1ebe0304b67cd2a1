import { createHash, timingSafeEqual } from 'node:crypto';
import { RejectedError } from '../base/errors.ts';

/** The two headers a sender may present its token in; as the transports give them, first value only. */
export interface Credentials {
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
}

/** Throws `RejectedError` with code `unauthenticated` when no valid token is presented. */
export type CheckCredentials = (credentials: Credentials) => void;

const BEARER = /^bearer +(\S+)$/i;

/**
 * Checks ingest tokens against their SHA-256 digests (32 bytes each). The cost does not depend on how much of a token
 * was right, nor on which one. Without digests everybody may send.
 *
 * @throws RangeError when a digest has not 32 bytes.
 */
export function createCredentialCheck(digests: readonly Buffer[]): CheckCredentials {
  for (const digest of digests) {
    if (digest.length !== 32) throw new RangeError(`an ingest token digest has ${digest.length} bytes instead of 32`);
  }
  if (digests.length === 0) return () => undefined;
  return ({ authorization, apiKey }) => {
    const bearer = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
    if (isKnown(bearer, digests) || isKnown(apiKey, digests)) return;
    const missing = authorization === undefined && apiKey === undefined;
    throw new RejectedError(
      'unauthenticated',
      missing ? 'an ingest token is required: authorization: Bearer … or x-api-key' : 'the ingest token is not valid',
    );
  };
}

function isKnown(token: string | undefined, digests: readonly Buffer[]): boolean {
  if (token === undefined) return false;
  const presented = createHash('sha256').update(token).digest();
  let known = false;
  for (const digest of digests) known = timingSafeEqual(presented, digest) || known;
  return known;
}
