import { createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from 'vitest';
import { parseSettings, type SettingsInput } from './config.ts';
import { readCredential } from './credential.ts';
import { forwardedPrincipal, type IdentityFacts, identityAttributes } from './principal.ts';
import { createPseudonym } from './pseudonym.ts';

const KEY = 'a key of at least thirty-two bytes!';
const pseudonym = createPseudonym(Buffer.from(KEY));
const NOW_MS = 1_700_000_000_000;

function token(payload: object, header: object = { alg: 'RS256' }): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(payload)}.c2ln`;
}

function request(headers: Record<string, string>, remoteAddress = '203.0.113.9'): IncomingMessage {
  return { headers, socket: { remoteAddress } } as unknown as IncomingMessage;
}

function attributes(
  headers: Record<string, string>,
  more: Partial<IdentityFacts> = {},
  input: SettingsInput = {},
  keyed = true,
) {
  const settings = parseSettings({}, input);
  const credential = readCredential(request(headers), new URLSearchParams(), settings.carriers);
  const facts = {
    credential,
    declared: undefined,
    checked: undefined,
    hooked: false,
    framework: undefined,
    forwarded: undefined,
    ...more,
  };
  return identityAttributes(facts, settings, keyed ? pseudonym : undefined, undefined, NOW_MS);
}

describe('the scheme', () => {
  test.each([
    [{}, 'none'],
    [{ authorization: 'Bearer abc' }, 'bearer'],
    [{ authorization: `Basic ${Buffer.from('jane:x').toString('base64')}` }, 'basic'],
    [{ authorization: 'Digest username="jane"' }, 'digest'],
    [{ authorization: 'AWS4-HMAC-SHA256 Credential=x' }, 'hmac'],
    [{ authorization: 'Negotiate abc' }, 'other'],
    [{ 'x-api-key': 'k-1' }, 'apikey'],
    [{ cookie: 'theme=dark; connect.sid=s%3Aabc' }, 'cookie'],
    [{ cookie: 'theme=dark' }, 'none'],
  ])('of %j is %s', (headers, scheme) => {
    expect(attributes(headers as Record<string, string>)['apisec.auth.scheme']).toBe(scheme);
  });

  test('of a custom carrier is known when it is configured', () => {
    const headers = { 'x-partner-key': 'p-1' };
    expect(attributes(headers)['apisec.auth.scheme']).toBe('none');
    expect(attributes(headers, {}, { apiKeyHeaders: ['X-Partner-Key'] })['apisec.auth.scheme']).toBe('apikey');
  });
});

describe('the principal', () => {
  const claims = {
    iss: 'https://idp',
    sub: 'u-1',
    tenant_id: 't-1',
    roles: ['admin', 'jane@example.com'],
    scope: 'read:users write',
    exp: 1_700_000_060,
    iat: 1_699_999_940,
    jti: 'j-1',
    act: { sub: 'svc-9' },
  };

  test('of a token is its subject under the issuer, with roles, scopes, tenant, actor and token facts', () => {
    expect(attributes({ authorization: `Bearer ${token(claims)}` })).toEqual({
      'apisec.auth.scheme': 'bearer',
      'apisec.auth.verified': 'unknown',
      'apisec.auth.source': 'none',
      'apisec.auth.token.alg': 'RS256',
      'apisec.auth.token.expired': false,
      'apisec.auth.token.ttl_s': 120,
      'apisec.auth.token.id': pseudonym('token', 'j-1'),
      'user.hash': pseudonym('user', 'https://idp', 'u-1'),
      'user.roles': ['admin'],
      'apisec.principal.type': 'user',
      'apisec.principal.key_id': 'k1',
      'apisec.principal.scopes': ['read:users', 'write'],
      'apisec.principal.tenant': pseudonym('tenant', 't-1'),
      'apisec.principal.actor': pseudonym('user', 'https://idp', 'svc-9'),
    });
  });

  test('is the recipe of the design: first 16 bytes of the HMAC over the parts joined by bars', () => {
    const expected = createHmac('sha256', KEY)
      .update('v1|user|https://idp|u-1')
      .digest()
      .subarray(0, 16)
      .toString('base64url');
    expect(attributes({ authorization: `Bearer ${token(claims)}` })['user.hash']).toBe(expected);
  });

  test('without a key is presence only', () => {
    const found = attributes({ authorization: `Bearer ${token(claims)}`, cookie: 'sid=abc' }, {}, {}, false);
    expect(Object.keys(found).sort()).toEqual([
      'apisec.auth.scheme',
      'apisec.auth.source',
      'apisec.auth.token.alg',
      'apisec.auth.token.expired',
      'apisec.auth.token.ttl_s',
      'apisec.auth.verified',
      'apisec.principal.scopes',
      'apisec.principal.type',
      'user.roles',
    ]);
  });

  test('of a client-credentials token is a service', () => {
    const headers = { authorization: `Bearer ${token({ iss: 'i', sub: 'billing', azp: 'billing' })}` };
    expect(attributes(headers)).toMatchObject({
      'apisec.principal.type': 'service',
      'user.hash': pseudonym('service', 'i', 'billing'),
    });
  });

  test('named by the application wins, and belongs to the issuer of the request token', () => {
    const headers = { authorization: `Bearer ${token(claims)}` };
    expect(attributes(headers, { declared: { id: 'u-2' } })['user.hash']).toBe(pseudonym('user', 'https://idp', 'u-2'));
  });

  test('that is named with and without its token hashes alike', () => {
    const named = attributes({}, { declared: { id: 'u-1' } }, { principalIssuer: 'https://idp' });
    expect(named['user.hash']).toBe(attributes({ authorization: `Bearer ${token(claims)}` })['user.hash']);
  });

  test('in a header counts only from a trusted caller', () => {
    const settings = parseSettings({}, { principalHeader: 'X-User-Id', trustedProxies: ['10.0.0.0/8'] });
    expect(forwardedPrincipal(request({ 'x-user-id': 'u-1' }, '10.2.3.4'), settings)).toEqual({
      id: 'u-1',
      tenant: undefined,
    });
    expect(forwardedPrincipal(request({ 'x-user-id': 'u-1' }, '203.0.113.9'), settings)).toBeUndefined();
  });

  test('tokens that are damaged, huge or nested are no tokens and throw nothing', () => {
    for (const text of [
      'eyJ',
      'eyJ.eyJ.',
      'eyJhbGciOiJub25lIn0.bm90IGpzb24.',
      `eyJ${'a'.repeat(10_000)}.b.c`,
      token([]),
    ])
      expect(attributes({ authorization: `Bearer ${text}` })['apisec.auth.scheme']).toBe('bearer');
  });
});

describe('proof', () => {
  const bearer = { authorization: `Bearer ${token({ sub: 'u-1' })}` };
  test.each([
    ['a token that nobody could have checked', bearer, {}, 'unknown'],
    ['a token that nobody checked', bearer, { hooked: true }, 'no'],
    ['a decoded token copied to req.user', bearer, { hooked: true, framework: { sub: 'u-1' } }, 'no'],
    ['a checked token', bearer, { checked: { verified: 'yes', source: 'jose' } }, 'yes'],
    ['a refused token', bearer, { checked: { verified: 'failed', source: 'jose' } }, 'failed'],
    ['a session user', { cookie: 'sid=abc' }, { framework: { id: 7 } }, 'yes'],
    ['a session without a user', { cookie: 'sid=abc' }, {}, 'unknown'],
    ['a token of a library that is not wrapped, named by the application', bearer, { declared: { id: 'u-1' } }, 'yes'],
    ['a token that nobody checked, named by the application', bearer, { hooked: true, declared: { id: 'u-1' } }, 'no'],
    ['an application that names the principal', {}, { declared: { id: 'u-1' } }, 'yes'],
    ['an application that says otherwise', {}, { declared: { id: 'u-1', verified: 'failed' } }, 'failed'],
    ['nothing at all', {}, {}, 'no'],
  ] as const)('of %s', (_name, headers, facts, verified) => {
    expect(attributes(headers as Record<string, string>, facts as Partial<IdentityFacts>)['apisec.auth.verified']).toBe(
      verified,
    );
  });
});
