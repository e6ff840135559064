import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alertsSchema } from '../../src/admin/api-schema.ts';
import { run } from '../support/cli.ts';
import { type Harness, startHarness, until } from '../support/harness.ts';
import { signingSecret, startWebReceiver, type WebReceiver } from '../support/receivers.ts';

const TOKENS = {
  ALERTS_ACT: 'token-that-acts-on-alerts-0123456789abcdef',
  ALERTS_READ: 'token-that-reads-alerts-0123456789abcdef01',
};
let app: Harness;
let hook: WebReceiver;

beforeEach(async () => {
  Object.assign(process.env, TOKENS, { COMMANDS_HOOK: signingSecret('of the commands') });
  hook = await startWebReceiver();
  app = await startHarness({
    clients: { thief: ['clerk'] },
    edit: (yaml) =>
      `${yaml.replace(
        'state_dir:',
        'admin: { port: 0, tokens: { on-call: { env: ALERTS_ACT, rights: [act, read] }, auditor: { env: ALERTS_READ, rights: [read] } } }\nstate_dir:',
      )}
alerts:
  receivers:
    hook: { type: webhook, url: "${hook.url}", secrets: [{ env: COMMANDS_HOOK }], timeout_seconds: 0.5, retry: { first_seconds: 0.05, longest_seconds: 0.1 } }
    local: { type: command, command: ["true"], events: [triggered] }
`,
  });
});
afterEach(async () => {
  await app.close();
  await hook.close();
});

const sallyport = (...args: string[]) => {
  process.env.SALLYPORT_ADMIN_TOKEN = TOKENS.ALERTS_ACT;
  return run(['alerts', ...args, '--url', new URL(app.connector.adminUrl as string).origin]);
};
const steal = async (): Promise<void> => {
  const handle = await app.initialize();
  await app.rpc('ping', {}, { handle, key: app.keys.get('thief') as string });
};
const acts = async () =>
  (await app.audit('event'))
    .filter(({ event }) => /^alert_(ack|sil|unsil|test)/.test(event))
    .map(({ event, operator, reason }) => [event, operator, reason]);

describe('R-63: sallyport alerts', () => {
  it('list shows what is open with what to do, the receivers and what is silent, and its JSON is as published', async () => {
    expect((await sallyport('list')).stdout).toContain('nothing is open');
    await steal();
    await hook.has(1);
    const shown = await until(async () => {
      const listed = await sallyport('list');
      return listed.stdout.includes('1 delivered') ? listed : undefined;
    }, 'the delivery to be counted');
    expect(shown.stdout).toMatch(/^[0-9a-f]{12} {2}high {4}handle\.foreign by thief: A client used a handle/m);
    expect(shown.stdout).toContain('Somebody has a copy of a conversation of another client');
    expect(shown.stdout).toMatch(/receiver hook \(webhook\) {2}1 delivered, 0 waiting {2}ok/);
    expect(shown.code).toBe(0);
    const json = JSON.parse((await sallyport('list', '--json')).stdout);
    expect(alertsSchema.safeParse(json).error).toBeUndefined();
    expect(json.incidents[0].client.id).toBe('thief');
  });

  it('test tells every receiver at once, or one, and ends with 1 where one does not take it', async () => {
    const good = await sallyport('test', '--reason', 'a new pager');
    expect(good).toMatchObject({ code: 0, stdout: 'hook  has taken it\nlocal  has taken it\n' });
    expect(hook.taken).toMatchObject([
      { type: 'alert.test', data: { by: { operator: 'on-call', reason: 'a new pager' } } },
    ]);
    hook.status = 403;
    const bad = await sallyport('test', '--receiver', 'hook', '--reason', 'again');
    expect(bad).toMatchObject({
      code: 1,
      stdout: 'hook  it answers with status 403: look at its secret or its address\n',
    });
    expect((await sallyport('test', '--receiver', 'hok', '--reason', 'r')).stderr).toContain(
      'no receiver has that name; there are hook, local',
    );
    expect((await sallyport('test', '--receiver', '__proto__', '--reason', 'r')).code).toBe(1);
    expect(await acts()).toEqual([
      ['alert_tested', 'on-call', 'a new pager'],
      ['alert_tested', 'on-call', 'again'],
    ]);
  });

  it('ack takes an incident by the beginning of its name: receivers are told who has it, and of no more of it', async () => {
    await steal();
    await hook.has(1);
    const { incident } = hook.taken[0].data;
    const taken = await sallyport('ack', incident.slice(0, 8), '--reason', 'looking at it');
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining('(handle.foreign) is yours') });
    await hook.has(2);
    expect(hook.taken[1]).toMatchObject({
      type: 'alert.acknowledged',
      data: { incident, by: { operator: 'on-call', reason: 'looking at it' } },
    });
    for (let i = 0; i < 3; i++) await steal();
    await until(
      async () => JSON.parse((await sallyport('list', '--json')).stdout).incidents[0].count === 4,
      'them to be counted',
    );
    app.clock.advance(300);
    await until(
      async () => JSON.parse((await sallyport('list', '--json')).stdout).incidents[0].window_ends > '2026-11-23T09:09',
      'the window to end',
    );
    app.clock.advance(300);
    await hook.has(3);
    expect(hook.taken.map(({ type }) => type)).toEqual(['alert.triggered', 'alert.acknowledged', 'alert.resolved']);
    expect(hook.taken[2].data.count).toBe(4);
    expect((await sallyport('ack', incident.slice(0, 8), '--reason', 'r')).stderr).toContain(
      'no open incident has that name',
    );
    expect((await sallyport('ack', 'xyz', '--reason', 'r')).stderr).toContain(
      'send "incident" (six or more of its digits)',
    );
    expect(await acts()).toEqual([['alert_acknowledged', 'on-call', 'looking at it']]);
  });

  it('silence keeps alerts from being told and not from being recorded, until it ends; that there is one is told', async () => {
    const silent = await sallyport(
      'silence',
      '--codes',
      'handle.*',
      '--until',
      '2026-11-23T10:00:00Z',
      '--reason',
      'a drill',
    );
    expect(silent).toMatchObject({ code: 0, stdout: 'handle.* is silent until 2026-11-23T10:00:00.000Z\n' });
    await hook.has(1);
    expect(hook.taken[0].data).toMatchObject({
      code: 'alerts.silenced',
      params: { operator: 'on-call', codes: 'handle.*' },
    });
    await steal();
    await until(
      async () => (await app.audit('alert')).some(({ reasons }) => reasons[0] === 'handle.foreign'),
      'the record',
    );
    expect((await sallyport('list')).stdout).toContain(
      'silent  handle.* until 2026-11-23T10:00:00.000Z, by on-call: a drill',
    );
    const told = (type: string) =>
      hook.taken.filter((body) => body.type === type && body.data.code === 'handle.foreign');
    expect(told('alert.triggered')).toEqual([]);
    // What still goes on when the silence ends is told then.
    expect((await sallyport('silence', '--codes', 'handle.*', '--end', '--reason', 'over')).stdout).toBe(
      'handle.* is told again\n',
    );
    await until(() => told('alert.triggered').length === 1, 'what began in the silence');
    expect((await sallyport('ack', hook.taken[0].data.incident.slice(0, 8), '--reason', 'r')).stderr).toContain(
      'that alerts are silenced is told to everybody',
    );
    await steal();
    app.clock.advance(300);
    await until(() => told('alert.repeated').length === 1, 'what followed');
    const wrong = await sallyport(
      'silence',
      '--codes',
      'replay.sen',
      '--until',
      '2026-11-23T11:00:00Z',
      '--reason',
      'r',
    );
    expect(wrong.stdout).toContain('look at the spelling: no alert of this connector or its policy has such a code');
    for (const args of [
      ['--codes', 'x', '--reason', 'r'],
      ['--codes', 'x', '--until', '2h', '--end', '--reason', 'r'],
    ])
      expect((await sallyport('silence', ...args)).code).toBe(2);
    expect(
      (await sallyport('silence', '--codes', 'replay.*', '--until', '2026-11-23T08:00:00Z', '--reason', 'r')).stderr,
    ).toContain('"until" is over already');
    expect(
      (await sallyport('silence', '--codes', '*', '--until', '2030-01-01T00:00:00Z', '--reason', 'r')).stderr,
    ).toContain('more than a year away');
    expect((await sallyport('silence', '--codes', 'Replay', '--until', '2h', '--reason', 'r')).code).toBe(1);
    expect((await sallyport('silence', '--codes', 'log.*', '--end', '--reason', 'r')).stderr).toContain(
      'nothing is silenced under exactly this name',
    );
  });

  it('each needs its right', async () => {
    process.env.SALLYPORT_ADMIN_TOKEN = TOKENS.ALERTS_READ;
    const at = new URL(app.connector.adminUrl as string).origin;
    expect((await run(['alerts', 'list', '--url', at])).code).toBe(0);
    for (const args of [
      ['test', '--reason', 'r'],
      ['ack', 'abcdef12', '--reason', 'r'],
      ['silence', '--codes', '*', '--until', '2h', '--reason', 'r'],
    ])
      expect((await run(['alerts', ...args, '--url', at])).stderr).toContain('this token has not the right "act"');
  });
});
