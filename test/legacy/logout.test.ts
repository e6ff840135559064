// What a logout and its probe prove, and what happens to stored sessions that no longer fit the configuration.
import { describe, expect, it } from 'vitest';
import { openBackends } from '../../src/backend/open.ts';
import { type Config, parseConfig } from '../../src/config/load.ts';
import { Secret } from '../../src/core/secret.ts';
import { createTestClock } from '../support/clock.ts';
import { call, connect, connector, ENV, EXPIRED, ok, serve, yamlOf } from '../support/one-app.ts';

describe('logout', () => {
  const PROBE = 'logout: { request: { path: /logout } }\nprobe: { request: { path: /me } }';

  it('R-25: a probe whose answer lacks what every good answer shows does not prove that the session is dead', async () => {
    await serve(({ path, response }) =>
      path === '/logout'
        ? response.writeHead(500).end()
        : ok(response, path === '/me' ? '{"user":"anna"}' : 'Sign out'),
    );
    await connect(`${EXPIRED}\nassert: [{ body_contains: Sign out }]\n${PROBE}`);
    await call('page');
    const { stateDir } = connector;
    await connector.connector.close();
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(`${stateDir}/events.jsonl`, 'utf8')).toContain('"proof":"residual"');
  });

  it('R-25: while a proxy says that the backend is down, a logout proves nothing and is tried again', async () => {
    await serve(({ path, response }) => (path === '/page' ? ok(response, 'x') : response.writeHead(503).end()));
    const parsed = parseConfig({
      text: `version: 1\nidentity: { keys: { file: c } }${yamlOf(`${EXPIRED}\n${PROBE}`, '')}`,
      file: 'c',
      baseDir: '/',
      env: {},
    });
    if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
    const backends = openBackends({ config: parsed.config as Config, env: ENV, clock: createTestClock() });
    const [app] = backends.ports.values();
    expect(await app?.logout(new Secret({ cookies: [], values: {} }))).toBe('unreachable');
    await backends.close();
  });
});

it('R-53: a stored session that lacks what the present configuration needs is replaced', async () => {
  await serve(({ response }) => ok(response, 'x'));
  const yaml = yamlOf(EXPIRED, '')
    .replace('session: { cookies: [S] }', 'session: { cookies: [S], values: [k], headers: { X-K: "{session.k}" } }')
    .replace(
      'login: [{ request: { method: POST, path: /login } }]',
      'login: [{ request: { method: POST, path: /login }, extract: { k: { cookie: S } } }]',
    );
  const parsed = parseConfig({
    text: `version: 1\nidentity: { keys: { file: c } }${yaml}`,
    file: 'c',
    baseDir: '/',
    env: {},
  });
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
  const backends = openBackends({ config: parsed.config as Config, env: ENV, clock: createTestClock() });
  const app = backends.ports.get('app');
  const account = app?.account({ id: 'a', subject: 'a', claims: {} }) ?? { key: '', credentials: {} };
  const token = new Secret({ cookies: [], values: { k: 'line\nbreak' } });
  const result = await app?.call({
    tool: 'page',
    arguments: {},
    backendToken: token,
    account,
    signal: new AbortController().signal,
  });
  expect(result).toMatchObject({ kind: 'expired', outcome: 'not_sent' });
  expect(await app?.logout(token)).toBe('unproven');
  await backends.close();
});
