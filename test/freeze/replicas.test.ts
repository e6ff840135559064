// A freeze on two replicas with a real Redis: seen by both, over restarts and a store that was emptied.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../support/cli.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';

const redisProgram = inject('redis');
/** every replica sees a freeze within a second. */
const seen = () => new Promise((resolve) => setTimeout(resolve, 1000));

describe.skipIf(!redisProgram)('R-73: a freeze on two replicas', () => {
  let cluster: Cluster;
  let [a, b]: Replica[] = [];
  beforeAll(async () => {
    cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 2 });
    [a, b] = cluster.replicas as [Replica, Replica];
  }, 60_000);
  afterAll(() => cluster?.close());
  const on = (replica: Replica | undefined, ...args: string[]) =>
    run([...args, '--url', (replica as Replica).adminUrl, '--token-file', `${cluster.dir}/admin.token`]);
  /** The first reason of a refusal, or "done". */
  const call = async (replica: Replica | undefined) => {
    const { body } = await cluster.call(replica as Replica, 'stock_get', { sku: 'A-1' });
    return body.result.isError ? body.result._meta['sallyport/reasons'][0] : 'done';
  };
  const both = async () => [await call(a), await call(b)];

  it('is seen by the other one within a second, with who and why, under load', async () => {
    expect(await both()).toEqual(['done', 'done']);
    let loaded = true;
    const load = Promise.all(
      [a, b].map(async (replica) => {
        for (; loaded; ) await call(replica);
      }),
    );
    expect(await on(a, 'freeze', '--tool', 'stock_get', '--reason', 'wrong counts')).toMatchObject({ code: 0 });
    await seen();
    expect(await both()).toEqual(['freeze.active', 'freeze.active']);
    loaded = false;
    await load;
    const { body } = await cluster.call(b as Replica, 'stock_get', { sku: 'A-1' });
    expect(body.result._meta['sallyport/freeze']).toMatchObject([
      { scope: 'tool', operator: 'admin', reason: 'wrong counts' },
    ]);
    expect((await on(b, 'freezes')).stdout).toMatch(/tool:stock_get .*wrong counts/);
  }, 30_000);

  it('lets nothing pass while the store is emptied, and is back in it', async () => {
    let emptied = false;
    const results: string[] = [];
    const calling = Promise.all(
      [a, b].map(async (replica) => {
        for (; !emptied; ) results.push(await call(replica));
      }),
    );
    for (let i = 0; i < 3; i++) {
      await cluster.redis.command('FLUSHALL');
      await seen();
    }
    emptied = true;
    await calling;
    // What is not known for a moment refuses as well; nothing is done.
    expect(results.filter((result) => result === 'done')).toEqual([]);
    expect(results.length).toBeGreaterThan(10);
    const third = await cluster.start();
    expect(await call(third)).toBe('freeze.active');
    await third.stop();
  }, 60_000);

  it('holds after all were stopped, the store was emptied and all were started again', async () => {
    await a?.stop();
    await b?.stop();
    await cluster.redis.command('FLUSHALL');
    a = await cluster.start({ again: a as Replica });
    b = await cluster.start({ again: b as Replica });
    expect(await both()).toEqual(['freeze.active', 'freeze.active']);
  }, 60_000);

  it('is thawed through the other one, and stays thawed when a replica comes back that had not heard of it', async () => {
    await a?.stop();
    expect(await on(b, 'thaw', '--tool', 'stock_get', '--reason', 'counted again')).toMatchObject({ code: 0 });
    a = await cluster.start({ again: a as Replica });
    await seen();
    expect(await both()).toEqual(['done', 'done']);
    await cluster.redis.command('FLUSHALL');
    await seen();
    expect(await both()).toEqual(['done', 'done']);
    const acts = cluster.audit('event').filter(({ event }) => event === 'freeze' || event === 'thaw');
    expect(new Set(acts.map(({ event, operator, reason }) => `${event} by ${operator}: ${reason}`))).toEqual(
      new Set(['freeze by admin: wrong counts', 'thaw by admin: counted again']),
    );
  }, 60_000);
});
