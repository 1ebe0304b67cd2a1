import ipaddr from 'ipaddr.js';

/** Tells public from private addresses and host names. Verdicts are kept, since the same few hosts come again and again. */

const CACHED_MAX = 20_000;
const verdicts = new Map<string, boolean | 'neither'>();

/**
 * True for an address of the public internet, false for a private, loopback, link-local or reserved one, undefined when
 * the text is no IP address. A prefix (`203.0.113.0/24`) is judged by its address.
 */
export function isPublicAddress(text: string): boolean | undefined {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  let verdict = verdicts.get(address);
  if (verdict === undefined) {
    verdict = judge(address);
    if (verdicts.size >= CACHED_MAX) verdicts.clear();
    verdicts.set(address, verdict);
  }
  return verdict === 'neither' ? undefined : verdict;
}

function judge(text: string): boolean | 'neither' {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  // `isValid` also takes "127" and "1.2", which are no addresses to anyone else.
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return 'neither';
  return ipaddr.process(bare).range() === 'unicast';
}

/** Top-level names that resolve inside a network only (RFC 6761, RFC 6762, RFC 8375, and what clusters use). */
const PRIVATE_SUFFIXES = [
  '.local',
  '.localhost',
  '.localdomain',
  '.internal',
  '.intranet',
  '.lan',
  '.corp',
  '.home',
  '.home.arpa',
  '.private',
  '.svc',
  '.consul',
  '.test',
  '.invalid',
];

/** True for a public address or a name that the public DNS could know; false for everything inside. */
export function isPublicHost(host: string): boolean {
  const address = isPublicAddress(host);
  if (address !== undefined) return address;
  const name = host.endsWith('.') ? host.slice(0, -1).toLowerCase() : host.toLowerCase();
  if (!name.includes('.') || name.startsWith('/')) return false;
  return !PRIVATE_SUFFIXES.some((suffix) => name.endsWith(suffix));
}

/** Matches names against patterns in which `*` stands for any characters; case does not count. */
export function createNameMatcher(patterns: readonly string[]): (name: string) => boolean {
  const known = new Map<string, boolean>();
  const tests = patterns.map(toTest);
  return (name) => {
    let verdict = known.get(name);
    if (verdict === undefined) {
      const lower = name.toLowerCase();
      verdict = tests.some((test) => test(lower));
      if (known.size >= CACHED_MAX) known.clear();
      known.set(name, verdict);
    }
    return verdict;
  };
}

/** Greedy matching of the literal parts: linear in the name for each part, no backtracking. */
function toTest(pattern: string): (name: string) => boolean {
  const parts = pattern.toLowerCase().split('*');
  const first = parts[0]!;
  if (parts.length === 1) return (name) => name === first;
  const last = parts[parts.length - 1]!;
  const middle = parts.slice(1, -1);
  return (name) => {
    if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
    let at = first.length;
    for (const part of middle) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at <= name.length - last.length;
  };
}
