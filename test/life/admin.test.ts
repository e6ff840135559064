// The admin listener as operators use it: tokens with names and rights, what it shows, and what it reloads.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { sessionsSchema, statusSchema } from '../../src/admin/api-schema.ts';
import { run } from '../support/cli.ts';
import { type Harness, type Loose, startHarness } from '../support/harness.ts';

const TOKENS = {
  ROOT_TOKEN: 'token-with-every-right-0123456789abcdef',
  SCRAPE_TOKEN: 'token-that-scrapes-0123456789abcdef0123',
  READ_TOKEN: 'token-that-reads-0123456789abcdef012345',
  ACT_TOKEN: 'token-that-acts-0123456789abcdef0123456',
};
const dir = mkdtempSync(join(tmpdir(), 'sallyport-admin-'));
const AUDITOR = join(dir, 'auditor.token');
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const ADMIN = `{ port: 0, token: { env: ROOT_TOKEN }, tokens: {
  prometheus: { env: SCRAPE_TOKEN, rights: [metrics] },
  auditor: { file: ${AUDITOR}, rights: [read] },
  on-call: { env: ACT_TOKEN, rights: [act, read] } } }`;
const OTHER = 'another-token-that-reads-0123456789abcdef';
let h: Harness;
const writeAuditor = (token: string) => writeFileSync(AUDITOR, token, { mode: 0o600 });

async function start(edit = (yaml: string) => yaml): Promise<void> {
  Object.assign(process.env, TOKENS);
  writeAuditor(TOKENS.READ_TOKEN);
  h = await startHarness({
    clients: { 'agent-b': ['clerk'] },
    edit: (yaml) => edit(yaml.replace('state_dir:', `admin: ${ADMIN}\nstate_dir:`)),
  });
}
afterEach(async () => {
  await h?.close();
  for (const name of Object.keys(TOKENS)) delete process.env[name];
});

const url = (path: string) => new URL(path, h.connector.adminUrl);
const ask = (path: string, token: string, body?: object, headers = {}) =>
  fetch(url(path), {
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
const events = async (name: string): Promise<Loose[]> => (await h.audit('event')).filter(({ event }) => event === name);

describe('R-94: tokens', () => {
  it.each([
    ['SCRAPE_TOKEN', '/metrics', undefined, 200],
    ['SCRAPE_TOKEN', '/api/v1/status', undefined, 403],
    ['SCRAPE_TOKEN', '/revocations', { all: true, reason: 'r' }, 403],
    ['READ_TOKEN', '/metrics', undefined, 403],
    ['READ_TOKEN', '/api/v1/status', undefined, 200],
    ['READ_TOKEN', '/api/v1/sessions', undefined, 200],
    ['READ_TOKEN', '/readyz?verbose', undefined, 200],
    ['READ_TOKEN', '/api/v1/reload', { reason: 'r' }, 403],
    ['ACT_TOKEN', '/revocations', { all: true, reason: 'r' }, 200],
    ['ACT_TOKEN', '/revocations', { all: true }, 400],
    ['ACT_TOKEN', '/api/v1/reload', {}, 400],
    ['ROOT_TOKEN', '/api/v1/reload', { reason: 'r' }, 200],
    ['ROOT_TOKEN', '/metrics', undefined, 200],
  ] as const)('%s at %s with %j gets %i', async (token, path, body, status) => {
    await start();
    const answer = await ask(path, TOKENS[token], body);
    expect(answer.status).toBe(status);
    expect(await answer.text()).not.toContain('token-');
  });

  it('who acted and why is on record', async () => {
    await start();
    await ask('/revocations', TOKENS.ACT_TOKEN, { client: 'x', reason: 'left the company' });
    await ask('/revocations', TOKENS.ROOT_TOKEN, { client: 'y', reason: 'a drill' });
    await ask('/api/v1/reload', TOKENS.ACT_TOKEN, { reason: 'new certificate' });
    expect(await events('session_revocation')).toMatchObject([
      { operator: 'on-call', reason: 'left the company', requested_by: '127.0.0.1' },
      { operator: 'admin', reason: 'a drill' },
    ]);
    expect(await events('reload')).toMatchObject([{ operator: 'on-call', reason: 'new certificate', ok: true }]);
  });

  it('two names with one token, and a short one, are errors of the start', async () => {
    await start();
    writeAuditor(TOKENS.ACT_TOKEN);
    const again = (edit = (yaml: string) => yaml) =>
      startHarness({ edit: (yaml) => edit(yaml.replace('state_dir:', `admin: ${ADMIN}\nstate_dir:`)) });
    await expect(again()).rejects.toThrow(/admin.tokens.on-call: is the same token as that of "auditor"/);
    writeAuditor('short');
    await expect(again()).rejects.toThrow(/admin.tokens.auditor: give at least 32 characters/);
    await expect(
      again((yaml) => yaml.replace(/token: \{ env: ROOT_TOKEN \}, tokens: \{[^}]*\}[^}]*\}[^}]*\} \}/, '')),
    ).rejects.toThrow(/admin: give "token" or "tokens"/);
  });
});

it('R-65: guessing is slowed down, with one alert, and a good token passes all the same', async () => {
  await start((yaml) => yaml.replace('state_dir:', 'limits: { failures_per_minute: 10 }\nstate_dir:'));
  const statuses: number[] = [];
  for (let i = 0; i < 30; i++) statuses.push((await ask('/metrics', `wrong-${i}`)).status);
  expect(statuses.filter((status) => status === 401)).toHaveLength(10);
  expect(statuses.filter((status) => status === 429)).toHaveLength(20);
  expect((await ask('/metrics', TOKENS.SCRAPE_TOKEN)).status).toBe(200);
  expect((await h.audit('alert')).map(({ reasons }) => reasons)).toEqual([['admin.too_many_failures']]);
});

it('R-14: Host must be a loopback name, one that is configured, or the address', async () => {
  await start((yaml) => yaml.replace('admin: { port: 0,', 'admin: { port: 0, allowed_hosts: [ops.example],'));
  const { port } = url('/');
  const status = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = rawRequest(url('/livez'), { headers: { host } }, (answer) => resolve(answer.resume().statusCode));
      sent.on('error', reject).end();
    });
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'ops.example', `OPS.example:${port}`])
    expect([host, await status(host)]).toEqual([host, 200]);
  for (const host of ['evil.example', `evil.example:${port}`, '10.0.0.1'])
    expect([host, await status(host)]).toEqual([host, 403]);
});

it('R-86: a body that stalls does not hold a connection for long', async () => {
  await start();
  const socket = connect(Number(url('/').port), '127.0.0.1');
  const ended = new Promise<number>((resolve) => {
    const began = performance.now();
    socket.on('close', () => resolve(performance.now() - began)).on('error', () => {});
  });
  socket.resume();
  socket.write(
    `POST /revocations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKENS.ACT_TOKEN}\r\nContent-Length: 50\r\n\r\n{`,
  );
  expect(await ended).toBeLessThan(13_000);
}, 20_000);

describe('R-94: what it shows', () => {
  it('status by its schema, with parts, backends, replicas and warnings', async () => {
    await start();
    const status = statusSchema.parse(await (await ask('/api/v1/status', TOKENS.READ_TOKEN)).json());
    expect(status).toMatchObject({ ready: true, store: { kind: 'memory' }, differences: [], issuer: null });
    expect(status.replicas).toMatchObject([{ id: status.self, policy: status.policy.revision }]);
    expect(status.backends).toMatchObject([{ name: 'inventory', circuit: 'closed', in_flight: 0 }]);
    expect(status.warnings).toMatchObject([{ what: 'policy' }, { what: 'alerts' }]);
  });

  it('sessions by their schema, page after page, with no secret and no argument', async () => {
    await start();
    await h.call('stock_get', { sku: 'A-1' });
    await h.call('stock_get', { sku: 'A-1' }, { key: 'agent-b' });
    h.clock.advance(30);
    const page = async (query: string) => {
      const text = await (await ask(`/api/v1/sessions?${query}`, TOKENS.READ_TOKEN)).text();
      expect(text).not.toMatch(/A-1|INVSESSION|sealed/i);
      return sessionsSchema.parse(JSON.parse(text));
    };
    const first = await page('limit=1');
    expect(first).toMatchObject({ total: 2, sessions: [{ backend: 'inventory', generation: 1, token_uses: 1 }] });
    expect(first.sessions[0]).toMatchObject({ age_seconds: 30, idle_seconds: 30, rotates_in_seconds: 270 });
    const second = await page(`limit=1&after=${first.next}`);
    expect(second.next).toBeNull();
    const clients = [...first.sessions, ...second.sessions].map(({ client }) => client).sort();
    expect(clients).toEqual(['agent-b', 'demo-agent']);
    expect((await page('client=agent-b')).total).toBe(1);
    expect((await ask('/api/v1/sessions?limit=0', TOKENS.READ_TOKEN)).status).toBe(400);
    expect((await ask('/api/v1/sessions?who=x', TOKENS.READ_TOKEN)).status).toBe(400);
  });

  it('HEAD is answered as GET where a balancer asks, and is no guess at a token', async () => {
    await start();
    for (const path of ['/livez', '/readyz'])
      expect([path, (await fetch(url(path), { method: 'HEAD' })).status]).toEqual([path, 200]);
    expect(await events('authn_login_fail')).toEqual([]);
  });

  it('/livez and /readyz without a credential say no more than the public ones', async () => {
    await start();
    expect(await (await fetch(url('/livez'))).json()).toEqual({ status: 'ok' });
    expect(await (await fetch(url('/readyz'))).json()).toEqual({ status: 'ok' });
    expect((await fetch(url('/readyz?verbose'))).status).toBe(401);
    expect(await (await fetch(new URL('/livez', h.url))).json()).toEqual({ status: 'ok' });
  });
});

describe('a reload', () => {
  const clientsFile = () => join(h.stateDir, 'clients.json');
  const reload = async () => (await ask('/api/v1/reload', TOKENS.ACT_TOKEN, { reason: 'r' })).json() as Promise<Loose>;
  const resultOf = ({ parts }: Loose, part: string) => parts.find((each: Loose) => each.part === part)?.result;

  it('mostly finds everything unchanged', async () => {
    await start();
    const { ok, parts } = await reload();
    expect(ok).toBe(true);
    expect(new Set(parts.map(({ result }: Loose) => result))).toEqual(new Set(['unchanged']));
    expect(parts.map(({ part }: Loose) => part)).toEqual(
      expect.arrayContaining(['identity.keys', 'keyring', 'connector.yaml', 'admin.tokens']),
    );
  });

  it('takes in changed clients and tokens at once', async () => {
    await start();
    const before = readFileSync(clientsFile(), 'utf8');
    writeFileSync(clientsFile(), JSON.stringify({ version: 1, clients: [] }));
    writeAuditor(OTHER);
    const result = await reload();
    expect([resultOf(result, 'identity.keys'), resultOf(result, 'admin.tokens')]).toEqual(['changed', 'changed']);
    expect((await h.rpc('tools/list')).status).toBe(401);
    expect((await ask('/api/v1/status', TOKENS.READ_TOKEN)).status).toBe(401);
    expect((await ask('/api/v1/status', OTHER)).status).toBe(200);
    writeFileSync(clientsFile(), before);
    await reload();
    expect((await h.rpc('tools/list')).status).toBe(200);
  });

  it('changes nothing at all when one part cannot be used, says so loudly, and calls go on', async () => {
    await start();
    writeFileSync(clientsFile(), '{ half');
    writeAuditor(OTHER);
    const answer = await ask('/api/v1/reload', TOKENS.ACT_TOKEN, { reason: 'r' });
    expect(answer.status).toBe(409);
    const result = (await answer.json()) as Loose;
    expect(resultOf(result, 'identity.keys')).toBe('refused');
    expect(resultOf(result, 'admin.tokens')).toBe('unchanged');
    expect((await ask('/api/v1/status', TOKENS.READ_TOKEN)).status).toBe(200);
    expect((await h.rpc('tools/list')).status).toBe(200);
    expect(await events('reload')).toMatchObject([{ ok: false, refused: 'identity.keys' }]);
    expect(h.ops.join('\n')).toMatch(/reload: nothing was changed/);
  });

  it('R-94: its result stands in status, in the metrics and, when it was refused, in an alert', async () => {
    await start();
    const status = async () => statusSchema.parse(await (await ask('/api/v1/status', TOKENS.READ_TOKEN)).json());
    const metrics = async () => (await ask('/metrics', TOKENS.SCRAPE_TOKEN)).text();
    expect((await status()).last_reload).toBeNull();
    expect(await metrics()).toMatch(/^sallyport_last_reload_successful 1$/m);
    const before = readFileSync(clientsFile(), 'utf8');
    writeFileSync(clientsFile(), '{ half');
    await reload();
    expect(await status()).toMatchObject({
      last_reload: { ok: false, operator: 'on-call', refused: ['identity.keys'], changed: [] },
      warnings: expect.arrayContaining([
        { what: 'reload', detail: 'refused for identity.keys; nothing was changed: mend it and reload again' },
      ]),
    });
    expect(await metrics()).toMatch(/^sallyport_last_reload_successful 0$/m);
    expect(await h.audit('alert')).toContainEqual(
      expect.objectContaining({ reasons: ['reload.refused'], params: { refused: 'identity.keys' } }),
    );
    writeFileSync(clientsFile(), before);
    await reload();
    const { last_reload, warnings } = await status();
    expect(last_reload).toMatchObject({ ok: true, refused: [] });
    expect(warnings.map(({ what }) => what)).not.toContain('reload');
    expect(await metrics()).toMatch(/^sallyport_last_reload_successful 1$/m);
  });

  it('what waits for a restart is remembered by a reload that is refused, and the reason of a file stands in status', async () => {
    await start();
    const status = async () => statusSchema.parse(await (await ask('/api/v1/status', TOKENS.READ_TOKEN)).json());
    const password = join(h.stateDir, 'demo-backend.password');
    const secret = readFileSync(password, 'utf8');
    const before = readFileSync(clientsFile(), 'utf8');
    writeFileSync(password, 'another');
    await reload();
    writeFileSync(clientsFile(), '{ half');
    await reload();
    const { waits_for_restart: waits, last_reload: last, warnings } = await status();
    expect(waits).toEqual([
      { part: 'backends.inventory.credentials', fails: false, detail: 'credentials, CA or certificate' },
    ]);
    expect(last).toMatchObject({ ok: false, needs_restart: ['backends.inventory.credentials'] });
    expect(warnings).toContainEqual({
      what: 'restart',
      detail: 'changes wait for one: backends.inventory.credentials',
    });
    await vi.waitFor(
      async () =>
        expect((await status()).warnings).toContainEqual({
          what: 'clients',
          detail: expect.stringMatching(/clients.json is not JSON; the last good file stays in force$/),
        }),
      5000,
    );
    writeFileSync(clientsFile(), before);
    writeFileSync(password, secret);
    await reload();
    expect((await status()).waits_for_restart).toEqual([]);
  }, 15_000);

  it('logins that fail are one line and a warning, until one is taken again', async () => {
    await start();
    const status = async () => statusSchema.parse(await (await ask('/api/v1/status', TOKENS.READ_TOKEN)).json());
    h.legacy.inject({ refuseLogins: true });
    for (let i = 0; i < 3; i++) await h.call('stock_get', { sku: 'A-1' });
    const lines = (pattern: RegExp) => h.ops.filter((line) => pattern.test(line)).length;
    expect(lines(/does not take the login/)).toBe(1);
    expect((await status()).warnings).toContainEqual({
      what: 'backend inventory',
      detail: expect.stringMatching(/^it did not take the last login: /),
    });
    h.legacy.inject({ refuseLogins: false });
    h.clock.advance(60);
    await vi.waitFor(
      async () => expect((await h.call('stock_get', { sku: 'A-1' })).body.result.isError).not.toBe(true),
      8000,
    );
    expect(lines(/takes the login again/)).toBe(1);
    expect((await status()).warnings.map(({ what }) => what)).not.toContain('backend inventory');
  }, 15_000);

  it('R-29: a client file that can be used again is one line, and so is one that cannot', async () => {
    await start();
    const before = readFileSync(clientsFile(), 'utf8');
    writeFileSync(clientsFile(), '{ half');
    const lines = (pattern: RegExp) => h.ops.filter((line) => pattern.test(line)).length;
    await vi.waitFor(() => expect(lines(/client file cannot be used/)).toBe(1), 5000);
    writeFileSync(clientsFile(), before);
    await vi.waitFor(() => expect(lines(/can be used again.*"part":"clients"/)).toBe(1), 5000);
    expect(lines(/client file cannot be used/)).toBe(1);
  }, 15_000);

  it('R-29: a broken client file is a warning, an event and an alert, and the replica stays ready', async () => {
    await start();
    writeFileSync(clientsFile(), '{ half');
    await vi.waitFor(
      async () => expect(await events('file_unusable')).toMatchObject([{ part: 'clients', unusable: true }]),
      5000,
    );
    expect((await fetch(new URL('/readyz', h.url))).status).toBe(200);
    const verbose = (await (await ask('/readyz?verbose', TOKENS.READ_TOKEN)).json()) as Loose;
    expect(verbose.warnings.map(({ what }: Loose) => what)).toContain('clients');
    expect((await h.audit('alert')).at(-1)).toMatchObject({ reasons: ['file.unusable'] });
    expect((await h.rpc('tools/list')).status).toBe(200);
  });
});

it('R-28: a revocation of a name that nobody has holds, and says that it met nothing', async () => {
  await start();
  const at = ['--url', String(url('/')), '--reason', 'a test'];
  const env = { SALLYPORT_ADMIN_TOKEN: TOKENS.ROOT_TOKEN };
  const asked = await run(['revoke', ...at, '--backend', 'inventroy'], { env });
  expect(asked).toMatchObject({
    code: 0,
    stdout: '0 sessions ended\n',
    stderr: expect.stringMatching(/no session was found.*no backend has that name here; there are inventory\n$/),
  });
  expect((await run(['revoke', ...at, '--client', 'agnet'], { env })).stderr).toMatch(
    /no session was found.*sallyport sessions/,
  );
  await h.call('stock_get', { sku: 'A-1' });
  const met = await run(['revoke', ...at, '--client', 'demo-agent'], { env });
  expect(met).toMatchObject({ code: 0, stdout: '1 session ended\n', stderr: '' });
}, 30_000);

it('the commands print what there is, for people and for machines', async () => {
  await start();
  await h.call('stock_get', { sku: 'A-1' });
  const at = ['--url', String(url('/'))];
  const env = { SALLYPORT_ADMIN_TOKEN: TOKENS.ROOT_TOKEN };
  const status = await run(['status', ...at], { env });
  expect([status.code, status.stdout]).toEqual([
    0,
    expect.stringMatching(/ready +yes\n[\s\S]*backend inventory +circuit closed/),
  ]);
  expect(statusSchema.parse(JSON.parse((await run(['status', ...at, '--json'], { env })).stdout)).ready).toBe(true);
  expect((await run(['sessions', ...at], { env })).stdout).toMatch(/inventory +demo-agent[\s\S]*1 of 1/);
  const reloaded = await run(['reload', ...at, '--reason', 'a test'], { env });
  expect([reloaded.code, reloaded.stdout]).toEqual([0, expect.stringMatching(/keyring +unchanged/)]);
  expect((await run(['reload', ...at], { env })).code).toBe(2);
  expect(await run(['status', ...at], { env: { SALLYPORT_ADMIN_TOKEN: TOKENS.SCRAPE_TOKEN } })).toMatchObject({
    code: 1,
    stderr: 'refused: forbidden; this token has not the right "read"\n',
  });
}, 60_000);
