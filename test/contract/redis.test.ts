// The store of several replicas, on a real Redis.

import { createServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AlertBoard } from '../../src/alerts/board/board.ts';
import { createMemoryBoard } from '../../src/alerts/board/memory.ts';
import { createSharedBoard } from '../../src/alerts/board/shared.ts';
import { epochMark } from '../../src/session/control.ts';
import type { Store } from '../../src/store/store.ts';
import { createCertificates } from '../support/certificates.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';
import { redisStore, startRedis, type TestRedis } from '../support/redis.ts';
import { ref } from '../support/refs.ts';
import { alertContract } from './alerts.ts';
import { factsContract } from './facts.ts';
import { freezeContract } from './freezes.ts';
import { placesContract } from './places.ts';
import { quotasContract } from './quotas.ts';
import { holder, sessionRecord, sessionStoreContract } from './session-store.ts';
import { toolUseContract } from './tool-use.ts';

const program = inject('redis');
const open: Store[] = [];
let redis: TestRedis;

const create = async (clock: TestClock, options: Parameters<typeof redisStore>[2] = {}) => {
  const store = await redisStore(redis, clock, options);
  open.push(store);
  return store;
};

describe.skipIf(program === null)('Redis', () => {
  beforeAll(async () => {
    redis = await startRedis(program as string);
  });
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close();
  });
  afterAll(() => redis?.stop());

  sessionStoreContract('redis', create);
  factsContract('redis', create);
  toolUseContract('redis', create);
  freezeContract('redis', create);
  placesContract('redis', create);
  quotasContract('redis', create);
  alertContract('redis', async () => (await create(createTestClock())).alerts as AlertBoard);
  alertContract('redis, with a board of one process behind it', async () =>
    createSharedBoard((await create(createTestClock())).alerts as AlertBoard, createMemoryBoard(false)),
  );

  describe('R-29: a store that was emptied, replaced or changed', () => {
    const observation = { call: 'x', owner: ref('c'), network: '10.0.0.0/24', rpc: null, backend: null };

    it('does not start without a server, and says what to check', async () => {
      await expect(redisStore({ url: 'redis://127.0.0.1:1' }, createTestClock(), { timeoutMs: 300 })).rejects.toThrow(
        /the store cannot be used: .*check store\.redis/,
      );
    });

    it.skipIf(inject('openssl') === null)('over TLS it says that the certificate is not trusted', async () => {
      const certificates = createCertificates();
      const { cert, key, certFile } = certificates.make('store');
      const sockets = new Set<{ destroy(): void }>();
      const server = createServer({ cert, key }, (socket) => void sockets.add(socket.on('error', () => {})));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      const start = (url: string, options = {}) =>
        redisStore({ url }, createTestClock(), { timeoutMs: 400, ...options });
      try {
        await expect(start(`rediss://127.0.0.1:${port}`)).rejects.toThrow(
          /certificate of the store is not trusted; set store\.redis\.ca_file/,
        );
        await expect(start(`rediss://127.0.0.2:${port}`, { caFile: certFile })).rejects.toThrow(
          /ECONNREFUSED|another name/,
        );
      } finally {
        for (const socket of sockets) socket.destroy();
        server.close();
        certificates.remove();
      }
    });

    it('does not start on a server that may drop keys to make room', async () => {
      await redis.command('CONFIG', 'SET', 'maxmemory', '100mb');
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      let told = 0;
      await expect(redisStore(redis, createTestClock(), { onEviction: () => void told++ })).rejects.toThrow(
        'drop keys',
      );
      expect(told).toBe(1);
      await redis.command('CONFIG', 'SET', 'maxmemory', '0');
      await (await create(createTestClock())).control.read(0);
    });

    it('R-97: what guards keeps the keys and forms of the release before, and its sessions are never touched', async () => {
      const clock = createTestClock();
      const prefix = `layout-${Math.random()}`;
      const before = { value: { id: 'i', generation: 1, owner: 'c', backend: 'b' }, expires: 1 };
      await redis.command('SET', `${prefix}:{c}:session:b`, JSON.stringify(before));
      await redis.command('HSET', `${prefix}:{c}:debts:b`, 't', `5 ${JSON.stringify(before)}`);
      await redis.command('ZADD', `${prefix}:{control}:due`, '1', '["c","b",1]');
      await redis.command('HSET', `${prefix}:{control}`, 'epoch', 'e', 'revision', '7', 'revoked:subject:x', '7');
      const store = await create(clock, { prefix });
      expect(await store.control.read(0)).toMatchObject({ epoch: 'e', lastRevocation: 7 });
      await store.control.revoke({ subject: 'y' });
      const [revision, revoked] = (await redis.command(
        'HMGET',
        `${prefix}:{control}`,
        'revision',
        'revoked:subject:y',
      )) as string[];
      expect([revision, revoked]).toEqual([String(clock.now()), String(clock.now())]);
      await store.proofs.use('p', { at: 1, network: 'n' } as never, 60_000);
      expect(await redis.command('EXISTS', `${prefix}:{p}:proof`)).toBe(1);

      const at = { backend: 'b', owner: ref('c') };
      expect((await store.facts.observe({ ...observation, backend: 'b' })).storedSession.record).toBeUndefined();
      const seen = await store.sessions.get(at);
      const lock = await store.sessions.lockLogin(at, seen, 10_000);
      if (lock.kind !== 'locked') throw new Error(lock.kind);
      await store.sessions.commit(at, lock.lockId, seen, sessionRecord(1, at), clock.now());
      await store.sessions.revoke(at, clock.now());
      await store.sessions.takeOverdue(clock.now() + 1e9, clock.now() + 2e9, async () => {});
      const found: unknown[] = [];
      for await (const record of store.sessions.records()) found.push(record);
      expect(found).toEqual([]);
      expect(await redis.command('GET', `${prefix}:{c}:session:b`)).toBe(JSON.stringify(before));
      expect(await redis.command('HLEN', `${prefix}:{c}:debts:b`)).toBe(1);
      expect(await redis.command('ZCARD', `${prefix}:{control}:due`)).toBe(1);
    });

    it('R-94: replicas tell each other what they are, and one that is gone is forgotten', async () => {
      const clock = createTestClock();
      const prefix = `told-${Math.random()}`;
      const [a, b] = [await create(clock, { prefix }), await create(clock, { prefix })];
      const self = (id: string) => ({
        ...{
          id,
          host: 'h',
          version: '1',
          started_at: '',
          policy: 'p',
          configuration: 'c',
          keyring: 'k',
          clock_skew_ms: 0,
          order: '',
          order_problem: '',
        },
      });
      await a.replicas(self('a'));
      const ids = async () => (await b.replicas(self('b'))).map(({ id }) => id).sort();
      expect(await ids()).toEqual(['a', 'b']);
      await a.close();
      await b.control.read(0);
      expect(await ids()).toEqual(['b']);
    });

    it('two replicas share their counts, used ids and revocations', async () => {
      const clock = createTestClock();
      const prefix = `shared-${Math.random()}`;
      const [a, b] = [await create(clock, { prefix }), await create(clock, { prefix })];
      await a.facts.observe(observation);
      expect((await b.facts.observe(observation)).usage.calls_1m).toBe(2);
      await a.facts.openHandle(ref('c'), 'h');
      expect(await b.facts.handleState(ref('c'), 'h', epochMark((await b.control.read(0)).epoch))).toBe('known');
      const rpc = { handle: 'h', id: 1 };
      expect((await a.facts.observe({ ...observation, rpc })).replay.seen).toBe(false);
      expect((await b.facts.observe({ ...observation, rpc })).replay.seen).toBe(true);
      await a.control.revoke({ subject: 'alice' });
      expect((await b.control.read(0)).revocations.get('subject:alice')).toBe(clock.now());
    });

    it('attack 15: when the store is emptied, known clients and handles are not trusted from the next call on', async () => {
      const epochs: boolean[] = [];
      const store = await create(createTestClock(), { onEpoch: (_epoch, lost) => void epochs.push(lost) });
      await store.facts.openHandle(ref('c'), 'h');
      const rpc = { handle: 'h', id: 1 };
      const mark = epochMark((await store.control.read(0)).epoch);
      expect(await store.facts.handleState(ref('c'), 'h', mark)).toBe('known');
      expect((await store.facts.observe({ ...observation, rpc })).usage.forgotten).toBe(false);
      await redis.command('FLUSHALL');
      const after = await store.facts.observe({ ...observation, rpc });
      expect(after.usage.forgotten).toBe(true);
      expect(after.replay).toMatchObject({ seen: true, history: 'lost' });
      // The conversation goes on, without what was known of it.
      expect(await store.facts.handleState(ref('c'), 'h', mark)).toBe('known');
      expect((await store.facts.observe({ ...observation, rpc: { ...rpc, id: 2 } })).replay.history).toBe('lost');
      expect((await store.facts.observe({ ...observation, owner: ref('another') })).usage.forgotten).toBe(true);
      // Opening a new handle does not restore trust in a client whose history was lost.
      await store.facts.openHandle(ref('third'), 'h');
      const third = () => store.facts.observe({ ...observation, owner: ref('third'), backend: 'b' });
      expect((await third()).usage.forgotten).toBe(true);
      // Calls without a login do not restore it either: only a login under the present epoch does.
      expect((await third()).usage.forgotten).toBe(true);
      const { epoch } = await store.control.read(0);
      const at = { owner: ref('third'), backend: 'b' };
      const seen = await store.sessions.get(at);
      const lock = await store.sessions.lockLogin(at, seen, 1000);
      if (lock.kind !== 'locked') throw new Error(lock.kind);
      await store.sessions.commit(at, lock.lockId, seen, sessionRecord(1, { ...at, epoch }), 0);
      expect((await third()).usage.forgotten).toBe(false);
      await store.sessions.revoke(at, 0);
      expect((await third()).usage.forgotten).toBe(false);
      expect(epochs).toEqual([false, true]);
    });

    it('a replica notices by its remembered epoch that the store was emptied while the replica was down', async () => {
      await redis.command('FLUSHALL');
      const store = await create(createTestClock(), { remembered: 'of yesterday' });
      expect((await store.control.read(0)).lost).toBe(true);
      expect((await store.facts.observe(observation)).usage.forgotten).toBe(true);
    });

    it('a replica that has not read the new epoch yet still reports the loss after another replica has reported it', async () => {
      const prefix = `shared-${Math.random()}`;
      const clock = createTestClock();
      const [a, b] = [await create(clock, { prefix }), await create(clock, { prefix })];
      for (const each of [a, b]) await each.facts.observe(observation);
      await redis.command('FLUSHALL');
      expect((await a.facts.observe(observation)).usage.forgotten).toBe(true);
      expect((await b.facts.observe(observation)).usage.forgotten).toBe(true);
    });

    it('a login at one backend does not restore trust in an older session at another backend', async () => {
      const prefix = `shared-${Math.random().toString(36).slice(2)}`;
      const store = await create(createTestClock(), { prefix });
      const put = async (backend: string, epoch: string) => {
        const at = { owner: ref('c'), backend };
        const seen = await store.sessions.get(at);
        const lock = await store.sessions.lockLogin(at, seen, 1000);
        if (lock.kind !== 'locked') throw new Error(lock.kind);
        await store.sessions.commit(at, lock.lockId, seen, sessionRecord(1, { ...at, epoch }), 0);
      };
      await put('two', (await store.control.read(0)).epoch);
      await redis.command('HSET', `${prefix}:{control}`, 'servers', 'another process');
      const { epoch, lost } = await store.control.read(0);
      expect(lost).toBe(true);
      await put('one', epoch);
      expect((await store.facts.observe({ ...observation, backend: 'one' })).usage.forgotten).toBe(false);
      expect((await store.facts.observe({ ...observation, backend: 'two' })).usage.forgotten).toBe(true);
    });

    it('a replica that starts in the new epoch does not hide the loss from replicas that knew the old epoch', async () => {
      const prefix = `shared-${Math.random()}`;
      const clock = createTestClock();
      const old = await create(clock, { prefix });
      await redis.command('FLUSHALL');
      const newcomer = await create(clock, { prefix });
      expect((await newcomer.control.read(0)).lost).toBe(false);
      expect((await old.control.read(0)).lost).toBe(true);
      expect((await newcomer.control.read(0)).lost).toBe(true);
    });

    it('attack 21: rows that are not valid sessions are never served, block nothing, and are gone for the next call', async () => {
      const clock = createTestClock();
      const prefix = `rows-${Math.random().toString(36).slice(2)}`;
      const store = await create(clock, { prefix });
      const at = { owner: ref('c'), backend: 'b' };
      const call = { ...observation, backend: 'b' };
      for (const row of [
        '',
        '{',
        '[]',
        '7',
        '{"value":null}',
        '{"value":{"id":"x"}}',
        '{"value":{"id":"x","generation":1,"issuedAt":1}}',
        '{"value":{"id":5,"generation":"x"}}',
      ]) {
        await redis.command('SET', `${prefix}:2:{c}:session:b`, row);
        expect((await store.facts.observe(call)).storedSession).toMatchObject({ record: undefined, damaged: row });
        const found: unknown[] = [];
        for await (const record of store.sessions.records()) found.push(record);
        expect(found).toEqual([]);
        await store.sessions.revoke(at, 0);
        expect((await store.facts.observe(call)).storedSession.record).toBeUndefined();
      }
      // The same holds for rows that are not valid pending logouts or reminders.
      for (const logout of ['x', '5', '5 {', '5 {"value":{}}'])
        await redis.command('HSET', `${prefix}:2:{c}:pending:b`, logout, logout);
      for (const entry of ['x', '[]', '["c","b",1]'])
        await redis.command('ZADD', `${prefix}:2:{control}:due`, '1', entry);
      await redis.command('SET', `${prefix}:2:{d}:pending:b`, 'no hash');
      await redis.command('ZADD', `${prefix}:2:{control}:due`, '0', '["d","b",0]');
      await store.sessions.addPendingLogout(at, { record: sessionRecord(3, at), due: 1 });
      const logouts = await store.sessions.takeOverdue(clock.now(), clock.now() + 1, async () => {});
      expect(logouts.filter(({ record }) => record).map(({ name }) => name)).toEqual(['token-3']);
      // What makes no sense is named, so that it is on record before it is removed.
      for (const { key, name } of logouts) await store.sessions.removePendingLogout(key, name);
      expect(await redis.command('HLEN', `${prefix}:2:{c}:pending:b`)).toBe(0);
    });

    it('R-28: a client id that looks like another key does not prevent a revocation', async () => {
      const store = await create(createTestClock());
      await store.limits.take(holder('x}:session:y'), { owner: ref('o'), backend: 'b' }, 'id', 5, 1000);
      const found: unknown[] = [];
      for await (const record of store.sessions.records()) found.push(record);
      expect(found).toEqual([]);
    });

    it('the record of calls in flight expires when the client never comes back', async () => {
      const prefix = `ttl-${Math.random().toString(36).slice(2)}`;
      const store = await create(createTestClock(), { prefix });
      for (const call of ['first', 'second']) {
        await store.facts.observe({ ...observation, call });
        expect(await redis.command('PTTL', `${prefix}:2:{c}:flight`)).toBeGreaterThan(0);
        await store.facts.finished(ref('c'), call, { denied: false });
      }
    });

    it('calls that were counted too late do not stay in flight', async () => {
      const store = await create(createTestClock(), { timeoutMs: 150 });
      await store.facts.observe({ ...observation, call: 'before' });
      redis.pause();
      const late = Array.from({ length: 20 }, (_, i) => ({ ...observation, call: `late-${i}` }));
      const refused = await Promise.allSettled(late.map((each) => store.facts.observe(each)));
      expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
      await Promise.allSettled(late.map(({ call }) => store.facts.finished(ref('c'), call, { denied: true })));
      redis.resume();
      await until(() => store.ready(), 'the store to answer');
      await store.facts.observe({ ...observation, call: 'after' }).catch(() => undefined);
      await until(
        async () => (await store.facts.observe({ ...observation, call: 'after' })).usage.in_flight === 2,
        'the late calls to be gone',
      );
    });

    it('while the store is slow a late answer is an error, and the connector recovers afterwards', async () => {
      const store = await create(createTestClock(), { timeoutMs: 100 });
      redis.pause();
      try {
        await expect(store.facts.observe(observation)).rejects.toThrow('in time');
        await expect(store.sessions.get({ owner: ref('c'), backend: 'b' })).rejects.toThrow('in time');
        expect(await store.ready()).toBe(true);
        await expect(store.control.read(0)).rejects.toThrow('in time');
      } finally {
        redis.resume();
      }
      await until(() => store.ready(), 'the store to answer again');
      await store.facts.observe(observation);
    });

    it('while the store is down calls fail at once, and another server process in its place is a new epoch', async () => {
      const store = await create(createTestClock(), { timeoutMs: 500 });
      await store.facts.openHandle(ref('c'), 'h');
      const { epoch } = await store.control.read(0);
      await redis.kill();
      await expect(store.facts.observe(observation)).rejects.toThrow();
      expect(await store.ready()).toBe(false);
      await redis.restart();
      await until(() => store.ready(), 'the store to come back');
      const now = await store.control.read(0);
      expect(now.epoch).not.toBe(epoch);
      expect(now.lost).toBe(true);
      expect(await store.facts.handleState(ref('c'), 'h', epochMark(now.epoch))).toBe('unknown');
      expect(await store.facts.handleState(ref('c'), 'h', epochMark(epoch))).toBe('known');
    });
  });
});
