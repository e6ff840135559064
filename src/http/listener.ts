// Opens a listener that can be stopped gracefully: it takes no new connections, and calls in flight may finish
// within a limited time.
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createSecureContext, type TlsOptions } from 'node:tls';
import { messageOf, OperatorError } from '../core/errors.ts';
import { refuseReadableByOthers } from '../core/private-file.ts';

/** An open HTTP or HTTPS listener. */
export interface Listener {
  /** The address it listens on, as a URL without path. */
  readonly url: string;
  /** Hands requests to the application from now on; before that each is answered 503. */
  serve(handler: RequestListener): void;
  /** Stops listening and resolves when all connections are closed. Those still open after `graceSeconds` are cut. */
  close(): Promise<void>;
}

/**
 * Where to listen. `requestSeconds` is the longest that receiving one request may take, `graceSeconds` the longest
 * that calls in flight may take once the listener stops; `tls` names PEM files.
 */
export interface ListenOptions {
  host: string;
  port: number;
  requestSeconds: number;
  graceSeconds: number;
  tls?: { cert_file: string; key_file: string; client_ca_file?: string | undefined } | undefined;
}

/**
 * Starts to listen before there is an application, which must know the port it is reached at. Rejects with an
 * OperatorError when the port cannot be used or the TLS files do not fit.
 */
export async function listen({ host, port, requestSeconds, graceSeconds, tls }: ListenOptions): Promise<Listener> {
  let application: RequestListener = (_request, response) => void response.writeHead(503).end();
  const handler: RequestListener = (request, response) => application(request, response);
  const limits = {
    maxHeaderSize: 32_768,
    requestTimeout: requestSeconds * 1000,
    headersTimeout: 15_000,
    keepAliveTimeout: 65_000,
    insecureHTTPParser: false,
  };
  const server = tls ? createSecureServer({ ...limits, ...readTls(tls) }, handler) : createServer(limits, handler);
  server.maxHeadersCount = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new OperatorError(explain(error, host, port))));
    server.listen(port, host, () => resolve());
  });
  const bound = (server.address() as AddressInfo).port;
  let stopped: Promise<void> | undefined;
  return {
    url: `http${tls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    serve(handler) {
      application = handler;
    },
    close() {
      stopped ??= stop(server, graceSeconds * 1000);
      return stopped;
    },
  };
}

/**
 * Reads certificate, key and client CA; throws an OperatorError when they cannot be used. A client certificate is
 * requested but not demanded: the access token says whether there must be one, and which (RFC 8705 §3). Whether
 * its CA is accepted is decided together with the credential.
 */
export function readTls({ cert_file, key_file, client_ca_file }: NonNullable<ListenOptions['tls']>): TlsOptions {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (thrown) {
      throw new OperatorError(`listen.tls: ${messageOf(thrown)}`);
    }
  };
  refuseReadableByOthers(key_file);
  const material = {
    cert: read(cert_file),
    key: read(key_file),
    ...(client_ca_file !== undefined && { ca: read(client_ca_file) }),
  };
  try {
    createSecureContext(material);
  } catch {
    throw new OperatorError(`listen.tls: ${cert_file} and ${key_file} are not a certificate and its key (PEM)`);
  }
  return { ...material, minVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: false };
}

function stop(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), graceMs);
    // A kept-alive connection becomes idle only after its last answer is sent, which may be after close(), so
    // idle connections are looked for again and again.
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
