// The kill switch as operators and clients meet it: through the admin listener and the commands, on one connector.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { freezesSchema } from '../../src/admin/api-schema.ts';
import type { Opa } from '../../src/policy/opa.ts';
import { run } from '../support/cli.ts';
import { type Harness, type HarnessOptions, type Loose, startHarness } from '../support/harness.ts';
import { forgedFolder } from '../support/policies.ts';

const TOKENS = { ACT: 'token-that-acts-0123456789abcdef0123456', READ: 'token-that-reads-0123456789abcdef012345' };
let h: Harness;
async function start({ edit = (yaml) => yaml, ...options }: HarnessOptions = {}): Promise<Harness> {
  process.env.FREEZE_ACT = TOKENS.ACT;
  process.env.FREEZE_READ = TOKENS.READ;
  h = await startHarness({
    clients: { 'agent-b': ['clerk'], boss: ['manager'] },
    ...options,
    edit: (yaml) =>
      edit(yaml).replace(
        'state_dir:',
        'admin: { port: 0, tokens: { on-call: { env: FREEZE_ACT, rights: [act, read] }, auditor: { env: FREEZE_READ, rights: [read] } } }\nstate_dir:',
      ),
  });
  return h;
}
beforeEach(async () => {
  await start();
});
afterEach(async () => {
  await h.close();
  delete process.env.FREEZE_ACT;
  delete process.env.FREEZE_READ;
});

const ask = async (path: string, body?: object, token = TOKENS.ACT) => {
  const answer = await fetch(new URL(path, h.connector.adminUrl), {
    headers: { authorization: `Bearer ${token}` },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Loose };
};
const freeze = (what: object, more: object = {}) => ask('/api/v1/freezes', { ...what, reason: 'a drill', ...more });
const thaw = (what: object) => ask('/api/v1/thaws', { ...what, reason: 'over' });
/** Whether a call of this client and tool passes. */
async function passes(tool = 'stock_get', key?: string): Promise<boolean> {
  const args = tool === 'stock_list' ? {} : { sku: 'A-1' };
  const { body } = await h.call(tool, args, key === undefined ? {} : { key: h.keys.get(key) ?? key });
  if (body.result.isError) expect(body.result._meta['sallyport/reasons']).toEqual(['freeze.active']);
  return !body.result.isError;
}
const listed = async (key?: string): Promise<string[]> => {
  const { body } = await h.rpc('tools/list', {}, key === undefined ? {} : { key: h.keys.get(key) ?? key });
  return body.result.tools.map(({ name }: { name: string }) => name);
};

describe('R-73: a freeze', () => {
  it.each([
    ['all', { all: true }, [false, false, false], []],
    ['a backend', { backend: 'inventory' }, [false, false, false], []],
    ['another backend', { backend: 'payroll' }, [true, true, true], ['stock_get', 'stock_list']],
    ['a tool', { tool: 'stock_get' }, [false, true, false], ['stock_list']],
    ['a role', { role: 'clerk' }, [false, false, true], []],
    ['a client', { client: 'demo-agent' }, [false, false, true], []],
    [
      'a client of another issuer',
      { client: 'demo-agent', issuer: 'https://other.example' },
      [true, true, true],
      ['stock_get', 'stock_list'],
    ],
    ['a subject', { subject: 'demo-agent' }, [false, false, true], []],
  ] as const)('of %s denies what it names, in calls and in lists, and a thaw ends it', async (_what, selector, expected, shown) => {
    const all = async () => [await passes(), await passes('stock_list'), await passes('stock_get', 'boss')];
    expect(await all()).toEqual([true, true, true]);
    const { body } = await freeze(selector);
    expect(body).toMatchObject({ until: null, policy: { honours: 'hint' in body ? 'unknown' : 'yes' } });
    expect(body.hint).toBe(
      'backend' in selector && selector.backend === 'payroll'
        ? 'no backend has that name here; there are inventory'
        : undefined,
    );
    expect(await all()).toEqual(expected);
    const names = (await listed()).filter((name) => name === 'stock_get' || name === 'stock_list');
    expect(names).toEqual(shown);
    expect((await thaw(selector)).status).toBe(200);
    expect(await all()).toEqual([true, true, true]);
    expect((await thaw(selector)).status).toBe(409);
  });

  it('tells the client who, why and until when, and stands with them in the decision and as an event', async () => {
    const until = new Date(h.clock.now() + 3_600_000).toISOString();
    await freeze({ tool: 'stock_get' }, { reason: 'the counts are wrong', until });
    const { result } = (await h.call('stock_get', { sku: 'A-1' })).body;
    const fact = { scope: 'tool', name: 'stock_get', operator: 'on-call', reason: 'the counts are wrong', until };
    expect(result.content[0].text).toMatch(
      `The call was denied by policy. Frozen by on-call until ${until}: the counts are wrong.`,
    );
    expect(result._meta['sallyport/freeze']).toEqual([fact]);
    const [decision] = await h.audit('decision');
    expect(decision.input.freeze).toEqual([fact]);
    expect(decision.result).toMatchObject({ outcome: 'deny', reasons: [{ code: 'freeze.active', params: fact }] });
    expect((await h.audit('event')).find(({ event }) => event === 'freeze')).toMatchObject({
      ...{ selector: '{"tool":"stock_get"}', operator: 'on-call', reason: 'the counts are wrong', until },
      ...{ policy_honours: 'yes', requested_by: '127.0.0.1' },
    });
  });

  it('ends by itself, by the clock of the server', async () => {
    await freeze({ all: true }, { until: new Date(h.clock.now() + 60_000).toISOString() });
    expect(await passes()).toBe(false);
    h.clock.advance(59);
    expect(await passes()).toBe(false);
    h.clock.advance(1);
    expect(await passes()).toBe(true);
    expect((await ask('/api/v1/freezes')).body.freezes).toEqual([]);
  });

  it('is listed with who, why and since when, for whoever may read; only who may act freezes', async () => {
    await freeze({ role: 'clerk' });
    await freeze({ client: 'x', issuer: 'https://i.example' });
    const { freezes } = freezesSchema.parse((await ask('/api/v1/freezes', undefined, TOKENS.READ)).body);
    expect(freezes).toMatchObject([
      { selector: { role: 'clerk' }, operator: 'on-call', reason: 'a drill', until: null },
      { selector: { client: 'x', issuer: 'https://i.example' } },
    ]);
    expect((await ask('/api/v1/freezes', { all: true, reason: 'r' }, TOKENS.READ)).status).toBe(403);
    const { warnings } = (await ask('/api/v1/status')).body;
    expect(warnings).toContainEqual({ what: 'freeze role:clerk', detail: 'by on-call: a drill' });
  });

  it('shows nobody control characters of a reason', async () => {
    await freeze({ tool: 'stock_get' }, { reason: 'a\u0000b\u001b[31mred\nnew line' });
    expect((await ask('/api/v1/freezes')).body.freezes[0].reason).toBe('a b [31mred new line');
    const { body } = await h.call('stock_get', { sku: 'A-1' });
    expect(body.result.content[0].text).toContain('Frozen by on-call: a b [31mred new line.');
  });

  it('when there are too many the next is refused with the cause, and a revocation is done all the same', async () => {
    for (let i = 0; i < 1000; i++) expect([i, (await freeze({ client: `c${i}` })).status]).toEqual([i, 200]);
    expect(await freeze({ client: 'one-more' })).toMatchObject({ status: 409, body: { error: 'too_many_freezes' } });
    const until = new Date(h.clock.now() + 60_000).toISOString();
    const revoked = await ask('/revocations', { client: 'one-more', deny_until: until, reason: 'r' });
    expect(revoked).toMatchObject({
      status: 409,
      body: { revoked: 0, hint: expect.stringMatching(/^the revocation holds .* nothing was frozen: there are 1000/) },
    });
    expect((await h.audit('event')).some(({ event }) => event === 'session_revocation')).toBe(true);
    expect((await freeze({ all: true })).status).toBe(200);
    expect(await passes()).toBe(false);
  }, 30_000);

  it('must name exactly one thing, with a reason, and an end that is not over', async () => {
    for (const body of [
      {},
      { all: false, reason: 'r' },
      { all: true },
      { all: true, reason: ' ' },
      { tool: 'a', backend: 'b', reason: 'r' },
      { tool: '', reason: 'r' },
      { tool: 7, reason: 'r' },
      { tool: 'a', issuer: 'i', reason: 'r' },
      { all: true, reason: 'r', until: 'tomorrow' },
      { all: true, reason: 'r', until: new Date(h.clock.now() - 1000).toISOString() },
      { session: 'abc', reason: 'r' },
      { all: true, reason: '\ud800 x' },
      { tool: '\ud800', reason: 'r' },
      { all: true, reason: 'r', until: '9999-12-31T23:59:59-23:00' },
      { all: true, reason: 'r', __proto__: null, nonsense: 1 },
    ])
      expect([body, (await ask('/api/v1/freezes', body)).status]).toEqual([body, 400]);
    expect((await ask('/api/v1/freezes')).body.freezes).toEqual([]);
  });

  it('holds after a restart with the store in memory, and so does a thaw; a file that cannot be read is an error', async () => {
    await h.close();
    const kept = mkdtempSync(join(tmpdir(), 'sallyport-freezes-'));
    const inKept = { edit: (yaml: string) => yaml.replace(/^state_dir: .*$/m, `state_dir: ${kept}`) };
    try {
      await start(inKept);
      await freeze({ tool: 'stock_get' });
      await freeze({ tool: 'stock_list' });
      await thaw({ tool: 'stock_list' });
      await h.close();
      await start(inKept);
      expect([await passes(), await passes('stock_list')]).toEqual([false, true]);
      expect(await thaw({ tool: 'stock_get' })).toMatchObject({ status: 200 });
      await h.close();
      await start(inKept);
      expect(await passes()).toBe(true);
      await h.close();
      for (const selector of [{}, { network: '10.0.0.0/8' }, { tool: 7 }, { tool: 'other' }]) {
        const row = { number: 1, selector, active: true, operator: 'o', reason: 'r', until: null };
        const text = JSON.stringify({ version: 1, freezes: { 'tool:x': row } });
        writeFileSync(join(kept, 'freezes.json'), text, { mode: 0o600 });
        await expect(start(inKept)).rejects.toThrow(/freezes.json cannot be read, and what it freezes would pass/);
      }
      writeFileSync(join(kept, 'freezes.json'), '{ half', { mode: 0o600 });
      await expect(start(inKept)).rejects.toThrow(/freezes.json cannot be read, and what it freezes would pass/);
      rmSync(join(kept, 'freezes.json'));
      await start(inKept);
    } finally {
      rmSync(kept, { recursive: true, force: true });
    }
  }, 30_000);
});

describe('R-28, R-73: revoke --deny-until', () => {
  it('ends the sessions, and nobody logs in again until then', async () => {
    await passes();
    const until = new Date(h.clock.now() + 60_000).toISOString();
    const answer = await ask('/revocations', { client: 'demo-agent', reason: 'key on a wiki', deny_until: until });
    expect(answer.body).toMatchObject({ revoked: 1, frozen: 'client:demo-agent', until, policy: { honours: 'yes' } });
    const { logins } = h.legacy.stats();
    expect(await passes()).toBe(false);
    expect(h.legacy.stats().logins).toBe(logins);
    h.clock.advance(61);
    expect(await passes()).toBe(true);
    expect((await ask('/revocations', { session: 'x', reason: 'r', deny_until: until })).status).toBe(400);
  });
});

it('the commands freeze, list and thaw, take a time in words, and refuse what is ambiguous', async () => {
  const at = ['--url', String(h.connector.adminUrl)];
  const env = { SALLYPORT_ADMIN_TOKEN: TOKENS.ACT };
  const sallyport = (...args: string[]) => run([...args, ...at], { env });
  expect(await sallyport('freeze', '--tool', 'stock_get', '--reason', 'wrong counts')).toMatchObject({
    ...{ code: 0, stdout: 'tool:stock_get is frozen until it is thawed\n', stderr: '' },
  });
  expect((await sallyport('freezes')).stdout).toMatch(
    /^tool:stock_get {2}20\S+Z to a thaw, by on-call: wrong counts\n$/,
  );
  expect((await sallyport('freeze', '--all', '--backend', 'inventory', '--reason', 'r')).code).toBe(2);
  expect((await sallyport('freeze', '--all')).code).toBe(2);
  expect((await sallyport('freeze', '--all', '--reason', 'r', '--until', 'soon')).stderr).toMatch(/"soon" is no time/);
  expect((await sallyport('thaw', '--tool', 'stock_gte', '--reason', 'r')).stderr).toMatch(
    /refused: not_frozen; nothing is frozen under exactly this name/,
  );
  expect((await sallyport('thaw', '--tool', 'stock_get', '--reason', 'r')).stdout).toBe('tool:stock_get is thawed\n');
  expect((await sallyport('freezes')).stdout).toBe('nothing is frozen\n');
}, 60_000);

describe.skipIf(!inject('opa'))('R-73: a policy that does not look at freezes', () => {
  it('keeps the last word: the command says so, names it and ends with 1, with an alert', async () => {
    await h.close();
    const { dir } = await forgedFolder(inject('opa') as Opa, {
      'sallyport/freeze/freeze.rego': (text: string) => text.replace('some each in input.freeze', 'some each in []'),
    });
    await start({ policyDir: dir });
    const { code, stderr } = await run(['freeze', '--all', '--reason', 'r', '--url', String(h.connector.adminUrl)], {
      env: { SALLYPORT_ADMIN_TOKEN: TOKENS.ACT },
    });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^policy [0-9a-f]{16} does not look at it, so it stops nobody/),
    ]);
    expect(await passes()).toBe(true);
    expect((await h.audit('alert')).map(({ reasons }) => reasons)).toContainEqual(['freeze.ignored']);
  });
});
