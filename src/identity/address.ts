// Client addresses: brings each address to one spelling and finds the network it belongs to. Home of ipaddr.js.
import ipaddr from 'ipaddr.js';

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
 * accepted, because two parsers would read them as two different hosts.
 */
export function parseAddress(text: string, prefixes: Prefixes): Address | undefined {
  const bare = text.trim().replace(/%[\w.-]+$/, '');
  if (ipaddr.IPv4.isValidFourPartDecimal(bare)) return describe(ipaddr.IPv4.parse(bare), prefixes);
  if (!bare.includes(':') || !ipaddr.IPv6.isValid(bare)) return undefined;
  const dotted = bare.includes('.') ? bare.slice(bare.lastIndexOf(':') + 1) : undefined;
  if (dotted !== undefined && !ipaddr.IPv4.isValidFourPartDecimal(dotted)) return undefined;
  const v6 = ipaddr.IPv6.parse(bare);
  return describe(v6.isIPv4MappedAddress() ? v6.toIPv4Address() : v6, prefixes);
}

/**
 * Finds the address of the client: the socket peer, or, when N proxies are trusted, the N-th entry from
 * the right of X-Forwarded-For. Entries further left can be written by the client itself and are never read.
 * Answers undefined when the list is shorter than N or the entry is not an address; the request must then be
 * refused.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  hops: number,
  prefixes: Prefixes,
): Address | undefined {
  if (hops === 0) return peer === undefined ? undefined : parseAddress(peer, prefixes);
  const entry = forwardedFor?.split(',').at(-hops);
  return entry === undefined ? undefined : parseAddress(entry, prefixes);
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

/** Parses networks in CIDR form. Answers undefined when one of them is not valid CIDR. */
export function parseNetworks(list: readonly string[]): NetworkList | undefined {
  if (!list.every((text) => ipaddr.isValidCIDR(text))) return undefined;
  const networks = list.map((text) => ipaddr.parseCIDR(text));
  return {
    includes(ip) {
      if (ip === undefined || !ipaddr.isValid(ip)) return false;
      const address = ipaddr.process(ip);
      return networks.some(([network, prefix]) => network.kind() === address.kind() && address.match(network, prefix));
    },
  };
}
