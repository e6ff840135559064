// The admin listener, and what a revocation means to the client whose sessions end.
import { existsSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { startConnector } from '../../src/connector.ts';
import { KEYS_ISSUER } from '../../src/identity/keys.ts';
import { type Harness, reasons, startHarness } from '../support/harness.ts';

const TOKEN = 'an-admin-token-of-forty-characters-or-so';
let h: Harness;

const ALL = '{"all":true,"reason":"a test"}';
const start = (admin = `{ port: 0, token: { env: TEST_ADMIN_TOKEN } }`) =>
  startHarness({
    clients: { 'agent-b': ['clerk'] },
    edit: (yaml) => yaml.replace('state_dir:', `admin: ${admin}\nstate_dir:`),
  });
beforeEach(async () => {
  process.env.TEST_ADMIN_TOKEN = TOKEN;
  h = await start();
});
afterEach(() => h.close());

const send = (body: string, headers: Record<string, string> = {}, path = '/revocations', method = 'POST') =>
  fetch(new URL(path, h.connector.adminUrl), {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    ...(method === 'POST' && { body }),
  });
const revoke = async (selector: object) => (await send(JSON.stringify({ reason: 'a test', ...selector }))).json();

describe('R-28: revocation', () => {
  it('by client, subject, session, backend or all ends the session and its handle, and other sessions go on', async () => {
    const events = async (name: string) => (await h.audit('event')).filter(({ event }) => event === name);
    for (const selector of [
      () => ({ client: 'demo-agent' }),
      () => ({ subject: 'demo-agent' }),
      async () => ({ session: (await events('session_opened')).at(-1).session }),
    ]) {
      const handle = await h.initialize();
      const other = await h.initialize({ key: 'agent-b' });
      await h.call('stock_list', {}, { key: 'agent-b', handle: other });
      await h.call('stock_list', {}, { handle });
      const chosen = await selector();
      expect(await revoke(chosen)).toEqual({ revoked: 1 });
      await h.connector.settled();
      expect(h.legacy.stats().liveSessions).toBe(1);
      const again = await h.call('stock_list', {}, { handle, id: 77 });
      expect(again.status).toBe('session' in chosen ? 200 : 404);
      expect((await h.call('stock_list', {}, { key: 'agent-b', handle: other, id: 78 })).status).toBe(200);
      await h.call('stock_list');
      expect((await h.audit('decision')).at(-1).input.session?.generation ?? 1).toBe(1);
    }
    expect(await revoke({ backend: 'inventory' })).toEqual({ revoked: 2 });
    await h.call('stock_list');
    expect(await revoke({ all: true })).toEqual({ revoked: 1 });
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(0);
    expect(await revoke({ all: true })).toEqual({ revoked: 0 });
    expect((await events('session_revocation')).at(-1)).toMatchObject({ selector: '{"all":true}', ended: 0 });
  });

  it('of a client or subject of one issuer spares the same id of another issuer', async () => {
    const handle = await h.initialize();
    await h.call('stock_list', {}, { handle });
    for (const kind of ['client', 'subject']) {
      expect(await revoke({ [kind]: 'demo-agent', issuer: 'https://another.example' })).toEqual({ revoked: 0 });
      expect((await h.call('stock_list', {}, { handle })).status).toBe(200);
    }
    expect(await revoke({ client: 'demo-agent', issuer: KEYS_ISSUER })).toEqual({ revoked: 1 });
    expect((await h.call('stock_list', {}, { handle })).status).toBe(404);
  });

  it('a call that is in flight when its session is revoked does not bring the session back', async () => {
    await h.call('stock_list');
    h.legacy.inject({ latencyMs: 100 });
    const slow = h.call('stock_list');
    await revoke({ client: 'demo-agent' });
    await slow;
    h.legacy.inject({ latencyMs: 0 });
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(0);
  });
});

describe('the admin listener', () => {
  it('has its own credential, and refuses requests from browsers', async () => {
    for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, `Bearer ${h.key}`, `Basic ${TOKEN}`]) {
      const answer = await send(ALL, { authorization });
      expect(answer.status).toBe(401);
    }
    expect((await send(ALL, { origin: 'http://evil.example' })).status).toBe(403);
    expect((await fetch(new URL('/revocations', h.url), { method: 'POST' })).status).toBe(404);
    expect((await h.audit('event')).filter(({ failure }) => failure === 'admin')).toHaveLength(5);
  });

  it('requires exactly one selector of limited size, and has no other path', async () => {
    const wrong = [
      '',
      '{',
      '[]',
      '{}',
      '{"all":true}',
      '{"all":true,"reason":" "}',
      '{"all":false,"reason":"r"}',
      '{"client":"","reason":"r"}',
      '{"client":1,"reason":"r"}',
      '{"client":"a","all":true,"reason":"r"}',
      '{"backend":"a","issuer":"i","reason":"r"}',
      '{"who":"a","reason":"r"}',
      `{"client":"${'x'.repeat(9000)}"}`,
    ];
    for (const body of wrong) expect((await send(body)).status).toBe(400);
    expect((await send(ALL, {}, '/')).status).toBe(404);
    expect((await send('', {}, '/revocations', 'GET')).status).toBe(405);
  });

  it('does not start with a credential that can be guessed, or with a file that others can read', async () => {
    process.env.TEST_ADMIN_TOKEN = 'short';
    await expect(start()).rejects.toThrow('at least 32 characters');
    delete process.env.TEST_ADMIN_TOKEN;
    await expect(start()).rejects.toThrow('TEST_ADMIN_TOKEN is not set');
    const file = `${h.stateDir}/admin.token`;
    writeFileSync(file, TOKEN, { mode: 0o644 });
    await expect(start(`{ port: 0, token: { file: ${file} } }`)).rejects.toThrow('chmod 600');
  });
});

it('a start that lacks the credential of the admin listener fails before anything is opened', async () => {
  const stateDir = `${h.stateDir}/never`;
  const text = `
version: 1
identity: { keys: { file: clients.json } }
admin: { port: 0, token: { env: NO_SUCH_TOKEN } }
state_dir: ${stateDir}
backends:
  b:
    url: http://127.0.0.1:1
    login: [{ request: { path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools:
  t: { backend: b, description: T, effect: read, request: { path: /t } }
`;
  const parsed = parseConfig({ text, file: 'connector.yaml', baseDir: h.stateDir, env: {} });
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join());
  await expect(startConnector({ config: parsed.config, env: {} })).rejects.toThrow('NO_SUCH_TOKEN is not set');
  expect(existsSync(stateDir)).toBe(false);
});

it('R-30: the session limit of a client id counts the sessions of all its users', async () => {
  const { createIssuer } = await import('../support/tokens.ts');
  const { policyFolder } = await import('../support/policies.ts');
  const issuer = await createIssuer(() => h.clock.now());
  const policies = policyFolder({
    'data.yaml': (yaml) => yaml.replace(/sessions_per_client: \d+/, 'sessions_per_client: 3'),
  });
  await h.close();
  h = await startHarness({
    policyDir: policies.dir,
    edit: (yaml) => yaml.replace('identity:\n', `identity:\n${issuer.yaml}`),
  });
  const call = async (subject: string) => {
    const headers = { authorization: `Bearer ${await issuer.token({ sub: subject })}` };
    return reasons(await h.call('stock_list', {}, { headers }));
  };
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => call(`user-${i}`)));
  expect(answers.filter((codes) => codes.length === 0)).toHaveLength(3);
  expect(answers.filter((codes) => codes.includes('session.limit'))).toHaveLength(5);
  expect(h.legacy.stats().logins).toBe(3);
  const user = answers.findIndex((codes) => codes.length === 0);
  h.clock.advance(400);
  expect(await call(`user-${user}`)).toEqual([]);
  issuer.remove();
  policies.remove();
});

describe('GET /metrics', () => {
  const metrics = async (): Promise<string[]> => {
    const answer = await send('', {}, '/metrics', 'GET');
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    return (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  };

  it('R-55: shows how calls ended and the state of each backend', async () => {
    await h.call('stock_list');
    await h.call('stock_get', { sku: 'none' });
    await h.call('stock_write_off', { sku: 'A-1' });
    const lines = await metrics();
    const [denied] = (await h.audit('decision')).filter(({ result }) => result.outcome === 'deny');
    for (const { code } of denied.result.reasons)
      expect(lines).toContain(`sallyport_denials_total{reason="${code}"} 1`);
    for (const line of [
      'sallyport_decisions_total{outcome="allow",decided_by="policy"} 2',
      'sallyport_decisions_total{outcome="deny",decided_by="policy"} 1',
      'sallyport_calls_total{outcome="success"} 1',
      'sallyport_calls_total{outcome="denied"} 1',
      'sallyport_refusals_total{reason="backend.rejected"} 1',
      'sallyport_events_total{event="session_opened"} 1',
      'sallyport_backend_exchanges_total{backend="inventory",outcome="3xx"} 1',
      'sallyport_backend_exchanges_total{backend="inventory",outcome="4xx"} 1',
      'sallyport_backend_exchange_seconds_count{backend="inventory"} 5',
      'sallyport_backend_circuit{backend="inventory"} 0',
      'sallyport_backend_in_flight{backend="inventory"} 0',
      'sallyport_ready{part="all"} 1',
    ])
      expect(lines).toContain(line);
  });

  it('shows a circuit that is open', async () => {
    await h.call('stock_list');
    h.legacy.inject({ failure: 'drop' });
    for (let i = 0; i < 6; i++) await h.call('stock_list');
    const lines = await metrics();
    expect(lines).toContain('sallyport_backend_circuit{backend="inventory"} 2');
    expect(lines.filter((line) => line.includes('backend.unavailable'))).not.toEqual([]);
  });

  it('requires the credential of the admin listener, and nothing that a client sends becomes a label', async () => {
    expect((await send('', { authorization: 'Bearer wrong' }, '/metrics', 'GET')).status).toBe(401);
    expect((await send('{}', {}, '/metrics')).status).toBe(405);
    await h.call('no_such_tool_marker', { secret: 'argument-marker' }, { headers: { 'user-agent': 'agent-marker' } });
    const text = (await metrics()).join('\n');
    expect(text).not.toMatch(/marker|demo-agent|10\.1\.2/);
    expect(text).toContain('sallyport_refusals_total{reason="call.unknown_tool"} 1');
  });
});
