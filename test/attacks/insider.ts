// Attacks by somebody who can write to Redis, and by somebody who waits for the store to forget.
import { until } from '../support/harness.ts';
import type { Cluster, Replica } from '../support/replicas.ts';
import { type AttackGroup, codesOf, known, refOf, revoke, rowOf } from './attack.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const redis = (cluster: Cluster, ...args: string[]) => cluster.redis.command(...args);
const CONTROL = 'sallyport:{control}';
const keyOf = (id: string, rest: string) => `sallyport:2:{${refOf(id)}}:${rest}`;
/** A tool whose call rotates a session that is a second old; see the settings of the group. */
const OLD_MS = 1100;

/** Outcome and reasons of the newest decision about the client. */
const decided = (at: Replica, id: string): string => {
  const { result } = at.audit('decision').findLast(({ client }) => client.id === id);
  return `${result.outcome} ${codesOf(result).join(' ')}`;
};
const alerts = (cluster: Cluster, reason: string) =>
  cluster.audit('alert').filter(({ reasons }) => reasons.includes(reason)).length;
/** Alerts of one reason come at most once a minute from each replica, so that one is enough. */
const alerted = (cluster: Cluster): string => (alerts(cluster, 'store.rolled_back') > 0 ? 'alerted' : 'silent');

export const insiderAttacks: AttackGroup = {
  name: 'insider',
  options: {
    settings: (yaml) =>
      yaml
        .replace('token_age: { limit_seconds: 300', 'token_age: { limit_seconds: 1')
        .replace(/calls_per_minute: \d+/, 'calls_per_minute: 1000000'),
  },
  attacks: [
    {
      id: 35,
      title: 'R-85: a whole old row of a session is put back after a rotation',
      expected: 'rotate replay.history_lost; the old cookie is not used; alerted',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-35');
        const before = new Set(cluster.legacy.stats().callsBySession.keys());
        await cluster.call(a, 'stock_list', {}, { key });
        const cookie = [...cluster.legacy.stats().callsBySession.keys()].find((id) => !before.has(id)) as string;
        const old = String(await redis(cluster, 'GET', rowOf('client-35')));
        await sleep(OLD_MS);
        await cluster.call(a, 'stock_list', {}, { key });
        const ended = () =>
          cluster.audit('event').some(({ event, cause }) => event === 'session_ended' && cause?.includes('too_old'));
        await until(ended, 'the old session to be logged out');
        const used = cluster.legacy.stats().callsBySession.get(cookie);
        await redis(cluster, 'SET', rowOf('client-35'), old);
        await cluster.call(a, 'stock_list', {}, { key });
        // The logout of the old token and its probe are redirected to the login page, which counts no call.
        const again = cluster.legacy.stats().callsBySession.get(cookie) !== used;
        return `${decided(a, 'client-35')}; the old cookie is ${again ? 'used' : 'not used'}; ${alerted(cluster)}`;
      },
    },
    {
      id: 36,
      title:
        'R-85: the field of a used id is taken out of the window of a handle, and the destructive call is replayed',
      expected:
        'on a replica that has not seen it deny replay.history_lost, on the one that has deny replay.history_lost replay.seen; alerted',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-36', ['manager']);
        const handle = await cluster.initialize(a, { key });
        await cluster.call(a, 'stock_write_off', { sku: 'B-1' }, { key, handle, id: 77 });
        const [window] = (await redis(cluster, 'KEYS', keyOf('client-36', 'window:*'))) as string[];
        await redis(cluster, 'HDEL', String(window), 'i77');
        const replay = async (at: Replica) => {
          await cluster.call(at, 'stock_write_off', { sku: 'B-2' }, { key, handle, id: 77 });
          const { result } = at.audit('decision').findLast(({ client }) => client.id === 'client-36');
          return [...codesOf(result)]
            .filter((code) => code.startsWith('replay.'))
            .sort()
            .join(' ');
        };
        const unseen = await replay(b);
        await redis(cluster, 'HDEL', String(window), 'i77');
        const seen = await replay(a);
        return `on a replica that has not seen it deny ${unseen}, on the one that has deny ${seen}; ${alerted(cluster)}`;
      },
    },
    {
      id: 37,
      title: 'R-85: a revocation is deleted from Redis',
      expected: 'the revoked handle 404 404; the revocation is back in Redis',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-37');
        const handle = await cluster.initialize(a, { key });
        await revoke(cluster, a, { client: 'client-37' });
        await sleep(500);
        const use = async (at: Replica) => (await cluster.rpc(at, 'ping', {}, { key, handle })).status;
        await use(b);
        await redis(cluster, 'HDEL', CONTROL, 'revoked:client:client-37');
        await sleep(500);
        const statuses = [await use(a), await use(b)].join(' ');
        const back = await redis(cluster, 'HEXISTS', CONTROL, 'revoked:client:client-37');
        return `the revoked handle ${statuses}; the revocation is ${back === 1 ? 'back in Redis' : 'gone'}`;
      },
    },
    {
      id: 38,
      title: 'R-85: Redis is emptied, and its control row is put back as it was',
      expected: 'rotate replay.history_lost; a new epoch; alerted',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-38');
        await cluster.call(a, 'stock_list', {}, { key });
        const row = (await redis(cluster, 'HGETALL', CONTROL)) as string[];
        const epochs = cluster.audit('event').filter(({ event }) => event === 'store_epoch').length;
        await redis(cluster, 'FLUSHALL');
        await redis(cluster, 'HSET', CONTROL, ...[row].flat());
        await cluster.call(a, 'stock_list', {}, { key });
        const first = decided(a, 'client-38');
        await until(
          () => cluster.audit('event').filter(({ event }) => event === 'store_epoch').length > epochs,
          'a new epoch',
        );
        return `${first}; a new epoch; ${alerted(cluster)}`;
      },
    },
    {
      id: 39,
      title: 'R-85: the record of what a client has called is deleted',
      expected: 'rotate replay.history_lost; alerted',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-39');
        for (let i = 0; i < 3; i++) await cluster.call(a, 'stock_list', {}, { key });
        await redis(cluster, 'DEL', keyOf('client-39', 'ledger'));
        await cluster.call(a, 'stock_list', {}, { key });
        return `${decided(a, 'client-39')}; ${alerted(cluster)}`;
      },
    },
    {
      id: 40,
      title: 'R-95: the row of a session is deleted',
      expected: 'rotate replay.history_lost; 1 live session; alerted',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-40');
        const live = cluster.legacy.stats().liveSessions;
        await cluster.call(a, 'stock_list', {}, { key });
        await redis(cluster, 'DEL', rowOf('client-40'));
        await cluster.call(a, 'stock_list', {}, { key });
        await until(() => cluster.legacy.stats().liveSessions <= live + 1, 'the lost session to be logged out', 20_000);
        return `${decided(a, 'client-40')}; ${cluster.legacy.stats().liveSessions - live} live session; ${alerted(cluster)}`;
      },
    },
    {
      id: 41,
      title: 'R-29: the store forgets, then the first call is a copy of a destructive one that was captured before',
      expected: 'deny replay.history_lost; the item is still there',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-41', ['manager']);
        const handle = await cluster.initialize(a, { key });
        const captured = { key, handle, id: 9 };
        await cluster.call(a, 'stock_write_off', { sku: 'no such' }, captured);
        await redis(cluster, 'FLUSHALL');
        const writes = cluster.legacy.stats().writes;
        await cluster.call(b, 'stock_write_off', { sku: 'A-2' }, captured);
        const { result } = b.audit('decision').findLast(({ client }) => client.id === 'client-41');
        const codes = codesOf(result).filter((code) => code === 'replay.history_lost');
        const kept = cluster.legacy.stats().writes === writes;
        return `${result.outcome} ${codes[0]}; the item is ${kept ? 'still there' : 'gone'}`;
      },
    },
    {
      id: 42,
      title: 'R-29: the store forgets, the handle of another conversation is pushed out, and then it is used',
      expected: 'before 200, after 404',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-42');
        const handle = await cluster.initialize(a, { key });
        await redis(cluster, 'FLUSHALL');
        const before = (await cluster.rpc(b, 'ping', {}, { key, handle })).status;
        for (let i = 0; i < 33; i++) await cluster.initialize(a, { key });
        await redis(cluster, 'DEL', keyOf('client-42', 'nothing'));
        return `before ${before}, after ${(await cluster.rpc(a, 'ping', {}, { key, handle })).status}`;
      },
    },
    {
      id: 43,
      title: 'R-29: the window of a handle is filled, then the store forgets another one, and that is used',
      expected: 'the full one 404, one without its history 404',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-43');
        const old = await cluster.initialize(a, { key });
        await redis(cluster, 'FLUSHALL');
        const full = await cluster.initialize(a, { key });
        for (let at = 0; at < 1024; at += 64)
          await Promise.all(
            Array.from({ length: 64 }, (_, i) =>
              cluster.call(a, 'stock_get', { sku: 'none' }, { key, handle: full, id: `id-${at + i}` }),
            ),
          );
        const use = async (handle: string) => (await cluster.rpc(b, 'ping', {}, { key, handle })).status;
        return `the full one ${await use(full)}, one without its history ${await use(old)}`;
      },
    },
    {
      id: 44,
      title: 'R-28: a handle is revoked, then the store forgets everything, and then the handle is used',
      expected: '404 404',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-44');
        const handle = await cluster.initialize(a, { key });
        await revoke(cluster, a, { client: 'client-44' });
        await sleep(500);
        await cluster.rpc(b, 'ping', {}, { key, handle });
        await redis(cluster, 'FLUSHALL');
        const use = async (at: Replica) => (await cluster.rpc(at, 'ping', {}, { key, handle })).status;
        return `${await use(a)} ${await use(b)}`;
      },
    },
  ],
};
