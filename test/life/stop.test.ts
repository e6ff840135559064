// How a connector stops: calls under way end well or are cut short with a word, sessions are not logged out under them,
// and all of it is over in time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { Loose } from '../support/harness.ts';
import { call, connector, connectWith, ok, serve, yamlOf } from '../support/one-app.ts';

const log = (): Loose[] =>
  readFileSync(join(connector.stateDir, 'decisions.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
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
  await vi.waitFor(() => expect(app.seen).toContain('/page'));
  const closed = connector.connector.close();
  await vi.waitFor(async () => expect(await readyz().catch(() => undefined)).toBeUndefined());
  expect(app.seen).not.toContain('/logout');
  app.answer();
  expect((await called).body.result.isError).toBeUndefined();
  await closed;
  expect(app.seen.at(-1)).toBe('/logout');
  expect(at('outcome')).toMatchObject([{ outcome: 'success' }]);
  expect(at('event', 'sys_shutdown')).toMatchObject([{ calls_cut: 0, sessions_ended: true }]);
});

it.each(['page', 'put'])('a call (%s) that takes too long is cut short, and client and record say so', async (tool) => {
  const app = await slow('limits: { shutdown_seconds: 3 }');
  const called = call(tool);
  await vi.waitFor(() => expect(app.seen).toContain(`/${tool}`));
  const began = performance.now();
  await connector.connector.close();
  expect(performance.now() - began).toBeLessThan(4000);
  const { body } = await called;
  expect(body.result).toMatchObject({ isError: true, _meta: { 'sallyport/reasons': ['call.cut_short'] } });
  expect(body.result.content[0].text).toMatch(/it may have been done/);
  expect(at('outcome')).toMatchObject([{ outcome: 'refused', reasons: ['call.cut_short'] }]);
  expect(at('event', 'sys_shutdown')).toMatchObject([{ calls_cut: 1 }]);
  // The order on record: nothing of the session ends before the call has.
  const order = log().map((r) => r.event ?? r.type);
  expect(order.indexOf('session_ended')).toBeGreaterThan(order.indexOf('outcome'));
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
  });
  const began = performance.now();
  await connector.connector.close();
  expect(performance.now() - began).toBeLessThan(2500);
  await called;
  expect(at('event', 'sys_shutdown')).toHaveLength(1);
});

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

it('who is told to hurry waits for nothing', async () => {
  const app = await slow();
  const called = call('page');
  await vi.waitFor(() => expect(app.seen).toContain('/page'));
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
