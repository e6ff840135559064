import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientAddress, parseAddress, parseNetworks } from '../../src/identity/address.ts';

const prefixes = { ipv4: 24, ipv6: 64 };

describe('R-11: one spelling for each address', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3', '10.1.2.0/24'],
    ['::ffff:10.1.2.3', '10.1.2.3', '10.1.2.0/24'],
    ['::FFFF:0a01:0203', '10.1.2.3', '10.1.2.0/24'],
    ['2001:DB8:0:0:1::7', '2001:db8::1:0:0:7', '2001:db8::/64'],
    ['fe80::1%eth0', 'fe80::1', 'fe80::/64'],
  ])('%s', (text, ip, network) => {
    expect(parseAddress(text, prefixes)).toEqual({ ip, network });
  });
  it.each([
    '0177.0.0.1',
    '0x7f.1',
    '2130706433',
    '127.1',
    '1.2.3.4.5',
    '1.2.3.256',
    '',
    ' ',
    'localhost',
    '::g',
    '1.2.3.4:80',
    '[::1]',
    '1.2.3.4/24',
    '::ffff:0177.0.0.1',
    '::ffff:0x7f.0.0.1',
    '2001:db8::1%a%b',
    '::1.2.3.4',
    '64:ff9b::1.2.3.4',
    '2001:db8::1%',
    '2001:db8::1%a b',
    '10.1.2.3%eth0',
    '\u00a010.1.2.3',
    '2001:db8::00001',
  ])('refuses "%s"', (text) => {
    expect(parseAddress(text, prefixes)).toBeUndefined();
  });
  it('R-12: the network holds the address, for every prefix', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 1, max: 32 }), (ip, ipv4) => {
        const network = parseAddress(ip, { ...prefixes, ipv4 })?.network ?? '';
        const bits = (text: string) => text.split('.').reduce((n, part) => n * 256 + Number(part), 0);
        const [base = '', length] = network.split('/');
        expect(Number(length)).toBe(ipv4);
        const size = 2 ** (32 - ipv4);
        expect(Math.floor(bits(ip) / size)).toBe(bits(base) / size);
      }),
    );
  });
});

describe('R-10: trusted hops', () => {
  const hops = (count: number) => ({ hops: count, proxies: undefined });
  it('without a configured hop X-Forwarded-For changes nothing', () => {
    fc.assert(
      fc.property(fc.string(), (forged) => {
        expect(clientAddress('10.0.0.1', forged, hops(0), prefixes)?.ip).toBe('10.0.0.1');
      }),
    );
  });
  it('with N hops the N-th address from the right counts, whatever stands left of it', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.ipV4(), fc.array(fc.ipV4(), { maxLength: 3 }), (forged, ip, proxies) => {
        const list = [...forged, ip, ...proxies].join(', ');
        expect(clientAddress('10.0.0.1', list, hops(proxies.length + 1), prefixes)?.ip).toBe(ip);
      }),
    );
  });
  it('a list that is too short, or absent, is refused', () => {
    expect(clientAddress('10.0.0.1', '1.1.1.1', hops(2), prefixes)).toBeUndefined();
    expect(clientAddress('10.0.0.1', undefined, hops(1), prefixes)).toBeUndefined();
  });
});

describe('R-10: networks', () => {
  it.each([
    '0177.0.0.0/8',
    '::ffff:10.0.0.0/104',
    '10.0.0.0',
    '10.0.0.0/33',
    'fe80::1%eth0/64',
    'proxies',
    '',
  ])('"%s" is no network', (text) => {
    expect(() => parseNetworks([text])).toThrow(/not a network|IPv4 network/);
  });
  it('an IPv4 peer in its IPv6 form is in an IPv4 network', () => {
    const list = parseNetworks(['10.0.0.0/8', '2001:db8::/32']);
    expect(list.includes('::ffff:10.1.2.3')).toBe(true);
    expect(list.includes('11.0.0.1')).toBe(false);
    expect(list.includes('2001:db8::7')).toBe(true);
    expect(list.includes(undefined)).toBe(false);
  });
});
