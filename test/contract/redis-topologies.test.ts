// Runs the store contract on a Redis Cluster and behind Sentinel, and tests a real failover.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { epochMark } from '../../src/session/control.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';
import { freePort, redisStore, startRedis, type TestRedis } from '../support/redis.ts';
import { ref } from '../support/refs.ts';
import { factsContract } from './facts.ts';
import { freezeContract } from './freezes.ts';
import { sessionStoreContract } from './session-store.ts';
import { toolUseContract } from './tool-use.ts';

const program = inject('redis');
const SLOTS = 16_384;

const closing = (open: Store[]) => async () => {
  for (const store of open.splice(0)) await store.close();
};

describe.skipIf(program === null)('Redis Cluster', () => {
  const open: Store[] = [];
  let nodes: TestRedis[] = [];
  const create = async (clock: TestClock) => {
    const store = await redisStore({ url: '' }, clock, {
      url: undefined,
      cluster: { nodes: nodes.map(({ url }) => url) },
    });
    open.push(store);
    return store;
  };

  beforeAll(async () => {
    nodes = [];
    for (let i = 0; i < 3; i++) {
      const port = await freePort();
      // The bus of a node has a port of its own, which is the client port plus 10000 unless it is given.
      const args = [
        '--cluster-enabled',
        'yes',
        '--cluster-config-file',
        `nodes-${port}.conf`,
        '--cluster-port',
        String(await freePort()),
      ];
      nodes.push(await startRedis(program as string, { port, args }));
    }
    const [first] = nodes as [TestRedis];
    const share = Math.ceil(SLOTS / nodes.length);
    for (const [i, node] of nodes.entries()) {
      const [from, to] = [i * share, Math.min(SLOTS, (i + 1) * share) - 1];
      await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
      const bus = await node.command('CONFIG', 'GET', 'cluster-port');
      const meet = [
        '127.0.0.1',
        String(node.port),
        String((bus as string[])[1] ?? (bus as { [key: string]: string })['cluster-port']),
      ];
      await first.command('CLUSTER', 'MEET', ...meet);
    }
    const ready = async (node: TestRedis) => String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok');
    for (const node of nodes) await until(() => ready(node), 'the cluster to form', 20_000);
  }, 60_000);
  afterEach(closing(open));
  afterAll(async () => {
    for (const node of nodes) await node.stop();
  });

  sessionStoreContract('redis cluster', create);
  factsContract('redis cluster', create);
  toolUseContract('redis cluster', create);
  freezeContract('redis cluster', create);

  it('the keys of clients are spread over the nodes, and all keys of one client are on one node', async () => {
    const store = await create(createTestClock());
    for (let i = 0; i < 30; i++)
      await store.facts.observe({ call: 'x', owner: ref(`client-${i}`), network: 'n', rpc: null, backend: 'b' });
    const counts = await Promise.all(nodes.map(async (node) => Number(await node.command('DBSIZE'))));
    expect(counts.every((count) => count > 0)).toBe(true);
  });
});

describe.skipIf(program === null)('Redis behind Sentinel', () => {
  const open: Store[] = [];
  let primary: TestRedis;
  let replica: TestRedis;
  let sentinel: TestRedis;
  let dir: string;
  const create = async (clock: TestClock, options: Parameters<typeof redisStore>[2] = {}) => {
    const nodes = [{ host: '127.0.0.1', port: sentinel.port }];
    const store = await redisStore({ url: '' }, clock, {
      url: undefined,
      sentinel: { name: 'sally', nodes },
      ...options,
    });
    open.push(store);
    return store;
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-sentinel-'));
    primary = await startRedis(program as string);
    replica = await startRedis(program as string, { args: ['--replicaof', '127.0.0.1', String(primary.port)] });
    await until(
      async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
      'the replica to follow',
      20_000,
    );
    const config = join(dir, 'sentinel.conf');
    const port = await freePort();
    writeFileSync(
      config,
      `port ${port}\nbind 127.0.0.1\nsentinel monitor sally 127.0.0.1 ${primary.port} 1\nsentinel down-after-milliseconds sally 500\nsentinel failover-timeout sally 5000\n`,
    );
    sentinel = await startRedis(program as string, { port, sentinelConfig: config });
    const knows = async () => String(await sentinel.command('INFO', 'sentinel')).includes('slaves=1');
    await until(knows, 'the sentinel to know the replica', 20_000);
  }, 60_000);
  afterEach(closing(open));
  afterAll(async () => {
    for (const each of [sentinel, replica, primary]) await each?.stop();
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  sessionStoreContract('redis sentinel', create);
  factsContract('redis sentinel', create);
  toolUseContract('redis sentinel', create);

  it('R-29: after a failover nothing that may have been lost is trusted', async () => {
    const epochs: boolean[] = [];
    const store = await create(createTestClock(), {
      timeoutMs: 1000,
      onEpoch: (_epoch, lost) => void epochs.push(lost),
    });
    const observation = { call: 'x', owner: ref('c'), network: 'n/24', rpc: null, backend: null };
    await store.facts.openHandle(ref('c'), 'h');
    await store.facts.observe(observation);
    const mark = epochMark((await store.control.read(0)).epoch);
    expect(await store.facts.handleState(ref('c'), 'h', mark)).toBe('known');
    await primary.kill();
    await expect(store.facts.observe(observation)).rejects.toThrow();
    const recovered = await until(
      () => store.facts.observe(observation).catch(() => undefined),
      'the failover',
      40_000,
    );
    // The counts and ids were replicated, but nobody knows whether all of them were.
    expect(recovered.usage.forgotten).toBe(true);
    expect(recovered.usage.calls_1h).toBeGreaterThanOrEqual(2);
    // The conversation goes on, without what was known of it.
    expect(await store.facts.handleState(ref('c'), 'h', mark)).toBe('known');
    const rpc = { handle: 'h', id: 1 };
    expect((await store.facts.observe({ ...observation, rpc })).replay.history).toBe('lost');
    expect(epochs).toEqual([expect.any(Boolean), true]);
  }, 60_000);
});
