// How it is run: behind real balancers, with secrets mounted as platforms mount them, and installed from the package.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { addClient } from '../../src/identity/client-file.ts';
import { endWithParent } from '../support/children.ts';
import type { Loose } from '../support/harness.ts';
import { onPath } from '../support/on-path.ts';
import { type ReverseProxy, startBalancer } from '../support/proxies.ts';
import { freePort } from '../support/redis.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';
import { callTool } from '../support/wire-call.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const run = promisify(execFile);
const redisProgram = onPath('redis-server') ?? onPath('valkey-server');
const balancers = [
  ['HAProxy', onPath('haproxy')],
  ['NGINX', onPath('nginx')],
] as const;
let cluster: Cluster | undefined;
let proxy: ReverseProxy | undefined;
afterEach(async () => {
  await proxy?.stop();
  await cluster?.close();
  proxy = cluster = undefined;
});

/** Calls of four users through a balancer, slower than the rate of the shipped policy, until `stop` is called. */
function callers(of: Cluster, url: string) {
  const failed: string[] = [];
  let [calls, stopped] = [0, false];
  const one = async (n: number) => {
    const headers = { authorization: `Bearer ${await of.issuer.token({ sub: `user-${n}`, client_id: `c-${n}` })}` };
    const handle = await of.initialize(url, { headers });
    for (let id = 1; !stopped; id++) {
      const answer = await of
        .call(url, 'stock_get', { sku: 'A-1' }, { headers, handle, id })
        .catch((thrown: Error) => ({ status: 0, text: String(thrown.cause ?? thrown), body: undefined as Loose }));
      calls += 1;
      if (answer.status !== 200 || answer.body?.result?.isError)
        failed.push(`${answer.status} ${answer.text.slice(0, 200)}`);
      await pause(150);
    }
  };
  const all = Array.from({ length: 4 }, (_, n) => one(n));
  return {
    async stop() {
      stopped = true;
      await Promise.all(all);
      return { failed: failed.slice(0, 5), calls };
    },
  };
}

describe.each(balancers)('two replicas behind %s', (name, program) => {
  it.skipIf(!program || !redisProgram)('are restarted one after the other, and no call fails', async () => {
    // Ports that stay the same over a restart, as they do in a deployment.
    const ports = [await freePort(), await freePort()];
    const change = (port: number) => (yaml: string) =>
      `${yaml.replace('port: 0', `port: ${port}`)}\nshutdown: { delay_seconds: 3 }\n`;
    cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 0 });
    const replicas: Replica[] = [];
    for (const port of ports) replicas.push(await cluster.start({ change: change(port), port }));
    proxy = await startBalancer(name, program as string, ports);
    const calling = callers(cluster, proxy.url);
    await pause(2000);
    for (const [i, port] of ports.entries()) {
      const old = replicas[i] as Replica;
      await old.stop();
      replicas[i] = await cluster.start({ change: change(port), port, again: old });
      await pause(4000);
    }
    const { failed, calls } = await calling.stop();
    expect(failed).toEqual([]);
    expect(calls).toBeGreaterThan(100);
  });
});

/** The release that landed before this one. */
const BEFORE = '6642256';
const there = await run('git', ['cat-file', '-e', `${BEFORE}^{commit}`], { cwd: PACKAGE_ROOT }).then(
  () => true,
  () => false,
);
if (!there) console.error(`!! THE RELEASE BEFORE (${BEFORE}) IS NOT IN THIS CHECKOUT: the rolling upgrade is left out`);
it.skipIf(!there || !balancers[0][1] || !redisProgram)(
  `R-97: ${BEFORE} is replaced by this release, replica after replica, and no call fails`,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-before-'));
    const release = join(dir, 'release');
    try {
      await run('git', ['worktree', 'add', '--detach', release, BEFORE], { cwd: PACKAGE_ROOT });
      await run('npm', ['ci', '--no-progress', '--no-audit', '--no-fund'], { cwd: release });
      await run('npm', ['run', '--silent', 'build'], { cwd: release });
      const ports = [await freePort(), await freePort()];
      cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 0 });
      const old: Replica[] = [];
      for (const port of ports) old.push(await cluster.start({ port, release }));
      // The release before closes the connections that a proxy has kept to it without a word. A proxy that is about to use
      // one then closes that of the client, so that the client asks again, and here none does; so it keeps none.
      proxy = await startBalancer('HAProxy', balancers[0][1] as string, ports, false);
      const calling = callers(cluster, proxy.url);
      await pause(2000);
      for (const [i, port] of ports.entries()) {
        await (old[i] as Replica).stop();
        await cluster.start({ port, again: old[i] as Replica });
        await pause(4000);
      }
      const { failed, calls } = await calling.stop();
      expect(failed).toEqual([]);
      expect(calls).toBeGreaterThan(80);
    } finally {
      await run('git', ['worktree', 'remove', '--force', release], { cwd: PACKAGE_ROOT }).catch(() => undefined);
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

const prometheus = onPath('prometheus');
const promtool = onPath('promtool');
it.skipIf(!prometheus || !promtool || !redisProgram)(
  'Prometheus scrapes it, and finds nothing to say about the names',
  async () => {
    cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 2 });
    const [a, b] = cluster.replicas as [Replica, Replica];
    for (const to of [a, b]) await cluster.call(to, 'stock_get', { sku: 'A-1' });
    const text = await (
      await fetch(new URL('/metrics', a.adminUrl), { headers: { authorization: `Bearer ${cluster.adminToken}` } })
    ).text();
    const lint = await new Promise<string>((resolve) => {
      const child = execFile(promtool as string, ['check', 'metrics'], (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
      child.stdin?.end(text);
    });
    // Names of prom-client itself are not ours to change.
    expect(lint.split('\n').filter((line) => line.startsWith('sallyport_'))).toEqual([]);

    const port = await freePort();
    const config = join(cluster.dir, 'prometheus.yml');
    const target = (replica: Replica) => new URL(replica.adminUrl).host;
    writeFileSync(
      config,
      `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: sallyport
    authorization: { credentials_file: ${join(cluster.dir, 'admin.token')} }
    static_configs: [{ targets: ["${target(a)}", "${target(b)}"] }]
`,
    );
    const child = endWithParent(
      spawn(
        prometheus as string,
        [
          `--config.file=${config}`,
          `--storage.tsdb.path=${join(cluster.dir, 'tsdb')}`,
          `--web.listen-address=127.0.0.1:${port}`,
        ],
        { stdio: 'ignore' },
      ),
    );
    try {
      const query = async (expression: string): Promise<number | undefined> => {
        const asked = new URL(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`);
        const answer = (await (await fetch(asked)).json().catch(() => undefined)) as Loose;
        const value = answer?.data?.result?.[0]?.value?.[1];
        return value === undefined ? undefined : Number(value);
      };
      // What the guide tells people to watch is understood by Prometheus; in a healthy connector nothing of it is found.
      const guide = readFileSync(join(PACKAGE_ROOT, 'docs/operations.md'), 'utf8');
      const rows = guide.slice(guide.indexOf('## What to watch'), guide.indexOf('## Redis')).split('\n');
      const watched = rows
        .filter((row) => /^\| `/.test(row))
        .flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text));
      expect(watched.length).toBeGreaterThan(12);
      const soon = (expression: string, value: number) =>
        vi.waitFor(
          async () => expect([expression, await query(expression).catch(() => undefined)]).toEqual([expression, value]),
          {
            timeout: 30_000,
            interval: 500,
          },
        );
      await soon('sum(up{job="sallyport"})', 2);
      await soon('sum(sallyport_calls_total{outcome="success"})', 2);
      // The sessions of both replicas are told once.
      await soon('sum(sallyport_sessions)', 1);
      await soon('count(count by (policy, configuration, keyring) (sallyport_build_info))', 1);
      for (const expression of watched) {
        const asked = new URL(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`);
        const { status, data } = (await (await fetch(asked)).json()) as Loose;
        // How busy a shared machine is says nothing of the connector.
        const found = expression.startsWith('nodejs_') ? [] : data?.result;
        expect([expression, status, found]).toEqual([expression, 'success', []]);
      }
    } finally {
      child.kill('SIGKILL');
    }
  },
);

it('a call of 20 s is waited for, or cut short at the bound with a word', async () => {
  const slow = createServer(async (request, response) => {
    if (request.url === '/login') return void response.writeHead(200, { 'set-cookie': 'S=1; Path=/' }).end();
    await pause(20_000);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}');
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-slow-'));
  const key = addClient(join(dir, 'clients.json'), [], { id: 'a', roles: ['r'], scopes: [], now: new Date() }).reveal();
  mkdirSync(join(dir, 'policies'));
  writeFileSync(
    join(dir, 'policies/data.yaml'),
    'settings: { access: { roles: { r: { tools: [get] } } }, binding: {}, lifetime: {}, replay: {}, usage: {}, backends: {}, tools: {} }\n',
  );
  try {
    for (const [bound, seconds, expected] of [
      [28, 21, { structuredContent: { n: 1 } }],
      [10, 10, { isError: true, _meta: { 'sallyport/reasons': ['call.cut_short'] } }],
    ] as const) {
      writeFileSync(
        join(dir, 'connector.yaml'),
        `version: 1
listen: { port: 0 }
limits: { shutdown_seconds: ${bound} }
identity: { keys: { file: clients.json } }
policy: { dir: policies }
backends:
  app:
    url: http://127.0.0.1:${(slow.address() as AddressInfo).port}
    timeout_ms: 60000
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools: { get: { backend: app, description: One, effect: read, request: { path: /api } } }
`,
      );
      const child = endWithParent(
        spawn(process.execPath, [join(PACKAGE_ROOT, 'dist/main.js'), 'serve', '--config', 'connector.yaml', '--json'], {
          cwd: dir,
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      );
      let ready: { url: string } | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        ready = JSON.parse(line);
        break;
      }
      const exited = new Promise((resolve) => child.once('exit', resolve));
      const called = callTool((ready as { url: string }).url, key, 'get', {});
      await pause(500);
      const began = performance.now();
      child.kill('SIGTERM');
      expect((await called).result).toMatchObject(expected);
      expect(await exited).toBe(0);
      expect(performance.now() - began).toBeLessThan((seconds + 2) * 1000);
    }
  } finally {
    slow.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
