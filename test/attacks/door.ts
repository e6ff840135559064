// What strangers send to the listener itself: addresses that are forged, requests that never end, connections that
// only wait.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Harness, HOME, reasons, startHarness } from '../support/harness.ts';
import { onPath } from '../support/on-path.ts';
import { startHaproxy } from '../support/proxies.ts';
import { requestText, wire } from '../support/wire.ts';
import type { AttackGroup } from './attack.ts';

const FORGED = '203.0.113.9';
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'stock_list' } });
const portOf = (h: Harness) => Number(new URL(h.url).port);
const seen = async (h: Harness) => [...new Set((await h.audit('decision')).map(({ input }) => input.client.ip))];

export const doorAttacks: AttackGroup = {
  name: 'door',
  attacks: [
    {
      id: 45,
      title:
        'R-10, R-86: a client behind a real HAProxy sends so many header lines that the last one, with its address, is beyond them',
      expected: 'the policy saw 127.0.0.1',
      async run() {
        const program = onPath('haproxy');
        if (program === null) throw new Error('needs haproxy');
        const h = await startHarness();
        const proxy = await startHaproxy(program, h.url);
        try {
          for (let count = 80; count < 97; count++) {
            const filler = Array.from({ length: count }, (_, i) => `X-Filler-${i}: a`);
            await wire(
              proxy.port,
              requestText(CALL, [`Authorization: Bearer ${h.key}`, `X-Forwarded-For: ${FORGED}`, ...filler]),
            );
          }
          return `the policy saw ${(await seen(h)).join()}`;
        } finally {
          await proxy.stop();
          await h.close();
        }
      },
    },
    {
      id: 46,
      title: 'R-10: a peer that is no proxy says who it is',
      expected: 'the policy saw 127.0.0.1',
      async run() {
        const h = await startHarness({
          edit: (yaml) => yaml.replace('proxy_hops: 1', 'proxy_hops: 1\ntrusted_proxies: [10.0.0.0/8]'),
        });
        try {
          await h.call('stock_list', {}, { ip: FORGED });
          return `the policy saw ${(await seen(h)).join()}`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 47,
      title:
        'R-86: after a refused credential a body of two gigabytes follows, or one that never comes; 100 Continue is asked for',
      expected: '401, little read; 401, closed; 401 without 100 Continue',
      async run() {
        const h = await startHarness();
        try {
          const refused = (...lines: string[]) =>
            ['POST /mcp HTTP/1.1', 'Host: localhost', 'Authorization: Bearer sp_wrong', `X-Forwarded-For: ${HOME}`]
              .concat('Content-Type: application/json', lines, '', '')
              .join('\r\n');
          let sent = 0;
          const huge = await wire(portOf(h), (socket) => {
            socket.write(refused('Content-Length: 2000000000'));
            const chunk = Buffer.alloc(65_536, 0x20);
            const pump = () => {
              while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
            };
            socket.on('drain', pump);
            socket.once('data', pump);
          });
          const never = await wire(portOf(h), refused('Content-Length: 9'));
          const asked = await wire(portOf(h), refused('Content-Length: 9', 'Expect: 100-continue'), 3000);
          return `${huge.status}, ${sent < 32 * 1024 * 1024 ? 'little' : `${sent} bytes`} read; ${never.status}, ${
            never.closedMs < 8000 ? 'closed' : 'held'
          }; ${asked.status} ${asked.text.includes('100 Continue') ? 'after' : 'without'} 100 Continue`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 48,
      title: 'R-86: connections that only wait take all places',
      expected: 'a probe is answered 200',
      async run() {
        const h = await startHarness({
          edit: (yaml) => yaml.replace('state_dir:', 'limits: { connections: 64 }\nstate_dir:'),
        });
        const open: Socket[] = [];
        try {
          for (let i = 0; i < 300; i++)
            await new Promise<void>((resolve) => {
              const socket = connect(portOf(h), '127.0.0.1', () => resolve());
              socket.on('error', () => {});
              open.push(socket);
            });
          const probe = await fetch(new URL('/healthz', h.url), { signal: AbortSignal.timeout(5000) });
          return `a probe is answered ${probe.status}`;
        } finally {
          for (const socket of open) socket.destroy();
          await h.close();
        }
      },
    },
    {
      id: 55,
      title: 'R-86: header lines and a body come so slowly that they never end',
      expected: 'both closed at their deadline',
      async run() {
        const h = await startHarness({
          edit: (yaml) => yaml.replace('state_dir:', 'limits: { request_seconds: 20 }\nstate_dir:'),
        });
        try {
          const slowly = (first: string, more: string) =>
            wire(
              portOf(h),
              (socket) => {
                socket.write(first);
                const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(more)), 1000);
              },
              60_000,
            );
          const body = requestText('', [`Authorization: Bearer ${h.key}`, `X-Forwarded-For: ${HOME}`]);
          const [headers, content] = await Promise.all([
            slowly('POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A', 'a'),
            slowly(body.replace('Length: 0', 'Length: 9999'), ' '),
          ]);
          const late = [headers.closedMs > 19_000 && 'headers', content.closedMs > 24_000 && 'body'].filter(Boolean);
          return late.length === 0 ? 'both closed at their deadline' : `late: ${late.join(', ')}`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 56,
      title: 'R-62, A03: text of a client has line ends of Unicode; the log file is one that everybody can write',
      expected: 'every record on one line; the start is refused',
      async run() {
        const h = await startHarness();
        const file = join(h.stateDir, 'decisions.jsonl');
        try {
          await h.call('x\u2028{"type":"decision"}\u2029\u0085\u202e');
          await h.audit();
          const lines = readFileSync(file, 'utf8')
            .split(/[\n\r\u0085\u2028\u2029]/)
            .slice(0, -1);
          const whole = lines.every((line) => {
            try {
              return typeof JSON.parse(line).timestamp === 'string';
            } catch {
              return false;
            }
          });
          const open = mkdtempSync(join(tmpdir(), 'sallyport-open-log-'));
          const other = join(open, 'log.jsonl');
          writeFileSync(other, '');
          chmodSync(other, 0o666);
          const started = await startHarness({ edit: (yaml) => `${yaml}\naudit: { file: ${other} }\n` }).then(
            async (second) => {
              await second.close();
              return 'accepted';
            },
            () => 'refused',
          );
          rmSync(open, { recursive: true, force: true });
          return `${whole ? 'every record on one line' : 'records on several lines'}; the start is ${started}`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 57,
      title: 'R-60: the disk of the log is full, and the counts are asked for',
      expected: 'refused 5 of 5; no decision counted',
      async run() {
        process.env.SALLYPORT_ATTACK_TOKEN = 'admin-token-of-the-attacks-0123456789abcdef';
        const h = await startHarness({
          edit: (yaml) =>
            `${yaml}\naudit: { file: /dev/full }\nadmin: { port: 0, token: { env: SALLYPORT_ATTACK_TOKEN } }\n`,
        });
        try {
          let refused = 0;
          for (let i = 0; i < 5; i++)
            if (reasons(await h.call('stock_list')).includes('audit.unavailable')) refused += 1;
          const headers = { authorization: `Bearer ${process.env.SALLYPORT_ATTACK_TOKEN}` };
          const text = await (await fetch(new URL('/metrics', h.connector.adminUrl), { headers })).text();
          const counted = [...text.matchAll(/^sallyport_decisions_total\{.*\} (\d+)/gm)].reduce(
            (n, [, c]) => n + Number(c),
            0,
          );
          return `refused ${refused} of 5; ${counted === 0 ? 'no decision' : counted} counted`;
        } finally {
          await h.close();
        }
      },
    },
  ],
};
