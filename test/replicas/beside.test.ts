// This release beside the one before layout 2 (commit 7ffa506), on one Redis and one keyring. A session belongs to the
// layout of its release, so that neither can destroy what the other has stored; what guards is shared.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { reasons, until } from '../support/harness.ts';
import { AUDIENCE_URL, type Cluster, type Replica, startCluster } from '../support/replicas.ts';
import { createProofKey, makeProof } from '../support/tokens.ts';

const run = promisify(execFile);
const BEFORE = '7ffa506';
const program = inject('redis');
const there = await run('git', ['cat-file', '-e', `${BEFORE}^{commit}`], { cwd: PACKAGE_ROOT }).then(
  () => true,
  () => false,
);
if (!there)
  console.error(`!! THE RELEASE BEFORE (${BEFORE}) IS NOT IN THIS CHECKOUT: the tests of two releases are left out`);

describe.skipIf(program === null || !there)(`R-97: this release beside ${BEFORE}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-before-'));
  const release = join(dir, 'release');
  let cluster: Cluster;
  let now: Replica;
  let before: Replica;

  beforeAll(async () => {
    await run('git', ['worktree', 'add', '--detach', release, BEFORE], { cwd: PACKAGE_ROOT });
    await run('npm', ['ci', '--no-progress', '--no-audit', '--no-fund'], { cwd: release });
    await run('npm', ['run', '--silent', 'build'], { cwd: release });
    cluster = await startCluster({ redisProgram: program as string, replicas: 1 });
    [now] = cluster.replicas as [Replica];
    before = await cluster.start({ release });
  }, 300_000);
  afterAll(async () => {
    await cluster?.close();
    await run('git', ['worktree', 'remove', '--force', release], { cwd: PACKAGE_ROOT }).catch(() => undefined);
    rmSync(dir, { recursive: true, force: true });
  });

  const ok = (answer: Awaited<ReturnType<Cluster['call']>>) => answer.status === 200 && reasons(answer).length === 0;

  it('calls of one client at both destroy no session, and a conversation stays with its release', async () => {
    const { logins } = cluster.legacy.stats();
    const handles = { now: await cluster.initialize(now), before: await cluster.initialize(before) };
    for (let id = 1; id <= 15; id++) {
      expect(ok(await cluster.call(now, 'stock_list', {}, { handle: handles.now, id }))).toBe(true);
      expect(ok(await cluster.call(before, 'stock_list', {}, { handle: handles.before, id }))).toBe(true);
    }
    // One session for each release, and none was opened again.
    expect(cluster.legacy.stats().logins - logins).toBe(2);
    expect(cluster.legacy.stats().liveSessions).toBe(2);
    const gone = cluster.audit('event').filter(({ event }) => /session_(ended|unopenable|damaged|revoked)/.test(event));
    expect(gone).toEqual([]);
  });

  it('R-08: a DPoP proof that one has accepted is refused by the other', async () => {
    for (const [first, second] of [
      [now, before],
      [before, now],
    ] as const) {
      const key = await createProofKey();
      const token = await cluster.issuer.token({ sub: `proof-${first.url}`, cnf: { jkt: key.thumbprint } });
      const send = async (to: Replica, proof: string) =>
        cluster.rpc(to, 'ping', {}, { headers: { authorization: `DPoP ${token}`, dpop: proof } });
      const asked = await send(first, await makeProof(key, { token, url: AUDIENCE_URL, now: Date.now() }));
      const nonce = asked.headers.get('dpop-nonce') ?? undefined;
      const proof = await makeProof(key, { token, url: AUDIENCE_URL, now: Date.now(), nonce });
      expect((await send(first, proof)).status).toBe(200);
      expect((await send(second, proof)).status).toBe(401);
    }
  });

  it('R-28: a revocation at either reaches both', async () => {
    for (const [client, at] of [
      ['revoked-now', now],
      ['revoked-before', before],
    ] as const) {
      const key = cluster.addClient(client);
      for (const each of [now, before])
        await until(async () => ok(await cluster.call(each, 'stock_list', {}, { key })), 'the client to be known');
      const live = cluster.legacy.stats().liveSessions;
      // The release before wants no reason, and refuses a field that it does not know.
      for (const body of [{ client, reason: 'a test' }, { client }]) {
        const answer = await fetch(new URL('/revocations', at.adminUrl), {
          method: 'POST',
          headers: { authorization: `Bearer ${cluster.adminToken}` },
          body: JSON.stringify(body),
        });
        if (answer.ok) break;
      }
      await until(() => cluster.legacy.stats().liveSessions <= live - 2, `both sessions of ${client} to end`, 20_000);
    }
  });
});
