// The Redis user that docs/security.md shows: it can do all that the connector does, and nothing else.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@keyv/redis';
import { expect, inject, it } from 'vitest';
import type { AlertBoard } from '../../src/alerts/board/board.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { Secret } from '../../src/core/secret.ts';
import { epochMark } from '../../src/session/control.ts';
import { about } from '../support/alerts.ts';
import { createTestClock } from '../support/clock.ts';
import { redisStore, startRedis } from '../support/redis.ts';
import { clientId, ref } from '../support/refs.ts';
import { holder, sessionRecord } from './session-store.ts';

const program = inject('redis');

it.skipIf(program === null)(
  'R-85: with the user of docs/security.md the store works, and cannot be emptied',
  async () => {
    const document = readFileSync(join(PACKAGE_ROOT, 'docs/security.md'), 'utf8');
    const lines = [...document.matchAll(/^ACL (SETUSER .*)$/gm)].map((match) =>
      (match[1] ?? '').replace('>PASSWORD', '>pw'),
    );
    expect(lines).toHaveLength(2);
    const redis = await startRedis(program as string);
    const admin = createClient({ url: redis.url });
    await admin.connect();
    for (const line of lines) await admin.sendCommand(['ACL', ...line.split(' ')]);
    const clock = createTestClock();
    const store = await redisStore(redis, clock, {
      username: new Secret('sallyport'),
      password: new Secret('pw'),
      prefix: 'sallyport',
    });
    try {
      const key = { backend: 'b', owner: ref('c') };
      const self = { id: 'a', host: 'h', version: '1', started_at: '', policy: 'p', configuration: 'c', keyring: 'k' };
      expect(await store.replicas({ ...self, clock_skew_ms: 0, order: '', order_problem: '' })).toHaveLength(1);
      expect(await store.facts.sessionUse(key)).toBeUndefined();
      await store.limits.take(holder('c'), key, 'id', 2, 1000);
      const quota = { perMinute: 1, failures: { most: 1, withinMs: 1000 } };
      expect(await store.quotas.enter('b', 'call', 1, 1000)).toBe(true);
      await store.quotas.leave('b', 'call');
      expect(await store.quotas.login('b', 'account', quota)).toBe(0);
      expect(await store.quotas.login('b', 'account', quota)).toBeGreaterThan(0);
      await store.quotas.answered('b', 'account', false, quota);
      await store.quotas.answered('b', 'account', true, quota);
      const seen = await store.sessions.get(key);
      const lock = await store.sessions.lockLogin(key, seen, 1000);
      if (lock.kind !== 'locked') throw new Error(lock.kind);
      await store.sessions.checkpoint(key, lock.lockId, { record: sessionRecord(1, key), due: 1 });
      expect(await store.sessions.commit(key, lock.lockId, seen, sessionRecord(1, key), 1)).toBe(true);
      expect(
        await store.sessions.replace(key, { id: 'id', generation: 1 }, sessionRecord(2, { ...key, login: 1 })),
      ).toBe(true);
      expect(await store.sessions.takeTurn(key, 'me', 1000)).toBe(true);
      await store.sessions.giveTurn(key, 'me');
      await store.facts.openHandle(key.owner, 'h');
      const { epoch } = await store.control.read(0);
      expect(await store.facts.handleState(key.owner, 'h', epochMark(epoch))).toBe('known');
      const rpc = { handle: 'h', id: 1 };
      const call = { call: 'x', owner: key.owner, network: 'n', rpc, backend: 'b' };
      expect((await store.facts.observe(call)).storedSession.record).toMatchObject({ generation: 2 });
      await store.facts.finished(key.owner, 'x', { denied: true });
      await store.control.revoke({ client: clientId('c') });
      await store.sessions.revoke(key, 1);
      expect(await store.sessions.takeOverdue(clock.now(), clock.now() + 1, async () => {})).toHaveLength(2);
      const board = store.alerts as AlertBoard;
      const raise = { alert: about('replay.seen', 'c'), count: 2, windowMs: 1000 };
      expect(await board.raise('spool', [raise], 5)).toMatchObject([{ first: true, mark: '5' }]);
      await board.told(await board.ended('spool', 1005), 1000);
      await board.delivered([{ incident: raise.alert.incident, mark: '5' }]);
      await board.silence({ codes: '*', client: null, operator: 'o', reason: 'r', since: 0, until: 2000 });
      expect([
        await board.silences(1000),
        await board.list(),
        await board.resolve([raise.alert.incident]),
      ]).toMatchObject([[{ codes: '*' }], [{ count: 2, delivered: true }], undefined]);
      for await (const record of store.sessions.records()) throw new Error(record.id);

      const user = createClient({ url: redis.url, username: 'sallyport', password: 'pw' });
      await user.connect();
      for (const command of [['FLUSHALL'], ['FLUSHDB'], ['SET', 'other', '1'], ['CONFIG', 'GET', 'save']])
        await expect(user.sendCommand(command)).rejects.toThrow('NOPERM');
      user.destroy();
      const stranger = createClient({ url: redis.url });
      await expect(
        stranger.connect().then(() => stranger.sendCommand(['GET', 'sallyport:{control}'])),
      ).rejects.toThrow();
      stranger.destroy();
    } finally {
      await store.close();
      admin.destroy();
      await redis.stop();
    }
  },
);
