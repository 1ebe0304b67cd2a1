import ipaddr from 'ipaddr.js';

export interface HostSettings {
  readonly internalHosts: readonly string[];
  readonly thirdPartyHosts: readonly string[];
}

/** Names that never leave a network of one's own (RFC 6761, RFC 6762, RFC 8375, Kubernetes, Docker). */
const PRIVATE_SUFFIX = /(?:^|\.)(?:localhost|local|internal|intranet|lan|corp|home\.arpa|svc|cluster\.local)$/;

/** Whether a request to this host leaves our own estate. Declared hosts first, then address ranges and private names. */
export function isThirdParty(hostname: string, port: number | undefined, settings: HostSettings): boolean {
  const host = hostname
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
  if (settings.thirdPartyHosts.some((entry) => matchesHost(host, port, entry))) return true;
  if (settings.internalHosts.some((entry) => matchesHost(host, port, entry))) return false;
  if (ipaddr.isValid(host)) return ipaddr.process(host).range() === 'unicast';
  return host.includes('.') && !PRIVATE_SUFFIX.test(host);
}

/** `host`, `host:port`, or `.suffix`. */
function matchesHost(host: string, port: number | undefined, entry: string): boolean {
  if (entry.startsWith('.')) return host.endsWith(entry) || host === entry.slice(1);
  return entry === host || entry === `${host}:${port}`;
}
