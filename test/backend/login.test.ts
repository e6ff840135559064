// What a login reports after each step, and what can still be logged out when it is broken off.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createBackendAdapter } from '../../src/backend/adapter.ts';
import type { BackendPort, BackendTokenSecret } from '../../src/backend/port.ts';
import { backendSchema } from '../../src/config/schema/backend.ts';
import { Secret } from '../../src/core/secret.ts';
import { type LegacyInventory, startLegacyInventory } from '../../src/demo/legacy-inventory/app.ts';
import { createTestClock } from '../support/clock.ts';

let legacy: LegacyInventory;
let backend: BackendPort;
let told: BackendTokenSecret[];

const request = (path: string, method = 'GET', form?: object) => ({ request: { method, path, ...(form && { form }) } });

const account = { key: '', credentials: { password: new Secret('secret') } };

function adapter(menu = '/menu', changes: object = {}): BackendPort {
  return createBackendAdapter({
    name: 'inventory',
    config: backendSchema.parse({
      url: legacy.url,
      timeout_ms: 2000,
      login: [
        { ...request('/login'), extract: { form_token: { form_field: 'form_token' } } },
        {
          ...request('/login', 'POST', {
            username: 'clerk',
            password: '{credentials.password}',
            form_token: '{form_token}',
          }),
          expect: { redirect_to: '/menu' },
        },
        { ...request(menu), extract: { csrf: { form_field: 'csrf_token' } } },
      ],
      session: { cookies: ['JSESSIONID'], values: ['csrf'] },
      expired: [{ redirect_to: '/login' }, { form_field: 'form_token' }],
      logout: request('/logout', 'POST', { csrf_token: '{session.csrf}' }),
      probe: request('/api/me'),
      ...changes,
    }),
    tools: {},
    accounts: () => account,
    clock: createTestClock(),
  });
}

beforeEach(async () => {
  legacy = await startLegacyInventory({ users: { clerk: { password: 'secret', role: 'clerk' } } });
  told = [];
  backend = adapter();
});
afterEach(async () => {
  await backend.close();
  await legacy.close();
});
const checkpoint = async (token: BackendTokenSecret) => void told.push(token);

it('R-27: a login reports each cookie once, as soon as a step brings it; the last one is the session', async () => {
  const login = await backend.login(account, checkpoint);
  if (!login.ok) throw new Error(login.detail);
  // The login page opens an anonymous session and the login opens another one; the menu page sets no cookie.
  expect(told).toHaveLength(2);
  expect(JSON.stringify(told.at(-1)?.reveal().cookies)).toContain(
    (login.backendToken.reveal().cookies[0] as { value: string }).value,
  );
  expect(told.at(-1)?.reveal().values).toEqual({ csrf: '' });
});

it('R-27: the backend token of a broken-off login is logged out, although the logout needs a value of a later page', async () => {
  await backend.login(account, checkpoint);
  expect(legacy.stats().liveSessions).toBe(1);
  expect(await backend.logout(told.at(-1) as BackendTokenSecret)).toBe('dead');
  expect(legacy.stats()).toMatchObject({ liveSessions: 0, logins: 1, logouts: 1 });
});

it('R-27: a login that fails half-way returns the backend token it already had', async () => {
  await backend.close();
  backend = adapter('/nowhere');
  const login = await backend.login(account, checkpoint);
  expect(login).toMatchObject({ ok: false, code: 'session.login_failed' });
  if (login.ok) throw new Error('unexpected');
  expect(legacy.stats().liveSessions).toBe(1);
  expect(login.partial).toBeDefined();
});

it('R-27: a login stops when its progress cannot be recorded', async () => {
  const login = await backend.login(account, () => Promise.reject(new Error('store down')));
  expect(login).toMatchObject({ ok: false, code: 'session.unavailable' });
  expect(legacy.stats().logins).toBe(0);
});

it('R-25: a logout that the backend does not answer proves nothing', async () => {
  const login = await backend.login(account, checkpoint);
  if (!login.ok) throw new Error(login.detail);
  await legacy.close();
  expect(await backend.logout(login.backendToken)).toBe('unreachable');
});

it('R-95: a login step that may have opened a session and was not answered is told apart from one that was not sent', async () => {
  // The form is shown at once; the answer to the password never comes in time.
  const slow = createServer((request, response) => {
    if (request.method === 'GET') response.end('<form><input name="form_token" value="t"></form>');
  });
  await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const { port } = slow.address() as AddressInfo;
  const waiting = adapter('/menu', { url: `http://127.0.0.1:${port}`, timeout_ms: 200 });
  expect(await waiting.login(account, checkpoint)).toMatchObject({ code: 'backend.deadline', unanswered: true });
  slow.closeAllConnections();
  await new Promise((resolve) => slow.close(resolve));
  expect(await waiting.login(account, checkpoint)).toMatchObject({ code: 'backend.unavailable', unanswered: false });
  await waiting.close();
});

it('R-95: a login answer that cannot be used may have set a live session, which is kept for the logout', async () => {
  const odd = createServer((request, response) => {
    if (request.method === 'GET') return void response.end('<form><input name="form_token" value="t"></form>');
    response
      .writeHead(302, { location: '/menu', 'set-cookie': 'JSESSIONID=live', 'content-encoding': 'gzip' })
      .end('x');
  });
  await new Promise<void>((resolve) => odd.listen(0, '127.0.0.1', resolve));
  const { port } = odd.address() as AddressInfo;
  const reading = adapter('/menu', { url: `http://127.0.0.1:${port}` });
  const result = await reading.login(account, checkpoint);
  expect(result.ok ? undefined : result.partial?.reveal().cookies).toMatchObject([
    { key: 'JSESSIONID', value: 'live' },
  ]);
  await reading.close();
  odd.closeAllConnections();
  await new Promise((resolve) => odd.close(resolve));
});
