// The HTTP application of the connector, from its configuration.
import type Koa from 'koa';
import type { AuditEvents, Source } from '../audit/events/events.ts';
import type { OpsLog } from '../audit/ops.ts';
import type { Config } from '../config/load.ts';
import type { Policy } from '../decision/open.ts';
import { parseNetworks } from '../identity/address.ts';
import { trustedHeader } from '../identity/certificate.ts';
import { clientFields } from '../identity/client.ts';
import type { Guessing } from '../identity/guessing.ts';
import type { Identity } from '../identity/open.ts';
import type { McpEndpoint } from '../mcp/endpoint.ts';
import { createApp } from './app.ts';
import type { Readiness } from './checks/health.ts';
import type { Allowed } from './checks/host-origin.ts';
import { MCP_PATH } from './checks/mcp.ts';
import { metadataUrl } from './checks/metadata.ts';
import type { State } from './state.ts';

export interface HttpOptions {
  config: Config;
  /** Address of the listener, when no public URL is configured. */
  url: string;
  identity: Identity;
  endpoint: McpEndpoint;
  /** Names the scopes it may demand, for the metadata of the protected resource (RFC 9728). */
  policy: { readonly present: Pick<Policy, 'settings'> };
  guessing: Guessing;
  events: AuditEvents;
  readiness: Readiness;
  ops: OpsLog;
  /** Counts a credential: how it was shown, and what came of it. */
  authenticated: (method: string, result: string) => void;
  /** Host and Origin values as they are allowed at present. */
  allowed: () => Allowed;
}

/** Whether an address is that of a proxy: any, where it is not said which and only this machine can connect. */
export function proxyTest({ proxy_hops, trusted_proxies }: Config): (address: string) => boolean {
  if (proxy_hops === 0) return () => false;
  const proxies = trusted_proxies && parseNetworks(trusted_proxies);
  return (address) => proxies?.includes(address) !== false;
}

export function openHttp(options: HttpOptions): Koa<State> {
  const { config, url, identity, endpoint, policy, guessing, events, readiness, ops } = options;
  const { listen, limits } = config;
  const publicUrl = new URL(config.public_url ?? `${url}${MCP_PATH}`);
  const header = config.identity.mtls && trustedHeader(config.identity.mtls);
  const { jwt } = config.identity;
  const { dpop } = identity;
  return createApp({
    ops,
    accessLog: config.log.access,
    readiness,
    hosts: { publicUrl, allowed: options.allowed },
    metadata: {
      resource: publicUrl.href,
      authorizationServers: jwt ? [jwt.issuer] : [],
      scopes: () => [...new Set(Object.values(policy.present.settings.access.scopes).flat())].sort(),
      dpop: dpop && { algorithms: dpop.algorithms, required: identity.strict },
      mtls: listen.tls !== undefined || header !== undefined,
    },
    forwarding: { hops: config.proxy_hops, proxies: config.trusted_proxies && parseNetworks(config.trusted_proxies) },
    prefixes: config.network_prefix,
    authenticate: {
      verifier: identity.verifier,
      metadataUrl: metadataUrl(publicUrl.href),
      publicUrl: config.public_url,
      certificates: { header, ca: listen.tls?.client_ca_file !== undefined },
      onSuccess: (method) => options.authenticated(method, 'success'),
      onFailure({ state }, { failure, check, client }, shown) {
        options.authenticated(shown, failure);
        const source: Source = { requestId: state.requestId, ...state.address, client: client && clientFields(client) };
        const guess = guessing.credential(failure, source.network);
        events.authenticationFailed(source, failure, check, guess.alert);
        return guess.limited;
      },
    },
    body: { bytes: limits.body_bytes, nesting: limits.nesting },
    endpoint,
  });
}
