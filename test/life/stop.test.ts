import { request } from 'node:http';
import { connect } from 'node:net';
import { expect, it, vi } from 'vitest';
import { decisionLog } from '../support/decision-log.ts';
import type { Loose } from '../support/harness.ts';
import { call, connector, connectWith, ok, serve, server, yamlOf } from '../support/one-app.ts';

const log = (): Loose[] => decisionLog(connector.stateDir);
const at = (type: string, name?: string) => log().filter((r) => r.type === type && (!name || r.event === name));
const readyz = () => fetch(new URL('/readyz', connector.connector.url));
const LOGOUT = 'expired: [{ status: 401 }]\nlogout: { request: { method: POST, path: /logout } }';

/** Answers /page when it is told to. */
async function slow(settings = ''): Promise<{ seen: string[]; answer(): void }> {
  const seen: string[] = [];
  let answer = () => {};
  const told = new Promise<void>((resolve) => {
    answer = resolve;
  });
  await serve(async ({ path, response }) => {
    seen.push(path);
    if (path === '/page' || path === '/put') await told;
    ok(response, 'done');
  });
  await connectWith(`${settings}\n${yamlOf(LOGOUT, '')}`);
  return { seen, answer };
}

it('calls under way are waited for, and their sessions are logged out only then', async () => {
  const app = await slow();
  const called = call('page');
  await vi.waitFor(() => expect(app.seen).toContain('/page'), 5000);
  const closed = connector.connector.close();
  await vi.waitFor(async () => expect(await readyz().catch(() => undefined)).toBeUndefined(), 5000);
  expect(app.seen).not.toContain('/logout');
  app.answer();
  const answered = await called;
  expect(answered.body.result.isError).toBeUndefined();
  expect(answered.headers.get('connection')).toBe('close');
  await closed;
  expect(app.seen.at(-1)).toBe('/logout');
  expect(at('outcome')).toMatchObject([{ outcome: 'success' }]);
  expect(at('event', 'sys_shutdown')).toMatchObject([{ calls_cut: 0, sessions_ended: true }]);
});

it.each(['page', 'put'])('a call (%s) that takes too long is cut short, and client and record say so', async (tool) => {
  const app = await slow('limits: { shutdown_seconds: 3 }');
  const called = call(tool);
  await vi.waitFor(() => expect(app.seen).toContain(`/${tool}`), 5000);
  const began = performance.now();
  await connector.connector.close();
  expect(performance.now() - began).toBeLessThan(4000);
  const { body } = await called;
  expect(body.result).toMatchObject({ isError: true, _meta: { 'sallyport/reasons': ['call.cut_short'] } });
  expect(body.result.content[0].text).toMatch(/^The connector stopped while the call was under way\./);
  if (tool === 'put') expect(body.result.content[0].text).toMatch(/It may have been done, so look/);
  expect(body.result._meta['sallyport/outcome']).toBe('sent_unknown');
  const ended_by = { outcome: 'refused', reasons: ['call.cut_short'], request: 'sent_unknown' };
  expect(at('outcome')).toMatchObject([ended_by]);
  expect(at('event', 'sys_shutdown')).toMatchObject([{ calls_cut: 1 }]);
  // The order on record: nothing of the session ends before the call has.
  const [[ended], [outcome]] = [at('event', 'session_ended'), at('outcome')];
  expect(Date.parse(ended.timestamp)).toBeGreaterThanOrEqual(Date.parse(outcome.timestamp));
  app.answer();
});

it('a login that hangs does not keep the process', async () => {
  let waiting = false;
  await serve(() => undefined);
  await connectWith(`limits: { shutdown_seconds: 1 }\n${yamlOf(LOGOUT, '').replace('path: /login', 'path: /hangs')}`);
  const called = call('page').catch(() => 'cut');
  await vi.waitFor(async () => {
    await connector.audit();
    waiting = at('decision').length > 0;
    expect(waiting).toBe(true);
  }, 5000);
  const began = performance.now();
  await connector.connector.close();
  expect(performance.now() - began).toBeLessThan(2500);
  // The call is answered all the same, although its login goes on.
  expect((await called) as Loose).toMatchObject({ body: { result: { isError: true } } });
  expect(at('outcome')).toMatchObject([{ outcome: 'refused', reasons: ['call.cut_short'] }]);
  // Of so short a bound little is left for the last record; the process waits for it a little longer.
  await vi.waitFor(() => expect(at('event', 'sys_shutdown')).toHaveLength(1), 5000);
});

it('a backend whose login hangs does not keep the sessions of others from being logged out', async () => {
  const seen: string[] = [];
  await serve(({ path, response }) => {
    seen.push(path);
    if (path !== '/hangs') ok(response, 'done');
  });
  const slow = `  slow:\n    url: ${server.url}\n    login: [{ request: { method: POST, path: /hangs } }]\n    session: { cookies: [S] }\n    expired: [{ status: 401 }]\n`;
  const text = yamlOf(LOGOUT, 'wait: { backend: slow, description: W, effect: read, request: { path: /w } }\n');
  await connectWith(`limits: { shutdown_seconds: 4 }\n${text.replace('tools:\n', `${slow}tools:\n`)}`);
  await call('page');
  const called = call('wait');
  await vi.waitFor(() => expect(seen).toContain('/hangs'), 5000);
  await connector.connector.close();
  expect(seen).toContain('/logout');
  expect((await called).body.result._meta['sallyport/reasons']).toEqual(['call.cut_short']);
});

it('a request that is complete only after the cut is cut short as well', async () => {
  const app = await slow('limits: { shutdown_seconds: 4 }');
  const first = call('page');
  await vi.waitFor(() => expect(app.seen).toContain('/page'), 5000);
  const body = JSON.stringify({ jsonrpc: '2.0', id: 77, method: 'tools/call', params: { name: 'put', arguments: {} } });
  const late = new Promise<string>((resolve) => {
    const sent = request(connector.connector.url, {
      method: 'POST',
      headers: { ...connector.headers(), 'content-length': body.length },
    });
    let text = '';
    sent.on('response', (answer) => answer.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text)));
    sent.on('error', () => resolve('cut'));
    sent.write(body.slice(0, 10));
    setTimeout(() => sent.end(body.slice(10)), 3200);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await connector.connector.close();
  expect((await first).body.result._meta['sallyport/reasons']).toEqual(['call.cut_short']);
  expect(await late).toMatch(/call.cut_short|^cut$/);
  expect(at('outcome').filter(({ outcome }) => outcome === 'success')).toEqual([]);
  app.answer();
}, 15_000);

it('for shutdown.delay_seconds it is not ready, takes calls all the same, and ends their connections', async () => {
  const app = await slow('shutdown: { delay_seconds: 20 }');
  app.answer();
  const closed = connector.connector.close({ delay: true });
  expect((await readyz()).status).toBe(503);
  const answered = await call('page');
  expect(answered.body.result.isError).toBeUndefined();
  expect(answered.headers.get('connection')).toBe('close');
  expect((await fetch(new URL('/healthz', connector.connector.url))).status).toBe(200);
  connector.connector.hurry();
  await closed;
  expect(at('event', 'sys_shutdown')).toHaveLength(1);
});

it('a request that never comes to its end keeps nobody waiting', async () => {
  await slow();
  const { port } = new URL(connector.connector.url);
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
  socket.write('POST /mcp HTTP/1.1\r\nHost: loc');
  await new Promise((resolve) => setTimeout(resolve, 200));
  const began = performance.now();
  await connector.connector.close();
  expect(performance.now() - began).toBeLessThan(5000);
  socket.destroy();
});

it('who is told to hurry waits for nothing', async () => {
  const app = await slow();
  const called = call('page');
  await vi.waitFor(() => expect(app.seen).toContain('/page'), 5000);
  const closed = connector.connector.close();
  connector.connector.hurry();
  await closed;
  expect((await called).body.result._meta['sallyport/reasons']).toEqual(['call.cut_short']);
  app.answer();
});

it('a delay that leaves no time for calls is an error of the configuration', async () => {
  await serve(() => undefined);
  const wrong = `shutdown: { delay_seconds: 30 }\n${yamlOf(LOGOUT, '')}`;
  await expect(connectWith(wrong)).rejects.toThrow(/shutdown.delay_seconds.*must be less than limits.shutdown_seconds/);
});
