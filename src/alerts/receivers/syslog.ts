// RFC 5424 over TCP with octet counting (RFC 6587), or over TLS (RFC 5425). The protocol has no acknowledgement: what stands in
// the socket of a collector that dies is lost, and the sender never hears of it. So a connection is closed after what was to be
// said, and the alerts count as taken when the collector closes it as well: a program does that when it has read to the end.
// What was sent on a connection that ended in any other way is sent again, and counted as a gap.
import { connect as connectPlainly, isIP, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { escapeUnseen } from '../../core/printable.ts';
import { within } from '../../core/within.ts';
import type { Severity } from '../../decision/alerts/codes.ts';
import type { Message } from '../alert.ts';
import { payloadOf } from './payload.ts';
import { codeOf } from './post.ts';
import { DeliveryError, type Receiver } from './receiver.ts';

export const FACILITIES = {
  ...{ daemon: 3, auth: 4, authpriv: 10, local0: 16, local1: 17, local2: 18, local3: 19 },
  ...{ local4: 20, local5: 21, local6: 22, local7: 23 },
} as const;

export interface SyslogOptions {
  host: string;
  port: number;
  /** undefined: plain text. */
  tls: { ca?: string; cert?: string; key?: string } | undefined;
  facility: keyof typeof FACILITIES;
  timeoutMs: number;
  replica: string;
  /** So many were sent on a connection that broke, and are sent again. */
  onGap: (messages: number) => void;
}

/** So long a connection waits for more to be sent, in milliseconds. */
const LINGER_MS = 50;
/** How long a collector may take to read to the end when this process ends, in milliseconds. */
const CLOSING_MS = 1000;
/** Most that is sent on one connection: so much is sent again where it breaks. */
const MOST_AT_ONCE = 500;

const LEVELS: Record<Severity, number> = { high: 2, medium: 4, low: 5 };
const INFORMATIONAL = 6;

/** One connection, and those who wait for its end. */
interface Line {
  socket: Socket;
  sent: { resolve(): void; reject(error: DeliveryError): void }[];
  /** Nothing more is sent on it. */
  ended: boolean;
}

export function createSyslogReceiver(options: SyslogOptions): Receiver {
  const { host, port, tls, timeoutMs, onGap } = options;
  let present: Line | undefined;
  const open = new Set<Line>();

  function begin(): Line {
    // Half of it may be closed while the other half is open: that is how the collector says that it has read all.
    const at = { host, port, allowHalfOpen: true };
    const socket = tls
      ? connectSecurely({ ...at, ...tls, ...serverName(host), rejectUnauthorized: true })
      : connectPlainly(at);
    const line: Line = { socket, sent: [], ended: false };
    open.add(line);
    let connected = false;
    let problem: string | undefined;
    let finished = false;
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      connected = true;
    });
    socket.on('error', (error) => {
      problem ??= connected
        ? `the connection broke (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
        : codeOf(error);
    });
    // What a collector says is no answer to anything.
    socket.resume();
    socket.once('end', () => {
      finished = line.ended && socket.writableFinished;
      if (!finished) problem ??= 'it closed the connection before everything was sent';
      socket.destroy();
    });
    const timer = setTimeout(() => {
      problem ??= connected
        ? `it did not read everything within ${timeoutMs / 1000} s`
        : `no connection within ${timeoutMs / 1000} s`;
      socket.destroy();
    }, timeoutMs);
    socket.once('close', () => {
      clearTimeout(timer);
      open.delete(line);
      if (present === line) present = undefined;
      line.ended = true;
      const read = finished && problem === undefined;
      if (!read && connected && line.sent.length > 0) onGap(line.sent.length);
      const error = new DeliveryError(problem ?? 'the connection broke');
      for (const { resolve, reject } of line.sent) read ? resolve() : reject(error);
    });
    return line;
  }

  let lingering: NodeJS.Timeout | undefined;
  function endSoon(line: Line): void {
    const end = () => {
      clearTimeout(lingering);
      lingering = undefined;
      if (present === line) present = undefined;
      line.ended = true;
      line.socket.end();
    };
    if (line.sent.length >= MOST_AT_ONCE) end();
    // Counted from the first: where alerts trickle a connection would else never end.
    else lingering ??= setTimeout(end, LINGER_MS);
  }

  return {
    concurrency: MOST_AT_ONCE,
    send(message, signal) {
      if (signal.aborted) return Promise.reject(new DeliveryError('the connector stops'));
      present ??= begin();
      const line = present;
      return new Promise((resolve, reject) => {
        line.sent.push({ resolve, reject });
        line.socket.write(framed(frameOf(message, options)));
        endSoon(line);
      });
    },
    async close() {
      clearTimeout(lingering);
      const ends = [...open].map((line) => {
        line.ended = true;
        line.socket.end();
        return new Promise<void>((resolve) => line.socket.once('close', () => resolve()));
      });
      await within(Promise.all(ends), CLOSING_MS);
      for (const { socket } of open) socket.destroy();
    },
  };
}

/** A name is verified against the certificate, and so is an address, which is no server name (RFC 6066, 3). */
const serverName = (host: string) => (isIP(host) === 0 ? { servername: host } : {});

const framed = (message: Buffer): Buffer => Buffer.concat([Buffer.from(`${message.length} `), message]);

/** The message is JSON behind a byte order mark, which says that it is UTF-8 (RFC 5424, 6.4). */
function frameOf(message: Message, { facility, replica }: Pick<SyslogOptions, 'facility' | 'replica'>): Buffer {
  const { alert, event, at } = message;
  const level = event === 'triggered' || event === 'repeated' ? LEVELS[alert.severity] : INFORMATIONAL;
  const head = `<${FACILITIES[facility] * 8 + level}>1 ${at} ${word(replica, 255)} sallyport ${process.pid} ${word(alert.code, 32)} -`;
  return Buffer.from(`${head} \ufeff${escapeUnseen(JSON.stringify(payloadOf(message, replica)))}`);
}

/** A field of the header: printable ASCII without spaces. */
const word = (text: string, most: number): string => text.replace(/[^\x21-\x7e]/g, '_').slice(0, most) || '-';
