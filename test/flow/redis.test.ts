// A connector whose store is Redis, called over HTTP while the store is down or slow.
import { createClient } from '@keyv/redis';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Harness, reasons, startHarness, until } from '../support/harness.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { makeKeyring } from '../support/ring.ts';

const program = inject('redis');
const CANARY = 'canary-password-of-the-store';

describe.skipIf(program === null)('Redis', () => {
  let h: Harness;
  let redis: TestRedis;
  let ring: ReturnType<typeof makeKeyring>;
  const start = (store = `url: "${redis.url}"`) =>
    startHarness({
      edit: (yaml) =>
        yaml.replace(
          'state_dir:',
          `keyring_file: ${ring.file}\nstore: { redis: { ${store}, timeout_ms: 300 } }\nstate_dir:`,
        ),
    });
  beforeEach(async () => {
    ring = makeKeyring();
    redis = await startRedis(program as string);
  });
  afterEach(async () => {
    await h?.close();
    await redis.stop();
    ring.remove();
  });
  const ready = async () => (await fetch(new URL('/readyz', h.url))).json();

  it('R-29: while the store is down every call is refused and on record, readyz says so, and the connector recovers', async () => {
    h = await start();
    const handle = await h.initialize();
    expect(reasons(await h.call('stock_list', {}, { handle }))).toEqual([]);
    expect(await ready()).toEqual({ status: 'ok' });
    await redis.kill();
    expect(reasons(await h.call('stock_list'))).toEqual(['facts.unavailable']);
    expect(await ready()).toEqual({ status: 'unavailable', failing: ['store'] });
    expect(
      (
        await h.rpc('initialize', {
          protocolVersion: '2025-11-25',
          capabilities: {},
          clientInfo: { name: 'x', version: '1' },
        })
      ).body.error,
    ).toBeDefined();
    await redis.restart();
    await until(async () => ((await ready()) as { status: string }).status === 'ok', 'the store to come back');
    const answer = await h.call('stock_list');
    expect(reasons(answer)).toEqual([]);
    const decisions = await h.audit('decision');
    expect(decisions.map(({ result }) => result.outcome)).toEqual(['allow', 'deny', 'rotate']);
    expect(decisions.at(-1).result.reasons[0].code).toBe('replay.history_lost');
    expect((await h.audit('alert')).at(-1)).toMatchObject({ reasons: ['store.history_lost'], severity: 'high' });
    expect(h.ops.join()).not.toContain('ECONNREFUSED');
  });

  it('R-29: while the store is slow a call is refused within its time limit', async () => {
    h = await start();
    await h.call('stock_list');
    redis.pause();
    const began = Date.now();
    expect(reasons(await h.call('stock_list'))).toEqual(['facts.unavailable']);
    expect(Date.now() - began).toBeLessThan(5000);
    redis.resume();
    await until(async () => reasons(await h.call('stock_list')).length === 0, 'the store to answer again');
  });

  it('a connector that stops leaves its sessions to other replicas, and no stored value opens one', async () => {
    h = await start();
    await h.call('stock_list');
    const { legacy } = h;
    await h.connector.close();
    expect(legacy.stats()).toMatchObject({ logins: 1, liveSessions: 1 });
    const rows = (await redis.command('KEYS', '*session*')) as string[];
    expect(rows).toHaveLength(1);
    const stored = String(await redis.command('GET', rows[0] as string));
    // the store has no spelling of the backend token, so no stored value opens a session.
    for (const id of legacy.stats().callsBySession.keys()) {
      for (const spelling of [
        id,
        Buffer.from(id).toString('base64').replace(/=+$/, ''),
        Buffer.from(id).toString('hex'),
      ])
        expect(stored).not.toContain(spelling);
    }
  });

  it('R-40, R-48: the password of the store comes from the environment and is shown nowhere', async () => {
    await redis.command('CONFIG', 'SET', 'requirepass', CANARY);
    process.env.TEST_REDIS_PASSWORD = 'wrong';
    const withPassword = () => start(`url: "${redis.url}", password: { env: TEST_REDIS_PASSWORD }`);
    await expect(withPassword()).rejects.toThrow(/refuses the user name or the password; .*\(WRONGPASS\)/);
    await expect(start()).rejects.toThrow(/the store wants a password; set store.redis.password \(NOAUTH\)/);
    process.env.TEST_REDIS_PASSWORD = CANARY;
    h = await withPassword();
    expect(reasons(await h.call('stock_list'))).toEqual([]);
    // Somebody changes the password while it runs: the line says that, and not only that the store is away.
    const operator = createClient({ url: redis.url, password: CANARY });
    await operator.connect();
    await operator.sendCommand(['CONFIG', 'SET', 'requirepass', 'another']);
    await operator.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']);
    operator.destroy();
    await until(() => /"not ready","failing":"store","store":"[^"]*WRONGPASS/.test(h.ops.join('\n')), 'the reason');
    await redis.kill();
    const refused = await h.call('stock_list');
    const everything = [refused.text, JSON.stringify(await h.audit()), ...h.ops].join();
    expect(everything).not.toContain(CANARY);
    delete process.env.TEST_REDIS_PASSWORD;
  });

  it('R-48: a configuration with a password in the URL, or two kinds of store, is refused with the line', async () => {
    await expect(start('url: "redis://:secret@127.0.0.1:1"')).rejects.toThrow(/credentials do not belong into the URL/);
    await expect(start('url: "redis://127.0.0.1:1", cluster: { nodes: ["redis://127.0.0.1:1"] }')).rejects.toThrow(
      /exactly one of/,
    );
    await expect(start('url: "redis://127.0.0.1:1", prefix: "a*"')).rejects.toThrow(/prefix/);
    h = await start();
  });
});
