/** A block of addresses: all whose first `bits` bits are those of `address` (16 bytes; IPv4 as ::ffff:a.b.c.d). */
export interface Cidr {
  readonly address: Uint8Array;
  readonly bits: number;
}

/** `10.0.0.0/8`, `fe80::/10`, or one address -> block; undefined when it is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) {
    return undefined;
  }
  const isV4 = !text.includes(':');
  const max = isV4 ? 32 : 128;
  const suffix = slash < 0 ? String(max) : text.slice(slash + 1);
  const bits = /^\d{1,3}$/.test(suffix) ? Number(suffix) : Number.NaN;
  if (!(bits <= max)) {
    return undefined;
  }
  return { address, bits: isV4 ? bits + 96 : bits };
}

/** True when the text is an address inside the block. */
export function isInCidr(block: Cidr, text: string): boolean {
  const address = parseAddress(text);
  if (address === undefined) {
    return false;
  }
  const whole = block.bits >> 3;
  for (let i = 0; i < whole; i++) {
    if (address[i] !== block.address[i]) {
      return false;
    }
  }
  const rest = block.bits & 7;
  return rest === 0 || (address[whole]! ^ block.address[whole]!) >> (8 - rest) === 0;
}

/** Dotted IPv4 or IPv6 (RFC 4291 text, brackets and zone allowed) -> 16 bytes. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (!text.includes(':')) {
    const v4 = parseV4(text);
    if (v4 === undefined) {
      return undefined;
    }
    const address = new Uint8Array(16);
    address.fill(0xff, 10, 12);
    address.set(v4, 12);
    return address;
  }
  return parseV6(text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, ''));
}

function parseV4(text: string): number[] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = match?.slice(1).map(Number);
  return bytes?.every((byte) => byte <= 255) ? bytes : undefined;
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) {
    return undefined;
  }
  const head = parseGroups(halves[0]!);
  const tail = halves.length === 2 ? parseGroups(halves[1]!) : [];
  if (head === undefined || tail === undefined) {
    return undefined;
  }
  const length = head.length + tail.length;
  if (halves.length === 2 ? length > 14 : length !== 16) {
    return undefined;
  }
  const address = new Uint8Array(16);
  address.set(head, 0);
  address.set(tail, 16 - tail.length);
  return address;
}

/** Bytes of groups such as `fe80:0:1` or `ffff:10.0.0.1`. */
function parseGroups(text: string): number[] | undefined {
  if (text === '') {
    return [];
  }
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    const v4 = i === groups.length - 1 && group.includes('.') ? parseV4(group) : undefined;
    if (v4 !== undefined) {
      bytes.push(...v4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else {
      return undefined;
    }
  }
  return bytes;
}
