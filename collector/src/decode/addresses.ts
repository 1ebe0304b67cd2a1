import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Where an address can be reached from. */
export type AddressScope = 'public' | 'private' | 'loopback' | 'link-local' | 'reserved';

export interface Address {
  /** Canonical text: no brackets, port, zone or `::ffff:`. */
  readonly text: string;
  readonly version: 4 | 6;
  readonly scope: AddressScope;
}

/** [first byte, second byte from, second byte to, scope] of the special IPv4 blocks (IANA special-purpose registry). */
const SPECIAL_V4: readonly (readonly [number, number, number, AddressScope])[] = [
  [0, 0, 255, 'reserved'],
  [10, 0, 255, 'private'],
  [100, 64, 127, 'private'],
  [127, 0, 255, 'loopback'],
  [169, 254, 254, 'link-local'],
  [172, 16, 31, 'private'],
  [192, 168, 168, 'private'],
  [198, 18, 19, 'reserved'],
];

function scopeV4(a: number, b: number): AddressScope {
  if (a >= 224) return 'reserved';
  for (const [first, from, to, scope] of SPECIAL_V4) if (a === first && b >= from && b <= to) return scope;
  return 'public';
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  for (const part of parts) {
    if (part.length === 0 || part.length > 3 || !/^\d+$/.test(part) || Number(part) > 255) return undefined;
  }
  return { text: parts.map(Number).join('.'), version: 4, scope: scopeV4(Number(parts[0]), Number(parts[1])) };
}

const SCOPES_V6: Readonly<Record<string, AddressScope>> = {
  unicast: 'public',
  loopback: 'loopback',
  linkLocal: 'link-local',
  uniqueLocal: 'private',
};

function parseV6(text: string): Address | undefined {
  const zone = text.indexOf('%');
  const bare = zone < 0 ? text : text.slice(0, zone);
  if (!isIPv6(bare)) return undefined;
  const parsed = ipaddr.IPv6.parse(bare);
  if (parsed.isIPv4MappedAddress()) return parseV4(parsed.toIPv4Address().toString());
  return { text: parsed.toString(), version: 6, scope: SCOPES_V6[parsed.range()] ?? 'reserved' };
}

/** Reads `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80`, `fe80::1%eth0`, `::ffff:1.2.3.4`; undefined for anything else. */
export function parseAddress(input: string): Address | undefined {
  if (input.length < 2 || input.length > 64) return undefined;
  const text = input.trim();
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    return close < 0 ? undefined : parseV6(text.slice(1, close));
  }
  const colon = text.indexOf(':');
  if (colon < 0) return parseV4(text);
  if (text.indexOf(':', colon + 1) < 0) {
    return /^\d{1,5}$/.test(text.slice(colon + 1)) ? parseV4(text.slice(0, colon)) : undefined;
  }
  return parseV6(text);
}

/** The network a person's address is kept as: /24 of IPv4, /48 of IPv6, in CIDR notation. */
export function toPrefix(address: Address): string {
  if (address.version === 4) return `${address.text.slice(0, address.text.lastIndexOf('.'))}.0/24`;
  const parts = ipaddr.IPv6.parse(address.text).parts;
  const kept = new ipaddr.IPv6([...parts.slice(0, 3), 0, 0, 0, 0, 0]);
  return `${kept.toString()}/48`;
}

/** True for `network/bits` that is no finer than what toPrefix keeps. */
export function isCoarsePrefix(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return false;
  const address = parseAddress(text.slice(0, slash));
  const bits = Number(text.slice(slash + 1));
  if (address === undefined || !Number.isInteger(bits) || bits < 0) return false;
  return bits <= (address.version === 4 ? 24 : 48);
}
