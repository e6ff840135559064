// Opens a listener that can be stopped gracefully: it takes no new connections, and calls in flight may finish
// within a limited time.
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { OperatorError } from '../../core/errors.ts';
import { type Checked, type Reloadable, UNCHANGED } from '../../core/files/reloadable.ts';
import { type ConnectionLimits, limitConnections, type Turned } from './connections.ts';
import { behindFront, refuseExpectation } from './front.ts';
import { readTls, type TlsFiles } from './tls.ts';

/** An open HTTP or HTTPS listener. */
export interface Listener {
  /** The address it listens on, as a URL without path. */
  readonly url: string;
  /** How many connections are open. */
  readonly connections: number;
  /** Its certificate and key, which can be read again; connections that are open keep theirs. */
  readonly reloadable: readonly Reloadable[];
  /** Hands requests to the application from now on; before that each is answered 503. */
  serve(handler: RequestListener): void;
  /** From now on each answer ends its connection, so that clients and proxies go elsewhere by themselves. */
  drain(): void;
  /** Stops listening and resolves when all connections are closed. Those still open after `graceSeconds` are cut. */
  close(): Promise<void>;
  /** Cuts every connection now. */
  cut(): void;
}

/**
 * Where to listen. `requestSeconds` is the longest that receiving one request may take, `graceSeconds` the longest
 * that calls in flight may take once the listener stops (without it whoever stops it cuts them); `tls` names PEM files.
 */
export interface ListenOptions {
  host: string;
  port: number;
  requestSeconds: number;
  graceSeconds?: number;
  tls?: TlsFiles | undefined;
  /** The key of connector.yaml that names the TLS files. */
  tlsPart?: string;
  /** Whether a client certificate of the CA of `tls` is demanded. */
  clientCertificates?: 'asked' | 'demanded';
  connections: ConnectionLimits;
  /** Told of each connection that there was no room for. */
  onTurned?: ((what: Turned) => void) | undefined;
}

/** How long the header lines of a request, or a TLS handshake, may take. */
const HEADERS_MS = 15_000;
/** How long a request may still arrive once the listener stops. */
const UNFINISHED_MS = 1000;
/** How often deadlines are looked at: so much later than said may a slow connection be closed. */
const CHECK_MS = 1000;

/**
 * Starts to listen before there is an application, which must know the port it is reached at. Rejects with an
 * OperatorError when the port cannot be used or the TLS files do not fit.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, requestSeconds, graceSeconds, tls, onTurned = () => {} } = options;
  const material = () => readTls(tls as TlsFiles, options.clientCertificates === 'demanded', options.tlsPart);
  const first = tls && material();
  let application: RequestListener = (_request, response) => void response.writeHead(503).end();
  const limits = {
    maxHeaderSize: 32_768,
    requestTimeout: requestSeconds * 1000,
    headersTimeout: Math.min(HEADERS_MS, requestSeconds * 1000),
    connectionsCheckingInterval: CHECK_MS,
    keepAliveTimeout: 65_000,
    insecureHTTPParser: false,
  };
  const server = first
    ? createSecureServer({ ...limits, ...first, handshakeTimeout: HEADERS_MS })
    : createServer(limits);
  // No limit of Node's own, because it would drop the lines beyond it; see HEADER_LINES in front.ts.
  server.maxHeadersCount = 0;
  const connections = limitConnections(server, options.connections, onTurned);
  const front = behindFront((request, response) => application(request, response));
  let draining = false;
  /**
   * Answers that have not been sent yet: when the listener drains, they end their connections as well. It is a list for the
   * reason that countCalls gives.
   */
  const open: ServerResponse[] = [];
  const drain = () => {
    draining = true;
    for (const response of open) if (!response.headersSent) response.shouldKeepAlive = false;
  };
  const handler: RequestListener = (request, response) => {
    connections.busy(request, response);
    if (draining) response.shouldKeepAlive = false;
    else {
      open.push(response);
      response.once('close', () => {
        const last = open.pop();
        if (last && last !== response) open[open.indexOf(response)] = last;
      });
    }
    front(request, response);
  };
  server.on('request', handler);
  // Without this listener Node would ask for the body before anybody has looked at the credential.
  server.on('checkContinue', handler);
  // And without this one it would answer by itself, and read on.
  server.on('checkExpectation', (request, response) => {
    connections.busy(request, response);
    refuseExpectation(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new OperatorError(explain(error, host, port, options.tlsPart))),
    );
    server.listen(port, host, () => resolve());
  });
  const bound = (server.address() as AddressInfo).port;
  let stopped: Promise<void> | undefined;
  return {
    url: `http${tls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    reloadable: first
      ? [{ part: options.tlsPart ?? 'listen.tls', check: checkTls(server as SecureServer, first, material) }]
      : [],
    get connections() {
      return connections.open;
    },
    serve(handler) {
      application = handler;
    },
    drain,
    close() {
      drain();
      stopped ??= stop(server, graceSeconds);
      connections.closeSilent();
      // Whoever has not sent a whole request by then keeps nobody waiting.
      setTimeout(() => connections.closeUnfinished(), UNFINISHED_MS).unref();
      return stopped;
    },
    cut: () => server.closeAllConnections(),
  };
}

/** New connections get the new certificate. */
function checkTls(server: SecureServer, first: TlsOptions, read: () => TlsOptions): () => Checked {
  const textOf = ({ cert, key, ca }: TlsOptions) => [cert, key, ca].map(String).join('\0');
  let before = textOf(first);
  return () => {
    const fresh = read();
    if (textOf(fresh) === before) return UNCHANGED;
    return {
      result: 'changed',
      apply() {
        before = textOf(fresh);
        server.setSecureContext(fresh);
      },
    };
  };
}

function stop(server: Server, graceSeconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    const force =
      graceSeconds === undefined ? undefined : setTimeout(() => server.closeAllConnections(), graceSeconds * 1000);
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

function explain(error: NodeJS.ErrnoException, host: string, port: number, part = 'listen.tls'): string {
  const key = part === 'listen.tls' ? 'PORT or listen.port' : part.replace('.tls', '.port');
  if (error.code === 'EADDRINUSE') return `${host}:${port} is in use; set ${key} to another port`;
  if (error.code === 'EACCES') return `${host}:${port} may not be used; choose a port above 1023`;
  return `cannot listen on ${host}:${port}: ${error.code ?? error.message}`;
}
