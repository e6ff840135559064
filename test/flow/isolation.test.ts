// Clients do not see, use or disturb one another, and no secret is shown anywhere.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logText } from '../support/decision-log.ts';
import { type Harness, reasons, startHarness } from '../support/harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await startHarness({ clients: { 'agent-a': ['clerk'], 'agent-b': ['clerk'], boss: ['manager'] } });
});
afterEach(() => h.close());

it('R-15: parallel clients with equal JSON-RPC ids get their own results', async () => {
  const asked = Array.from({ length: 60 }, (_, i) => ({
    key: i % 2 === 0 ? 'agent-a' : 'agent-b',
    sku: ['A-1', 'B-2', 'C-3'][i % 3] as string,
  }));
  const handles = {
    'agent-a': await h.initialize({ key: 'agent-a' }),
    'agent-b': await h.initialize({ key: 'agent-b' }),
  };
  const answers = await Promise.all(
    asked.map(({ key, sku }, i) =>
      h.call('stock_get', { sku }, { key, id: Math.floor(i / 2), handle: handles[key as keyof typeof handles] }),
    ),
  );
  answers.forEach((answer, i) => {
    expect(answer.body.id).toBe(Math.floor(i / 2));
    expect(answer.body.result.structuredContent.sku).toBe(asked[i]?.sku);
  });
});

it('R-52: each client has a backend session of its own', async () => {
  await Promise.all(['agent-a', 'agent-b', 'boss'].map((key) => h.call('stock_list', {}, { key })));
  expect(h.legacy.stats()).toMatchObject({ logins: 3, liveSessions: 3 });
});

describe('R-03: handles', () => {
  it('attack 7: the handle of another client is answered like an unknown one, and its owner goes on', async () => {
    const handle = await h.initialize({ key: 'agent-a' });
    await h.call('stock_list', {}, { key: 'agent-a', handle });
    const foreign = await h.call('stock_list', {}, { key: 'agent-b', handle, id: 99 });
    const unknown = await h.call('stock_list', {}, { key: 'agent-b', handle: `${handle.slice(0, -4)}AAAA`, id: 99 });
    expect(foreign.status).toBe(404);
    expect(unknown.status).toBe(404);
    expect(foreign.body).toEqual(unknown.body);
    expect((await h.call('stock_list', {}, { key: 'agent-a', handle })).status).toBe(200);
    expect((await h.audit('event')).filter((e) => e.event === 'session_use_fail')).toHaveLength(2);
    expect(await h.audit('decision')).toHaveLength(2);
  });

  it('attack 8: a handle that the client chose is never created', async () => {
    for (const handle of ['x', 'a.b', '0'.repeat(100), '../../etc', 'a'.repeat(5000)]) {
      expect((await h.rpc('tools/list', {}, { handle })).status).toBe(404);
      expect((await h.rpc('tools/list', {}, { handle })).status).toBe(404);
    }
  });

  it('a handle expires by server time', async () => {
    const handle = await h.initialize();
    h.clock.advance(86_400 - 1);
    expect((await h.rpc('ping', {}, { handle })).status).toBe(200);
    h.clock.advance(1);
    expect((await h.rpc('ping', {}, { handle })).status).toBe(404);
  });

  it('R-20: handles are unique, long, and reveal nothing', async () => {
    const handles = await Promise.all(Array.from({ length: 20 }, () => h.initialize()));
    expect(new Set(handles).size).toBe(20);
    expect(handles.every((handle) => handle.length > 60)).toBe(true);
    expect(new Set(handles.map((handle) => handle.slice(9, 25))).size).toBe(20);
  });

  it('a client that opens handles without end keeps only the newest ones', async () => {
    const first = await h.initialize();
    for (let i = 0; i < 32; i++) await h.initialize();
    expect((await h.rpc('ping', {}, { handle: first })).status).toBe(404);
  });
});

it('an API key that is removed from the file stops working without a restart', async () => {
  const file = join(h.stateDir, 'clients.json');
  const { writePrivateFile } = await import('../../src/core/files/private-file.ts');
  expect((await h.rpc('ping', {}, { key: 'agent-a' })).status).toBe(200);
  const records = JSON.parse(readFileSync(file, 'utf8'));
  records.clients = records.clients.filter((c: { id: string }) => c.id !== 'agent-a');
  writePrivateFile(file, JSON.stringify(records));
  const { until } = await import('../support/harness.ts');
  await until(async () => (await h.rpc('ping', {}, { key: 'agent-a' })).status === 401, 'the key to stop working');

  // When the file becomes unreadable, known clients stay known, the replica stays in the balancer, and an event says so.
  writePrivateFile(file, '{');
  const told = async (unusable: boolean) =>
    (await h.audit('event')).some(
      (r) => r.event === 'file_unusable' && r.part === 'clients' && r.unusable === unusable,
    );
  await until(() => told(true), 'the event');
  expect((await fetch(new URL('/readyz', h.url))).status).toBe(200);
  expect((await h.rpc('ping', {}, { key: 'agent-b' })).status).toBe(200);
  writePrivateFile(file, JSON.stringify(records));
  await until(() => told(false), 'the event that it is over');
});

it('R-40: no result, log or error shows a backend token, CSRF token, password or API key in any spelling', async () => {
  const seen: string[] = [];
  const record = async (answer: Promise<{ text: string; headers: Headers }>) => {
    const { text, headers } = await answer;
    seen.push(text, JSON.stringify([...headers]));
  };
  const handle = await h.initialize();
  await record(h.call('stock_list', {}, { handle }));
  await record(h.call('stock_adjust', { sku: 'A-1', delta: 1 }, { handle }));
  await record(h.call('order_list', {}, { handle }));
  const secrets = new Set(h.legacy.stats().callsBySession.keys());
  for (const failure of [500, 403, 401, 'drop', 'redirect', null] as const) {
    h.legacy.inject({ failure });
    await record(h.call('stock_get', { sku: 'A-1' }, { handle }));
  }
  h.legacy.endAllSessions();
  await record(h.call('stock_list', {}, { handle }));
  await record(h.call('stock_write_off', { sku: 'A-1' }, { handle }));
  await record(h.post('{"jsonrpc":'));
  await h.connector.settled();

  for (const id of h.legacy.stats().callsBySession.keys()) secrets.add(id);
  secrets.add(readFileSync(join(h.stateDir, 'demo-backend.password'), 'utf8').trim());
  secrets.add(h.key);
  expect(secrets.size).toBeGreaterThanOrEqual(4);
  const everything = [...seen, logText(h.stateDir), ...h.ops].join('\n');
  for (const secret of secrets) {
    const bytes = Buffer.from(secret);
    for (const spelling of [
      secret,
      secret.toLowerCase(),
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
      encodeURIComponent(secret),
      gzipSync(bytes).toString('base64').slice(14, 40),
    ]) {
      expect(everything.includes(spelling), 'a secret shows').toBe(false);
    }
  }
  // The handle is the client's own and is in its answers; the log must not have it.
  expect(logText(h.stateDir)).not.toContain(handle);
});

it('R-40: a CSRF token that a legacy page shows is blanked before the page becomes a result', async () => {
  await h.close();
  h = await startHarness({
    edit: (yaml) =>
      yaml.replace('path: /orders }', 'path: /menu }').replace('form_field: [form_token]', 'form_field: [never]'),
  });
  const answer = await h.call('order_list');
  expect(answer.body.result.content[0].text).toContain('name="csrf_token" value="[redacted]"');
});

it('R-02: the credential of the client never reaches the backend', async () => {
  const heard: string[] = [];
  const { createServer } = await import('node:http');
  const spy = createServer((request, response) => {
    heard.push(JSON.stringify(request.rawHeaders) + request.url);
    response.writeHead(302, { location: '/login' }).end();
  });
  await new Promise<void>((resolve) => spy.listen(0, '127.0.0.1', resolve));
  const port = (spy.address() as { port: number }).port;
  await h.close();
  h = await startHarness({
    edit: (yaml) =>
      yaml.replace(/url: http:\/\/127[^\n]*|url: \$\{LEGACY_INVENTORY_URL\}/, `url: http://127.0.0.1:${port}`),
  });
  expect(reasons(await h.call('stock_list'))).toEqual(['session.login_failed']);
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.join()).not.toContain(h.key);
  expect(heard.join().toLowerCase()).not.toContain('authorization');
  spy.close();
});
