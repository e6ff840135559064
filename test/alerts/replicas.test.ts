import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { incidentOf } from '../../src/alerts/alert.ts';
import { type Loose, until } from '../support/harness.ts';
import {
  type Collector,
  signingSecret,
  startCollector,
  startWebReceiver,
  type WebReceiver,
} from '../support/receivers.ts';
import { freePort } from '../support/redis.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';

const program = inject('redis');
const CLIENTS = 24;

/** One of each `data.incident`, by its id, of what a receiver has. */
const idsOf = (bodies: readonly Loose[], type = 'alert.triggered') => {
  const ids = new Map<string, Set<string>>();
  for (const body of bodies.filter((each) => each.type === type)) {
    const { incident, id } = body.data;
    ids.set(incident, (ids.get(incident) ?? new Set()).add(id));
  }
  return ids;
};

describe.skipIf(program === null || inject('rsyslog') === null)('R-63: alerts of two replicas', () => {
  let cluster: Cluster;
  let hook: WebReceiver;
  let rsyslog: Collector;
  const keys: string[] = [];

  beforeAll(async () => {
    process.env.HOOK_SECRET = signingSecret('of the cluster');
    hook = await startWebReceiver();
    rsyslog = await startCollector(inject('rsyslog') as string, await freePort());
    cluster = await startCluster({
      redisProgram: program as string,
      edit: (yaml) => `${yaml}
limits: { failures_per_minute: 5 }
alerts:
  receivers:
    hook: { type: webhook, url: "${hook.url}", secrets: [{ env: HOOK_SECRET }], timeout_seconds: 0.5, retry: { first_seconds: 0.1, longest_seconds: 0.3 } }
    collector: { type: syslog, host: 127.0.0.1, port: ${rsyslog.port}, tls: false, retry: { first_seconds: 0.1, longest_seconds: 0.3 } }
`,
    });
    for (let i = 0; i < CLIENTS; i++) keys.push(cluster.addClient(`client-${i}`));
    for (const replica of cluster.replicas) await knows(replica, keys.at(-1) as string);
  }, 60_000);
  afterEach(() => {
    hook.status = 200;
    hook.taken.length = 0;
  });
  afterAll(async () => {
    await cluster?.close();
    await hook?.close();
    await rsyslog?.remove();
  });

  const knows = (replica: Replica, key: string) =>
    until(
      async () => (await cluster.rpc(replica, 'ping', {}, { key, ip: '198.51.100.1' })).status === 200,
      'a client',
      15_000,
    );
  /** The handle of one client in the hands of another. */
  const steal = async (at: Replica, key: string) => {
    const handle = await cluster.initialize(at);
    await cluster.rpc(at, 'ping', {}, { key, handle }).catch(() => {});
  };

  it('what both see reaches a receiver once, and the incident is one for all of them', async () => {
    const [a, b] = cluster.replicas as [Replica, Replica];
    const key = keys[0] as string;
    await Promise.all([a, b, a, b].map((at) => steal(at, key)));
    await hook.has(1);
    // Something else, so that what was to come has come.
    await steal(b, keys[1] as string);
    await hook.has(2);
    const ofFirst = hook.taken.filter(({ data }) => data.client?.id === 'client-0');
    expect(ofFirst).toHaveLength(1);
    const listed = async (at: Replica) => {
      const answer = await fetch(new URL('/api/v1/alerts', at.adminUrl), {
        headers: { authorization: `Bearer ${cluster.adminToken}` },
      });
      const { incidents } = (await answer.json()) as Loose;
      return incidents.find(({ incident }: Loose) => incident === ofFirst[0].data.incident);
    };
    await until(async () => (await listed(b)).count === 4 && (await listed(a)).delivered, 'all four to be counted');
    expect(await listed(a)).toEqual(await listed(b));
  });

  it('with the store away each tells by itself, under the same id', async () => {
    const [a, b] = cluster.replicas as [Replica, Replica];
    cluster.redis.pause();
    try {
      const guess = (at: Replica) => cluster.rpc(at, 'ping', {}, { key: 'sk_wrong', ip: '203.0.113.9' });
      await Promise.all([a, b].flatMap((at) => Array.from({ length: 7 }, () => guess(at))));
      const guesses = () => hook.taken.filter(({ data }) => data.code === 'authn.too_many_failures');
      await until(() => guesses().length >= 2, 'both replicas to tell');
      expect(new Set(guesses().map(({ data }) => data.id)).size).toBe(1);
      expect(guesses()[0].data.params).toEqual({ network: '203.0.113.0/24' });
    } finally {
      cluster.redis.resume();
    }
  });

  it('over a kill -9 of connectors and of the collector, and a receiver that fails, every alert on record is there, copies under equal ids', async () => {
    const stolen = keys.slice(2);
    let killed: Replica | undefined;
    for (const [i, key] of stolen.entries()) {
      const alive = cluster.replicas.filter(({ child }) => !child.killed);
      await steal(alive[i % alive.length] as Replica, key);
      if (i === 3) hook.status = 503;
      if (i === 5) await rsyslog.kill();
      if (i === 9 || i === 17) {
        killed = alive[i % alive.length] as Replica;
        await killed.kill();
      }
      if (i === 10 || i === 18) await cluster.start({ again: killed as Replica });
      if (i === 12) hook.status = undefined;
      if (i === 15) await rsyslog.start();
      if (i === 19) hook.status = 200;
    }
    // A replica that was started again reads the log of the one before it.
    const logs = new Map(cluster.replicas.map((replica) => [replica.state, replica]));
    const recorded = [...logs.values()]
      .flatMap((replica) => replica.audit('alert'))
      .filter(({ reasons }) => reasons[0] === 'handle.foreign')
      .map((record) => incidentOf(record, ''));
    const wanted = new Set(recorded);
    // The record of an alert about no call is not waited for, so that of the last before each kill may be missing.
    expect(wanted.size).toBeGreaterThanOrEqual(stolen.length - 2);
    const missing = (bodies: readonly Loose[]) => [...wanted].filter((incident) => !idsOf(bodies).has(incident));
    const all = () => hook.received.filter(({ body }) => body).map(({ body }) => body);
    await until(() => missing(hook.taken.concat(all())).length === 0, 'the webhook to have every alert', 20_000);
    await until(() => missing(rsyslog.alerts()).length === 0, 'rsyslog to have every alert', 20_000);
    for (const ids of [...idsOf(all()).values(), ...idsOf(rsyslog.alerts()).values()]) expect(ids.size).toBe(1);
  }, 90_000);

  it('afterwards nothing waits at any replica', async () => {
    const alive = cluster.replicas.filter(({ child }) => child.exitCode === null && !child.killed);
    expect(alive).toHaveLength(2);
    const waiting = async (at: Replica) => {
      const answer = await fetch(new URL('/api/v1/alerts', at.adminUrl), {
        headers: { authorization: `Bearer ${cluster.adminToken}` },
      });
      return ((await answer.json()) as Loose).receivers.reduce((sum: number, each: Loose) => sum + each.waiting, 0);
    };
    for (const at of alive) await until(async () => (await waiting(at)) === 0, 'nothing to wait');
  });
});
