// A forward proxy between the connector and a backend. Only the configuration sends a backend through one: a variable of the
// environment that happens to be set must not lead sessions past somebody else.
import { type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { Socket } from 'node:net';
import type { BackendConfig } from '../../../config/schema/backend.ts';
import { resolveSecret } from '../../../config/secrets.ts';
import { OperatorError } from '../../../core/errors.ts';

export interface ForwardProxy {
  url: URL;
  /** Value of the Proxy-Authorization header (RFC 9110 §11.7.2), where the proxy wants one. */
  authorization: string | undefined;
}

/**
 * The proxy of a backend, or undefined. With `environment` it is that of HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY names
 * the backend. `part` is its key in the configuration. Throws an OperatorError.
 */
export function proxyOf(
  { proxy, url: backend }: Pick<BackendConfig, 'proxy' | 'url'>,
  env: NodeJS.ProcessEnv,
  part: string,
): ForwardProxy | undefined {
  if (proxy === undefined) return undefined;
  if (proxy === 'environment') return fromEnvironment(new URL(backend), env);
  if (typeof proxy === 'string') return { url: new URL(proxy), authorization: undefined };
  const { url, user, password } = proxy;
  if (user === undefined) return { url: new URL(url), authorization: undefined };
  const secret = password === undefined ? '' : resolveSecret(password, `${part}.password`, env).reveal();
  return { url: new URL(url), authorization: basic(user, secret) };
}

function fromEnvironment({ protocol, hostname, port }: URL, env: NodeJS.ProcessEnv): ForwardProxy | undefined {
  const name = protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  // The small letters are the older custom, and the only one that all programs know.
  const value = env[name.toLowerCase()] || env[name];
  if (!value || isExcepted(hostname, port || (protocol === 'https:' ? '443' : '80'), env)) return undefined;
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new OperatorError(`${name} is no address of an HTTP proxy, and a backend says "proxy: environment"`);
  const url = new URL(text);
  const authorization =
    url.username === '' ? undefined : basic(decodeURIComponent(url.username), decodeURIComponent(url.password));
  return { url: new URL(url.origin), authorization };
}

/** NO_PROXY as curl reads it: names with all that end in them, addresses, each with a port where that matters, or "*". */
function isExcepted(hostname: string, port: string, env: NodeJS.ProcessEnv): boolean {
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, '');
  return (env.no_proxy || env.NO_PROXY || '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, name = entry, only] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(entry) ?? [];
      const bare = name.replace(/^\*?\./, '');
      return entry === '*' || ((only ?? port) === port && (host === bare || host.endsWith(`.${bare}`)));
    });
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/** The proxy has not let a connection through. */
class ProxyRefusedError extends Error {
  readonly code: string;
  constructor(status: number) {
    super('the proxy refused');
    this.code = `ERR_PROXY_${status}`;
  }
}

/** A connection through the proxy to a host (RFC 9110 §9.3.6). Rejects when the proxy does not let it through in time. */
export function tunnel(
  { url, authorization }: ForwardProxy,
  host: string,
  port: number,
  timeoutMs: number,
): Promise<Socket> {
  const target = `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
  const options: RequestOptions = {
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
    agent: false,
    timeout: timeoutMs,
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? requestTls : requestPlain)(url, options);
    request.on('connect', ({ statusCode = 0 }, socket, head) => {
      if (statusCode < 200 || statusCode >= 300 || head.length > 0) {
        socket.destroy();
        return reject(new ProxyRefusedError(statusCode));
      }
      return resolve(socket as Socket);
    });
    request.on('timeout', () => request.destroy(Object.assign(new Error('late'), { code: 'ERR_PROXY_TIMEOUT' })));
    request.on('response', (response) => {
      response.resume();
      request.destroy();
      reject(new ProxyRefusedError(response.statusCode ?? 0));
    });
    request.on('error', reject);
    request.end();
  });
}
