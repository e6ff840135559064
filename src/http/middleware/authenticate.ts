// R-01: no valid credential, no look-up of anything. Every reason answers the same 401 (RFC 6750 §3,
// RFC 9728 §5.1), save those a DPoP client has to act on (RFC 9449 §7.1, §9); which one it was stands
// in the audit log.
import { Secret } from '../../core/secret.ts';
import { type CertificateHeader, clientCertificate } from '../../identity/certificate.ts';
import type { AuthFailure, Verification, Verifier } from '../../identity/verifier.ts';
import { refuse } from '../refuse.ts';
import type { Context, Middleware } from '../state.ts';

export interface AuthenticateOptions {
  verifier: Verifier;
  /** URL of the protected resource metadata. */
  metadataUrl: string;
  /** URL of the MCP endpoint as clients see it; undefined: as they name it in Host. */
  publicUrl: string | undefined;
  /** `ca`: certificates shown to our own listener must be of its CA. */
  certificates: { header: CertificateHeader | undefined; ca: boolean };
  /** Told of every failure. True: there were too many from there, and the answer is 429. */
  onFailure: (ctx: Context, failure: AuthFailure, verification: Verification) => boolean;
}

const MAX_CREDENTIAL = 16_384;

export function authenticate(options: AuthenticateOptions): Middleware {
  const { verifier, publicUrl, certificates, onFailure } = options;
  const { dpop } = verifier;

  async function verify(ctx: Context): Promise<Verification> {
    const { authorization, dpop: proof } = ctx.req.headers;
    if (authorization === undefined) return { ok: false, failure: 'missing' };
    const credential = parse(authorization);
    const certificate = clientCertificate(ctx.req.socket, ctx.req.socket.remoteAddress, ctx.req.headers, certificates);
    if (!credential || !certificate.ok) return { ok: false, failure: 'malformed' };
    const secure = 'encrypted' in ctx.req.socket;
    return verifier.verify({
      ...credential,
      // Two headers come joined by a comma, which no proof has (RFC 9449 §4.3, check 1).
      proof: Array.isArray(proof) ? proof.join() : proof,
      certificate: certificate.thumbprint,
      method: ctx.method,
      url: publicUrl ?? `http${secure ? 's' : ''}://${ctx.req.headers.host}${ctx.path}`,
      ...ctx.state.address,
    });
  }

  return async (ctx, next) => {
    const verified = await verify(ctx);
    if (verified.ok) {
      ctx.state.client = verified.client;
      // RFC 9449 §8.2: the next nonce comes with an answer, so that no call fails for an old one.
      if (dpop && verified.client.auth.method === 'dpop') ctx.set('DPoP-Nonce', await dpop.nonce());
      return next();
    }
    // The first call of every DPoP client: it cannot have a nonce yet.
    const limited = verified.failure !== 'proof_nonce' && onFailure(ctx, verified.failure, verified);
    if (verified.failure === 'unavailable') {
      ctx.set('Retry-After', '5');
      return refuse(ctx, 'unavailable', 'the credential cannot be verified at present');
    }
    if (limited) {
      ctx.set('Retry-After', '60');
      return refuse(ctx, 'too_many_requests');
    }
    try {
      await challenge(ctx, verified.failure, options);
    } catch {
      ctx.set('Retry-After', '5');
      return refuse(ctx, 'unavailable', 'the store does not answer');
    }
    refuse(ctx, 'unauthorized');
  };
}

async function challenge(
  ctx: Context,
  failure: AuthFailure,
  { verifier: { dpop }, metadataUrl }: AuthenticateOptions,
): Promise<void> {
  const ofProof = failure.startsWith('proof_');
  const error = ofProof
    ? failure.startsWith('proof_nonce')
      ? 'use_dpop_nonce'
      : 'invalid_dpop_proof'
    : 'invalid_token';
  const parameters = `resource_metadata="${metadataUrl}"${failure === 'missing' ? '' : `, error="${error}"`}`;
  const challenges = ofProof ? [] : [`Bearer ${parameters}`];
  if (dpop) {
    challenges.push(`DPoP ${parameters}, algs="${dpop.algorithms.join(' ')}"`);
    if (ofProof) ctx.set('DPoP-Nonce', await dpop.nonce());
  }
  ctx.set('WWW-Authenticate', challenges.join(', '));
}

function parse(authorization: string): { scheme: 'bearer' | 'dpop'; secret: Secret } | undefined {
  const match = /^(Bearer|DPoP) +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization);
  if (match?.[1] === undefined || match[2] === undefined || match[2].length > MAX_CREDENTIAL) return undefined;
  return { scheme: match[1].toLowerCase() as 'bearer' | 'dpop', secret: new Secret(match[2]) };
}
