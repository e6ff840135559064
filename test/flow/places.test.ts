// a client that moves, and a credential that is in two places.
import { afterEach, describe, expect, it } from 'vitest';
import { ELSEWHERE, type Harness, HOME, reasons, startHarness } from '../support/harness.ts';
import { policyFolder } from '../support/policies.ts';
import { createIssuer, createProofKey, type Issuer, makeProof } from '../support/tokens.ts';

const THIRD = '198.51.100.7';
let h: Harness;
let issuer: Issuer | undefined;
let policies: { dir: string; remove(): void } | undefined;
afterEach(async () => {
  await h.close();
  issuer?.remove();
  policies?.remove();
  issuer = undefined;
  policies = undefined;
});

/** Starts with these replacements in data.yaml. */
async function start(...settings: [from: string, to: string][]): Promise<void> {
  policies = policyFolder({
    'data.yaml': (yaml) => settings.reduce((text, [from, to]) => text.replace(from, to), yaml),
  });
  issuer = await createIssuer(() => h.clock.now());
  const text = issuer.yaml;
  h = await startHarness({
    policyDir: policies.dir,
    edit: (yaml) => yaml.replace('identity:\n', `identity:\n${text}`),
  });
}
const last = async () => (await h.audit('decision')).at(-1);
const outcomes = async () => (await h.audit('decision')).map(({ result }) => result.outcome);
const severities = async () => (await h.audit('alert')).map(({ severity }) => severity);

/** A client that proves its key with each call. */
async function dpopClient(): Promise<(ip: string) => Promise<string[]>> {
  const key = await createProofKey();
  const token = (await issuer?.token({ cnf: { jkt: key.thumbprint } })) ?? '';
  let nonce = '';
  let id = 1000;
  const send = async (ip: string) =>
    h.post(
      { jsonrpc: '2.0', id: id++, method: 'tools/call', params: { name: 'stock_list', arguments: {} } },
      {
        authorization: `DPoP ${token}`,
        dpop: await makeProof(key, { token, url: h.url, now: h.clock.now(), nonce }),
        'x-forwarded-for': ip,
      },
    );
  nonce = (await send(HOME)).headers.get('dpop-nonce') ?? '';
  return async (ip) => {
    const answer = await send(ip);
    expect(answer.status).toBe(200);
    return reasons(answer);
  };
}

describe('R-98: a client that proves its key', () => {
  it('is rotated once for a new network, at once, and raises no high alert', async () => {
    await start();
    const call = await dpopClient();
    expect(await call(HOME)).toEqual([]);
    h.clock.advance(2);
    expect(await call(ELSEWHERE)).toEqual([]);
    expect(await last()).toMatchObject({
      result: { outcome: 'rotate', reasons: [{ code: 'binding.network_changed' }] },
    });
    for (let i = 0; i < 5; i++) expect(await call(ELSEWHERE)).toEqual([]);
    expect([h.legacy.stats().logins, await severities()]).toEqual([2, ['low']]);
  });

  it('behind two exits logs in once for each', async () => {
    await start();
    const call = await dpopClient();
    for (let i = 0; i < 20; i++) expect(await call(i % 2 ? ELSEWHERE : HOME)).toEqual([]);
    expect(h.legacy.stats().logins).toBe(2);
    expect((await outcomes()).filter((outcome) => outcome === 'rotate')).toHaveLength(1);
    expect((await last()).input.session.bound).toMatchObject({ ipv4: { ip: ELSEWHERE }, networks: ['10.1.2.0/24'] });
  });

  it('has four networks at most: a fifth takes the place of the oldest', async () => {
    await start();
    const call = await dpopClient();
    for (let i = 1; i <= 5; i++) await call(`10.${i}.0.1`);
    expect(h.legacy.stats().logins).toBe(5);
    for (const i of [2, 3, 4, 5]) await call(`10.${i}.0.1`);
    expect(h.legacy.stats().logins).toBe(5);
    await call('10.1.0.1');
    expect(h.legacy.stats().logins).toBe(6);
  });
});

describe('R-13, R-98: a client without a key', () => {
  it('is denied at its first crossing by default', async () => {
    await start();
    await h.call('stock_list');
    h.clock.advance(2);
    expect(reasons(await h.call('stock_list', {}, { ip: ELSEWHERE }))).toEqual(['binding.concurrent_networks']);
    expect((await last()).result.reasons[0].params).toMatchObject({ crossing: 'first' });
    h.clock.advance(121);
    expect(reasons(await h.call('stock_list', {}, { ip: ELSEWHERE }))).toEqual([]);
  });

  it('moves at once where the site says so, and the first return stops both', async () => {
    await start(['first_crossing: deny', 'first_crossing: rotate']);
    await h.call('stock_list');
    h.clock.advance(2);
    for (let i = 0; i < 3; i++) expect(reasons(await h.call('stock_list', {}, { ip: ELSEWHERE }))).toEqual([]);
    expect(h.legacy.stats().logins).toBe(2);
    const back = await h.call('stock_list');
    expect(reasons(back)).toEqual(['binding.concurrent_networks']);
    expect((await last()).result.reasons[0].params).toMatchObject({ crossing: 'return' });
    expect(reasons(await h.call('stock_list', {}, { ip: ELSEWHERE }))).toEqual(['binding.concurrent_networks']);
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(0);
    // After a quiet time whoever calls is alone.
    h.clock.advance(121);
    expect(reasons(await h.call('stock_list'))).toEqual([]);
  });

  it('may use networks that the site knows as one place, and no others beside them', async () => {
    await start(['places: {}', 'places: { office: [10.1.2.0/24, 192.0.2.0/24] }']);
    for (let i = 0; i < 20; i++)
      expect(reasons(await h.call('stock_list', {}, { ip: i % 2 ? ELSEWHERE : HOME }))).toEqual([]);
    expect(h.legacy.stats().logins).toBe(1);
    expect(reasons(await h.call('stock_list', {}, { ip: THIRD }))).toEqual(['binding.concurrent_networks']);
    expect(reasons(await h.call('stock_list'))).toEqual(['binding.concurrent_networks']);
  });

  it('who is refused for the place alone is not in two places afterwards', async () => {
    await start(['networks: {}', 'networks: { clerk: [10.1.0.0/16] }']);
    await h.call('stock_list');
    for (let i = 0; i < 3; i++) {
      const outside = await h.call('stock_list', {}, { ip: ELSEWHERE });
      expect(reasons(outside)).toEqual(['access.wrong_network']);
      expect(reasons(await h.call('stock_list'))).toEqual([]);
    }
    expect(h.legacy.stats().logins).toBe(1);
    const { networks } = (await last()).input.usage;
    expect(networks[1]).toMatchObject({ network: '192.0.2.0/24', calls: 3, refused: true });
  });

  it('who is refused for anything else is', async () => {
    await start(['networks: {}', 'networks: { clerk: [10.1.0.0/16] }']);
    await h.call('stock_list');
    // No tool of that name: the credential was used elsewhere, and no rule has refused the place.
    await h.call('no_such_tool', {}, { ip: ELSEWHERE });
    expect(reasons(await h.call('stock_list'))).toEqual(['binding.concurrent_networks']);
  });
});

describe('R-13: who fills the list of networks', () => {
  it('hides neither himself nor the owner', async () => {
    await start();
    await h.call('stock_list');
    const served = [];
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 9; i++) await h.call('no_such_tool', {}, { ip: `2001:db8:0:${i}::7` });
      served.push(reasons(await h.call('stock_list', {}, { ip: ELSEWHERE })).length === 0);
      h.clock.advance(4);
      await h.call('stock_list');
      h.clock.advance(4);
    }
    expect(served).toEqual([false, false, false, false, false]);
    expect((await last()).input.usage.networks_dropped_seconds).toBeLessThan(120);
    h.clock.advance(3601);
    expect(reasons(await h.call('stock_list'))).toEqual([]);
  });

  it('who keeps trying from a place that is refused does not shut the owner out while he tries', async () => {
    await start(['networks: {}', 'networks: { clerk: [10.1.0.0/16] }']);
    await h.call('stock_list');
    await h.call('stock_list', {}, { ip: ELSEWHERE });
    const trying = { on: true };
    const tries = Array.from({ length: 4 }, async () => {
      while (trying.on) await h.call('stock_list', {}, { ip: ELSEWHERE });
    });
    const refused = [];
    for (let i = 0; i < 20; i++) refused.push(...reasons(await h.call('stock_list')));
    trying.on = false;
    await Promise.all(tries);
    expect(refused).toEqual([]);
  });
});

describe('R-35: a session that is not the one decided on', () => {
  it('R-80: a renewal by the backend meanwhile is no new login: age, uses and idle time go on', async () => {
    await start(['idle: { limit_seconds: 900, grade: rotate }', 'idle: { limit_seconds: 900, grade: deny }']);
    h.legacy.inject({ renewIds: true });
    for (let i = 0; i < 12; i++) {
      await h.call('stock_list');
      h.clock.advance(24);
    }
    h.legacy.inject({ latencyMs: 20 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => h.call('stock_list', {}, { ip: i % 2 ? '10.1.2.4' : HOME })),
    );
    const codes = answers.flatMap(reasons);
    expect(codes.filter((code) => code.startsWith('lifetime'))).toEqual([]);
    for (const { supersedes, input } of await h.audit('decision'))
      if (supersedes !== undefined) expect(input.session.token_uses).toBeGreaterThan(10);
  });

  it('with binding.ip: allow a first burst from two addresses of one network is served', async () => {
    await start();
    h.legacy.inject({ latencyMs: 50 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => h.call('stock_list', {}, { ip: i % 2 ? '10.1.2.4' : HOME })),
    );
    expect(answers.flatMap(reasons)).toEqual([]);
    expect(h.legacy.stats().logins).toBe(1);
    const decisions = await h.audit('decision');
    const again = decisions.filter(({ supersedes }) => supersedes !== undefined);
    expect(again.length).toBeGreaterThan(0);
    for (const { supersedes, decision_id, req_id, input } of again) {
      const first = decisions.find((record) => record.decision_id === supersedes);
      expect([first.req_id, first.input.session]).toEqual([req_id, null]);
      expect(input.session.generation).toBe(1);
      expect(input.usage).toEqual(first.input.usage);
      const ends = (await h.audit('outcome')).filter((record) => record.req_id === req_id);
      expect(ends.map((record) => [record.decision_id, record.outcome])).toEqual([[decision_id, 'success']]);
    }
    // Each call was counted once.
    expect(Math.max(...decisions.map(({ input }) => input.usage.calls_1m))).toBe(20);
  });

  it('the second decision is the one in force: with binding.ip: deny the other address is denied', async () => {
    await start(['    ip: allow', '    ip: deny']);
    h.legacy.inject({ latencyMs: 50 });
    const [first, second] = await Promise.all([h.call('stock_list'), h.call('stock_list', {}, { ip: '10.1.2.4' })]);
    const codes = [...reasons(first as never), ...reasons(second as never)];
    expect(codes).toEqual(['binding.ip_changed']);
  });
});
