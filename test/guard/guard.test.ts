// A rule that runs away, on a running connector: what it costs its caller, and what the others notice.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { createCare, LARGE_BYTES } from '../../src/decision/guard/care.ts';
import { createHeldBack } from '../../src/enforcement/held-back.ts';
import { createTestClock } from '../support/clock.ts';
import { type Harness, type Loose, reasons, startHarness, until } from '../support/harness.ts';
import { forgedFolder, type PolicyFolder } from '../support/policies.ts';
import { type Cluster, type Replica, startCluster } from '../support/replicas.ts';
import { ENDLESS, GREEDY, HEAVY, QUADRATIC, withNote } from '../support/slow-rules.ts';

const opa = inject('opa');
const redisProgram = inject('redis');
const HOSTILE = { sku: 'report', note: 'ab---'.repeat(40_000) };

describe.skipIf(!opa)('R-75: a rule that runs away (needs OPA)', () => {
  let folder: PolicyFolder;
  let h: Harness | undefined;
  beforeAll(async () => {
    folder = await forgedFolder(opa as NonNullable<typeof opa>, { 'site/repeats.rego': QUADRATIC });
    return () => folder.remove();
  }, 60_000);
  afterEach(async () => {
    await h?.close();
    h = undefined;
  });
  const start = async () => {
    h = await startHarness({
      policyDir: folder.dir,
      edit: (yaml) => withNote(yaml).replace('guard_ms: 2000', 'guard_ms: 50'),
    });
    return h;
  };
  const outcomeOf = ({ body }: Loose) =>
    body.result?.isError ? body.result._meta['sallyport/reasons'][0] : body.result ? 'done' : body.error?.message;

  it('is cut, with an alert that names tool and rule; its client waits longer each time, and the others wait for nobody', async () => {
    const harness = await start();
    const other = harness.addClient('other');
    await until(
      async () => (await harness.call('stock_get', { sku: 'A-1' }, { key: other })).status === 200,
      'the other client to be known',
    );
    const { revision } = harness.connector.policy;
    const hostile = () => harness.call('stock_get', HOSTILE);
    const [cut, ...more] = await Promise.all(Array.from({ length: 8 }, hostile));
    expect([cut, ...more].map(outcomeOf)).toEqual(Array.from({ length: 8 }, () => 'decision.over_budget'));
    // One of them was asked; the rest were refused before.
    const asked = async () =>
      (await harness.audit('decision')).filter(({ detail }) => /^cut after 50 ms$/.test(String(detail))).length;
    expect(await asked()).toBe(1);
    expect(outcomeOf(await harness.call('stock_get', HOSTILE, { key: other }))).toBe('decision.over_budget');
    expect(await asked()).toBe(2);
    // What is small goes on, for both.
    expect(outcomeOf(await harness.call('stock_get', { sku: 'A-1' }, { key: other }))).toBe('done');
    expect(outcomeOf(await harness.call('stock_list'))).toBe('done');

    harness.clock.advance(1.5);
    const again = await hostile();
    expect(await asked()).toBe(3);
    expect(again.body.result._meta['sallyport/retry-after-seconds']).toBe(2);
    expect(outcomeOf(await hostile())).toBe('decision.over_budget');
    expect(await asked()).toBe(3);

    const alerts = async () =>
      (await harness.audit('alert')).filter(({ reasons }) => reasons.includes('decision.over_budget'));
    await until(async () => (await alerts()).length === 3, 'the alerts to be written');
    expect((await alerts())[0]).toMatchObject({
      severity: 'high',
      tool: 'stock_get',
      params: { rule: 'data.site.repeats.findings' },
    });
    // Nothing of the text is on record, and nobody was rolled back.
    expect(JSON.stringify(await harness.audit())).not.toContain('ab---ab');
    expect(harness.connector.policy.revision).toBe(revision);
  });

  it('the guard costs nothing where it is not needed: a small call is not guarded, also of that tool', async () => {
    const care = createCare(50, () => false);
    expect(care.needed('stock_get', 'x'.repeat(LARGE_BYTES))).toBe(false);
    expect(care.needed('stock_get', 'x'.repeat(LARGE_BYTES + 1))).toBe(true);
    expect(care.needed('stock_get', '€'.repeat(LARGE_BYTES / 3 + 1))).toBe(true);
    care.took('stock_get', 9e6);
    expect(care.needed('stock_get', '')).toBe(false);
    // A fifth of the limit.
    care.took('stock_get', 11e6);
    expect([care.needed('stock_get', ''), care.needed('stock_list', '')]).toEqual([true, false]);
    for (let i = 0; i < 1000; i += 1) care.took('stock_get', 1e6);
    expect(care.needed('stock_get', '')).toBe(false);
    // One that was cut is guarded for good.
    care.took('stock_get', 50e6);
    for (let i = 0; i < 2000; i += 1) care.took('stock_get', 1e6);
    expect(care.needed('stock_get', '')).toBe(true);
    expect(createCare(50, () => true).needed('stock_list', '')).toBe(true);
  });

  it('whoever keeps still is asked again after a second, whoever goes on after five minutes at most', () => {
    const clock = createTestClock();
    const held = createHeldBack(() => clock.now());
    const waits: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      waits.push(held.cut('a', 'tool', 100_000));
      const [large, small, other] = [
        held.seconds('a', 'any', 5000),
        held.seconds('a', 'tool', 4000),
        held.seconds('b', 'tool', 5000),
      ];
      expect([large, small, other]).toEqual([waits.at(-1), 0, 0]);
      expect([held.known('a'), held.known('b')]).toEqual([true, false]);
      clock.advance(large);
      expect([held.seconds('a', 'any', 5000), held.known('a')]).toEqual([0, true]);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    clock.advance(301);
    expect(held.known('a')).toBe(false);
    // A small one was cut, so small ones of that tool are held back as well.
    expect(held.cut('a', 'tool', 2000)).toBe(1);
    expect([held.seconds('a', 'tool', 100), held.seconds('a', 'other', 100)]).toEqual([1, 0]);
  });
});

describe.skipIf(!opa || !redisProgram)('R-75: a small input that never ends (needs OPA and Redis)', () => {
  let folder: PolicyFolder;
  let cluster: Cluster;
  beforeAll(async () => {
    folder = await forgedFolder(opa as NonNullable<typeof opa>, { 'site/endless.rego': ENDLESS });
    cluster = await startCluster({
      redisProgram: redisProgram as string,
      replicas: 1,
      edit: (yaml) => yaml.replace(/^policy: \{ dir: [^,]+,/m, `policy: { dir: ${folder.dir},`),
    });
    return async () => {
      await cluster.close();
      folder.remove();
    };
  }, 60_000);

  it('ends the process, which comes up again with every input guarded, and says so on record', async () => {
    const [first] = cluster.replicas as [Replica];
    // As if it had been tried and nothing found: a trial cannot see everything.
    const { revision } = first.audit('event').findLast(({ event }) => event === 'sys_startup');
    await first.stop();
    writeFileSync(join(first.state, 'policies', revision, 'tried'), '');
    const a = await cluster.start({ again: first });
    const gone = new Promise<string | null>((resolve) => a.child.once('exit', (_code, signal) => resolve(signal)));
    await cluster.call(a, 'stock_get', { sku: 'endless' }).catch(() => {});
    expect(await gone).toBe('SIGKILL');
    const file = join(a.state, 'policy-held.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      deaths: [{ tool: 'stock_get', recorded: false, revision: expect.stringMatching(/^[0-9a-f]{16}$/) }],
    });
    const b = await cluster.start({ again: a });
    expect(b.stderr()).not.toContain('stays under the guard');
    expect(b.stderr()).toContain('a rule held the process before this start');
    const { body } = await cluster.call(b, 'stock_get', { sku: 'endless' });
    expect(body.result._meta['sallyport/reasons']).toEqual(['decision.over_budget']);
    const key = cluster.addClient('other');
    await until(async () => (await cluster.call(b, 'stock_get', { sku: 'A-1' }, { key })).status === 200, 'the client');
    expect(reasons(await cluster.call(b, 'stock_get', { sku: 'A-1' }, { key }))).toEqual([]);
    expect(b.audit('event').filter(({ event }) => event === 'policy_held_process')).toMatchObject([
      { tool: 'stock_get' },
    ]);
    expect(b.audit('alert').some(({ reasons }) => reasons.includes('policy.held_process'))).toBe(true);
    expect(readFileSync(file, 'utf8')).toContain('"recorded": true');
    await b.stop();
    const c = await cluster.start({ again: b });
    expect(c.audit('event').filter(({ event }) => event === 'policy_held_process')).toHaveLength(1);
    expect(existsSync(file)).toBe(true);
  }, 60_000);
});

describe.skipIf(!opa)('R-39, R-75: a policy of the folder is tried while it decides already (needs OPA)', () => {
  const startWith = async (rules: Record<string, string>) => {
    const folder = await forgedFolder(opa as NonNullable<typeof opa>, rules);
    const h = await startHarness({
      policyDir: folder.dir,
      edit: (yaml) => withNote(yaml).replace('guard_ms: 2000', 'guard_ms: 200'),
    });
    const close = async () => {
      await h.close();
      folder.remove();
    };
    return { h, close };
  };

  it('until then every decision is guarded, and where it is too slow for ordinary calls, for good', async () => {
    const { h, close } = await startWith({ 'site/endless.rego': ENDLESS });
    const endless = await h.call('stock_get', { sku: 'endless' });
    expect(endless.body.result._meta['sallyport/reasons']).toEqual(['decision.over_budget']);
    const said = () => h.ops.find((line) => line.includes('stays under the guard with every input'));
    await until(async () => said() !== undefined, 'the trial to end', 25_000);
    expect(said()).toMatch(/too slow for ordinary calls: stock_get with .* in \W+endless/);
    await close();
  }, 60_000);

  it('what is slow only with large arguments is told, and small ones are not guarded any more', async () => {
    const { h, close } = await startWith({ 'site/repeats.rego': QUADRATIC });
    await until(
      async () => h.ops.some((line) => /in \W+note\W+ takes more than 200 ms/.test(line)),
      'the trial to end',
      25_000,
    );
    const tried = join(h.stateDir, 'policies', h.connector.policy.revision, 'tried');
    await until(async () => existsSync(tried), 'the note of it');
    await close();
  }, 60_000);
});

describe.skipIf(!opa)('R-39, R-75: the worst case is tried before a policy decides (needs OPA)', () => {
  let h: Harness;
  let folder: PolicyFolder;
  const activate = async (rules: Record<string, string>) => {
    folder = await forgedFolder(opa as NonNullable<typeof opa>, rules);
    process.env.GUARD_ACT = 'token-that-acts-0123456789abcdef0123456';
    h = await startHarness({
      edit: (yaml) =>
        withNote(yaml)
          .replace('guard_ms: 2000', 'guard_ms: 200')
          .replace(
            'state_dir:',
            'admin: { port: 0, tokens: { on-call: { env: GUARD_ACT, rights: [act] } } }\nstate_dir:',
          ),
    });
    const answer = await fetch(new URL('/api/v1/policy/activate', h.connector.adminUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${process.env.GUARD_ACT}` },
      body: JSON.stringify({ reason: 'a drill', dir: folder.dir }),
    });
    return { status: answer.status, body: (await answer.json()) as Loose };
  };
  afterEach(async () => {
    await h.close();
    folder.remove();
    delete process.env.GUARD_ACT;
  });

  it.each([
    ['slow', HEAVY],
    ['greedy', GREEDY],
  ])(
    'one that is %s on ordinary calls is refused, and calls go on with the one before',
    async (_what, rule) => {
      const answer = await activate({ 'site/heavy.rego': rule });
      expect(answer.body).toMatchObject({
        ok: false,
        problem: expect.stringMatching(
          /too slow for ordinary calls: stock_list with small arguments takes more than 200 ms/,
        ),
      });
      expect(reasons(await h.call('stock_get', { sku: 'A-1' }))).toEqual([]);
    },
    60_000,
  );

  it('one that is slow only with large arguments, and only beside the text a rule compares with, is taken with a warning', async () => {
    const answer = await activate({ 'site/repeats.rego': QUADRATIC });
    expect(answer.body).toMatchObject({ ok: true, changed: true });
    expect(answer.body.warnings.join('\n')).toMatch(
      /stock_get with \d+\.0 KB in "note" takes more than 200 ms .*such calls will be refused/,
    );
  }, 60_000);
});
