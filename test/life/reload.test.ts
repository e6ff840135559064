// What a running connector reads again: on SIGHUP, through `connector.reload`, and by itself with `watch: true`.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Agent, fetch as fetchWith } from 'undici';
import { afterAll, afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { type Connector, startConnector } from '../../src/connector.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { differencesOf, watchReplicas } from '../../src/life/replicas.ts';
import { createCertificates } from '../support/certificates.ts';
import { run, type Served, serve } from '../support/cli.ts';
import { decisionLog } from '../support/decision-log.ts';
import type { Loose } from '../support/harness.ts';

const ACT = { operator: 'test', reason: 'a test', ip: '' };
let dir: string;
let connector: Connector | undefined;
let served: Served | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-reload-'));
});
afterEach(async () => {
  await connector?.close();
  connector = undefined;
  served?.child.kill('SIGKILL');
  served = undefined;
  rmSync(dir, { recursive: true, force: true });
});

const backend = createServer((_request, response) => response.writeHead(200, { 'set-cookie': 'S=1' }).end('{}'));
await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
afterAll(() => backend.close());

const yaml = (more: string, identity = 'keys: { file: clients.json }') => `version: 1
state_dir: state
listen: { port: 0 }
identity: { ${identity} }
policy: { allow_unknown_names: true }
backends:
  app:
    url: http://127.0.0.1:${(backend.address() as AddressInfo).port}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
${more}
`;
const file = () => join(dir, 'connector.yaml');
const write = (text: string) => writeFileSync(file(), text);
const noClients = () => writeFileSync(join(dir, 'clients.json'), '{"version":1,"clients":[]}', { mode: 0o600 });
const read = () => {
  const parsed = parseConfig({ text: readFileSync(file(), 'utf8'), file: 'connector.yaml', baseDir: dir, env: {} });
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join('; '));
  return { ...parsed.config, sources: [file()] };
};
async function start(text: string): Promise<Connector> {
  write(text);
  const silent = () => {};
  connector = await startConnector({
    config: read(),
    reread: read,
    ops: { info: silent, warn: silent, error: silent },
  });
  return connector;
}
const log = (): Loose[] => decisionLog(join(dir, 'state'));

describe('connector.yaml', () => {
  it('what is safe takes effect at once, and what is not says that it needs a restart', async () => {
    noClients();
    const { url, reload } = await start(yaml('allowed_origins: [https://a.example]'));
    const status = async (origin: string) => (await fetch(url, { method: 'POST', headers: { origin } })).status;
    expect([await status('https://a.example'), await status('https://b.example')]).toEqual([401, 403]);
    write(yaml('allowed_origins: [https://b.example]\nlimits: { shutdown_seconds: 7, body_bytes: 2048 }'));
    const part = reload(ACT).parts.find((each) => each.part === 'connector.yaml');
    expect(part).toEqual({
      part: 'connector.yaml',
      result: 'needs_restart',
      detail: 'limits.body_bytes; at once: allowed_origins, limits.shutdown_seconds',
    });
    expect([await status('https://a.example'), await status('https://b.example')]).toEqual([403, 401]);
  });

  it('one that cannot be used leaves everything as it was', async () => {
    noClients();
    const { url, reload } = await start(yaml('allowed_hosts: [a.example]'));
    write(`${yaml('allowed_hosts: [b.example]')}\nlisten: twice`);
    expect(reload(ACT)).toMatchObject({ ok: false });
    rmSync(file());
    expect(reload(ACT)).toMatchObject({ ok: false });
    expect((await fetch(new URL('/livez', url))).status).toBe(200);
  });

  it('with watch: true a change is taken in by itself', async () => {
    noClients();
    const { url } = await start(yaml('watch: true'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    write(yaml('watch: true\nallowed_origins: [https://c.example]'));
    const status = async () => (await fetch(url, { method: 'POST', headers: { origin: 'https://c.example' } })).status;
    await vi.waitFor(async () => expect(await status()).toBe(401), { timeout: 5000, interval: 100 });
    await vi.waitFor(() =>
      expect(log().find(({ event }) => event === 'reload')).toMatchObject({
        operator: 'watch',
        changed: 'connector.yaml',
      }),
    );
  });
});

it('a changed policy waits for a restart, also where it is broken, and refuses nothing else', async () => {
  noClients();
  mkdirSync(join(dir, 'policies'));
  const settings = join(dir, 'policies/data.yaml');
  const shipped = readFileSync(join(PACKAGE_ROOT, 'policies/data.yaml'), 'utf8');
  writeFileSync(settings, shipped);
  const text = yaml('').replace('policy: {', 'policy: { dir: policies,');
  const { reload } = await start(text);
  const policy = () => reload(ACT).parts.find(({ part }) => part === 'policy');
  expect(policy()).toEqual({ part: 'policy', result: 'unchanged' });
  writeFileSync(settings, shipped.replace('limit_seconds: 300', 'limit_seconds: 301'));
  expect(policy()).toEqual({
    part: 'policy',
    result: 'needs_restart',
    detail: 'the folder has changed; "sallyport policy activate" takes it into use',
  });
  writeFileSync(settings, 'settings: [');
  expect(policy()).toMatchObject({
    result: 'restart_fails',
    detail: expect.stringMatching(/data.yaml/),
  });
  expect(reload(ACT).ok).toBe(true);
  writeFileSync(settings, shipped);
  expect(policy()?.result).toBe('unchanged');
});

it('with watch: true a changed credential of a backend is told to wait for a restart', async () => {
  noClients();
  const password = join(dir, 'app.password');
  writeFileSync(password, 'first', { mode: 0o600 });
  const text = yaml('watch: true').replace('    login:', '    credentials: { p: { file: app.password } }\n    login:');
  await start(text);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  writeFileSync(password, 'second');
  await vi.waitFor(
    () =>
      expect(log().find(({ event }) => event === 'reload')).toMatchObject({
        ...{ operator: 'watch', ok: true, needs_restart: 'backends.app.credentials' },
      }),
    5000,
  );
});

it('a client file is read by a reload although its times say that it is as before', async () => {
  const path = join(dir, 'clients.json');
  const added = await run(['client', 'add', 'a', '--file', path, '--json']);
  const { key } = JSON.parse(added.stdout) as { key: string };
  const { url, reload } = await start(yaml(''));
  const status = async () =>
    (
      await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      })
    ).status;
  expect(await status()).toBe(200);
  const { atime, mtime } = statSync(path);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(/("key_sha256": ")(.)/, (_all, before, first) => before + (first === '0' ? '1' : '0')),
  );
  utimesSync(path, atime, mtime);
  expect(reload(ACT).parts.find(({ part }) => part === 'identity.keys')?.result).toBe('changed');
  expect(await status()).toBe(401);
});

describe.skipIf(!inject('openssl'))('certificates', () => {
  const certificates = createCertificates();
  afterAll(() => certificates.remove());
  const copy = (from: { cert: string; key: string }) => {
    writeFileSync(join(dir, 'tls.crt'), from.cert);
    writeFileSync(join(dir, 'tls.key'), from.key, { mode: 0o600 });
  };
  const shown = (url: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().subject.CN as string);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const TLS = 'tls: { cert_file: tls.crt, key_file: tls.key }';

  it('are renewed under load without a failed call, and a wrong pair leaves the old one', async () => {
    noClients();
    const [first, second] = [certificates.make('first'), certificates.make('second')];
    copy(first);
    const { url, reload } = await start(yaml('').replace('port: 0', `port: 0, ${TLS}`));
    expect(await shown(url)).toBe('first');
    const agent = new Agent({ connect: { rejectUnauthorized: false }, keepAliveTimeout: 1, pipelining: 0 });
    let stop = false;
    const failed: unknown[] = [];
    let calls = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!stop)
        await fetchWith(new URL('/livez', url), { dispatcher: agent }).then(
          (answer) => (answer.status === 200 ? calls++ : failed.push(answer.status)),
          (thrown) => failed.push(thrown),
        );
    });
    for (const [pair, name] of [
      [second, 'second'],
      [first, 'first'],
      [second, 'second'],
    ] as const) {
      copy(pair);
      expect(reload(ACT).parts.find(({ part }) => part === 'listen.tls')?.result).toBe('changed');
      expect(await shown(url)).toBe(name);
      const before = calls;
      await vi.waitFor(() => expect(calls).toBeGreaterThan(before + 10), 5000);
    }
    writeFileSync(join(dir, 'tls.crt'), first.cert);
    expect(reload(ACT)).toMatchObject({ ok: false });
    expect(await shown(url)).toBe('second');
    stop = true;
    await Promise.all(load);
    await agent.close();
    expect([failed, calls > 20]).toEqual([[], true]);
  });
});

it('R-01: a key that is taken out of the key file accepts nothing any more, at once', async () => {
  const jwks = join(dir, 'jwks.json');
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
  const other = {
    ...(await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey)),
    kid: 'k2',
    alg: 'ES256',
  };
  const put = (...keys: object[]) => writeFileSync(jwks, JSON.stringify({ keys }));
  put(key);
  const { url, reload } = await start(
    yaml('', 'jwt: { issuer: "https://i.example", audience: a, jwks: { file: jwks.json } }'),
  );
  const token = await new SignJWT({ client_id: 'c' })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
    .setSubject('s')
    .setIssuer('https://i.example')
    .setAudience('a')
    .setExpirationTime('10m')
    .sign(privateKey);
  const status = async () =>
    (
      await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      })
    ).status;
  expect(await status()).toBe(200);
  put(other);
  expect(reload(ACT).parts.find(({ part }) => part === 'identity.jwt.jwks')?.result).toBe('changed');
  expect(await status()).toBe(401);
  writeFileSync(jwks, '{');
  expect(reload(ACT)).toMatchObject({ ok: false });
  put(key);
  reload(ACT);
  expect(await status()).toBe(200);
});

it('SIGHUP reads everything again and ends nothing, also where a file is broken', async () => {
  write(yaml(''));
  const added = await run(['client', 'add', 'a', '--file', join(dir, 'clients.json'), '--json']);
  const { key } = JSON.parse(added.stdout);
  served = await serve(dir, ['--config', file()]);
  let said = '';
  served.child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const { url } = served.ready;
  const status = async () =>
    (
      await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      })
    ).status;
  expect(await status()).toBe(200);
  served.child.kill('SIGHUP');
  await vi.waitFor(() => expect(said).toMatch(/reload: all is unchanged/), 5000);
  appendFileSync(file(), 'nonsense: [');
  served.child.kill('SIGHUP');
  await vi.waitFor(() => expect(said).toMatch(/connector.yaml.*nothing was changed/), 5000);
  expect(await status()).toBe(200);
  write(yaml('allowed_origins: [https://a.example]'));
  served.child.kill('SIGHUP');
  await vi.waitFor(() => expect(said).toMatch(/allowed_origins.*reload: changed/), 5000);
  served.child.kill('SIGTERM');
  expect(await served.exited).toBe(0);
  // Whoever collects the log reads every line of it as JSON, also those about the process itself.
  const messages = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).message);
  expect(messages.slice(-2)).toEqual(['stopping: calls in flight may finish', 'stopped']);
}, 30_000);

it('a start names roles of clients that the policy does not know', async () => {
  await run(['client', 'add', 'a', '--file', join(dir, 'clients.json'), '--role', 'clrek']);
  write(yaml(''));
  const said: string[] = [];
  const log = (message: string, fields?: object) => void said.push(JSON.stringify({ message, ...fields }));
  connector = await startConnector({ config: read(), ops: { info: log, warn: log, error: log } });
  expect(said.join('\n')).toMatch(/role that the policy does not know.*"role":"clrek"/);
});

it('R-94: two policies at work at the same time are told once when they have been for longer than a deployment takes', async () => {
  const [told, looks]: [object[], object[]] = [[], []];
  const self = { policy: 'p', configuration: 'c', keyring: 'k', order: '', order_problem: '' };
  let others: object[] = [];
  const replicas = watchReplicas({
    store: { skewMs: 0, replicas: async (own) => [own, ...others] as never },
    describe: () => self,
    onDifference: () => {},
    onLasting: (what, values) => void told.push([what, ...Object.keys(values)]),
    lastingMs: 0,
    onLook: (all) => void looks.push(all),
  });
  await replicas.look();
  // What a process before this one has told is over.
  expect(told.splice(0)).toEqual([['policy'], ['configuration']]);
  others = [{ ...replicas.self, id: 'other', policy: 'q' }];
  await replicas.look();
  await replicas.look();
  expect(told).toHaveLength(1);
  expect(told[0]).toEqual(expect.arrayContaining(['policy', 'p', 'q']));
  others = [];
  await replicas.look();
  // And that it is over.
  expect(told[1]).toEqual(['policy']);
  others = [{ ...replicas.self, id: 'other', policy: 'q' }];
  await replicas.look();
  expect(told).toHaveLength(3);
  expect(looks).toHaveLength(5);
  replicas.close();
});

it('R-94: replicas are compared by version, policy, configuration and keyring', () => {
  const one = (id: string, changes = {}) => ({
    ...{
      id,
      host: 'h',
      version: '1',
      started_at: '',
      policy: 'p',
      configuration: 'c',
      keyring: 'k',
      clock_skew_ms: 0,
      order: '',
      order_problem: '',
    },
    ...changes,
  });
  expect(differencesOf([one('a'), one('b', { host: 'other', clock_skew_ms: 9 })])).toEqual([]);
  expect(differencesOf([one('b', { policy: 'q' }), one('a'), one('c', { policy: 'q', keyring: 'l' })])).toEqual([
    { what: 'policy', values: { p: ['a'], q: ['b', 'c'] } },
    { what: 'keyring', values: { k: ['a', 'b'], l: ['c'] } },
  ]);
});
