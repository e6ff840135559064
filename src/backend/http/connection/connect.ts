// Connections to a backend, as undici wants them, with what it does not do itself: pinned keys, and servers that send an
// interim answer nobody asked for.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { PinError } from '../failures.ts';
import { type ForwardProxy, tunnel } from './proxy.ts';
import type { BackendTls } from './tls.ts';

/** Makes the function with which a pool connects: to the backend, or through a proxy to a backend with TLS. */
export function createConnect(
  { options, pinned }: BackendTls,
  timeoutMs: number,
  proxy?: ForwardProxy,
): buildConnector.connector {
  const direct = buildConnector({ ...options, timeout: timeoutMs });
  const connect: buildConnector.connector = (to, callback) => {
    if (!proxy) return direct(to, callback);
    tunnel(proxy, to.hostname, Number(to.port || 443), timeoutMs).then(
      (httpSocket) => direct({ ...to, httpSocket }, callback),
      (thrown: Error) => callback(thrown, null),
    );
  };
  return (to, callback) =>
    connect(to, (error, socket) => {
      if (error || !socket) return callback(error ?? new Error('no connection'), null);
      // Nothing has been sent yet, so a backend that is not the one that is meant learns nothing.
      if (to.protocol === 'https:' && !pinned((socket as TLSSocket).getPeerX509Certificate())) {
        socket.destroy();
        return callback(new PinError(), null);
      }
      const answered = withoutInterim(socket);
      socket.prependListener('error', (lostBy) => {
        if (answered()) lost.add(lostBy);
      });
      return callback(null, socket);
    });
}

/**
 * RFC 9110 §15.2: a client must be able to take interim answers it did not ask for. undici ends the connection at
 * `100 Continue`, when the backend has already begun to do what it was asked. So they are taken out of what undici reads.
 * Requests do not overlap on a connection, so an answer begins with the first bytes after something was sent. Answers
 * whether an answer has come on this connection.
 */
function withoutInterim(socket: Socket): () => boolean {
  const read = socket.read.bind(socket);
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let begins = true;
  let answered = false;
  let held: Buffer = Buffer.alloc(0);
  socket.write = ((...args: unknown[]) => {
    begins = true;
    return write(...args);
  }) as Socket['write'];
  let interim = 0;
  socket.read = (size?: number) => {
    for (;;) {
      const chunk = read(size) as Buffer | null;
      if (!begins || chunk === null) return chunk;
      let rest: Buffer = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      for (;;) {
        const end = endOfInterim(rest);
        if (typeof end !== 'number') {
          held = end === 'unknown' ? rest : Buffer.alloc(0);
          break;
        }
        rest = rest.subarray(end);
        held = rest;
        interim += 1;
      }
      if (interim > MOST || held.length > LONGEST) {
        socket.destroy(new InterimError());
        return null;
      }
      // What may still become an interim answer waits for the rest of it.
      if (held.length > 0 || rest.length === 0) continue;
      begins = false;
      interim = 0;
      answered = true;
      return rest;
    }
  };
  return () => answered;
}

/** 101 is no interim answer: the connection speaks something else from then on. */
const INTERIM = /^HTTP\/1\.[01] 1(?!01)\d\d[ \r\n]/;
const BEGINS = /^H(T(T(P(\/(1(\.([01]( (1(\d(\d)?)?)?)?)?)?)?)?)?)?)?$/;
const START = 13;
/** Most interim answers before an answer, and the longest of them: they are few and short. */
const MOST = 32;
const LONGEST = 8192;

/** Where the interim answer at the beginning ends; `none` when there is none, `unknown` while that cannot be told. */
function endOfInterim(bytes: Buffer): number | 'none' | 'unknown' {
  const start = bytes.toString('latin1', 0, START);
  if (start.length < START) return BEGINS.test(start) ? 'unknown' : 'none';
  if (!INTERIM.test(start)) return 'none';
  const end = /\r?\n\r?\n/.exec(bytes.toString('latin1', 0, LONGEST + 1));
  return end ? end.index + end[0].length : 'unknown';
}

/** The backend sends interim answers and no answer. */
class InterimError extends Error {
  readonly code = 'ERR_INTERIM_ANSWERS';
}

/** Errors of connections on which the backend had answered before. */
const lost = new WeakSet<object>();

/**
 * Whether a request failed because the connection, on which the backend had answered before, was no longer there: backends
 * close connections that they kept alive, and some do so in the moment in which the next request comes.
 */
export const wasKeptAlive = (error: unknown): boolean => typeof error === 'object' && error !== null && lost.has(error);
