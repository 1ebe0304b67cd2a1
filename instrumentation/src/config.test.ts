import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseSettings } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'spanwarden-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('settings', () => {
  test('of an empty environment are the safe ones', () => {
    expect(parseSettings({})).toMatchObject({
      hashKey: undefined,
      clientAddress: 'prefix',
      trustedProxies: [],
      trustedHops: 0,
      edge: false,
      trustIncoming: 'none',
      propagateTo: 'internal',
      classify: 'sampled',
      problems: [],
    });
  });

  test('come from the environment, the file wins over it, and code over both', () => {
    const path = join(folder, 'apisec.json');
    writeFileSync(path, JSON.stringify({ trustedHops: 2, routes: [{ match: 'POST /transfers', effect: 'transfer' }] }));
    const environment = {
      APISEC_CONFIG: path,
      APISEC_TRUSTED_HOPS: '1',
      APISEC_EDGE: 'true',
      APISEC_OBJECTS: 'account=/accounts/:id',
    };
    const settings = parseSettings(environment, { edge: false });
    expect(settings).toMatchObject({ trustedHops: 2, edge: false });
    expect(settings.routes).toMatchObject([{ method: 'POST', effect: 'transfer' }]);
  });

  test('list what was wrong, fall back to what is safer, and never throw', () => {
    const settings = parseSettings({
      APISEC_HASH_KEY: 'too short',
      APISEC_CLIENT_ADDRESS: 'everything',
      APISEC_TRUSTED_PROXIES: '10.0.0.0/8,office',
      APISEC_OBJECTS: 'account=accounts',
      APISEC_CONFIG: join(folder, 'missing.json'),
    });
    expect(settings).toMatchObject({ hashKey: undefined, clientAddress: 'prefix' });
    expect(settings.trustedProxies).toHaveLength(1);
    expect(settings.problems).toHaveLength(5);
    expect(settings.problems.join()).not.toContain('too short');
  });

  test('take the key from a file', () => {
    const path = join(folder, 'key');
    writeFileSync(path, `${'k'.repeat(40)}\n`);
    expect(parseSettings({ APISEC_HASH_KEY_FILE: path }).hashKey).toHaveLength(40);
  });

  test('map objects, effects and events from the environment', () => {
    const { routes } = parseSettings({
      APISEC_OBJECTS: 'account=GET /accounts/:id, order=/orders/:id',
      APISEC_EFFECTS: 'transfer=POST /transfers',
      APISEC_EVENTS: 'login=POST /login',
    });
    expect(routes.map(({ method, object, effect, event }) => [method, object ?? effect ?? event])).toEqual([
      ['GET', 'account'],
      [undefined, 'order'],
      ['POST', 'transfer'],
      ['POST', 'login'],
    ]);
  });
});
