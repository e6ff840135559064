// The edge of the process: what strangers can make it hold, and for how long.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { endWithParent } from '../support/children.ts';
import { type Harness, HOME, startHarness, until } from '../support/harness.ts';
import { requestText, wire } from '../support/wire.ts';

const portOf = (url: string) => Number(new URL(url).port);
const authorized = (h: Harness, ...lines: string[]) => [`Authorization: Bearer ${h.key}`, ...lines];

describe('R-86: deadlines and the number of connections', () => {
  let h: Harness;
  let open: Socket[] = [];
  afterEach(async () => {
    for (const socket of open) socket.destroy();
    open = [];
    await h.close();
  });
  const limited = async (limits: string) => {
    h = await startHarness({ edit: (yaml) => yaml.replace('state_dir:', `limits: { ${limits} }\nstate_dir:`) });
  };
  const idle = () =>
    new Promise<Socket>((resolve) => {
      const socket = connect(portOf(h.url), '127.0.0.1', () => resolve(socket));
      socket.on('error', () => {});
      open.push(socket);
    });

  it.each([
    ['header lines', 'POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A', 'a'],
    ['no bytes at all', '', ''],
    ['a body', 'BODY', ' '],
  ])('slow %s end with the deadline', async (_what, first, more) => {
    await limited('request_seconds: 3');
    const start =
      first === 'BODY'
        ? requestText('', authorized(h, `X-Forwarded-For: ${HOME}`)).replace('Length: 0', 'Length: 99')
        : first;
    const answer = await wire(portOf(h.url), (socket) => {
      socket.write(start);
      const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : more && socket.write(more)), 200);
    });
    expect(answer.closedMs).toBeGreaterThan(2000);
    expect(answer.closedMs).toBeLessThan(6000);
  });

  it('connections that only wait give way to a new one, and are counted', async () => {
    await limited('connections: 8');
    for (let i = 0; i < 20; i++) await idle();
    expect((await fetch(new URL('/healthz', h.url))).status).toBe(200);
    await until(() => open.filter((socket) => socket.destroyed).length >= 12, 'idle connections to be closed');
    expect((await h.call('stock_list')).status).toBe(200);
  });

  it.skipIf(process.platform !== 'linux')(
    '300 idle connections against a limit of 256 files leave a probe its place',
    async () => {
      const dir = mkdtempSync(join(tmpdir(), 'sallyport-files-'));
      const main = join(PACKAGE_ROOT, 'dist', 'main.js');
      const child = endWithParent(
        spawn('sh', ['-c', `ulimit -n 256; exec "${process.execPath}" "${main}" serve --port 0 --json`], {
          cwd: dir,
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      );
      const exited = new Promise((resolve) => child.once('exit', resolve));
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk;
      });
      try {
        let url = '';
        for await (const line of createInterface({ input: child.stdout })) {
          url = JSON.parse(line).url;
          break;
        }
        for (let i = 0; i < 300; i++)
          await new Promise<void>((resolve) => {
            const socket = connect(portOf(url), '127.0.0.1', () => resolve());
            socket.on('error', () => resolve());
            open.push(socket);
          });
        for (let i = 0; i < 3; i++)
          expect((await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(5000) })).status).toBe(200);
        expect(said).toContain('fewer connections than limits.connections');
      } finally {
        child.kill('SIGTERM');
        await exited;
        rmSync(dir, { recursive: true, force: true });
      }
      await limited('connections: 100');
    },
  );

  it('who asks and does not read the answers gives way as well', async () => {
    await limited('connections: 8');
    for (let i = 0; i < 8; i++) {
      const socket = await idle();
      socket.pause();
      socket.write('GET /xxxxx HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2000));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let i = 0; i < 4; i++) expect((await fetch(new URL('/healthz', h.url))).status).toBe(200);
  });

  it('a source has its share where no proxy stands before the connector', async () => {
    h = await startHarness({
      edit: (yaml) =>
        yaml
          .replace('proxy_hops: 1', 'proxy_hops: 0')
          .replace('state_dir:', 'limits: { connections_per_source: 4 }\nstate_dir:'),
    });
    for (let i = 0; i < 9; i++) await idle();
    await until(() => open.filter((socket) => socket.destroyed).length === 5, 'what is too much to be closed');
  });

  it('many broken connections write few lines', async () => {
    await limited('connections: 500');
    const before = h.ops.length;
    for (let i = 0; i < 100; i++) {
      const socket = await idle();
      socket.write(requestText('', authorized(h, `X-Forwarded-For: ${HOME}`)).replace('Length: 0', 'Length: 99'));
      socket.resetAndDestroy();
    }
    expect((await h.call('stock_list')).status).toBe(200);
    expect(h.ops.length - before).toBeLessThan(10);
  });
});
