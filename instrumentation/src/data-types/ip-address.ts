import { isIP } from 'node:net';
import { type Detector, words } from './detector.ts';

/** IPv4 and IPv6 addresses. A bare dotted quad may be a version, so a field must also be called like one or repeat. */
export const ipAddress: Detector = {
  type: 'ip_address',
  dataClass: 'pii',
  weak: false,
  decisive: false,
  name: words(
    'ip',
    'ips',
    'ip_?v?[46]',
    'ip_?addr(?:ess)?',
    'remote_?addr(?:ess)?',
    'client_?ip',
    'last_?login_?ip',
    'ipaddress',
  ),
  confidence(value, shape) {
    if (shape.dots < 3 && shape.colons < 2) return 0;
    const kind = isIP(value);
    if (kind !== 0) return kind === 6 && shape.length > 6 ? 0.9 : 0.8;
    return shape.spaces > 0 && countAddresses(value) > 0 ? 0.7 : 0;
  },
  count: countAddresses,
};

const CANDIDATE =
  /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\w:])|[0-9A-Fa-f:]{0,40}:[0-9A-Fa-f:]{1,40}(?:(?:\.\d{1,3}){3})?(?![\w:]|\.\d)|::(?![\w:]))/g;

function countAddresses(text: string): number {
  let found = 0;
  for (const [candidate] of text.matchAll(CANDIDATE)) if (candidate.length <= 45 && isIP(candidate) !== 0) found++;
  return found;
}
