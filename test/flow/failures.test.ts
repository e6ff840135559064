// Whatever is missing, late or malformed, the call is refused and the audit log says so.
import { afterEach, describe, expect, it } from 'vitest';
import { type Harness, type HarnessOptions, reasons, startHarness } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';

let h: Harness;
let folder: PolicyFolder | undefined;

async function start(options?: HarnessOptions): Promise<Harness> {
  h = await startHarness(options);
  return h;
}

afterEach(async () => {
  await h.close();
  folder?.remove();
  folder = undefined;
});

it('a lone surrogate in an argument refuses the call, whatever the evaluator makes of it', async () => {
  await start();
  const answer = await h.post(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"stock_get","arguments":{"sku":"\\ud800"}}}',
  );
  expect(answer.body.result.isError).toBe(true);
  expect(h.legacy.stats().callsBySession.size).toBeLessThanOrEqual(1);
});

it.skipIf(process.platform !== 'linux')(
  'R-60, attack 25: with a full audit disk the call is refused and nothing is sent',
  async () => {
    process.env.TEST_ADMIN_TOKEN = 'an-admin-token-of-forty-characters-or-so';
    const admin = 'admin: { port: 0, token: { env: TEST_ADMIN_TOKEN } }';
    await start({ edit: (yaml) => `${yaml}\naudit: { file: /dev/full }\n${admin}\n` });
    const answer = await h.call('stock_list');
    expect(reasons(answer)).toEqual(['audit.unavailable']);
    expect(reasons(await h.call('no_such_tool'))).toEqual([]);
    expect(h.legacy.stats()).toMatchObject({ logins: 0, callsBySession: new Map() });
    const ready = await fetch(new URL('/readyz', h.url));
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: 'unavailable', failing: ['audit'] });
    // What is not on record was not decided, and is not counted as if it had been.
    const headers = { authorization: `Bearer ${process.env.TEST_ADMIN_TOKEN}` };
    const metrics = await (await fetch(new URL('/metrics', h.connector.adminUrl), { headers })).text();
    expect(metrics).not.toMatch(/^sallyport_decisions_total\{/m);
    expect(metrics).toContain('sallyport_refusals_total{reason="audit.unavailable"} 2');
  },
);

describe('login', () => {
  it('a refused login refuses the call, and is not tried again for a while', async () => {
    await start();
    h.legacy.inject({ refuseLogins: true });
    expect(reasons(await h.call('stock_list'))).toEqual(['session.login_failed']);
    for (let i = 0; i < 5; i++) expect(reasons(await h.call('stock_list'))).toEqual(['session.login_failed']);
    expect(h.legacy.stats().failedLogins).toBe(1);
    h.legacy.inject({ refuseLogins: false });
    h.clock.advance(6);
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    expect((await h.audit('event')).find((e) => e.event === 'backend_login_fail')).toMatchObject({
      backend: 'inventory',
    });
  });

  it('a rotation whose login fails refuses the call and keeps the old session', async () => {
    await start();
    await h.call('stock_list');
    h.clock.advance(301);
    h.legacy.inject({ refuseLogins: true });
    expect(reasons(await h.call('stock_list'))).toEqual(['session.login_failed']);
    h.legacy.inject({ refuseLogins: false });
    h.clock.advance(6);
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(1);
  });
});

describe('expiry', () => {
  it('R-53: a session that ended on the legacy side (302) is renewed once for a read', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.endAllSessions();
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    expect(h.legacy.stats().logins).toBe(2);
    expect((await h.audit('outcome')).at(-1)).toMatchObject({
      outcome: 'success',
      backend: { attempts: 2 },
      session: { generation: 2 },
    });
  });

  it('R-53: a login page with status 200 is never data', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.endAllSessions();
    const answer = await h.call('order_list');
    expect(answer.body.result.content[0].text).toContain('Harbour Supplies');
    expect(answer.text).not.toContain('Sign in');
    expect(h.legacy.stats().logins).toBe(2);
  });

  it('R-53: a write is not repeated, and the next call finds a session', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.endAllSessions();
    expect(reasons(await h.call('stock_adjust', { sku: 'A-1', delta: 1 }))).toEqual(['session.expired']);
    expect(h.legacy.stats()).toMatchObject({ writes: 0, logins: 2 });
    expect((await h.call('stock_adjust', { sku: 'A-1', delta: 1 })).body.result.isError).toBeUndefined();
    expect(h.legacy.stats()).toMatchObject({ writes: 1, logins: 2 });
  });

  it('R-53: when the session ends again right after the new login, the call is refused without another login', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.inject({ failure: 401 });
    expect(reasons(await h.call('stock_list'))).toEqual(['session.expired']);
    expect(h.legacy.stats().logins).toBe(2);
  });

  it('R-53: 100 parallel calls on an ended session cause one new login', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.endAllSessions();
    const answers = await Promise.all(Array.from({ length: 100 }, () => h.call('stock_list')));
    expect(answers.every((a) => a.body.result.isError === undefined)).toBe(true);
    await h.connector.settled();
    expect(h.legacy.stats()).toMatchObject({ logins: 2, liveSessions: 1 });
  });

  it('R-54: a session id that the backend changes in an answer becomes the next generation', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.inject({ renewIds: true });
    await h.call('stock_list');
    h.legacy.inject({ renewIds: false });
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    expect(h.legacy.stats().logins).toBe(1);
    expect((await h.audit('outcome')).at(-1).session.generation).toBe(2);
  });
});

describe('backend', () => {
  it.each([
    [500, 'backend.rejected'],
    ['drop', 'backend.unavailable'],
    ['huge', 'backend.response_too_large'],
    ['redirect', 'backend.redirected'],
  ] as const)('R-50, R-55: an answer that is %s refuses the call', async (failure, code) => {
    await start();
    await h.call('stock_list');
    h.legacy.inject({ failure });
    const answer = await h.call('stock_list');
    expect(reasons(answer)).toEqual([code]);
    expect(answer.text).not.toContain('injected');
    h.legacy.inject({ failure: null });
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
  });

  it('R-55: a backend slower than its deadline refuses the call', async () => {
    await start({ edit: (yaml) => yaml.replace('timeout_ms: 5000', 'timeout_ms: 1500') });
    await h.call('stock_list');
    h.legacy.inject({ latencyMs: 6000 });
    expect(reasons(await h.call('stock_list'))).toEqual(['backend.deadline']);
    h.legacy.inject({ latencyMs: 0 });
  });

  it('R-55: failures in a row open the circuit, and the backend gets no more requests', async () => {
    await start({ edit: (yaml) => yaml.replace('timeout_ms: 5000', 'breaker: { failures: 3, open_seconds: 60 }') });
    await h.call('stock_list');
    const session = [...h.legacy.stats().callsBySession.keys()][0] ?? '';
    h.legacy.inject({ failure: 'drop' });
    for (let i = 0; i < 8; i++) expect(reasons(await h.call('stock_list'))).toEqual(['backend.unavailable']);
    // The menu page of the login, one call that succeeded and three that failed; and of the connections that were kept alive
    // each was found to be gone once, and asked again on another one.
    const sent = h.legacy.stats().callsBySession.get(session) ?? 0;
    expect(sent).toBeGreaterThanOrEqual(5);
    expect(sent).toBeLessThanOrEqual(7);
    expect((await h.audit('outcome')).at(-1).detail).toBe('circuit open');
  });

  it('R-55: calls beyond the concurrency limit of the backend wait, and calls beyond the queue limit are refused', async () => {
    await start({ edit: (yaml) => yaml.replace('timeout_ms: 5000', 'max_concurrent: 2\n    max_queued: 3') });
    await h.call('stock_list');
    h.legacy.inject({ latencyMs: 1500 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => h.call('stock_list')));
    const codes = answers.map((a) => reasons(a)[0] ?? 'ok').sort();
    expect(codes).toEqual([...Array(5).fill('backend.overloaded'), ...Array(5).fill('ok')]);
  });

  it('a value that cannot stand in a path refuses the call before anything is sent', async () => {
    await start();
    await h.call('stock_list');
    const before = [...h.legacy.stats().callsBySession.values()][0];
    for (const sku of ['..', '.', 'a/b', 'a\\b', 'a\u0000b', 'a\r\nb'])
      expect(reasons(await h.call('stock_get', { sku }))).toEqual(['backend.request_unbuildable']);
    expect([...h.legacy.stats().callsBySession.values()][0]).toBe(before);
    expect(reasons(await h.call('stock_get', { sku: 'A-1?x=1#y;z&../..%2f' }))).toContain(
      'backend.request_unbuildable',
    );
    const odd = await h.call('stock_get', { sku: 'no such; ?#%25' });
    expect(odd.body.result.content[0].text).toContain('The call failed: the backend answered 404.');
  });
});

describe('R-54: a cookie that the backend changes in an answer that is an error', () => {
  it('is not taken for the session, because an error may bring an anonymous session: the next call logs in', async () => {
    await start();
    await h.call('stock_list');
    h.legacy.inject({ renewIds: true });
    expect(reasons(await h.call('stock_get', { sku: 'none' }))).toEqual(['backend.rejected']);
    h.legacy.inject({ renewIds: false });
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    expect(h.legacy.stats()).toMatchObject({ logins: 2 });
  });

  it('is kept when the answer shows that the user is logged in', async () => {
    await start({
      edit: (yaml) => yaml.replace('    logout:', '    assert: [{ header: { X-User: "." } }]\n    logout:'),
    });
    await h.call('stock_list');
    h.legacy.inject({ renewIds: true });
    expect(reasons(await h.call('stock_get', { sku: 'none' }))).toEqual(['backend.rejected']);
    h.legacy.inject({ renewIds: false });
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
    expect(h.legacy.stats()).toMatchObject({ logins: 1, liveSessions: 1 });
  });
});

it('R-55: answers that are too large do not open the circuit for everybody', async () => {
  await start();
  h.legacy.inject({ failure: 'huge' });
  for (let i = 0; i < 8; i++) expect(reasons(await h.call('stock_list'))).toEqual(['backend.response_too_large']);
  h.legacy.inject({ failure: null });
  expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
});

it('R-17, R-37: a call with invalid arguments or an unknown tool counts and uses up its id', async () => {
  await start();
  const handle = await h.initialize();
  await h.call('stock_get', { sku: 1 }, { handle, id: 500 });
  await h.call('no_such_tool', {}, { handle, id: 501 });
  expect(reasons(await h.call('stock_list', {}, { handle, id: 500 }))).toEqual(['replay.seen']);
  const { usage } = (await h.audit('decision')).at(-1).input;
  expect(usage).toMatchObject({ calls_1m: 3, denials_1h: 2, in_flight: 1 });
});

it('R-21: the idle time counts from the login', async () => {
  folder = policyFolder({
    'data.yaml': (text) => text.replace('limit_seconds: 300, grade: rotate', 'limit_seconds: 99999, grade: rotate'),
  });
  await start({ policyDir: folder.dir });
  await h.call('stock_list');
  h.clock.advance(5000);
  await h.call('stock_list');
  expect((await h.audit('decision')).at(-1)).toMatchObject({
    result: { outcome: 'rotate', reasons: [{ code: 'lifetime.idle_too_long' }] },
    input: { session: { idle_seconds: 5000 } },
  });
});
