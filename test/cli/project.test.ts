// A project from nothing: `init`, and what `config check` and `config show` say of it.
import { exec } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { run, type Served, serve } from '../support/cli.ts';

let dir: string;
let served: Served | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-project-'));
});
afterEach(async () => {
  served?.child.kill('SIGKILL');
  await served?.exited;
  served = undefined;
  rmSync(dir, { recursive: true, force: true });
});
const at = (name: string) => join(dir, name);
const init = (...args: string[]) => run(['init', dir, '--json', ...args]);
/** Writes what `init` leaves to whoever knows it. */
const fill = (backend = 'crm') => {
  for (const name of ['user', 'password']) writeFileSync(at(`secrets/${backend}.${name}`), `the ${name}\n`);
};
const check = (...args: string[]) => run(['config', 'check', ...args], { cwd: dir });

describe('init', () => {
  it('lays out a project that is checked, keeps secrets out of Git, and serves a first call', async () => {
    const backend = createServer((request, response) => {
      if (request.url?.startsWith('/api'))
        return response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}');
      return response.writeHead(302, { location: '/', 'set-cookie': 'JSESSIONID=abc; Path=/' }).end();
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
      expect((await init('--backend', 'crm', '--url', url, '--client', 'bot')).code).toBe(0);
      for (const name of ['secrets/clients.json', 'secrets/bot.key', 'secrets/crm.password'])
        expect([name, statSync(at(name)).mode & 0o777]).toEqual([name, 0o600]);
      expect(readFileSync(at('.gitignore'), 'utf8').split('\n')).toEqual(
        expect.arrayContaining(['secrets/', '.sallyport/']),
      );
      expect(await check()).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^backends\/crm.yaml:6 backends.crm.credentials.user: .*crm.user is empty\n/),
      });
      fill();
      // The login page of this backend is not asked for first.
      const file = at('backends/crm.yaml');
      writeFileSync(file, readFileSync(file, 'utf8').replace('      - request: { path: /login }\n', ''));
      expect(await check('--strict')).toMatchObject({ code: 0, stdout: 'connector.yaml: ok\n' });
      served = await serve(dir, ['--config', at('connector.yaml')]);
      const answer = await fetch(served.ready.url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${readFileSync(at('secrets/bot.key'), 'utf8').trim()}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({
          ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
          params: { name: 'crm_get', arguments: { number: '7' } },
        }),
      });
      expect(((await answer.json()) as { result: unknown }).result).toMatchObject({ structuredContent: { n: 1 } });
      expect(existsSync(at('.sallyport/decisions.jsonl'))).toBe(true);
      const command =
        /^curl -s [\s\S]*?\}'$/m.exec(readFileSync(join(PACKAGE_ROOT, 'docs/operations.md'), 'utf8'))?.[0] ?? '';
      const typed = command.replace('http://127.0.0.1:8787/mcp', served.ready.url).replace('agent.key', 'bot.key');
      const { stdout } = await promisify(exec)(typed, { cwd: dir });
      expect(JSON.parse(stdout).result).toMatchObject({ structuredContent: { n: 1 } });
    } finally {
      backend.close();
    }
  }, 30_000);

  it('prints commands that work where it says', async () => {
    const target = 'a folder of mine';
    const made = await run(['init', target, '--backend', 'crm', '--url', 'http://127.0.0.1:9'], { cwd: dir });
    const [cd, command] = [/cd '.*'/, /node \S+ backend check crm/].map((each) => each.exec(made.stdout)?.[0]);
    expect(cd).toBe(`cd '${target}'`);
    const { stderr } = await promisify(exec)(`${cd} && ${command}`, { cwd: dir }).catch((thrown) => thrown);
    expect(stderr).toMatch(/crm.user is empty/);
  });

  it('changes nothing where there is something already, and says what', async () => {
    writeFileSync(at('connector.yaml'), 'mine');
    expect(await init()).toMatchObject({ code: 1, stderr: expect.stringContaining('has connector.yaml already') });
    expect(readFileSync(at('connector.yaml'), 'utf8')).toBe('mine');
    expect(existsSync(at('secrets'))).toBe(false);
    expect((await init('--backend', 'Not A Name')).code).toBe(1);
    expect((await init('--client', '../../evil')).code).toBe(1);
    rmSync(at('connector.yaml'));
    mkdirSync(at('secrets'));
    writeFileSync(at('secrets/app.password'), 'real');
    expect(await init()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has secrets/app.password already'),
    });
    expect(readFileSync(at('secrets/app.password'), 'utf8')).toBe('real');
    for (const url of ['https://x y: "#', 'ftp://host', 'nonsense']) expect((await init('--url', url)).code).toBe(1);
    for (const url of ['http://user:pw@host', 'http://host/?a=1', 'http://host/#a'])
      expect((await init('--url', url)).code).toBe(1);
    for (const word of ['null', 'true', 'on']) {
      expect((await init('--backend', word)).stderr).toMatch(/no name in YAML but a value/);
      expect((await init('--client', word)).code).toBe(1);
    }
  });
});

describe('config check', () => {
  const edit = (name: string, from: string | RegExp, to: string) =>
    writeFileSync(at(name), readFileSync(at(name), 'utf8').replace(from, to));
  beforeEach(async () => {
    await init('--backend', 'crm', '--url', 'http://127.0.0.1:9');
    fill();
  });

  it('--offline needs no secret and no variable, and finds what is wrong all the same', async () => {
    edit(
      'connector.yaml',
      'version: 1',
      'version: 1\nlisten: { port: ${PORT_OF_PRODUCTION} }\npublic_url: ${PUBLIC_URL}\nwatch: ${WATCH}\nlog: { level: "${L}" }\ntrusted_proxies: ["${N}"]\nproxy_hops: 1',
    );
    rmSync(at('secrets'), { recursive: true });
    expect((await check()).code).toBe(1);
    expect(await check('--offline')).toMatchObject({ code: 0, stdout: 'connector.yaml: ok\n' });
    edit('backends/crm.yaml', 'effect: read', 'effect: raed');
    const { code, stderr } = await check('--offline');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^backends\/crm.yaml:\d+ tools.crm_get.effect: /)]);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('finds what a start would refuse: the decision log, a policy that is not compiled', async () => {
    mkdirSync(at('.sallyport'), { mode: 0o700 });
    writeFileSync(at('.sallyport/decisions.jsonl'), '');
    chmodSync(at('.sallyport/decisions.jsonl'), 0o666);
    expect(await check()).toMatchObject({ code: 1, stderr: expect.stringMatching(/audit.file: others can write/) });
    rmSync(at('.sallyport/decisions.jsonl'));
    mkdirSync(at('.sallyport/decisions.jsonl'));
    expect((await check()).stderr).toMatch(/audit.file: \S+decisions.jsonl is a folder/);
    const started = await run(['serve', '--config', 'connector.yaml'], { cwd: dir, env: { PORT: '0' } });
    expect(started).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/decisions.jsonl cannot be opened: EISDIR\n$/),
    });
    rmSync(at('.sallyport'), { recursive: true });
    writeFileSync(at('.sallyport'), '');
    expect((await check()).stderr).toMatch(/state_dir: \S+ is a file; a folder is wanted there/);
    rmSync(at('.sallyport'));
    const port = await run(['config', 'check'], { cwd: dir, env: { PORT: 'abc' } });
    expect(port.stderr).toMatch(/listen.port: the port \(--port or PORT\) is "abc"/);
    edit('backends/crm.yaml', '    credentials:', '    ca_file: connector.yaml\n    credentials:');
    expect((await check()).stderr).toMatch(/crm.ca_file: \S+ has no certificate of a CA/);
    edit('backends/crm.yaml', '    ca_file: connector.yaml\n', '');
    const clients = readFileSync(at('secrets/clients.json'), 'utf8');
    const { version, clients: list } = JSON.parse(clients);
    writeFileSync(at('secrets/clients.json'), JSON.stringify({ version, clients: [list[0], list[0]] }));
    expect((await check()).stderr).toMatch(/clients.json clients.1.id: stands here twice/);
    writeFileSync(at('secrets/clients.json'), clients);
    mkdirSync(at('policies/site'));
    writeFileSync(at('policies/site/night.rego'), 'package site.night\n');
    expect(await check()).toMatchObject({ code: 1, stderr: expect.stringMatching(/policy.dir: /) });
  });

  it('--strict also fails on tools and roles that nobody has, and on what ends soon', async () => {
    edit('policies/data.yaml', '[crm_get]', '[]');
    const clients = at('secrets/clients.json');
    const soon = new Date(Date.now() + 10.5 * 86_400_000);
    addClient(clients, readClientFile(clients), {
      id: 'odd',
      roles: ['usr'],
      scopes: [],
      now: new Date(),
      expiresAt: soon,
    });
    expect((await check()).code).toBe(0);
    const { code, stderr } = await check('--strict');
    expect(code).toBe(1);
    expect(stderr).toMatch(/tools.crm_get: no role lists this tool/);
    expect(stderr).toMatch(/connector.yaml:6 identity.keys: the key of client "odd" ends in 10 days/);
    expect(stderr).toMatch(/client "odd" has the role "usr", which data.yaml does not know/);
    edit('policies/data.yaml', '[]', '[crm_get]');
    writeFileSync(at('policies/data.yaml'), readFileSync(at('policies/data.yaml'), 'utf8'));
  });

  it('--strict fails on rules that are not what was compiled', async () => {
    const site = at('policies/site');
    await run(['config', 'check'], { cwd: dir });
    mkdirSync(site);
    writeFileSync(join(site, 'night.rego'), 'package site.night\n');
    const { code, stderr } = await check('--strict', '--offline');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/policy.dir: .*run "sallyport policy build"/)]);
  });

  it.each([
    ['url: "http://127.0.0.1:9"', 'url: HTTP://crm.internal', 'backends.crm.url', 'backends.crm.plaintext'],
    ['    url:', '    url:', '', ''],
  ])('plain text beyond this machine must be meant: %s', async (from, to, path, key) => {
    edit('backends/crm.yaml', from, to);
    const { code, stderr } = await check('--offline');
    if (path === '') return expect(code).toBe(0);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(
        `${path}: is in plain text beyond this machine: use TLS, or say that it is meant with "${key}: true"`,
      ),
    ]);
    edit('backends/crm.yaml', to, `${to}\n    plaintext: true`);
    expect((await check('--offline')).code).toBe(0);
  });
});

it('config show prints what takes effect with its revision, and the names of variables where a secret may be', async () => {
  await init('--backend', 'crm', '--url', 'http://127.0.0.1:9');
  const file = at('backends/crm.yaml');
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('request: { path: "/api', 'request: { headers: { X-Key: "k-${API_KEY}" }, path: "/api')
      .replace('"http://127.0.0.1:9"', '"http://127.0.0.1:9/${API_KEY}"'),
  );
  const env = { API_KEY: 'very-secret-value' };
  const { code, stdout } = await run(['config', 'show'], { cwd: dir, env });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^# connector.yaml, revision [0-9a-f]{16}\n/);
  expect(stdout).toContain('X-Key: k-${API_KEY}');
  expect(stdout).toContain('http://127.0.0.1:9/${API_KEY}');
  expect(stdout).not.toContain('very-secret-value');
  expect(stdout).toContain('shutdown_seconds: 25');
  // At these places the value stands elsewhere than it was written, or is a key.
  writeFileSync(
    file,
    readFileSync(file, 'utf8')
      .replace('expect: { redirect_to: / }', 'expect: { redirect_to: "/${API_KEY}" }')
      .replace('headers: { X-Key: "k-${API_KEY}" }', 'headers: { "X-${API_KEY}": v }'),
  );
  writeFileSync(
    at('connector.yaml'),
    `${readFileSync(at('connector.yaml'), 'utf8')}keyring_file: "\${API_KEY}/k.json"\n`,
  );
  const moved = await run(['config', 'show'], { cwd: dir, env });
  expect(moved).toMatchObject({ code: 0, stderr: '' });
  expect(moved.stdout).not.toContain('very-secret-value');
  expect(moved.stdout).toContain('X-${API_KEY}: v');
  const json = JSON.parse((await run(['config', 'show', '--json'], { cwd: dir, env })).stdout);
  expect(json).toMatchObject({
    revision: expect.any(String),
    configuration: { backends: { crm: { timeout_ms: 10_000 } } },
  });
});
