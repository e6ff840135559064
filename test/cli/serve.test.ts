// `npm start` as a process: what it leaves on disk, how it ends, and real clients in front of it.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { MAIN, run, type Served, serve } from '../support/cli.ts';
import { until } from '../support/harness.ts';

const inspector = inject('inspector');
let dir: string;
let served: Served | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-serve-'));
});
afterEach(async () => {
  served?.child.kill('SIGKILL');
  await served?.exited;
  served = undefined;
  rmSync(dir, { recursive: true, force: true });
});

const call = (url: string, key: string, id = 1) =>
  fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'stock_list' } }),
  });

it('serves the demo, keeps its state private, and ends gracefully on SIGTERM', async () => {
  served = await serve(dir);
  const { url, key_file } = served.ready;
  expect(statSync(join(dir, '.sallyport')).mode & 0o777).toBe(0o700);
  for (const name of ['demo-agent.key', 'clients.json', 'keyring.json', 'demo-backend.password', 'decisions.jsonl']) {
    expect(statSync(join(dir, '.sallyport', name)).mode & 0o777, name).toBe(0o600);
  }
  const key = readFileSync(key_file, 'utf8').trim();
  expect((await call(url, key)).status).toBe(200);
  served.child.kill('SIGTERM');
  expect(await served.exited).toBe(0);
  const log = readFileSync(join(dir, '.sallyport', 'events.jsonl'), 'utf8');
  expect(log).toContain('"event":"sys_shutdown"');
  expect(log).toContain('"proof":"dead"');

  // The key survives a restart.
  served = await serve(dir);
  expect((await call(served.ready.url, key)).status).toBe(200);
});

it('after kill −9 it starts again, and every record in the log is whole', async () => {
  served = await serve(dir);
  const { url, key_file, decision_log } = served.ready;
  const key = readFileSync(key_file, 'utf8').trim();
  const calls = Promise.allSettled(Array.from({ length: 40 }, (_, i) => call(url, key, i)));
  await until(() => readFileSync(decision_log, 'utf8').includes('"type":"decision"'), 'a decision');
  served.child.kill('SIGKILL');
  await calls;
  served = await serve(dir);
  expect((await call(served.ready.url, key)).status).toBe(200);
  await until(() => readFileSync(decision_log, 'utf8').endsWith('\n'), 'the last record');
  const broken = readFileSync(decision_log, 'utf8')
    .trim()
    .split('\n')
    .filter((line) => {
      try {
        return JSON.parse(line) === undefined;
      } catch {
        return true;
      }
    });
  expect(broken.length).toBeLessThanOrEqual(1);
});

it('R-51: does not start where the environment turns TLS verification off', async () => {
  const failed = await run(['serve', '--port', '0'], { cwd: dir, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } });
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('turns TLS verification off; unset it');
});

it.skipIf(process.platform === 'win32')(
  'below npm, which passes no signal on, it ends when its parent does',
  async () => {
    const command = `"${process.execPath}" "${MAIN}" serve --port 0 --json; :`;
    const shell = spawn('sh', ['-c', command], {
      cwd: dir,
      env: { ...process.env, npm_lifecycle_event: 'start' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = (await once(createInterface({ input: shell.stdout }), 'line')) as [string];
    const { url, key_file } = JSON.parse(line);
    const key = readFileSync(key_file, 'utf8').trim();
    expect((await call(url, key)).status).toBe(200);
    shell.kill('SIGTERM');
    await until(
      () =>
        call(url, key).then(
          () => false,
          () => true,
        ),
      'the connector to take no calls',
    );
    // It seals its logs after that, and gives its folder back at the very end.
    await until(() => !existsSync(join(dir, '.sallyport/running.sock')), 'the connector to end');
  },
);

it('a port that is already in use gives one clear error', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const failed = await run(['serve'], { cwd: dir, env: { PORT: String(port) } });
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain(`127.0.0.1:${port} is in use; set PORT or listen.port to another port`);
  taken.close();
});

describe.skipIf(inspector === null)('MCP Inspector (needs tools/inspector)', () => {
  it('lists tools and calls one with the key from its file', async () => {
    served = await serve(dir);
    const { url, key_file } = served.ready;
    const header = `Authorization: Bearer ${readFileSync(key_file, 'utf8').trim()}`;
    const inspect = async (...args: string[]) => {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [inspector ?? '', '--cli', url, '--transport', 'http', '--header', header, ...args],
        { cwd: PACKAGE_ROOT },
      );
      return JSON.parse(stdout);
    };
    expect((await inspect('--method', 'tools/list')).tools).toHaveLength(4);
    const result = await inspect('--method', 'tools/call', '--tool-name', 'stock_get', '--tool-arg', 'sku=A-1');
    expect(result.structuredContent).toMatchObject({ sku: 'A-1', quantity: 240 });
  });
});

describe('npm run', () => {
  const script = (file: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', join(PACKAGE_ROOT, file), ...args], {
      cwd: PACKAGE_ROOT,
    });

  it('tour shows an allowed call, a rotation, a replay and a network change, and ends with 0', async () => {
    const { stdout } = await script('test/tour/tour.ts');
    expect(stdout).toContain('Everything went as it should.');
    for (const text of ['allow ', 'rotate', 'replay.seen', 'binding.concurrent_networks'])
      expect(stdout).toContain(text);
    expect(stdout).not.toContain('FAIL');
  });

  it.skipIf(inject('redis') === null)(
    'bench writes its rows as JSON',
    async () => {
      const file = join(dir, 'bench.json');
      const small = ['--seconds', '1', '--rounds', '1', '--warm-up', '200', '--sessions', '500', '--history', '500'];
      await script('test/bench/bench.ts', ...small, '--json', file);
      const rows: { name: string }[] = JSON.parse(readFileSync(file, 'utf8'));
      // The floor of an evaluation is measured where there is an OPA to compile it.
      const names = rows.map(({ name }) => name).filter((name) => name !== 'evaluate, a policy of one rule');
      expect(names).toEqual([
        'evaluate, default policy, 1 KB input',
        'evaluate, the same, where no guard is needed',
        'evaluate, the same, under the guard',
        'JSON.parse of a message',
        'read a message exactly (R-87)',
        'bring arguments into form, and check them',
        'JSON.parse of an answer of 32 KB',
        'look for the session in an answer of 32 KB (R-40)',
        'JSON.parse of an answer of 600 UUIDs',
        'look for the session in an answer of 600 UUIDs (R-40)',
        'JSON.stringify and parse of an answer of 32 KB',
        'local time of two zones, 60 calls a second',
        'mask and shorten an answer of 32 KB',
        'claim a proof, empty record',
        'claim a proof, full record (500,000)',
        'a record, written to a bare file',
        'a record, linked, its file compared with its path',
        'sha256sum of a log, megabytes a second',
        'audit verify of the same log, megabytes a second',
        'an alert on record, 1,000 a second',
        'the same, one more of an open incident, delivered',
        'the same, each about another client, delivered',
        'a decision, its line parsed and its input evaluated',
        'a decision, verified and replayed on one core',
        'a decision, verified and replayed on all cores',
        'a list of 700 tools, 480 KB',
        'a session, with 500 of them',
        'the process with 500 sessions',
        'a client without a session',
        'a connector that does nothing',
        ...['(a) bare Koa', '(b) Koa -> undici, ungoverned', '(c) Sallyport, governed'],
        ...['(a) bare Koa', '(b) Koa -> undici, ungoverned', '(c) Sallyport, governed'],
        'evaluate, inside a running connector',
        'the links of the two records of a call',
        'the delivery of 1,000 alerts a second',
        ...['(b) Koa -> undici, ungoverned', '(d) Sallyport on Redis, governed'],
        ...['(b) Koa -> undici, ungoverned', '(d) Sallyport on Redis, governed'],
        'no rotation',
        'a rotation every 20 calls',
        'one replica',
        'two replicas',
        'one connector in memory',
        'two that share nothing',
        '10 live sessions',
        '500 live sessions',
        'short history',
        '500 calls of history',
      ]);
      const fields = ['name', 'concurrency', 'p50_us', 'p99_us', 'per_second', 'ratio_to_passthrough'];
      for (const row of rows) expect(Object.keys(row)).toEqual(expect.arrayContaining(fields));
      for (const row of rows.filter(({ name }) => /^\([cd]\)/.test(name)))
        expect(row).toMatchObject({
          cpu_us_per_call: expect.any(Number),
          cpu_ratio_to_passthrough: expect.any(Number),
        });
      // Against itself nothing has changed; a limit that no call can keep is exceeded, and a group must exist.
      const only = ['--only', 'calls', '--seconds', '1', '--rounds', '1', '--warm-up', '100'];
      const again = script('test/bench/bench.ts', ...only, '--against', file, '--most-cpu', '0.1');
      await expect(again).rejects.toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/cpu_ratio_to_passthrough [\d.]+ → [\d.]+ \([+-]?[\d.]+ %\)/),
        stderr: expect.stringContaining('times the CPU of the pass-through; --most-cpu is 0.1'),
      });
      await expect(script('test/bench/bench.ts', '--only', 'speed')).rejects.toMatchObject({ code: 2 });
    },
    180_000,
  );
});
