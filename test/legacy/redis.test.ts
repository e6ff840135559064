// Unusual sessions of legacy systems work in a shared store as they do in memory.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../support/cli.ts';
import { bodyOf, front, legacyServer, structured } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const program = inject('redis');

describe.skipIf(program === null)('on Redis (needs redis-server)', () => {
  let redis: TestRedis;
  let dir: string;
  beforeAll(async () => {
    redis = await startRedis(program as string);
    dir = mkdtempSync(join(tmpdir(), 'sallyport-legacy-redis-'));
  });
  afterAll(async () => {
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('R-54: with single-use cookies, two accounts at the same time log in once each and never get mixed up', async () => {
    let count = 0;
    const users = new Map<string, string>();
    const server = await legacyServer(async (request, response) => {
      const cookie = request.headers.cookie ?? '';
      const user = request.url === '/login' ? new URLSearchParams(await bodyOf(request)).get('n') : users.get(cookie);
      if (!user) return response.writeHead(401).end();
      users.delete(cookie);
      users.set(`S=once-${++count}`, user);
      return response.writeHead(200, { 'set-cookie': `S=once-${count}; Path=/` }).end(JSON.stringify({ user }));
    });
    const accounts = join(dir, 'accounts.json');
    writeFileSync(accounts, JSON.stringify({ a: { n: 'anna' }, b: { n: 'bernd' } }), { mode: 0o600 });
    const keyring = join(dir, 'keyring.json');
    expect((await run(['keys', 'init', '--file', keyring])).code).toBe(0);
    // An existing keyring is not overwritten, because everything it had sealed would be lost.
    expect((await run(['keys', 'init', '--file', keyring])).stderr).toContain('is there already');
    const connector = await front({
      clients: ['a', 'b', 'c'],
      yaml: `
store: { redis: { url: "${redis.url}" } }
keyring_file: ${keyring}
backends:
  app:
    url: ${server.url}
    accounts: { by: client, file: ${accounts} }
    login: [{ request: { method: POST, path: /login, form: { n: "{credentials.n}" } } }]
    session: { cookies: [S], one_at_a_time: true }
    expired: [{ status: 401 }]
tools:
  me: { backend: app, description: Me, effect: read, request: { path: /me } }
`,
    });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => connector.call('me', {}, i % 2 ? 'a' : 'b')),
    );
    expect(answers.map((answer) => structured(answer)?.user)).toEqual(
      answers.map((_, i) => (i % 2 ? 'anna' : 'bernd')),
    );
    expect(server.requests.filter((line) => line === 'POST /login')).toHaveLength(2);
    expect(reasons(await connector.call('me', {}, 'c'))).toEqual(['backend.no_account']);
    await connector.close();
    await server.close();
  });
});
