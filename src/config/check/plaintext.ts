// What goes over a network in plain text. Whoever is on the way reads credentials and sessions there, and can change what is
// answered; so it is asked for by name, and said at each start. On loopback nobody is on the way.
import { isIP } from 'node:net';
import type { ConnectorFile } from '../schema/connector.ts';
import type { PathProblem } from './request.ts';

type Plain = Pick<ConnectorFile, 'listen' | 'admin' | 'store' | 'identity' | 'backends' | 'alerts'>;

interface Use {
  /** The key that names what is in plain text, and where `plaintext: true` says that it is meant. */
  path: (string | number)[];
  asked: (string | number)[];
  meant: boolean;
}

/** Whether only this machine can be there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

/** Whether what is sent to a URL can be read on the way. */
export function isPlain(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return (protocol === 'http:' || protocol === 'redis:') && !isLoopback(hostname);
}

function usesOf({ listen, admin, store, identity, backends, alerts }: Plain): Use[] {
  const { redis } = store;
  const { jwt } = identity;
  const uses: Use[] = [];
  const add = (path: Use['path'], within: Use['path'], plain: boolean, meant: boolean | undefined) => {
    if (plain) uses.push({ path, asked: [...within, 'plaintext'], meant: meant === true });
  };
  add(['listen', 'host'], ['listen'], !listen.tls && !isLoopback(listen.host), listen.plaintext);
  if (admin) add(['admin', 'host'], ['admin'], !admin.tls && !isLoopback(admin.host), admin.plaintext);
  if (redis) {
    const { url, sentinel, cluster, plaintext } = redis;
    const at = ['store', 'redis'];
    if (url) add([...at, 'url'], at, isPlain(url), plaintext);
    if (sentinel)
      add([...at, 'sentinel'], at, !sentinel.tls && sentinel.nodes.some(({ host }) => !isLoopback(host)), plaintext);
    if (cluster) add([...at, 'cluster'], at, cluster.nodes.some(isPlain), plaintext);
  }
  if (jwt && 'url' in jwt.jwks)
    add(['identity', 'jwt', 'jwks', 'url'], ['identity', 'jwt', 'jwks'], isPlain(jwt.jwks.url), jwt.jwks.plaintext);
  for (const [name, { url, plaintext }] of Object.entries(backends))
    add(['backends', name, 'url'], ['backends', name], isPlain(url), plaintext);
  for (const [name, receiver] of Object.entries(alerts.receivers)) {
    const at = ['alerts', 'receivers', name];
    // An address that stands in a file is looked at when it is read.
    if ('url' in receiver && typeof receiver.url === 'string')
      add([...at, 'url'], at, isPlain(receiver.url), receiver.plaintext);
    if (receiver.type === 'syslog')
      add([...at, 'tls'], at, !receiver.tls && !isLoopback(receiver.host), receiver.plaintext);
  }
  return uses;
}

/** Plain text that nobody has asked for. */
export const checkPlaintext = (config: Plain): PathProblem[] =>
  usesOf(config).flatMap(({ path, asked, meant }) =>
    meant
      ? []
      : [
          {
            path,
            message: `is in plain text beyond this machine: use TLS, or say that it is meant with "${asked.join('.')}: true"`,
          },
        ],
  );

/** What is in plain text and meant to be, for the record of a start. */
export const plaintextOf = (config: Plain): string[] =>
  usesOf(config).flatMap(({ path, meant }) => (meant ? [path.slice(0, -1).join('.') || String(path[0])] : []));

/**
 * What weakens the way to a backend and is meant to, for the record of a start. `proxies`: the addresses of forward proxies
 * by the backends that are reached through them.
 */
export function meantOf(config: Plain, proxies: ReadonlyMap<string, string>): Record<string, string> {
  const overHttp = Object.entries(config.backends).filter(([, { session }]) => session.cookies_over_http);
  const facts = {
    plaintext: plaintextOf(config),
    cookies_over_http: overHttp.map(([name]) => `backends.${name}`),
    proxies: [...proxies].map(([name, url]) => `backends.${name} ${url}`),
  };
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, each]) => (each.length > 0 ? [[name, each.join(', ')]] : [])),
  );
}
