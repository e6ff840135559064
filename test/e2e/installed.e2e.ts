// Where it is installed: with secrets mounted as platforms mount them, and from the package.
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { addClient } from '../../src/identity/client-file.ts';
import { endWithParent } from '../support/children.ts';
import { until } from '../support/harness.ts';
import { callTool } from '../support/wire-call.ts';

const run = promisify(execFile);

it.skipIf(process.getuid?.() !== 0)(
  'as a user that is not root: secrets as Kubernetes mounts them, and a state folder on a mount',
  async () => {
    const base = mkdtempSync(join(tmpdir(), 'sallyport-pod-'));
    chmodSync(base, 0o755);
    const backend = createServer((request, response) =>
      request.url === '/login'
        ? response.writeHead(200, { 'set-cookie': 'S=1; Path=/' }).end()
        : response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":1}'),
    );
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const [uid, gid] = [4711, 4712];
    const mount = (name: string, files: Record<string, string>) => {
      const dir = join(base, name);
      const data = join(dir, '..2026_11_27_00_00_00.1');
      mkdirSync(data, { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        writeFileSync(join(data, file), text);
        chownSync(join(data, file), 0, gid);
        chmodSync(join(data, file), 0o440);
        symlinkSync(join('..data', file), join(dir, file));
      }
      symlinkSync('..2026_11_27_00_00_00.1', join(dir, '..data'));
      chmodSync(dir, 0o1777);
      return dir;
    };
    const key = addClient(join(base, 'clients.json'), [], {
      id: 'a',
      roles: ['r'],
      scopes: [],
      now: new Date(),
    }).reveal();
    const secrets = mount('secrets', {
      user: 'anna',
      password: 'pw-of-anna',
      'clients.json': readFileSync(join(base, 'clients.json'), 'utf8'),
    });
    mkdirSync(join(base, 'state'));
    chmodSync(join(base, 'state'), 0o777);
    mkdirSync(join(base, 'policies'));
    writeFileSync(
      join(base, 'policies/data.yaml'),
      'settings: { access: { roles: { r: { tools: [get] } } }, binding: {}, lifetime: {}, replay: {}, usage: {}, backends: {}, tools: {} }\n',
    );
    writeFileSync(
      join(base, 'connector.yaml'),
      `version: 1
listen: { port: 0 }
state_dir: state
secrets: { trusted_dirs: [${secrets}] }
identity: { keys: { file: secrets/clients.json } }
policy: { dir: policies }
backends:
  app:
    url: http://127.0.0.1:${(backend.address() as AddressInfo).port}
    credentials: { user: { file: secrets/user }, password: { file: secrets/password } }
    login: [{ request: { method: POST, path: /login, form: { u: "{credentials.user}", p: "{credentials.password}" } } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools: { get: { backend: app, description: One, effect: read, request: { path: /api } } }
`,
    );
    // The program is copied, because a checkout below a home folder is not readable by another user.
    const app = join(base, 'app');
    for (const part of ['dist', 'policies', 'package.json', 'docs'])
      cpSync(join(PACKAGE_ROOT, part), join(app, part), { recursive: true });
    cpSync(join(PACKAGE_ROOT, 'node_modules'), join(app, 'node_modules'), { recursive: true, verbatimSymlinks: true });
    const child = endWithParent(
      spawn(
        process.execPath,
        [join(app, 'dist/main.js'), 'serve', '--config', join(base, 'connector.yaml'), '--json'],
        {
          ...{ cwd: base, uid, gid },
          env: { PATH: process.env.PATH, HOME: base },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      ),
    );
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    try {
      let ready: { url: string; decision_log: string } | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        ready = JSON.parse(line);
        break;
      }
      if (!ready) throw new Error(said);
      const answer = await callTool(ready.url, key, 'get', {});
      expect(answer.result).toMatchObject({ structuredContent: { n: 1 } });
      expect(ready.decision_log).toBe(join(base, 'state/sallyport-private/decisions.jsonl'));
      // A secret that is renewed: the kubelet moves "..data" to another folder.
      child.kill('SIGTERM');
      expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
    } finally {
      child.kill('SIGKILL');
      backend.close();
      rmSync(base, { recursive: true, force: true });
    }
  },
);

it('the packed package, installed in an empty folder, leads to a first call', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-packed-'));
  const backend = createServer((request, response) =>
    request.url?.startsWith('/api')
      ? response.writeHead(200, { 'content-type': 'application/json' }).end('{"n":7}')
      : response.writeHead(302, { location: '/', 'set-cookie': 'JSESSIONID=abc; Path=/' }).end(),
  );
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  try {
    // Packing builds anew, and other tests run what is built, so it is done in a copy.
    const copy = join(dir, 'copy');
    const left = /(^|\/)(node_modules|dist|\.git|\.cache|coverage)(\/|$)/;
    cpSync(PACKAGE_ROOT, copy, {
      recursive: true,
      filter: (path) => !left.test(path.slice(PACKAGE_ROOT.length)),
    });
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(copy, 'node_modules'));
    await run('npm', ['pack', '--pack-destination', dir], { cwd: copy });
    const [tarball = ''] = readdirSync(dir).filter((name) => name.endsWith('.tgz'));
    writeFileSync(join(dir, 'package.json'), '{ "private": true }');
    await run('npm', ['install', '--no-audit', '--no-fund', `./${tarball}`], { cwd: dir });
    const listed = (await run('tar', ['tzf', join(dir, tarball)])).stdout;
    expect(listed).toContain('package/npm-shrinkwrap.json');
    expect(listed).not.toMatch(/\.map$/m);
    expect(existsSync(join(PACKAGE_ROOT, 'npm-shrinkwrap.json'))).toBe(false);
    const sallyport = (...args: string[]) => run('npx', ['--no-install', 'sallyport', ...args], { cwd: dir });
    const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    await sallyport('init', '.', '--backend', 'crm', '--url', url, '--json');
    const file = join(dir, 'backends/crm.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('      - request: { path: /login }\n', ''));
    for (const name of ['user', 'password']) writeFileSync(join(dir, `secrets/crm.${name}`), `the ${name}`);
    expect((await sallyport('config', 'check', '--strict')).stdout).toBe('connector.yaml: ok\n');
    const child = endWithParent(
      spawn('npx', ['--no-install', 'sallyport', 'serve', '--config', 'connector.yaml', '--port', '0', '--json'], {
        ...{ cwd: dir, detached: true },
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    try {
      let ready: { url: string } | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        ready = JSON.parse(line);
        break;
      }
      const key = readFileSync(join(dir, 'secrets/agent.key'), 'utf8').trim();
      const answer = await callTool((ready as { url: string }).url, key, 'crm_get', { number: '7' });
      expect(answer.result).toMatchObject({ structuredContent: { n: 7 } });
    } finally {
      process.kill(-(child.pid as number), 'SIGTERM');
      // npx ends before what it has started, which seals its logs and gives its folder back at the very end.
      await until(() => !existsSync(join(dir, '.sallyport/running.sock')), 'the connector to end', 40_000);
    }
  } finally {
    backend.close();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});
