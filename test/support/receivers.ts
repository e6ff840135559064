// Receivers of alerts, of the tests' own: a web server that keeps what it was sent and answers as a test wants it, and the real
// rsyslog.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithParent } from './children.ts';
import { type Loose, until } from './harness.ts';

export interface Received {
  headers: IncomingHttpHeaders;
  text: string;
  body: Loose;
  at: number;
}

export interface WebReceiver {
  url: string;
  port: number;
  received: Received[];
  /** Bodies of what was answered with 2xx. */
  taken: Loose[];
  /** What it answers; undefined: nothing, so the request hangs. */
  status: number | undefined;
  headers: Record<string, string>;
  /** Waits until it has taken so many. */
  has(count: number, what?: string): Promise<void>;
  close(): Promise<void>;
}

export async function startWebReceiver(
  options: { port?: number; tls?: { cert: string; key: string } } = {},
): Promise<WebReceiver> {
  const receiver: WebReceiver = {
    ...{ url: '', port: 0, received: [], taken: [], status: 200, headers: {} },
    async has(count, what = `${count} alerts at the receiver`) {
      await until(() => receiver.taken.length >= count, what, 15_000);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const serve: Parameters<typeof createServer>[1] = (request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      let body: Loose;
      try {
        body = JSON.parse(text);
      } catch {
        body = undefined;
      }
      receiver.received.push({ headers: request.headers, text, body, at: performance.now() });
      if (receiver.status === undefined) return;
      if (receiver.status < 300) receiver.taken.push(body);
      response.writeHead(receiver.status, receiver.headers).end('a word of the receiver');
    });
  };
  const server = options.tls ? createSecureServer(options.tls, serve) : createServer(serve);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  receiver.port = (server.address() as AddressInfo).port;
  receiver.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${receiver.port}/hook`;
  return receiver;
}

/** A signing secret of Standard Webhooks. */
export const signingSecret = (seed: string): string => `whsec_${Buffer.from(seed.padEnd(32, '.')).toString('base64')}`;

export interface Collector {
  port: number;
  /** The alerts in the file of the collector so far. */
  alerts(): Loose[];
  /** Lines of its file, whole. */
  lines(): string[];
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** The real rsyslog (`program`), over TCP or TLS. It writes what it has read before it reads on, so that nothing waits in its memory. */
export async function startCollector(
  program: string,
  port: number,
  tls?: { ca: string; cert: string; key: string },
): Promise<Collector> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-rsyslog-'));
  const out = join(dir, 'alerts.log');
  const driver = tls
    ? `global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="${tls.ca}" defaultNetstreamDriverCertFile="${tls.cert}" defaultNetstreamDriverKeyFile="${tls.key}")`
    : '';
  const mode = tls ? ' streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon"' : '';
  writeFileSync(
    join(dir, 'rsyslog.conf'),
    `global(workDirectory="${dir}" maxMessageSize="64k")
${driver}
main_queue(queue.type="Direct")
module(load="imtcp"${mode})
input(type="imtcp" address="127.0.0.1" port="${port}")
template(name="whole" type="string" string="%pri% %timestamp:::date-rfc3339% %hostname% %app-name% %procid% %msgid% %structured-data% %msg%\\n")
action(type="omfile" file="${out}" template="whole" asyncWriting="off" flushOnTXEnd="on")
`,
  );
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  const collector: Collector = {
    port,
    lines: () => (existsSync(out) ? readFileSync(out, 'utf8').split('\n').slice(0, -1) : []),
    alerts: () => collector.lines().map((line) => JSON.parse(line.slice(line.indexOf('{')))),
    async kill() {
      child?.kill('SIGKILL');
      await exited;
    },
    async start() {
      rmSync(join(dir, 'pid'), { force: true });
      const started = endWithParent(
        spawn(program, ['-n', '-f', join(dir, 'rsyslog.conf'), '-i', join(dir, 'pid')], { stdio: 'ignore' }),
      );
      child = started;
      exited = new Promise((resolve) => started.once('exit', () => resolve()));
      await until(() => answers(port), 'rsyslog to listen', 15_000);
    },
    async remove() {
      await collector.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  await collector.start();
  return collector;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
