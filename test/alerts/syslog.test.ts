import { createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Message } from '../../src/alerts/alert.ts';
import { createSyslogReceiver, type SyslogOptions } from '../../src/alerts/receivers/syslog.ts';
import { about } from '../support/alerts.ts';
import { type Certificates, createCertificates } from '../support/certificates.ts';
import { type Collector, startCollector } from '../support/receivers.ts';
import { freePort } from '../support/redis.ts';

const never = new AbortController().signal;
const message = (n: number): Message => {
  const of = about('replay.seen', `agent-${n} \u2028 "é`);
  return {
    id: `alert_${n}`,
    occurrence: 'occurrence-1',
    mark: '1',
    event: 'triggered',
    at: of.at,
    alert: of,
    count: 1,
    since: of.at,
    by: null,
  };
};
const program = inject('rsyslog');
const gaps: number[] = [];
const receiver = (port: number, more: Partial<SyslogOptions> = {}) =>
  createSyslogReceiver({
    ...{ host: '127.0.0.1', port, tls: undefined, facility: 'authpriv', timeoutMs: 5000, replica: 'host-1' },
    ...{ onGap: (messages) => void gaps.push(messages), ...more },
  });

let certificates: Certificates;
let collectors: Collector[] = [];
beforeAll(() => {
  certificates = createCertificates();
});
afterAll(() => certificates.remove());
afterEach(async () => {
  gaps.length = 0;
  for (const collector of collectors) await collector.remove();
  collectors = [];
});
const collector = async (tls?: Parameters<typeof startCollector>[2]): Promise<Collector> => {
  const started = await startCollector(program as string, await freePort(), tls);
  collectors.push(started);
  return started;
};

describe.skipIf(program === null || inject('openssl') === null)('R-63: the real rsyslog', () => {
  it('over TCP it has every alert when it counts as taken, in the form of RFC 5424', async () => {
    const rsyslog = await collector();
    const to = receiver(rsyslog.port);
    await Promise.all(Array.from({ length: 1200 }, (_, n) => to.send(message(n), never)));
    expect(
      rsyslog
        .alerts()
        .map(({ data }) => data.id)
        .sort(),
    ).toEqual(Array.from({ length: 1200 }, (_, n) => `alert_${n}`).sort());
    // authpriv.crit; the message begins behind a byte order mark.
    expect(rsyslog.lines()[0]).toMatch(/^82 2026-11-23T\S+ host-1 sallyport \d+ replay\.seen - \ufeff?\{/);
    expect(rsyslog.alerts().find(({ data }) => data.id === 'alert_3').data.client.id).toBe('agent-3 \u2028 "é');
    expect(gaps).toEqual([]);
  });

  it('over TLS as well, and never to one whose certificate is not trusted', async () => {
    const own = certificates.make('collector');
    const rsyslog = await collector({ ca: own.certFile, cert: own.certFile, key: own.keyFile });
    const to = receiver(rsyslog.port, { tls: { ca: own.cert } });
    await Promise.all(Array.from({ length: 300 }, (_, n) => to.send(message(n), never)));
    await to.send(message(300), never);
    expect(new Set(rsyslog.alerts().map(({ data }) => data.id)).size).toBe(301);
    const wrong = receiver(rsyslog.port, { tls: { ca: certificates.make('other').cert } });
    await expect(wrong.send(message(999), never)).rejects.toThrow(/its certificate is not trusted/);
    expect(rsyslog.lines().join()).not.toContain('alert_999');
    expect(gaps).toEqual([]);
  });

  it('while it is gone nothing counts as taken, and it is no gap', async () => {
    const rsyslog = await collector();
    await rsyslog.kill();
    await expect(receiver(rsyslog.port).send(message(1), never)).rejects.toThrow('no connection (ECONNREFUSED)');
    expect(gaps).toEqual([]);
  });
});

describe('R-64: what was in the socket of a collector that died', () => {
  /** A collector that does to a connection what the test wants, after it has read something. */
  const dying = async (end: (socket: Socket) => void, reads = true) => {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket.on('error', () => {}));
      if (reads) socket.once('data', () => end(socket));
      else {
        socket.pause();
        end(socket);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      port: (server.address() as { port: number }).port,
      close: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    };
  };

  it.each([
    ['it is reset', (socket: Socket) => socket.resetAndDestroy(), true, /the connection broke|closed the connection/],
    ['it is closed from the other side', (socket: Socket) => socket.destroy(), true, /broke|closed the connection/],
    [
      'the other side ends it first',
      (socket: Socket) => socket.end(),
      true,
      /closed the connection before everything was sent/,
    ],
    ['nobody reads', () => {}, false, /did not read everything within 0\.3 s/],
  ])('where %s, what was sent on the connection has not been taken, and is a gap', async (_name, end, reads, problem) => {
    const server = await dying(end, reads);
    try {
      const to = receiver(server.port, { timeoutMs: 300 });
      const results = await Promise.allSettled([1, 2, 3].map((n) => to.send(message(n), never)));
      for (const result of results) expect(String((result as PromiseRejectedResult).reason)).toMatch(problem);
      expect(gaps).toEqual([3]);
    } finally {
      server.close();
    }
  });
});
