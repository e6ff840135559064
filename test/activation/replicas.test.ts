// Another policy on two replicas with a real Redis, under load: one admin listener is asked, and both decide with it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../support/cli.ts';
import { type Loose, until } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';

const redisProgram = inject('redis');

describe.skipIf(!redisProgram)('R-76: another policy on two replicas (needs Redis)', () => {
  let cluster: Cluster;
  let folder: PolicyFolder;
  let [a, b]: Replica[] = [];
  beforeAll(async () => {
    folder = policyFolder({
      'data.yaml': (yaml) => yaml.replace(/calls_per_(minute|hour): \d+/g, 'calls_per_$1: 1000000'),
    });
    cluster = await startCluster({
      redisProgram: redisProgram as string,
      replicas: 2,
      edit: (yaml) => yaml.replace(/^policy: \{ dir: [^,]+,/m, `policy: { dir: ${folder.dir},`),
    });
    [a, b] = cluster.replicas as [Replica, Replica];
  }, 60_000);
  afterAll(async () => {
    await cluster?.close();
    folder?.remove();
  });
  const on = (replica: Replica | undefined, ...args: string[]) =>
    run(['policy', ...args, '--url', (replica as Replica).adminUrl, '--token-file', `${cluster.dir}/admin.token`]);
  const status = async (replica: Replica | undefined) =>
    JSON.parse((await on(replica, 'status', '--all', '--json')).stdout) as Loose;
  const edit = (from: string | RegExp, to: string) => {
    const file = join(folder.dir, 'data.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
  };
  /** Calls of both replicas without a pause; answers how they came out when it is ended. */
  const load = () => {
    let loaded = true;
    const outcomes = new Map<string, number>();
    const ended = Promise.all(
      [a, b, a, b].map(async (replica) => {
        while (loaded) {
          const { body } = await cluster.call(replica as Replica, 'stock_get', { sku: 'A-1' });
          const outcome = body.result?.isError ? body.result._meta['sallyport/reasons'][0] : 'done';
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
      }),
    );
    return async () => {
      loaded = false;
      await ended;
      return Object.fromEntries(outcomes);
    };
  };

  it('an activation through one reaches the other under load, no call fails, and each record names what decided it; so does a rollback', async () => {
    const before = (await status(a)).revision;
    edit('limit_seconds: 300', 'limit_seconds: 299');
    const end = load();
    const done = await on(a, 'activate', '--reason', 'a smaller number', '--json');
    const { revision, others } = JSON.parse(done.stdout) as Loose;
    expect([done.code, others]).toEqual([0, []]);
    expect(revision).not.toBe(before);
    expect([(await status(a)).revision, (await status(b)).revision]).toEqual([revision, revision]);
    const back = await on(b, 'rollback', '--reason', 'too small', '--json');
    expect(JSON.parse(back.stdout)).toMatchObject({ revision: before, others: [] });
    expect((await status(a)).revision).toBe(before);
    expect(Object.keys(await end())).toEqual(['done']);
    for (const replica of [a, b] as Replica[]) {
      const decided = new Set(replica.audit('decision').map(({ bundles }) => bundles.sallyport.revision));
      expect(decided).toEqual(new Set([before, revision]));
      const events = replica.audit('event').filter(({ event }) => event === 'policy_activated');
      expect(events.map(({ what, revision: to, operator, reason }) => [what, to, operator, reason])).toEqual([
        ['activate', revision, 'admin', 'a smaller number'],
        ['rollback', before, 'admin', 'too small'],
      ]);
    }
  }, 60_000);

  it('outlives a restart of both and a store that was emptied', async () => {
    const { revision } = await status(a);
    await (a as Replica).stop();
    await (b as Replica).stop();
    await cluster.redis.command('FLUSHALL');
    [a, b] = [await cluster.start({ again: a as Replica }), await cluster.start({ again: b as Replica })];
    // The folder is as it was when somebody went back, so what was gone back to goes on.
    expect([(await status(a)).revision, (await status(b)).revision]).toEqual([revision, revision]);
  }, 60_000);

  it('a replica that cannot take it up says so, and goes on with what it has; nobody who writes the store orders anything', async () => {
    const other = policyFolder({ 'data.yaml': (yaml) => yaml.replace('limit_seconds: 300', 'limit_seconds: 280') });
    const before = (await status(b)).revision;
    const done = await on(a, 'activate', other.dir, '--reason', 'only here', '--json');
    const { revision, others } = JSON.parse(done.stdout) as Loose;
    // The configured folder of the other one has another policy.
    expect(others).toMatchObject([
      { policy: before, order_problem: expect.stringContaining('is not kept here, and the folder has') },
    ]);
    expect((await on(a, 'status', '--all')).stdout).toMatch(/decides\b[\s\S]*\(policy \w+ is not kept here/);
    expect((b as Replica).audit('event').at(-1)).toMatchObject({ event: 'policy_refused' });
    // What stands in the store with another name in it is of no keyring.
    const [key] = ((await cluster.redis.command('KEYS', '*described*')) as string[]) ?? [];
    const rows = (await cluster.redis.command('HGETALL', key as string)) as string[];
    const row = JSON.parse(rows[1] as string) as Loose;
    const order = JSON.parse(row.order);
    order.order = { ...order.order, number: order.order.number + 1, revision: before };
    await cluster.redis.command(
      'HSET',
      key as string,
      rows[0] as string,
      JSON.stringify({ ...row, order: JSON.stringify(order) }),
    );
    await status(a);
    expect((await status(a)).revision).toBe(revision);
    expect(await on(a, 'rollback', '--to', before, '--reason', 'both again')).toMatchObject({ code: 0 });
    await until(
      async () => (await status(b)).differences === undefined && (await status(a)).revision === before,
      'both to agree',
    );
    const problems = async () => (await status(a)).replicas.map(({ order_problem }: Loose) => order_problem);
    await until(async () => (await problems()).join() === ',', 'both to say so');
    other.remove();
  }, 60_000);
});
