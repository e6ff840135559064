// The client certificate of a request (RFC 8705): from our own TLS listener, or from the header of a
// proxy that is trusted to have checked it. What counts is its thumbprint, which a token names.
import { createHash, X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { type NetworkList, parseNetworks } from './address.ts';

export interface CertificateHeader {
  /** In lower case. */
  header: string;
  format: 'rfc9440' | 'urlencoded_pem';
  proxies: NetworkList;
}

/** Undefined when one of the networks is none. */
export function trustedHeader(options: {
  header: string;
  format: CertificateHeader['format'];
  proxies: readonly string[];
}): CertificateHeader | undefined {
  const proxies = parseNetworks(options.proxies);
  return proxies && { header: options.header.toLowerCase(), format: options.format, proxies };
}

/** `refused`: somebody who is no trusted proxy sent the header, or it cannot be read. */
export type ClientCertificate = { ok: true; thumbprint: string | undefined } | { ok: false };

const LONGEST = 16_384;

export function clientCertificate(
  socket: object,
  peer: string | undefined,
  headers: Record<string, string | string[] | undefined>,
  { header: trusted, ca }: { header: CertificateHeader | undefined; ca: boolean },
): ClientCertificate {
  const header = trusted && headers[trusted.header];
  if (trusted && header !== undefined && header !== '') {
    // what anybody may write is no evidence.
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
    // RFC 9440 §2.2: a byte sequence of RFC 8941.
    const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(text)?.[1];
    return base64 === undefined ? undefined : new X509Certificate(Buffer.from(base64, 'base64')).raw;
  } catch {
    return undefined;
  }
}
