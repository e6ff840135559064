// Listens, and stops gracefully: no new connections, calls in flight may finish, bounded.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OperatorError } from '../core/errors.ts';

export interface Listener {
  /** The address that is listened on, as a URL without path. */
  readonly url: string;
  /** Resolves when all connections are closed; forced after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  host: string;
  port: number;
  requestSeconds: number;
}

export async function listen(
  handler: RequestListener,
  { host, port, requestSeconds }: ListenOptions,
): Promise<Listener> {
  const server = createServer(
    {
      maxHeaderSize: 32_768,
      requestTimeout: requestSeconds * 1000,
      headersTimeout: 15_000,
      keepAliveTimeout: 65_000,
      insecureHTTPParser: false,
    },
    handler,
  );
  server.maxHeadersCount = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new OperatorError(explain(error, host, port))));
    server.listen(port, host, () => resolve());
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    stop: (graceMs) => stop(server, graceMs),
  };
}

function stop(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), graceMs);
    // A kept-alive connection turns idle when its last answer is out, which may be after close().
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    server.close(() => {
      clearTimeout(force);
      clearInterval(idle);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): string {
  if (error.code === 'EADDRINUSE') return `${host}:${port} is in use; set PORT or listen.port to another port`;
  if (error.code === 'EACCES') return `${host}:${port} may not be used; choose a port above 1023`;
  return `cannot listen on ${host}:${port}: ${error.code ?? error.message}`;
}
