// Two replicas behind a plain round-robin proxy, without affinity: no wrong result, one login for each
// rotation, nothing left over.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { run } from '../support/cli.ts';
import { reasons, until } from '../support/harness.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';

const program = inject('redis');
const WORKERS = 8;
const CALLS = 60;
const USES = 40;

describe.skipIf(program === null)('load on two replicas', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({
      redisProgram: program as string,
      settings: (yaml) =>
        yaml
          .replace(/token_uses: \{ limit: \d+/, `token_uses: { limit: ${USES}`)
          .replace(/calls_per_minute: \d+/, 'calls_per_minute: 100000'),
    });
  }, 60_000);
  afterAll(() => cluster?.close());

  it('R-15, R-23: every call gets its own result, and each rotation is one login', async () => {
    const proxy = await cluster.roundRobin();
    const skus = ['A-1', 'B-2', 'C-3'];
    const wrong: string[] = [];
    await Promise.all(
      Array.from({ length: WORKERS }, async (_, worker) => {
        const token = await cluster.issuer.token({ sub: `worker-${worker % 4}` });
        const headers = { authorization: `Bearer ${token}` };
        const handle = await cluster.initialize(proxy.url, { headers });
        for (let i = 0; i < CALLS; i++) {
          const sku = skus[(i + worker) % skus.length] as string;
          const answer = await cluster.call(proxy.url, 'stock_get', { sku }, { headers, handle, id: i });
          const got = answer.body?.result?.structuredContent?.sku;
          if (answer.status !== 200 || answer.body.id !== i || got !== sku)
            wrong.push(`${answer.status} ${got} for ${sku}: ${reasons(answer).join()}`);
        }
      }),
    );
    proxy.close();
    expect(wrong).toEqual([]);

    const served = cluster.replicas.map((replica) => replica.audit('decision').length);
    expect(Math.min(...served)).toBeGreaterThan((WORKERS * CALLS) / 3);
    const begun = cluster.audit('event').filter(({ event }) => /^session_(opened|rotated)$/.test(event));
    expect(cluster.legacy.stats().logins).toBe(begun.length);
    expect(begun.length).toBeGreaterThan(8);
    await until(() => cluster.legacy.stats().liveSessions === 4, 'the old sessions to end');
    const ended = cluster.audit('event').filter(({ event }) => event === 'session_ended');
    expect(ended.every(({ proof, drained }) => proof === 'dead' && drained)).toBe(true);
    // Each client has one history, whichever replica served its calls.
    const newest = cluster
      .audit('decision')
      .filter(({ client }) => client.subject === 'worker-0')
      .map(({ input }) => input.usage.calls_1h);
    expect(Math.max(...newest)).toBe((WORKERS / 4) * CALLS);
  }, 60_000);

  it('R-28: the command line ends sessions on every replica, and says how many', async () => {
    const [a, b] = cluster.replicas as [Replica, Replica];
    const token = await cluster.issuer.token({ sub: 'leaver', client_id: 'agent-9' });
    const headers = { authorization: `Bearer ${token}` };
    const handle = await cluster.initialize(a, { headers });
    await cluster.call(b, 'stock_list', {}, { headers, handle });
    const revoke = (...args: string[]) =>
      run([
        ...['revoke', '--url', a.adminUrl, '--token-file', `${cluster.dir}/admin.token`],
        ...['--reason', 'left', '--json', ...args],
      ]);
    const wrong = await run(['revoke', '--url', a.adminUrl, '--all', '--reason', 'left'], {
      env: { SALLYPORT_ADMIN_TOKEN: 'x'.repeat(40) },
    });
    expect(wrong).toMatchObject({ code: 1, stderr: 'the admin listener does not accept the token\n' });
    expect(await revoke('--subject', 'leaver')).toMatchObject({ code: 0, stdout: '{"revoked":1}\n' });
    expect(await revoke('--session', 'never there')).toMatchObject({ code: 0, stdout: '{"revoked":0}\n' });
    const both = await revoke('--subject', 'a', '--all');
    expect([both.code, both.stderr.includes('exactly one')]).toEqual([2, true]);
    expect(
      (
        await run([
          ...['revoke', '--url', 'http://127.0.0.1:1', '--token-file', `${cluster.dir}/admin.token`],
          ...['--all', '--reason', 'left'],
        ])
      ).stderr,
    ).toContain('does not answer');
    // The handle of the client is void as well, on the other replica within a second.
    await until(
      async () => (await cluster.call(b, 'stock_list', {}, { headers, handle, id: 9 })).status === 404,
      'the handle to end',
      1000,
    );
    expect(a.audit('event').find(({ event }) => event === 'session_revocation')).toMatchObject({
      selector: '{"subject":"leaver"}',
      ended: 1,
      operator: 'admin',
      reason: 'left',
    });
  });

  it('R-42: a key is added and the old one retired, while both replicas go on', async () => {
    const [a, b] = cluster.replicas as [Replica, Replica];
    const file = `${cluster.dir}/keyring.json`;
    const keys = async (...args: string[]) =>
      run(['keys', args[0] as string, '--file', file, '--json', ...args.slice(1)]);
    const token = await cluster.issuer.token({ sub: 'stays' });
    const headers = { authorization: `Bearer ${token}` };
    const call = async (at = a) => reasons(await cluster.call(at, 'stock_list', {}, { headers }));
    expect(await call()).toEqual([]);
    const old = JSON.parse((await keys('status')).stdout).keys[0].id as string;
    expect((await keys('retire', old)).stderr).toContain('is the one that seals');
    expect(JSON.parse((await keys('add', '--delay-seconds', '0')).stdout).id).not.toBe(old);
    const states = JSON.parse((await keys('status')).stdout).keys.map(({ state }: { state: string }) => state);
    expect(states).toEqual(['opens', 'seals']);
    expect(JSON.stringify(await keys('status'))).not.toMatch(/"key"/);
    // What was sealed with the old key still opens on both replicas.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect([await call(a), await call(b)]).toEqual([[], []]);
    expect((await keys('retire', 'nothing')).stderr).toContain('has no key "nothing"');
    expect((await keys('retire', old)).code).toBe(0);
    // Only a few calls are made, because a rotation would seal the session with the new key.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    // What the key had sealed is ended by a sweep, or by the first call that finds it; the process goes on.
    expect(['', 'session.unavailable']).toContain((await call(b)).join());
    expect([await call(b), await call(a)]).toEqual([[], []]);
  }, 60_000);
});
