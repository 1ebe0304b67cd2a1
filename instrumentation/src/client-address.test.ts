import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isPublicAddress, parseRanges, resolveClientAddress, toPrefix } from './client-address.ts';

const trust = { trustedProxies: parseRanges(['10.0.0.0/8', '2001:db8:1::/48'], []), trustedHops: 0 };
const nobody = { trustedProxies: [], trustedHops: 0 };

describe('the client address', () => {
  test('is the socket when nobody is trusted, whatever the headers claim', () => {
    expect(resolveClientAddress('203.0.113.9', '1.1.1.1', 'for=2.2.2.2', nobody)).toEqual({
      address: '203.0.113.9',
      source: 'socket',
      public: false,
      hops: 0,
    });
  });

  test.each([
    ['198.51.100.7, 10.0.0.3', '198.51.100.7', 2],
    ['6.6.6.6, 198.51.100.7, 10.0.0.3', '198.51.100.7', 2],
    ['198.51.100.7:4711', '198.51.100.7', 1],
    ['"[2001:db8:2::1]:443"', '2001:db8:2::1', 1],
    ['fe80::1%eth0', 'fe80::1', 1],
    ['::ffff:198.51.100.7', '198.51.100.7', 1],
    ['198.51.100.7, unknown', '10.0.0.2', 0],
    ['198.51.100.7, <script>', '10.0.0.2', 0],
    ['', '10.0.0.2', 0],
  ])('behind a trusted proxy with "%s" is %s', (header, address, hops) => {
    expect(resolveClientAddress('::ffff:10.0.0.2', header, undefined, trust)).toMatchObject({ address, hops });
  });

  test('comes from the forwarded header when the older one is absent', () => {
    expect(
      resolveClientAddress('10.0.0.2', undefined, 'for=6.6.6.6, For="[2001:db8:2::7]:99";proto=https', trust),
    ).toMatchObject({ address: '2001:db8:2::7', source: 'forwarded', hops: 1 });
  });

  test('counts trusted hops whatever their addresses', () => {
    expect(
      resolveClientAddress('203.0.113.9', '6.6.6.6, 8.8.8.8, 203.0.113.8', undefined, { ...nobody, trustedHops: 2 }),
    ).toMatchObject({ address: '8.8.8.8', hops: 2, public: true });
  });

  test('is never an entry that stands left of the first untrusted one', () => {
    const address = fc.ipV4().filter((text) => !text.startsWith('10.'));
    const forged = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 8 });
    const ours = fc.array(
      fc.nat(255).map((last) => `10.0.0.${last}`),
      { maxLength: 4 },
    );
    fc.assert(
      fc.property(forged, address, ours, (left, client, proxies) => {
        const header = [...left.map((text) => text.replaceAll(',', '')), client, ...proxies].join(', ');
        expect(resolveClientAddress('10.0.0.1', header, undefined, trust)?.address).toBe(client);
      }),
    );
  });
});

test('a prefix keeps the network and drops the host', () => {
  expect(toPrefix('203.0.113.77')).toBe('203.0.113.0/24');
  expect(toPrefix('2001:db8:1:2:3::4')).toBe('2001:db8:1::/48');
  expect(toPrefix('nonsense')).toBeUndefined();
});

test('public means routable on the internet', () => {
  expect(['8.8.8.8', '2606:4700::1'].map(isPublicAddress)).toEqual([true, true]);
  expect(['127.0.0.1', '10.1.1.1', '192.168.1.1', 'fe80::1', '::1', 'x'].some(isPublicAddress)).toBe(false);
});

test('a range that cannot be parsed is a problem and trusts nobody', () => {
  const problems: string[] = [];
  expect(parseRanges(['10.0.0.0/99', 'office'], problems)).toEqual([]);
  expect(problems).toHaveLength(2);
});
