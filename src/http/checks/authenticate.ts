// R-01: without a valid credential nothing is looked up. Every rejected credential gets the same 401 (RFC 6750
// §3, RFC 9728 §5.1), so that a guesser learns nothing. The exceptions are what a DPoP client has to act on (RFC
// 9449 §7.1, §9) and a request without any credential, which gets no error code. The audit log has the reason.
import { Secret } from '../../core/secret.ts';
import { type CertificateHeader, clientCertificate } from '../../identity/certificate.ts';
import { AUTH_FAILURES, type AuthFailure, refusedCredential } from '../../identity/failures.ts';
import { type FailedVerification, isCompactJws, type Verification, type Verifier } from '../../identity/verifier.ts';
import { refuse } from '../refuse.ts';
import type { Check, Context } from '../state.ts';

/** How credentials are verified and what the challenge names. */
export interface AuthenticateOptions {
  verifier: Verifier;
  /** URL of the protected resource metadata. */
  metadataUrl: string;
  /**
   * URL of the MCP endpoint as clients see it, for the `htu` of DPoP proofs. Undefined: built from the Host
   * header.
   */
  publicUrl: string | undefined;
  /**
   * Where a client certificate may come from. `ca`: a certificate on our own listener must be issued by its CA.
   */
  certificates: { header: CertificateHeader | undefined; ca: boolean };
  /** Called for every credential that was accepted, with how it was shown. */
  onSuccess: (method: string) => void;
  /**
   * Called for every rejected credential, except a DPoP proof that has no nonce yet, with how it was shown. Answers true
   * when there were too many failures from that source; the response is then 429.
   */
  onFailure: (ctx: Context, failed: FailedVerification, shown: Shown) => boolean;
}

/** What kind of credential a request seems to come with. */
export type Shown = 'none' | 'key' | 'jwt' | 'dpop';

/** Most characters of a credential that are verified. */
const MAX_CREDENTIAL = 16_384;

/** Sets `state.client`, or answers 401, 429, or 503 when the credential cannot be verified at present. */
export function authenticate(options: AuthenticateOptions): Check {
  const { verifier, publicUrl, certificates, onFailure } = options;
  const { dpop } = verifier;

  async function verify(ctx: Context): Promise<Verification> {
    const { authorization, dpop: proof } = ctx.req.headers;
    if (authorization === undefined) return refusedCredential('missing');
    const credential = parse(authorization);
    const certificate = clientCertificate(ctx.req.socket, ctx.req.socket.remoteAddress, ctx.req.headers, certificates);
    if (!credential || !certificate.ok) return refusedCredential('malformed');
    const secure = 'encrypted' in ctx.req.socket;
    const { scheme, secret } = credential;
    const { ip, network } = ctx.state.address;
    return verifier.verify({
      scheme,
      secret,
      // Node joins two DPoP headers with a comma, which no valid proof contains, so a second header makes the
      // proof invalid (RFC 9449 §4.3, check 1).
      proof: Array.isArray(proof) ? proof.join() : proof,
      certificate: certificate.thumbprint,
      method: ctx.req.method ?? '',
      url: publicUrl ?? `http${secure ? 's' : ''}://${ctx.req.headers.host}${ctx.state.path}`,
      ip,
      network,
    });
  }

  return async (ctx) => {
    const verified = await verify(ctx);
    if (verified.ok) {
      ctx.state.client = verified.client;
      options.onSuccess(verified.client.auth.method);
      // RFC 9449 §8.2: every answer carries the next nonce, so that no call fails because its nonce has expired.
      if (dpop && verified.client.auth.method === 'dpop') ctx.set('DPoP-Nonce', await dpop.nonce());
      return true;
    }
    // A proof without a nonce is no failed guess: at its first call a DPoP client cannot have one.
    const limited =
      verified.failure !== 'proof_nonce' && onFailure(ctx, verified, shownAs(ctx.req.headers.authorization));
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
    return refuse(ctx, 'unauthorized');
  };
}

async function challenge(
  ctx: Context,
  failure: AuthFailure,
  { verifier: { dpop }, metadataUrl }: AuthenticateOptions,
): Promise<void> {
  const error = AUTH_FAILURES[failure];
  const ofProof = error !== 'invalid_token';
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

function shownAs(authorization: string | undefined): Shown {
  if (authorization === undefined) return 'none';
  const credential = parse(authorization);
  if (credential?.scheme === 'dpop') return 'dpop';
  return credential && isCompactJws(credential.secret) ? 'jwt' : 'key';
}
