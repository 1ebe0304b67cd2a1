/**
 * Who is at the other end: the socket and the forwarding headers in, an address that the client could not choose out.
 */
import ipaddr from 'ipaddr.js';
import { memo } from './memo.ts';

const ADDRESSES_MAX = 4096;
const ADDRESS_CHARS_MAX = 64;

export type AddressRange = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

export interface ClientAddress {
  /** Plain text, never sent as it is unless configured so. */
  readonly address: string;
  readonly source: 'socket' | 'xff' | 'forwarded';
  /** Whether the address is routable on the internet. */
  readonly public: boolean;
  /** How many trusted proxies the request came through. */
  readonly hops: number;
}

export interface ProxyTrust {
  readonly trustedProxies: readonly AddressRange[];
  readonly trustedHops: number;
}

/** Addresses and CIDR blocks; what cannot be parsed becomes a problem and trusts nobody. */
export function parseRanges(texts: readonly string[], problems: string[]): readonly AddressRange[] {
  return texts.flatMap((text) => {
    const range = parseRange(text);
    if (range === undefined) problems.push(`trusted address range "${text}" is neither an address nor a CIDR block`);
    return range === undefined ? [] : [range];
  });
}

function parseRange(text: string): AddressRange | undefined {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (!ipaddr.isValid(text)) return undefined;
  const address = ipaddr.parse(text);
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

export function inRanges(address: string, ranges: readonly AddressRange[]): boolean {
  if (ranges.length === 0) return false;
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  for (const [network, bits] of ranges) {
    if (network.kind() === parsed.kind() && parsed.match(network as ipaddr.IPv4 & ipaddr.IPv6, bits)) return true;
  }
  return false;
}

const ENTRIES_MAX = 32;

/**
 * Starts at the socket and walks the forwarding header from the right, while the hop just looked at is one of ours; what a
 * client wrote itself stands to the left and is never reached. Stops at the first entry that is no address.
 *
 * @param socketAddress `socket.remoteAddress`
 * @param forwardedFor all `x-forwarded-for` lines joined by commas
 * @param forwarded the `forwarded` header (RFC 7239), used when the other one is absent
 */
export function resolveClientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  forwarded: string | undefined,
  trust: ProxyTrust,
): ClientAddress | undefined {
  const socket = parseAddress(socketAddress ?? '');
  if (socket === undefined) return undefined;
  const source = forwardedFor !== undefined ? 'xff' : 'forwarded';
  const chain = forwardedFor !== undefined ? forwardedFor.split(',') : forwardedForOf(forwarded);
  let current = socket;
  let hops = 0;
  for (let index = chain.length - 1; index >= Math.max(0, chain.length - ENTRIES_MAX); index--) {
    if (hops >= trust.trustedHops && !inRanges(current.toString(), trust.trustedProxies)) break;
    const next = parseAddress(chain[index] ?? '');
    if (next === undefined) break;
    current = next;
    hops++;
  }
  return {
    address: current.toString(),
    source: hops === 0 ? 'socket' : source,
    public: current.range() === 'unicast',
    hops,
  };
}

function forwardedForOf(header: string | undefined): string[] {
  if (header === undefined) return [];
  return header.split(',').map((element) => {
    const pair = element.split(';').find((part) => /^\s*for\s*=/i.test(part));
    return pair === undefined ? '' : pair.slice(pair.indexOf('=') + 1);
  });
}

/** Strips quotes, brackets, port, zone and the IPv4-in-IPv6 wrapping. */
const parseAddress = memo(
  (text): ipaddr.IPv4 | ipaddr.IPv6 | undefined => {
    let bare = text.trim().replace(/^"|"$/g, '');
    if (bare.length === 0 || bare.length > 64) return undefined;
    const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(bare);
    if (bracketed) bare = bracketed[1] as string;
    else if (/^\d+\.\d+\.\d+\.\d+:\d+$/.test(bare)) bare = bare.slice(0, bare.lastIndexOf(':'));
    bare = bare.replace(/%.*$/, '');
    if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return undefined;
    return ipaddr.process(bare);
  },
  ADDRESSES_MAX,
  ADDRESS_CHARS_MAX,
);

export function isPublicAddress(text: string): boolean {
  return parseAddress(text)?.range() === 'unicast';
}

/** The network an address belongs to: /24 for IPv4, /48 for IPv6. */
export const toPrefix = memo(
  (text): string | undefined => {
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    if (address.kind() === 'ipv4') return `${ipaddr.IPv4.networkAddressFromCIDR(`${address}/24`)}/24`;
    return `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/48`)}/48`;
  },
  ADDRESSES_MAX,
  ADDRESS_CHARS_MAX,
);
