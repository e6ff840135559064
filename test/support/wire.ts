// Raw requests, byte for byte as an attacker would write them, and what came back.
import { connect, type Socket } from 'node:net';

export interface WireAnswer {
  /** Everything that came back. */
  text: string;
  /** Status of the first response, 0 when there was none. */
  status: number;
  /** When the connection was closed, in milliseconds after it was opened. */
  closedMs: number;
}

/** Opens a connection, lets `write` send, and answers once it is closed by the other side or `limitMs` has passed. */
export function wire(port: number, write: string | ((socket: Socket) => void), limitMs = 10_000): Promise<WireAnswer> {
  return new Promise((resolve) => {
    const began = performance.now();
    let text = '';
    const socket = connect(port, '127.0.0.1', () => (typeof write === 'string' ? socket.write(write) : write(socket)));
    const timer = setTimeout(() => socket.destroy(), limitMs);
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(text)?.[1] ?? 0);
      resolve({ text, status, closedMs: performance.now() - began });
    });
  });
}

/** The text of a request to /mcp with a JSON body. Later lines win where a test repeats one. */
export function requestText(body: string, lines: readonly string[], version = 'HTTP/1.1'): string {
  return [
    `POST /mcp ${version}`,
    'Host: localhost',
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...lines,
    '',
    body,
  ].join('\r\n');
}
