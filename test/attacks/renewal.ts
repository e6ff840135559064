// Sessions that the backend renews, and what else keeps one alive: other keyrings, other clocks, replicas that died.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKeyringFile, writeKeyring } from '../../src/keyring/keyring.ts';
import { until } from '../support/harness.ts';
import type { Replica } from '../support/replicas.ts';
import { type AttackGroup, codesOf, known, plural, refOf, revoke } from './attack.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const NONE = { renewIds: false, keepOldIds: false, copyOnRefusal: false, latencyMs: 0 };
const ready = async (at: Replica) => (await fetch(new URL('/readyz', at.url))).status;

export const renewalAttacks: AttackGroup = {
  name: 'renewal',
  options: { settings: (yaml) => yaml.replace(/(token_uses: \{ limit: )\d+/, '$130') },
  attacks: [
    {
      id: 28,
      title: 'R-80: a session whose cookie changes with each answer is kept in use for ever',
      expected: 'rotated by lifetime.token_used_up',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-28');
        cluster.legacy.inject({ renewIds: true });
        for (let i = 0; i < 40; i++) await cluster.call(i % 2 ? a : b, 'stock_list', {}, { key });
        cluster.legacy.inject(NONE);
        const rotated = cluster
          .audit('decision')
          .find(({ client, result }) => client.id === 'client-28' && result.outcome === 'rotate');
        return rotated ? `rotated by ${codesOf(rotated.result).join(' ')}` : 'never rotated';
      },
    },
    {
      id: 29,
      title: 'R-81: answers on two replicas renew one session at the same time, and the older values stay valid',
      expected: '24 answered; 1 login; after the end every value is dead or on record',
      async run(cluster) {
        const key = await known(cluster, 'client-29');
        await cluster.call(cluster.replicas[0] as Replica, 'stock_list', {}, { key });
        const before = cluster.legacy.stats();
        cluster.legacy.inject({ renewIds: true, keepOldIds: true });
        let answered = 0;
        for (let round = 0; round < 12; round++) {
          const both = cluster.replicas.slice(0, 2).map((at) => cluster.call(at, 'stock_list', {}, { key }));
          answered += (await Promise.all(both)).filter((each) => each.body?.result?.isError !== true).length;
        }
        const logins = cluster.legacy.stats().logins - before.logins + 1;
        cluster.legacy.inject(NONE);
        await revoke(cluster, cluster.replicas[0] as Replica, { client: 'client-29' });
        const session = cluster.audit('event').findLast(({ event }) => event === 'session_renewed').session;
        const ended = () =>
          cluster.audit('event').filter(({ event, session: of }) => event === 'session_ended' && of === session);
        await until(() => ended().length === 10, 'all values to be on record', 20_000);
        const recorded = ended().reduce((sum, { proof, count }) => sum + (proof === 'dead' ? 0 : (count ?? 1)), 0);
        const left = cluster.legacy.stats().liveSessions - before.liveSessions + 1;
        const known_ = left <= recorded ? 'dead or on record' : `${left} live, ${recorded} on record`;
        return `${answered} answered; ${plural(logins, 'login')}; after the end every value is ${known_}`;
      },
    },
    {
      id: 30,
      title: 'R-95: a refused form is answered with a logged-in copy of the session under another cookie',
      expected: 'refused; nothing lives after the end',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-30');
        const before = cluster.legacy.stats().liveSessions;
        await cluster.call(a, 'stock_list', {}, { key });
        cluster.legacy.inject({ copyOnRefusal: true });
        const refused = await cluster.call(a, 'stock_adjust', { sku: 'A-1', delta: 1 }, { key });
        cluster.legacy.inject(NONE);
        const copied = cluster.legacy.stats().liveSessions - before === 2;
        await revoke(cluster, a, { client: 'client-30' });
        await until(() => cluster.legacy.stats().liveSessions <= before, 'both sessions to end', 20_000);
        return `${copied && refused.body?.result?.isError ? 'refused' : 'no copy'}; nothing lives after the end`;
      },
    },
    {
      id: 31,
      title: 'R-94: a replica is started with another keyring on the same store',
      expected: 'not ready; alerted; its calls refused; 1 login',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-31');
        const before = cluster.legacy.stats().logins;
        await cluster.call(a, 'stock_list', {}, { key });
        const file = join(cluster.dir, 'other-keyring.json');
        writeKeyring(file, createKeyringFile(new Date()));
        const other = await cluster.start({
          change: (yaml) => yaml.replace(/keyring_file: .*/, `keyring_file: ${file}`),
        });
        const state = await ready(other);
        let refused = 0;
        for (let i = 0; i < 10; i++) {
          const answer = await cluster.call(other, 'stock_list', {}, { key });
          refused += answer.body?.result?.isError || answer.status >= 400 ? 1 : 0;
          await cluster.call(a, 'stock_list', {}, { key });
        }
        const alert = other.audit('alert').some(({ reasons }) => reasons.includes('keyring.mismatch'));
        const logins = cluster.legacy.stats().logins - before;
        await other.stop();
        return `${state === 503 ? 'not ready' : state}; ${alert ? 'alerted' : 'silent'}; its calls ${refused === 10 ? 'refused' : 'served'}; ${plural(logins, 'login')}`;
      },
    },
    {
      id: 32,
      title: 'R-28: thousands of revocations of others come near the most that are kept',
      expected: 'alerted; the bystander keeps its session and handle',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-32');
        const handle = await cluster.initialize(a, { key });
        await cluster.call(a, 'stock_list', {}, { key, handle });
        const logins = cluster.legacy.stats().logins;
        const rows = Array.from({ length: 9000 }, (_, i) => [`revoked:client:other-${i}`, String(Date.now())]).flat();
        await cluster.redis.command('HSET', 'sallyport:{control}', ...rows);
        await revoke(cluster, a, { client: 'one-more' });
        const answer = await cluster.call(b, 'stock_list', {}, { key, handle });
        const alert = await until(
          () => cluster.audit('alert').some(({ reasons }) => reasons.includes('revocations.many')),
          'an alert',
        );
        const fields = rows.filter((_, i) => i % 2 === 0);
        const kept = answer.status === 200 && !answer.body.result.isError && cluster.legacy.stats().logins === logins;
        await cluster.redis.command('HDEL', 'sallyport:{control}', ...fields);
        return `${alert ? 'alerted' : 'silent'}; the bystander ${kept ? 'keeps its session and handle' : 'is logged out'}`;
      },
    },
    {
      id: 33,
      title: 'R-83: a replica whose clock is an hour ahead opens a session that others use',
      expected: 'not ready; told; the token ages on the others',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'client-33');
        const skew = join(cluster.dir, 'skew.mjs');
        writeFileSync(skew, 'const now = Date.now; Date.now = () => now() + 3_600_000;\n');
        const ahead = await cluster.start({ args: ['--import', skew] });
        await cluster.call(ahead, 'stock_list', {}, { key });
        const state = await until(async () => (await ready(ahead)) === 503, 'the replica to be not ready');
        await sleep(2100);
        await cluster.call(a, 'stock_list', {}, { key });
        const { input } = a.audit('decision').findLast(({ client }) => client.id === 'client-33');
        const told = ahead.audit('event').some(({ event, agrees }) => event === 'clock_skew' && agrees === false);
        await ahead.stop();
        const ages = input.session.token_age_seconds >= 2 && input.session.token_age_seconds < 60;
        return `${state ? 'not ready' : 'ready'}; ${told ? 'told' : 'silent'}; the token ${ages ? 'ages' : 'does not age'} on the others`;
      },
    },
    {
      id: 34,
      title: 'R-84: a replica is killed with calls of a client in flight',
      expected: 'in flight at once 4, within 15 seconds 1',
      async run(cluster) {
        const [, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-34');
        await cluster.call(b, 'stock_list', {}, { key });
        const victim = await cluster.start();
        cluster.legacy.inject({ latencyMs: 4000 });
        const lost = Array.from({ length: 3 }, () => cluster.call(victim, 'stock_list', {}, { key }).catch(() => null));
        await until(
          async () => (await cluster.redis.command('HLEN', `sallyport:2:{${refOf('client-34')}}:flight`)) === 3,
          'the calls to be in flight',
        );
        await victim.kill();
        await Promise.all(lost);
        cluster.legacy.inject(NONE);
        const inFlight = async () => {
          await cluster.call(b, 'stock_list', {}, { key });
          return b.audit('decision').findLast(({ client }) => client.id === 'client-34').input.usage.in_flight;
        };
        const first = await inFlight();
        const end = Date.now() + 15_000;
        let last = first;
        while (last > 1 && Date.now() < end) {
          await sleep(500);
          last = await inFlight();
        }
        return `in flight at once ${first}, within 15 seconds ${last}`;
      },
    },
  ],
};
