// Another policy for a running connector: through the admin listener and the commands, on one connector.
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { policySchema } from '../../src/admin/api-schema.ts';
import { loadBundle } from '../../src/decision/bundle.ts';
import { selfTest } from '../../src/policy/run/self-test.ts';
import { run } from '../support/cli.ts';
import { decisionLog } from '../support/decision-log.ts';
import { type Harness, type Loose, startHarness, until } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';

const TOKENS = { ACT: 'token-that-acts-0123456789abcdef0123456', READ: 'token-that-reads-0123456789abcdef012345' };
let h: Harness;
let folder: PolicyFolder;
let state: string;
async function start(more = ''): Promise<void> {
  h = await startHarness({
    policyDir: `${folder.dir}${more}`,
    edit: (yaml) =>
      yaml
        .replace(/^state_dir: .*$/m, `state_dir: ${state}`)
        .replace(
          'state_dir:',
          'admin: { port: 0, tokens: { on-call: { env: POLICY_ACT, rights: [act, read] }, auditor: { env: POLICY_READ, rights: [read] } } }\nstate_dir:',
        ),
  });
}
beforeEach(async () => {
  process.env.POLICY_ACT = TOKENS.ACT;
  process.env.POLICY_READ = TOKENS.READ;
  folder = policyFolder();
  state = mkdtempSync(join(tmpdir(), 'sallyport-activation-'));
  await start();
});
afterEach(async () => {
  await h.close();
  folder.remove();
  rmSync(state, { recursive: true, force: true });
  delete process.env.POLICY_ACT;
  delete process.env.POLICY_READ;
});

const ask = async (path: string, body?: object, token = TOKENS.ACT) => {
  const answer = await fetch(new URL(path, h.connector.adminUrl), {
    headers: { authorization: `Bearer ${token}` },
    ...(body && { method: 'POST', body: JSON.stringify({ reason: 'a drill', ...body }) }),
  });
  return { status: answer.status, body: (await answer.json()) as Loose };
};
const activate = (body: object = {}) => ask('/api/v1/policy/activate', body);
const rollback = (body: object = {}) => ask('/api/v1/policy/rollback', body);
const status = async () => policySchema.parse((await ask('/api/v1/policy')).body);
const data = () => join(folder.dir, 'data.yaml');
const edit = (from: string | RegExp, to: string) =>
  writeFileSync(data(), readFileSync(data(), 'utf8').replace(from, to));
/** Two calls a minute, and no third. */
const limit = () => edit(/calls_per_minute: \d+/, 'calls_per_minute: 2');
const records = async (type?: string): Promise<Loose[]> => {
  await h.connector.settled();
  return decisionLog(state, type);
};
const events = async (name: string) => (await records('event')).filter(({ event }) => event === name);
const reasonsOf = async () => {
  const { body } = await h.call('stock_get', { sku: 'A-1' });
  return body.result.isError ? body.result._meta['sallyport/reasons'] : [];
};

describe('R-76: the activation of a policy', () => {
  it('swaps between calls under load: none fails, each record names what decided it, and no session ends', async () => {
    const before = (await status()).revision;
    edit('limit_seconds: 300', 'limit_seconds: 299');
    let [loaded, calls] = [true, 0];
    const failures: string[] = [];
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        for (; loaded; calls += 1) failures.push(...(await reasonsOf()));
      }),
    );
    await expect.poll(() => calls).toBeGreaterThan(20);
    const activated = await activate({ reason: 'one second less' });
    expect(activated).toMatchObject({ status: 200, body: { ok: true, before, changed: true, others: [] } });
    const at = calls;
    await expect.poll(() => calls).toBeGreaterThan(at + 20);
    loaded = false;
    await load;
    expect(failures.filter((reason) => reason !== 'usage.minute_rate')).toEqual([]);
    const { revision } = activated.body;
    expect(revision).not.toBe(before);
    const decided = (await records('decision')).map(({ bundles }) => bundles.sallyport.revision);
    expect(decided.indexOf(revision)).toBeGreaterThan(20);
    // Calls of one moment end in any order; beyond those under way, the old policy decides nothing.
    expect(decided.lastIndexOf(before) - decided.indexOf(revision)).toBeLessThan(8);
    expect(h.legacy.stats().logins).toBe(1);
    expect(await events('policy_activated')).toMatchObject([
      { what: 'activate', revision, before, operator: 'on-call', reason: 'one second less', requested_by: '127.0.0.1' },
    ]);
    const shown = (await ask('/api/v1/status')).body;
    expect([shown.policy.revision, shown.replicas[0].policy, h.connector.policy.revision]).toEqual([
      revision,
      revision,
      revision,
    ]);
  }, 60_000);

  it('takes a changed number into force at once, and a rollback takes it back', async () => {
    limit();
    expect((await activate()).body).toMatchObject({ ok: true, changed: true });
    expect([await reasonsOf(), await reasonsOf(), await reasonsOf()]).toEqual([[], [], ['usage.minute_rate']]);
    expect((await activate()).body).toMatchObject({ ok: true, changed: false });
    expect((await rollback()).body).toMatchObject({ ok: true, changed: true });
    expect(await reasonsOf()).toEqual([]);
    const { warnings } = (await ask('/api/v1/status')).body;
    expect(warnings).toContainEqual({
      what: 'policy',
      detail: expect.stringMatching(/^[0-9a-f]{16} decides, and the folder had [0-9a-f]{16}: by on-call: a drill$/),
    });
    expect((await status()).history.map(({ what }) => what)).toEqual(['rollback', 'activate', 'activate', 'start']);
  });

  it.each([
    ['settings that cannot be', () => edit(/calls_per_minute: \d+/, 'calls_per_minute: many'), /calls_per_minute/],
    ['a name that nobody has', () => edit(/tools: \[/, 'tools: [no_such_tool, '), /no tool "no_such_tool"/],
    ['no folder', () => rmSync(folder.dir, { recursive: true }), /data.yaml|exist/],
    ['a folder that others can write', () => chmodSync(folder.dir, 0o777), /others can write .*chmod go-w/],
    [
      'a module that is not the one of its manifest, nor of its rules',
      () => {
        writeFileSync(join(folder.dir, 'compiled/policy.wasm'), 'truncated');
        writeFileSync(join(folder.dir, 'sallyport/decision.rego'), 'package sallyport\n');
      },
      /decision|OPA/,
    ],
  ])(
    'is refused for %s, in one line that says why, while calls go on',
    async (_what, spoil, why) => {
      const { revision } = await status();
      spoil();
      const refused = await activate();
      expect(refused).toMatchObject({
        status: 409,
        body: { ok: false, revision, problem: expect.stringMatching(why) },
      });
      expect(await reasonsOf()).toEqual([]);
      expect((await status()).revision).toBe(revision);
      expect(await events('policy_refused')).toMatchObject([
        { what: 'activate', before: revision, operator: 'on-call' },
      ]);
      expect(await records('alert')).toMatchObject([{ reasons: ['policy.refused'], params: { in_force: revision } }]);
      const metrics = await fetch(new URL('/metrics', h.connector.adminUrl), {
        headers: { authorization: `Bearer ${TOKENS.READ}` },
      });
      expect(metrics.status).toBe(403);
    },
    60_000,
  );

  it('takes the folder that is named, and needs the right to act and a reason', async () => {
    const other = policyFolder({ 'data.yaml': (yaml) => yaml.replace('limit_seconds: 300', 'limit_seconds: 298') });
    try {
      expect((await ask('/api/v1/policy/activate', {}, TOKENS.READ)).status).toBe(403);
      for (const body of [{ dir: 'relative' }, { dir: 7 }, { reason: '' }, { dir: other.dir, more: 1 }])
        expect([body, (await activate(body)).status]).toEqual([body, 400]);
      expect((await activate({ dir: other.dir })).body).toMatchObject({ ok: true, changed: true });
      const { revision, folder: configured } = await status();
      expect(configured).not.toBe(revision);
    } finally {
      other.remove();
    }
  });
});

describe('R-76: a rollback', () => {
  it('goes to any policy that is kept, and to none that is not, or was changed since', async () => {
    const first = (await status()).revision;
    limit();
    const second = (await activate()).body.revision;
    expect((await rollback({ revision: first })).body).toMatchObject({ ok: true, revision: first, before: second });
    expect((await rollback({ revision: second })).body).toMatchObject({ ok: true, revision: second, before: first });
    expect((await rollback({ revision: '0123456789abcdef' })).body.problem).toMatch(/is not kept/);
    expect((await rollback({ revision: '../../etc' })).body.problem).toMatch(/is not kept/);
    writeFileSync(
      join(state, 'policies', first, 'settings.json'),
      readFileSync(join(state, 'policies', second, 'settings.json')),
    );
    expect(await rollback({ revision: first })).toMatchObject({
      status: 409,
      body: { ok: false, revision: second, problem: expect.stringMatching(/it was changed since it was kept/) },
    });
  });

  it('outlives a restart as long as the folder is as it was; another folder decides as a deployment does', async () => {
    const first = (await status()).revision;
    limit();
    await activate();
    await rollback();
    await h.close();
    await start();
    expect([(await status()).revision, await reasonsOf()]).toEqual([first, []]);
    edit('calls_per_minute: 2', 'calls_per_minute: 3');
    await h.close();
    await start();
    const now = await status();
    expect(now.revision).not.toBe(first);
    expect([now.revision, now.history[0]?.what]).toEqual([now.folder, 'start']);
    await h.close();
    writeFileSync(join(state, 'policies.json'), '{ half');
    await expect(start()).rejects.toThrow(/policies.json cannot be read, and which policy shall decide stands there/);
    rmSync(join(state, 'policies.json'));
    await start();
  }, 30_000);

  it('a signal or a changed file takes it into use only where the configuration says so, and what is refused is not asked again', async () => {
    const first = (await status()).revision;
    const hangup = () => h.connector.reload({ operator: 'signal', reason: 'SIGHUP', ip: '' });
    edit('limit_seconds: 300', 'limit_seconds: 299');
    hangup();
    await h.close();
    expect((JSON.parse(readFileSync(join(state, 'policies.json'), 'utf8')) as Loose).entries).toHaveLength(1);
    edit('limit_seconds: 299', 'limit_seconds: 300');

    await start(', reload: [signal]');
    hangup();
    edit('limit_seconds: 300', 'limit_seconds: 299');
    hangup();
    await until(async () => (await status()).revision !== first, 'the signal to activate it');
    expect((await status()).history[0]).toMatchObject({ what: 'activate', operator: 'signal', reason: 'SIGHUP' });
    await h.close();

    await start(', reload: [watch]');
    edit('limit_seconds: 299', 'limit_seconds: maybe');
    await until(async () => (await events('policy_refused')).length === 1, 'the file to be refused');
    edit('limit_seconds: maybe', 'limit_seconds: 280');
    await until(async () => (await status()).history[0]?.operator === 'watch', 'the file to be activated');
    expect(await events('policy_refused')).toHaveLength(1);
    expect(await reasonsOf()).toEqual([]);
  }, 40_000);

  it('finds as many policies as are kept', async () => {
    await h.close();
    await start(', keep: { count: 2 }');
    for (const seconds of [290, 291, 292, 293]) {
      edit(/limit_seconds: (300|29\d)/, `limit_seconds: ${seconds}`);
      expect((await activate()).body).toMatchObject({ ok: true, changed: true });
    }
    expect(readdirSync(join(state, 'policies'))).toHaveLength(2);
    const { kept, history, revision } = await status();
    expect(kept[0]).toBe(revision);
    expect(history).toHaveLength(5);
  }, 30_000);
});

it('R-76: a policy that is slow on ordinary inputs is told with the case', async () => {
  const { module, cases } = await loadBundle(folder.dir, () => Promise.reject(new Error('not compiled')));
  expect(selfTest(module, cases ?? '')).toEqual([]);
  expect(selfTest(module, cases ?? '', 0)[0]).toMatch(/^case ".*" takes more than 0 ms$/);
});

it('R-76: the commands activate, roll back and show, and end with 1 where nothing was changed', async () => {
  const env = { SALLYPORT_ADMIN_TOKEN: TOKENS.ACT };
  const policy = (...args: string[]) => run(['policy', ...args, '--url', String(h.connector.adminUrl)], { env });
  limit();
  expect(await policy('activate', '--reason', 'less')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^policy [0-9a-f]{16} decides, in place of [0-9a-f]{16}\n$/),
  });
  expect(await policy('activate', folder.dir, '--reason', 'again')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/decides already\n$/),
  });
  edit('calls_per_minute: 2', 'calls_per_minute: many');
  expect(await policy('activate', '--reason', 'broken')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/still decides\n$/),
    stderr: expect.stringMatching(/^refused: .*calls_per_minute/),
  });
  expect(await policy('rollback', '--reason', 'back')).toMatchObject({ code: 0 });
  const shown = await policy('status', '--all');
  expect(shown.stdout).toMatch(/^policy [0-9a-f]{16} decides; the folder had [0-9a-f]{16}\nreplica .*\n.* rollback /);
  expect((await policy('activate')).code).toBe(2);
  expect(JSON.parse((await policy('status', '--json')).stdout)).toMatchObject({ version: 1 });
  expect(existsSync(join(state, 'policies.json'))).toBe(true);
}, 30_000);
