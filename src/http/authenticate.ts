// no valid credential, no look-up of anything. Every reason answers the same 401 (RFC 6750 §3,
// RFC 9728 §5.1); which one it was stands in the audit log.
import { Secret } from '../core/secret.ts';
import type { AuthFailure, Verifier } from '../identity/verifier.ts';
import { refuse } from './refuse.ts';
import type { Context, Middleware } from './state.ts';

export interface AuthenticateOptions {
  verifier: Verifier;
  /** URL of the protected resource metadata. */
  metadataUrl: string;
  onFailure: (ctx: Context, failure: AuthFailure) => void;
}

const MAX_CREDENTIAL = 16_384;

export function authenticate({ verifier, metadataUrl, onFailure }: AuthenticateOptions): Middleware {
  return async (ctx, next) => {
    const credential = bearer(ctx.req.headers.authorization);
    const verified = credential
      ? await verifier.verify(credential)
      : ({ ok: false, failure: ctx.req.headers.authorization ? 'malformed' : 'missing' } as const);
    if (verified.ok) {
      ctx.state.client = verified.client;
      return next();
    }
    onFailure(ctx, verified.failure);
    if (verified.failure === 'unavailable') {
      ctx.set('Retry-After', '5');
      return refuse(ctx, 'unavailable', 'the credential cannot be verified at present');
    }
    const error = verified.failure === 'missing' ? '' : ', error="invalid_token"';
    ctx.set('WWW-Authenticate', `Bearer resource_metadata="${metadataUrl}"${error}`);
    refuse(ctx, 'unauthorized');
  };
}

function bearer(authorization: string | undefined): Secret | undefined {
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization ?? '')?.[1];
  return token !== undefined && token.length <= MAX_CREDENTIAL ? new Secret(token) : undefined;
}
