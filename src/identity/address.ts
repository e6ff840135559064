// Client addresses: brings each address to one spelling and finds the network it belongs to. Home of ipaddr.js.
import { isIP, isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { OperatorError } from '../core/errors.ts';

/** A client address as policies, session bindings and logs see it. */
export interface Address {
  /** Canonical text: dotted IPv4, or RFC 5952 IPv6. */
  ip: string;
  /** CIDR of the network that counts as "the same place". */
  network: string;
}

/**
 * Prefix lengths in bits. They say how large a network counts as "the same place" for each address family.
 */
export interface Prefixes {
  ipv4: number;
  ipv6: number;
}

/**
 * Normalises one address: IPv4-mapped IPv6 becomes IPv4, a zone is dropped and letter case is folded.
 * Answers undefined for text that is not an address. Octal, hexadecimal and shortened IPv4 forms are not
 * accepted, because two parsers would read them as two different hosts, and neither is a zone that no interface
 * can have or that stands on an IPv4 address.
 */
export function parseAddress(text: string, prefixes: Prefixes): Address | undefined {
  const trimmed = text.replace(/^[ \t]+|[ \t]+$/g, '');
  const bare = trimmed.replace(/%[A-Za-z0-9_.-]{1,32}$/, '');
  if (isIPv4(trimmed)) return describe(ipaddr.IPv4.parse(trimmed), prefixes);
  // isIPv6 takes a zone of any form, so that it would keep the first one of "::1%a%b".
  if (bare.includes('%') || !isIPv6(bare)) return undefined;
  // Dotted text stands for a mapped address only: "::1.2.3.4" is another host than 1.2.3.4, and parsers disagree.
  if (bare.includes('.') && !/^(::|0:0:0:0:0:)ffff:/i.test(bare)) return undefined;
  const v6 = ipaddr.IPv6.parse(bare);
  return describe(v6.isIPv4MappedAddress() ? v6.toIPv4Address() : v6, prefixes);
}

/** Which proxies stand before the connector and append the address of their peer to X-Forwarded-For. */
export interface Forwarding {
  /** How many there are; 0: the header is never read. */
  hops: number;
  /** Their networks. Undefined: whoever connects is one, which holds only where nobody else can. */
  proxies: NetworkList | undefined;
}

/**
 * Finds the address of the client: the socket peer, or, behind N proxies, the N-th entry from the right of
 * X-Forwarded-For. Entries further left can be written by the client itself and are never read. Whoever is no proxy
 * is the client: a peer outside the networks of the proxies, or an entry before the N-th, is the address, and what
 * it says about others is not read. Answers undefined when the list is shorter than N or the entry is not an
 * address; the request must then be refused.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  { hops, proxies }: Forwarding,
  prefixes: Prefixes,
): Address | undefined {
  if (hops === 0 || proxies?.includes(peer) === false)
    return peer === undefined ? undefined : parseAddress(peer, prefixes);
  const entries = forwardedFor?.split(',') ?? [];
  for (let hop = 1; hop <= hops; hop++) {
    const entry = entries.at(-hop);
    const address = entry === undefined ? undefined : parseAddress(entry, prefixes);
    if (!address || hop === hops || proxies?.includes(address.ip) === false) return address;
  }
  return undefined;
}

function describe(address: ipaddr.IPv4 | ipaddr.IPv6, prefixes: Prefixes): Address {
  const isV4 = address.kind() === 'ipv4';
  const prefix = isV4 ? prefixes.ipv4 : prefixes.ipv6;
  const bytes = address
    .toByteArray()
    .map((byte, i) => byte & (0xff << Math.max(0, Math.min(8, 8 - (prefix - i * 8)))) & 0xff);
  return { ip: text(address), network: `${text(ipaddr.fromByteArray(bytes))}/${prefix}` };
}

const text = (address: ipaddr.IPv4 | ipaddr.IPv6): string =>
  'toRFC5952String' in address ? address.toRFC5952String() : address.toString();

/** A set of networks against which an address can be checked. */
export interface NetworkList {
  includes(ip: string | undefined): boolean;
}

/**
 * Parses networks in CIDR form. Throws an OperatorError that names the one that is not valid: a list that is not
 * understood must not be taken for no list.
 */
export function parseNetworks(list: readonly string[]): NetworkList {
  const networks = list.map((text) => {
    const [base = ''] = text.split('/');
    if (isIP(base) === 0 || base.includes('%') || !ipaddr.isValidCIDR(text))
      throw new OperatorError(`${text}: not a network, such as 10.0.0.0/8`);
    const [network, prefix] = ipaddr.parseCIDR(text);
    if (network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress())
      throw new OperatorError(`${text}: write an IPv4 network as such, for example 10.0.0.0/8`);
    return [network, prefix] as const;
  });
  return {
    includes(ip) {
      if (ip === undefined || isIP(ip) === 0) return false;
      const address = ipaddr.process(ip);
      return networks.some(([network, prefix]) => network.kind() === address.kind() && address.match(network, prefix));
    },
  };
}
