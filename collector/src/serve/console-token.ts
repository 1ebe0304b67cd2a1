import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../base/secret.ts';
import { readIfThere, writeWhole } from '../base/secret-file.ts';

/** A data folder in, the token that opens /api out; it is never logged here, only told to be new. */

const FILE = 'console-token';
const TOKEN_BYTES = 32;

/**
 * The configured token, else the one in `directory`, else a new one of 256 random bits, stored there (0600).
 *
 * @throws Error when the file exists and holds no token
 */
export function openConsoleToken(
  directory: string,
  configured?: Secret,
): { readonly token: Secret; readonly created: boolean } {
  if (configured !== undefined) return { token: configured, created: false };
  const file = join(directory, FILE);
  const stored = readIfThere(file);
  if (stored !== undefined) {
    const token = stored.trim();
    if (token === '') throw new Error(`${file} is empty: delete it to get a new token`);
    return { token: new Secret(token), created: false };
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  writeWhole(file, `${token}\n`);
  return { token: new Secret(token), created: true };
}
