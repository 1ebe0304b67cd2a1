import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isInCidr, parseAddress, parseCidr } from './cidr.ts';

describe('an address block', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['0.0.0.0/0', '8.8.8.8', true],
    ['0.0.0.0/0', '::1', false],
    ['169.254.0.0/16', '::ffff:169.254.169.254', true],
    ['::ffff:169.254.0.0/112', '169.254.169.254', true],
    ['fe80::/10', 'febf::1', true],
    ['fe80::/10', 'fec0::1', false],
    ['fd00:ec2::254', 'fd00:ec2:0:0:0:0:0:254', true],
    ['::1', '[::1]', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['10.0.0.0/9', '10.128.0.0', false],
  ])('%s holds %s: %s', (block, address, isInside) => {
    expect(isInCidr(parseCidr(block)!, address)).toBe(isInside);
  });

  it.each([
    '',
    'a',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.0/33',
    '::/129',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '10.0.0.0/x',
    'g::',
  ])('"%s" is none', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it('holds exactly the addresses that the runtime puts into it', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (block, bits, address) => {
        const list = new BlockList();
        list.addSubnet(block, bits, 'ipv4');
        expect(isInCidr(parseCidr(`${block}/${bits}`)!, address)).toBe(list.check(address, 'ipv4'));
      }),
    );
    fc.assert(
      fc.property(fc.ipV6(), fc.integer({ min: 0, max: 96 }), fc.ipV6(), (block, bits, address) => {
        const list = new BlockList();
        list.addSubnet(block, bits, 'ipv6');
        expect(isInCidr(parseCidr(`${block}/${bits}`)!, address)).toBe(list.check(address, 'ipv6'));
      }),
    );
  });

  it('is read from every address that the runtime knows, and from nothing else', () => {
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: fc.constantFrom('1', 'f', ':', '.'), maxLength: 12 }),
    );
    fc.assert(fc.property(text, (address) => (parseAddress(address) !== undefined) === isIP(address) > 0));
  });
});
