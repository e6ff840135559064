// OAuth 2.0 Protected Resource Metadata (RFC 9728): tells a client where to get an access token.
import { refuse } from '../refuse.ts';
import type { Check } from '../state.ts';

/** Well-known path of the document (RFC 9728 §3). */
export const METADATA_PATH = '/.well-known/oauth-protected-resource';

/** What the document says. */
export interface MetadataOptions {
  /** The resource identifier: the public URL of the MCP endpoint. */
  resource: string;
  authorizationServers: readonly string[];
  /** As the policy of the moment demands them. */
  scopes: () => readonly string[];
  /**
   * Set when DPoP is accepted (RFC 9449 §5.1). `required`: only sender-constrained access tokens are accepted.
   */
  dpop: { algorithms: readonly string[]; required: boolean } | undefined;
  /** Whether client certificates can be presented (RFC 8705 §3.3). */
  mtls: boolean;
}

/** Answers the metadata document, which needs no credential, and passes on every other path. */
export function metadata({ resource, authorizationServers, scopes, dpop, mtls }: MetadataOptions): Check {
  const documentOf = (demanded: readonly string[]) => ({
    resource,
    ...(authorizationServers.length > 0 && { authorization_servers: authorizationServers }),
    bearer_methods_supported: ['header'],
    ...(demanded.length > 0 && { scopes_supported: demanded }),
    ...(dpop && { dpop_signing_alg_values_supported: dpop.algorithms }),
    ...(dpop?.required && !mtls && { dpop_bound_access_tokens_required: true }),
    ...(mtls && { tls_client_certificate_bound_access_tokens: true }),
    resource_name: 'Sallyport',
  });
  // RFC 9728 §3.1: the path of the resource comes after the well-known part.
  const paths = [METADATA_PATH, `${METADATA_PATH}${new URL(resource).pathname}`];
  return (ctx) => {
    if (!paths.includes(ctx.state.path)) return true;
    if (ctx.req.method !== 'GET' && ctx.req.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD');
      return refuse(ctx, 'method_not_allowed');
    }
    ctx.body = documentOf(scopes());
    return false;
  };
}

/** URL of the document for a resource, as the WWW-Authenticate header names it. */
export function metadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${METADATA_PATH}${pathname}`;
}
