// Connections to a backend, as undici wants them, with what it does not do itself: pinned keys, and servers that send an
// interim answer nobody asked for.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { PinError } from './failures.ts';
import type { BackendTls } from './tls.ts';

/** Makes the function with which a pool connects. */
export function createConnect({ options, pinned }: BackendTls, timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ ...options, timeout: timeoutMs });
  return (to, callback) =>
    connect(to, (error, socket) => {
      if (error || !socket) return callback(error ?? new Error('no connection'), null);
      // Nothing has been sent yet, so a backend that is not the one that is meant learns nothing.
      if (to.protocol === 'https:' && !pinned((socket as TLSSocket).getPeerX509Certificate())) {
        socket.destroy();
        return callback(new PinError(), null);
      }
      withoutContinue(socket);
      noteUse(socket);
      return callback(null, socket);
    });
}

/**
 * RFC 9110 §15.2: a client must be able to take an interim answer it did not ask for. undici takes every other one, and ends
 * the connection at `100 Continue`, when the backend has already begun to do what it was asked. So it is taken out of what
 * undici reads. Requests do not overlap on a connection, so an answer begins with the first bytes after something was sent.
 */
function withoutContinue(socket: Socket): void {
  const read = socket.read.bind(socket);
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let begins = true;
  let held: Buffer = Buffer.alloc(0);
  socket.write = ((...args: unknown[]) => {
    begins = true;
    return write(...args);
  }) as Socket['write'];
  socket.read = (size?: number) => {
    for (;;) {
      const chunk = read(size) as Buffer | null;
      if (!begins || chunk === null) return chunk;
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const rest = afterContinue(held);
      // What may still become an interim answer waits for the rest of it.
      if (rest === undefined) continue;
      begins = false;
      held = Buffer.alloc(0);
      if (rest.length > 0) return rest;
      begins = true;
    }
  };
}

const CONTINUE = /^HTTP\/1\.[01] 100[ \r\n]/;
const START = 13;
/** An interim answer is short. A longer one is left to undici, which refuses it. */
const LONGEST = 16_384;

/** What comes after the interim answers at the beginning, or undefined while that cannot be told. */
function afterContinue(bytes: Buffer): Buffer | undefined {
  let rest = bytes;
  for (;;) {
    if (rest.length === 0) return rest;
    const start = rest.toString('latin1', 0, START);
    if (start.length < START && 'HTTP/1.1 100'.startsWith(start.slice(0, 12).replace('1.0', '1.1'))) return undefined;
    if (!CONTINUE.test(start)) return rest;
    const end = /\r?\n\r?\n/.exec(rest.toString('latin1', 0, LONGEST));
    if (!end) return rest.length < LONGEST ? undefined : rest;
    rest = rest.subarray(end.index + end[0].length);
  }
}

const used = new WeakMap<object, Socket>();

/** Remembers which connection an error came from. */
function noteUse(socket: Socket): void {
  socket.prependListener('error', (error) => used.set(error, socket));
}

/**
 * Whether a request failed because the connection, on which the backend had answered before, was no longer there: backends
 * close connections that they kept alive, and some do so in the moment in which the next request comes.
 */
export function wasKeptAlive(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const bytes = used.get(error)?.bytesRead ?? (error as { socket?: { bytesRead?: number } }).socket?.bytesRead;
  const { code } = error as { code?: unknown };
  return (bytes ?? 0) > 0 && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED'].includes(String(code));
}
