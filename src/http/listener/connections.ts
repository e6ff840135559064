// how many connections may be open at once. Each one takes a file descriptor, and whoever has used up all of
// them has also shut out the probes of the orchestrator, the store and the backends.
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { parseAddress } from '../../identity/address.ts';

/** Most connections at once: all together, and of one source (an IPv4 address, or a /64 of IPv6). */
export interface ConnectionLimits {
  total: number;
  perSource: number;
  /** Whether an address is that of a proxy, to which no limit for a source applies: it speaks for all its clients. */
  isProxy: (address: string) => boolean;
}

/** What became of a connection that there was no room for: it was not taken, or it was idle and gave way. */
export type Turned = 'refused' | 'gave_way';

/** The connections of a listener. */
export interface Connections {
  readonly open: number;
  /** Notes that a request has come, so that its connection is not idle until it is answered. */
  busy(request: IncomingMessage, response: ServerResponse): void;
  /** Closes those on which nothing has ever come: at a stop nobody waits for them. */
  closeSilent(): void;
  /** Closes those on which no request has ever been complete. One whose answer is still being read is none of them. */
  closeUnfinished(): void;
}

interface Connection {
  socket: Socket;
  source: string;
  requests: number;
  /** Whether any request has come. */
  served: boolean;
}

/** Most requests of one connection that may wait for their answers. Clients of MCP send the next one after the answer. */
const PIPELINED = 16;
/** Descriptors that are left for the store, the backends, the logs and Node itself. */
const RESERVED = 128;

/**
 * Keeps a server within the limits. When all places are taken, the connection that has been idle for the longest
 * time gives way to a new one, so that connections which only wait cannot keep a probe out. Where none is idle, or
 * the source has its share, the new one is closed at once.
 */
export function limitConnections(
  server: Server,
  { total, perSource, isProxy }: ConnectionLimits,
  onTurned: (what: Turned) => void,
): Connections {
  const connections = new Map<string, Connection>();
  const idle = new Map<string, Connection>();
  const sources = new Map<string, number>();

  const turn = (socket: Socket, what: Turned) => {
    socket.destroy();
    onTurned(what);
  };

  server.prependListener('connection', (socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) return void socket.destroy();
    const source = parseAddress(remoteAddress, { ipv4: 32, ipv6: 64 })?.network ?? remoteAddress;
    if ((sources.get(source) ?? 0) >= perSource && !isProxy(remoteAddress)) return turn(socket, 'refused');
    if (connections.size >= total) {
      const [oldest] = idle;
      if (!oldest) return turn(socket, 'refused');
      forget(...oldest);
      turn(oldest[1].socket, 'gave_way');
    }
    const key = keyOf(socket);
    const connection = { socket, source, requests: 0, served: false };
    connections.set(key, connection);
    idle.set(key, connection);
    sources.set(source, (sources.get(source) ?? 0) + 1);
    socket.once('close', () => forget(key, connection));
  });

  function forget(key: string, connection: Connection): void {
    if (connections.get(key) !== connection) return;
    connections.delete(key);
    idle.delete(key);
    const left = (sources.get(connection.source) ?? 1) - 1;
    if (left === 0) sources.delete(connection.source);
    else sources.set(connection.source, left);
  }

  return {
    get open() {
      return connections.size;
    },
    busy({ socket }, response) {
      const key = keyOf(socket);
      const connection = connections.get(key);
      if (!connection) return;
      connection.requests += 1;
      connection.served = true;
      if (connection.requests > PIPELINED) return turn(connection.socket, 'refused');
      idle.delete(key);
      let answered = false;
      const done = () => {
        if (answered) return;
        answered = true;
        connection.requests -= 1;
        if (connection.requests === 0 && connections.get(key) === connection) idle.set(key, connection);
      };
      // Whoever does not read his answers is not busy: he waits, like one who sends nothing.
      response.once('prefinish', done);
      response.once('close', done);
    },
    closeSilent() {
      for (const { socket } of idle.values()) if (socket.bytesRead === 0) socket.destroy();
    },
    closeUnfinished() {
      for (const { socket, served } of idle.values()) if (!served) socket.destroy();
    },
  };
}

/** Names a connection. The socket of a TLS connection is another object than the one that was accepted. */
const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/**
 * How many connections fit: as many as were asked for, unless this process may open fewer files. `descriptors` is
 * that limit, undefined where it is not known.
 */
export function connectionsWithin(asked: number, descriptors: number | undefined): number {
  if (descriptors === undefined) return asked;
  return Math.min(asked, Math.max(descriptors - RESERVED, Math.floor(descriptors / 2)));
}

/** How many files this process may have open (Linux), or undefined. */
export function descriptorLimit(): number | undefined {
  try {
    const limit = Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
    return Number.isInteger(limit) ? limit : undefined;
  } catch {
    return undefined;
  }
}
