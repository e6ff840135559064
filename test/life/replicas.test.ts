// Two replicas that differ: seen by a machine, by a person, and on record.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { statusSchema } from '../../src/admin/api-schema.ts';
import { run } from '../support/cli.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';

const redisProgram = inject('redis');

describe.skipIf(!redisProgram)('R-94: replicas that differ in their configuration', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ redisProgram: redisProgram as string, replicas: 2 });
  }, 60_000);
  afterAll(() => cluster?.close());
  const statusOf = async (replica: Replica) =>
    statusSchema.parse(
      await (
        await fetch(new URL('/api/v1/status', replica.adminUrl), {
          headers: { authorization: `Bearer ${cluster.adminToken}` },
        })
      ).json(),
    );

  it('agree as long as only their files and ports differ', async () => {
    const [a, b] = cluster.replicas as [Replica, Replica];
    await statusOf(b);
    const status = await statusOf(a);
    expect(status).toMatchObject({ ready: true, differences: [], store: { kind: 'redis' } });
    expect(status.replicas).toHaveLength(2);
  });

  it('are told apart in status, details of readiness, events and metrics, until they agree again', async () => {
    const [a] = cluster.replicas as [Replica, Replica];
    const other = await cluster.start({ change: (yaml) => `${yaml}\nallowed_origins: [https://other.example]\n` });
    await vi.waitFor(
      async () => expect((await statusOf(a)).differences.map(({ what }) => what)).toEqual(['configuration']),
      { timeout: 15_000, interval: 300 },
    );
    const shown = await run(['status', '--url', a.adminUrl, '--token-file', `${cluster.dir}/admin.token`]);
    expect([shown.code, shown.stdout]).toEqual([1, expect.stringMatching(/warning +replicas: configuration: differs/)]);
    const headers = { authorization: `Bearer ${cluster.adminToken}` };
    const text = async (path: string) => (await fetch(new URL(path, a.adminUrl), { headers })).text();
    expect(await text('/readyz?verbose')).toMatch(/"what":"configuration"/);
    expect(await text('/metrics')).toMatch(/^sallyport_replicas_differ\{what="configuration"\} 1$/m);
    expect((await fetch(new URL('/readyz', a.url))).status).toBe(200);
    const events = () => a.audit('event').filter(({ event }) => event === 'replicas_differ');
    await vi.waitFor(() => expect(events()).toMatchObject([{ what: 'configuration', differ: true }]), 5000);
    await other.stop();
    await vi.waitFor(() => expect(events().at(-1)).toMatchObject({ differ: false }), {
      timeout: 20_000,
      interval: 300,
    });
    expect((await statusOf(a)).differences).toEqual([]);
  }, 60_000);
});
