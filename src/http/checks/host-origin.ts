// with DNS rebinding, a web page can make a browser call a loopback server under a name of its own.
// Therefore Host must be a name of the connector, and Origin, which only browsers send, must be listed.
import { refuse } from '../refuse.ts';
import type { Check } from '../state.ts';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Names and origins that are accepted, besides loopback names and those of `publicUrl`. */
export interface HostOriginOptions {
  publicUrl: URL;
  /** As they are at present: the same object until they change. */
  allowed: () => Allowed;
}

/** Names and origins that the configuration allows. */
export interface Allowed {
  allowed_hosts: readonly string[];
  allowed_origins: readonly string[];
}

const namesOf = (publicUrl: URL, { allowed_hosts, allowed_origins }: Allowed) => ({
  hosts: new Set([publicUrl.host, publicUrl.hostname, ...allowed_hosts].map((host) => host.toLowerCase())),
  origins: new Set([publicUrl.origin, ...allowed_origins]),
});

/** Answers 403 when Host or Origin is not accepted. A request without Origin passes that check. */
export function hostAndOrigin({ publicUrl, allowed }: HostOriginOptions): Check {
  let before = allowed();
  let { hosts, origins } = namesOf(publicUrl, before);
  return (ctx) => {
    const present = allowed();
    if (present !== before) ({ hosts, origins } = namesOf(publicUrl, present));
    before = present;
    const host = ctx.req.headers.host?.toLowerCase() ?? '';
    const name = host.replace(/:\d+$/, '');
    if (!LOOPBACK.has(name) && !hosts.has(host) && !hosts.has(name))
      return refuse(ctx, 'forbidden_host', 'add the name to allowed_hosts, or set public_url');
    const { origin } = ctx.req.headers;
    if (origin !== undefined && !origins.has(origin))
      return refuse(ctx, 'forbidden_origin', 'add the origin to allowed_origins');
    return true;
  };
}
