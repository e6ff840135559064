// Attacks that race, crash or outlast the rotation of a session.
import { reasons, startHarness, until } from '../support/harness.ts';
import type { Replica } from '../support/replicas.ts';
import { type AttackGroup, known, plural, rowOf, split } from './attack.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const ok = (answer: { body: { result?: { isError?: boolean } } }) => answer.body?.result && !answer.body.result.isError;
/** The tool for which the policy of these attacks replaces a backend token after three seconds. */
const SHORT = 'order_list';

export const rotationAttacks: AttackGroup = {
  name: 'rotation',
  options: {
    settings: (yaml) =>
      yaml
        .replace(
          '  tools:\n    stock_write_off:',
          '  tools:\n    order_list:\n      lifetime: { token_age: { limit_seconds: 3 } }\n    stock_write_off:',
        )
        .replace(/calls_per_minute: \d+/, 'calls_per_minute: 100000')
        .replace(/in_flight: \d+/, 'in_flight: 100000'),
    edit: (yaml) => yaml.replace('timeout_ms: 5000', 'timeout_ms: 1000'),
  },
  attacks: [
    {
      id: 10,
      title: '100 calls arrive at once on two replicas when the backend token has reached its maximum age',
      expected: '100 answered; 1 login; 1 live session',
      async run(cluster) {
        const key = await known(cluster, 'client-10');
        const before = cluster.legacy.stats();
        await cluster.call(cluster.replicas[0] as Replica, 'stock_list', {}, { key });
        await sleep(3100);
        const { logins } = cluster.legacy.stats();
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, i) => cluster.call(cluster.replicas[i % 2] as Replica, SHORT, {}, { key })),
        );
        const after = cluster.legacy.stats().logins - logins;
        await until(() => cluster.legacy.stats().liveSessions === before.liveSessions + 1, 'the old session to end');
        return `${answers.filter(ok).length} answered; ${plural(after, 'login')}; 1 live session`;
      },
    },
    {
      id: 12,
      title: 'a replica that was paused during its rotation resumes after another has rotated',
      expected: 'generation of the other stands; 1 live session',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-12');
        const before = cluster.legacy.stats().liveSessions;
        await cluster.call(a, 'stock_list', {}, { key });
        await sleep(3100);
        const { logins } = cluster.legacy.stats();
        cluster.legacy.inject({ latencyMs: 150 });
        const paused = cluster.call(a, SHORT, {}, { key }).catch(() => undefined);
        // The replica is paused after its login has reached the legacy side and before the session is stored.
        await until(() => cluster.legacy.stats().logins > logins, 'the login');
        a.pause();
        cluster.legacy.inject({ latencyMs: 0 });
        const winner = await cluster.call(b, SHORT, {}, { key });
        const session = async () => split(String(await cluster.redis.command('GET', rowOf('client-12')))).record;
        const stored = await session();
        a.resume();
        await paused;
        await until(() => cluster.legacy.stats().liveSessions === before + 1, 'the sessions that lost to end', 30_000);
        const now = await session();
        const stands = ok(winner) && now.id === stored.id && now.sealed === stored.sealed;
        return `generation of the other ${stands ? 'stands' : 'is gone'}; 1 live session`;
      },
    },
    {
      id: 13,
      title: 'the old cookie is used directly at the legacy system after a rotation',
      expected: 'refused there; proven dead',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-13');
        const seen = new Set(cluster.legacy.stats().callsBySession.keys());
        await cluster.call(a, 'stock_list', {}, { key });
        const cookie = [...cluster.legacy.stats().callsBySession.keys()].find((id) => !seen.has(id));
        await sleep(3100);
        await cluster.call(b, SHORT, {}, { key });
        const session = a.audit('event').findLast(({ event }) => event === 'session_opened').session;
        const ended = await until(
          () => b.audit('event').find((record) => record.event === 'session_ended' && record.session === session),
          'the old session to end',
        );
        const direct = await fetch(`${cluster.legacy.url}/api/me`, {
          headers: { cookie: `JSESSIONID=${cookie}` },
          redirect: 'manual',
        });
        return `${direct.status === 302 ? 'refused there' : direct.status}; ${ended.proof === 'dead' ? 'proven dead' : 'residual'}`;
      },
    },
    {
      id: 14,
      title: 'a storm of rotations and revocations on both replicas',
      expected: 'nothing lives after the last revocation',
      async run(cluster) {
        const key = await known(cluster, 'client-14');
        const before = cluster.legacy.stats().liveSessions;
        const revoke = (replica: Replica) =>
          fetch(new URL('/revocations', replica.adminUrl), {
            method: 'POST',
            headers: { authorization: `Bearer ${cluster.adminToken}` },
            body: JSON.stringify({ client: 'client-14', reason: 'a drill' }),
          });
        for (let round = 0; round < 5; round++) {
          await Promise.all(
            Array.from({ length: 30 }, (_, i) => {
              const replica = cluster.replicas[i % 2] as Replica;
              return i % 6 === 0 ? revoke(replica) : cluster.call(replica, i % 2 ? SHORT : 'stock_list', {}, { key });
            }),
          );
        }
        await revoke(cluster.replicas[0] as Replica);
        await until(() => cluster.legacy.stats().liveSessions <= before, 'all sessions to end', 20_000);
        const left = cluster.legacy.stats().liveSessions - before;
        return left <= 0 ? 'nothing lives after the last revocation' : `${left} live`;
      },
    },
    {
      id: 16,
      title: 'a client keeps calling beyond the absolute limit of its session',
      expected: 'ended with lifetime.session_too_old; the backend session is dead',
      async run() {
        const h = await startHarness();
        try {
          let answer = await h.call('stock_list');
          for (let minutes = 0; minutes < 8 * 60 && reasons(answer).length === 0; minutes += 4) {
            h.clock.advance(240);
            answer = await h.call('stock_list');
          }
          await h.connector.settled();
          const live = h.legacy.stats().liveSessions;
          return `ended with ${reasons(answer).join()}; ${live === 0 ? 'the backend session is dead' : `${live} live`}`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 11,
      title: 'a replica is killed in the middle of a rotation',
      expected: 'the other recovers; 1 live session, and the dead login is on record',
      async run(cluster) {
        const [, b] = cluster.replicas as [Replica, Replica];
        const victim = await cluster.start();
        const key = await known(cluster, 'client-11');
        const before = cluster.legacy.stats().liveSessions;
        await cluster.call(victim, 'stock_list', {}, { key });
        await sleep(3100);
        const { logins } = cluster.legacy.stats();
        cluster.legacy.inject({ latencyMs: 100 });
        const lost = cluster.call(victim, SHORT, {}, { key }).catch(() => undefined);
        // The last step of its login is under way: it holds the new backend token and has not stored the session yet.
        await until(() => cluster.legacy.stats().logins > logins, 'the login');
        await sleep(130);
        await victim.kill();
        await lost;
        cluster.legacy.inject({ latencyMs: 0 });
        const answer = await cluster.call(b, SHORT, {}, { key });
        const recorded = () =>
          cluster.audit('event').some(({ event, cause }) => event === 'login_abandoned' || cause === 'left behind');
        await until(recorded, 'the dead login to be on record', 60_000);
        await until(() => cluster.legacy.stats().liveSessions <= before + 1, 'what is left to end', 60_000);
        return `the other ${ok(answer) ? 'recovers' : `fails: ${answer.text}`}; ${plural(
          cluster.legacy.stats().liveSessions - before,
          'live session',
        )}, and the dead login is on record`;
      },
    },
  ],
};
