import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from './base/secret.ts';
import { readIfThere, writeWhole } from './base/secret-file.ts';

const MIN_CHARACTERS = 32;

/**
 * The key of the pseudonyms: as configured, else from its file, else generated once into the data folder (0600). Losing
 * it breaks the link between old and new pseudonyms, so it is never replaced silently.
 *
 * @throws Error when the key is shorter than 32 characters or its file cannot be read
 */
export function openHashKey(settings: {
  readonly hashKey: Secret | undefined;
  readonly hashKeyFile: string | undefined;
  readonly dataDir: string;
}): Secret {
  if (settings.hashKey !== undefined) return longEnough(settings.hashKey.reveal(), 'the configured hashKey');
  if (settings.hashKeyFile !== undefined)
    return longEnough(readFileSync(settings.hashKeyFile, 'utf8').trim(), settings.hashKeyFile);
  const file = join(settings.dataDir, 'hash-key');
  const stored = readIfThere(file);
  if (stored !== undefined) return longEnough(stored.trim(), file);
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  const key = randomBytes(32).toString('hex');
  writeWhole(file, `${key}\n`);
  return new Secret(key);
}

function longEnough(value: string, where: string): Secret {
  if (value.length < MIN_CHARACTERS)
    throw new Error(`${where} holds ${value.length} characters, a hash key needs at least ${MIN_CHARACTERS}`);
  return new Secret(value);
}
