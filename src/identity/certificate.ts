// Finds the client certificate of a request (RFC 8705): from our own TLS listener, or from a header set by a
// proxy that is trusted to have checked it. Only its thumbprint is used further on; it is compared with the one
// that an access token is bound to.
import { createHash, X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { type NetworkList, parseNetworks } from './address.ts';

/** The header in which a trusted proxy passes on the client certificate. */
export interface CertificateHeader {
  /** Name of the header, in lower case. */
  header: string;
  /**
   * How the certificate is written: `rfc9440` is Base64 DER between colons, `urlencoded_pem` is percent-encoded
   * PEM.
   */
  format: 'rfc9440' | 'urlencoded_pem';
  /** Networks of the proxies whose header is believed. */
  proxies: NetworkList;
}

/** Reads the configuration of the certificate header. Throws an OperatorError for what is not a network. */
export function trustedHeader({
  header,
  format,
  proxies,
}: {
  header: string;
  format: CertificateHeader['format'];
  proxies: readonly string[];
}): CertificateHeader {
  return { header: header.toLowerCase(), format, proxies: parseNetworks(proxies) };
}

/**
 * The SHA-256 thumbprint of the client certificate (base64url), undefined when there is none. `ok: false`: the
 * request must be refused, because a peer that is not a trusted proxy sent the header, the header cannot be read,
 * or the certificate on our own listener was not issued by the configured CA.
 */
export type ClientCertificate = { ok: true; thumbprint: string | undefined } | { ok: false };

/** Most characters of a certificate header that are parsed. */
const LONGEST = 16_384;

/**
 * Finds the client certificate of a request; never throws. `peer` is the address of the socket. `ca` says that a
 * CA is configured for our own listener, so a certificate it did not issue is not accepted.
 */
export function clientCertificate(
  socket: object,
  peer: string | undefined,
  headers: Record<string, string | string[] | undefined>,
  { header: trusted, ca }: { header: CertificateHeader | undefined; ca: boolean },
): ClientCertificate {
  const header = trusted && headers[trusted.header];
  if (trusted && header !== undefined && header !== '') {
    // Anybody can send this header, so it is evidence only when it comes from a trusted proxy.
    if (!trusted.proxies.includes(peer)) return { ok: false };
    const der = typeof header === 'string' && header.length <= LONGEST ? decode(header, trusted.format) : undefined;
    return der ? { ok: true, thumbprint: thumbprint(der) } : { ok: false };
  }
  const own = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (own && ca && !(socket as TLSSocket).authorized) return { ok: false };
  return { ok: true, thumbprint: own && thumbprint(own.raw) };
}

const thumbprint = (der: Buffer): string => createHash('sha256').update(der).digest('base64url');

function decode(text: string, format: CertificateHeader['format']): Buffer | undefined {
  try {
    if (format === 'urlencoded_pem') return new X509Certificate(decodeURIComponent(text)).raw;
    // RFC 9440 §2.2: the header is a byte sequence of RFC 8941, Base64 between colons.
    const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(text)?.[1];
    return base64 === undefined ? undefined : new X509Certificate(Buffer.from(base64, 'base64')).raw;
  } catch {
    return undefined;
  }
}
