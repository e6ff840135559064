// Whole calls from HTTP to the backend: real HTTP, the policy in real WASM, and a real legacy session.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decisionId, ELSEWHERE, type Harness, reasons, startHarness } from '../support/harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await startHarness();
});
afterEach(() => h.close());

describe('allow', () => {
  it('R-60, R-62: an allowed call has a decision record before it and a record of how it ended after it', async () => {
    const answer = await h.call('stock_get', { sku: 'A-1' });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.result.content[0].text)).toMatchObject({ sku: 'A-1', quantity: 240 });
    expect(answer.body.result.structuredContent).toMatchObject({ sku: 'A-1' });

    const [decision] = await h.audit('decision');
    const [outcome] = await h.audit('outcome');
    expect(decision).toMatchObject({
      decision_id: decisionId(answer),
      decided_by: 'policy',
      path: 'sallyport/decision',
      requested_by: '10.1.2.3',
      result: { outcome: 'allow', reasons: [{ code: 'access.role', params: { role: 'clerk' } }] },
      input: { tool: { arguments: { sku: 'A-1' } }, session: null },
      bundles: { sallyport: { revision: h.connector.policy.revision } },
      wasm_sha256: h.connector.policy.wasmSha256,
    });
    expect(outcome).toMatchObject({
      decision_id: decisionId(answer),
      outcome: 'success',
      backend: { name: 'inventory', status: 200, attempts: 1 },
    });
  });

  it('one session serves the calls of one client', async () => {
    for (let i = 0; i < 5; i++) await h.call('stock_list');
    expect(h.legacy.stats()).toMatchObject({ logins: 1, liveSessions: 1 });
  });

  it('a mask obligation blanks what a clerk may not see, in items of a list too', async () => {
    const item = await h.call('stock_get', { sku: 'A-1' });
    expect(item.body.result.structuredContent.purchase_price).toBe('[masked]');
    expect(item.text).not.toContain('1.35');
    const list = await h.call('stock_list');
    expect(list.body.result.structuredContent.items.map((i: { purchase_price: unknown }) => i.purchase_price)).toEqual([
      '[masked]',
      '[masked]',
      '[masked]',
    ]);
  });

  it('a write carries the CSRF header of the session and reaches the legacy system once', async () => {
    const answer = await h.call('stock_adjust', { sku: 'A-1', delta: -40 });
    expect(answer.body.result.structuredContent.quantity).toBe(200);
    expect(h.legacy.stats().writes).toBe(1);
  });

  it('HTML is returned as text where the configuration says so', async () => {
    const answer = await h.call('order_list');
    expect(answer.body.result.content[0].text).toContain('Harbour Supplies');
  });
});

describe('destructive', () => {
  it('a manager writes an item off, with a handle', async () => {
    await h.close();
    h = await startHarness({ roles: ['manager'] });
    expect(reasons(await h.call('stock_write_off', { sku: 'C-3' }))).toEqual(['replay.source_missing']);
    const handle = await h.initialize();
    const answer = await h.call('stock_write_off', { sku: 'C-3' }, { handle });
    expect(answer.body.result.structuredContent).toEqual({ written_off: 'C-3' });
    expect(h.legacy.stats().writes).toBe(1);
  });

  it('a call that the legacy system refuses its own user fails, and the client does not get the answer', async () => {
    await h.close();
    h = await startHarness({ roles: ['manager'], legacyUser: 'clerk' });
    const answer = await h.call('stock_write_off', { sku: 'C-3' }, { handle: await h.initialize() });
    expect(reasons(answer)).toEqual(['backend.rejected']);
    expect(answer.text).toContain('The call failed: the backend answered 403.');
    expect(answer.text).not.toContain('forbidden');
  });
});

describe('rotate', () => {
  it('R-22, R-25: an over-age backend token is replaced before the call; the old session is logged out and proven dead', async () => {
    await h.call('stock_list');
    h.clock.advance(301);
    const answer = await h.call('stock_list');
    expect(answer.body.result.isError).toBeUndefined();
    expect((await h.audit('decision')).at(-1).result).toMatchObject({
      outcome: 'rotate',
      reasons: [{ code: 'lifetime.token_too_old', params: { age_seconds: 301, limit_seconds: 300 } }],
    });
    await h.connector.settled();
    expect(h.legacy.stats()).toMatchObject({ logins: 2, logouts: 1, liveSessions: 1 });
    expect((await h.audit('outcome')).at(-1).session.generation).toBe(2);
    expect((await h.audit('event')).find((e) => e.event === 'session_ended')).toMatchObject({
      generation: 1,
      proof: 'dead',
      residual: false,
      drained: true,
    });
  });

  it('R-23: 100 parallel calls at max age cause exactly one login', async () => {
    await h.call('stock_list');
    h.clock.advance(301);
    const answers = await Promise.all(Array.from({ length: 100 }, () => h.call('stock_list')));
    expect(answers.every((a) => a.body.result.isError === undefined)).toBe(true);
    await h.connector.settled();
    expect(h.legacy.stats()).toMatchObject({ logins: 2, liveSessions: 1 });
  });

  it('R-23: 100 parallel first calls cause exactly one login', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => h.call('stock_list')));
    expect(answers.every((a) => a.body.result.isError === undefined)).toBe(true);
    expect(h.legacy.stats()).toMatchObject({ logins: 1, liveSessions: 1 });
  });

  it('R-12: another network after the overlap window rotates, binds to the new place and raises an alert', async () => {
    await h.call('stock_list');
    h.clock.advance(121);
    const answer = await h.call('stock_list', {}, { ip: ELSEWHERE });
    expect(answer.body.result.isError).toBeUndefined();
    expect((await h.audit('decision')).at(-1).result).toMatchObject({
      outcome: 'rotate',
      reasons: [{ code: 'binding.network_changed' }],
    });
    expect(await h.audit('alert')).toMatchObject([{ severity: 'low', reasons: ['binding.network_changed'] }]);
    h.clock.advance(130);
    await h.call('stock_list', {}, { ip: ELSEWHERE });
    expect((await h.audit('decision')).at(-1)).toMatchObject({
      result: { outcome: 'allow' },
      input: { session: { bound: { ipv4: { ip: ELSEWHERE } } } },
    });
  });

  it('R-21: use does not keep a session beyond its absolute limit, and the next call opens a new one', async () => {
    await h.call('stock_list');
    const first = (await h.audit('outcome'))[0].session.id;
    for (let hour = 0; hour < 33; hour++) {
      h.clock.advance(870);
      await h.call('stock_list');
    }
    h.clock.advance(870);
    const ended = await h.call('stock_list');
    expect(reasons(ended)).toEqual(['lifetime.session_too_old']);
    const fresh = await h.call('stock_list');
    expect(fresh.body.result.isError).toBeUndefined();
    expect((await h.audit('outcome')).at(-1).session.id).not.toBe(first);
  });
});

describe('deny', () => {
  it('a denied call creates no session and tells the client only reason codes and the decision id', async () => {
    const answer = await h.call('stock_write_off', { sku: 'A-1' }, { handle: await h.initialize() });
    expect(answer.status).toBe(200);
    expect(answer.body.result.isError).toBe(true);
    expect(answer.body.result.content[0].text).toBe(
      `The call was denied by policy. Reasons: access.no_rule. Decision: ${decisionId(answer)}`,
    );
    expect(h.legacy.stats()).toMatchObject({ logins: 0, failedLogins: 0 });
    expect(await h.audit('outcome')).toMatchObject([{ outcome: 'denied', session: null, backend: null }]);
  });

  it('R-13: one session used from two networks within the overlap window is denied to both, revoked and alerted', async () => {
    await h.call('stock_list');
    h.clock.advance(5);
    const thief = await h.call('stock_list', {}, { ip: ELSEWHERE });
    expect(reasons(thief)).toEqual(['binding.concurrent_networks']);
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(0);
    expect(await h.audit('alert')).toMatchObject([{ severity: 'high', reasons: ['binding.concurrent_networks'] }]);
    const owner = await h.call('stock_list');
    expect(reasons(owner)).toEqual(['binding.concurrent_networks']);
    expect(h.legacy.stats().logins).toBe(1);
    // Once the other side has been quiet for the window, the owner works again, in a new session.
    h.clock.advance(121);
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
  });

  it('R-17: a JSON-RPC id used twice in one handle is denied with an alert', async () => {
    const handle = await h.initialize();
    expect((await h.call('stock_list', {}, { handle, id: 7 })).body.result.isError).toBeUndefined();
    const replayed = await h.call('stock_list', {}, { handle, id: 7 });
    expect(reasons(replayed)).toEqual(['replay.seen']);
    expect(await h.audit('alert')).toMatchObject([{ severity: 'high', reasons: ['replay.seen'] }]);
    expect((await h.call('stock_list', {}, { handle, id: 'seven' })).body.result.isError).toBeUndefined();
    expect(reasons(await h.call('stock_list', {}, { handle, id: 'seven' }))).toEqual(['replay.seen']);
  });

  it('a replay from another network also ends the session', async () => {
    const handle = await h.initialize();
    await h.call('stock_list', {}, { handle, id: 7 });
    h.clock.advance(121);
    const replayed = await h.call('stock_list', {}, { handle, id: 7, ip: ELSEWHERE });
    expect(reasons(replayed).sort()).toEqual(['replay.seen', 'replay.seen_elsewhere']);
    await h.connector.settled();
    expect(h.legacy.stats().liveSessions).toBe(0);
  });

  it('a missing scope answers 403 insufficient_scope with the scope (RFC 6750)', async () => {
    const key = h.addClient('no-scope', ['clerk'], []);
    await h.close();
    h = await startHarness({ scopes: [] });
    expect(key).toMatch(/^sp_/);
    const answer = await h.call('stock_adjust', { sku: 'A-1', delta: 1 });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toContain('error="insufficient_scope", scope="stock:write"');
    expect(reasons(answer)).toEqual(['access.scope_missing']);
    expect(h.legacy.stats().writes).toBe(0);
  });

  it('R-37: the very call that exceeds a rate limit is denied', async () => {
    for (let i = 0; i < 600; i += 50) await Promise.all(Array.from({ length: 50 }, () => h.call('stock_list')));
    expect((await h.audit('decision')).every((d) => d.result.outcome !== 'deny')).toBe(true);
    expect(reasons(await h.call('stock_list'))).toEqual(['usage.minute_rate']);
    h.clock.advance(60);
    expect((await h.call('stock_list')).body.result.isError).toBeUndefined();
  });

  it('an unknown tool is −32602 and wrong arguments are a tool error; both have a decision record', async () => {
    const unknown = await h.call('no_such_tool');
    expect(unknown.body.error).toEqual({ code: -32602, message: 'Unknown tool' });
    const wrong = await h.call('stock_get', { sku: 5 });
    expect(reasons(wrong)).toEqual(['call.invalid_arguments']);
    const extra = await h.call('stock_get', { sku: 'A-1', admin: true });
    expect(reasons(extra)).toEqual(['call.invalid_arguments']);
    expect((await h.audit('decision')).map((d) => [d.decided_by, d.result.reasons[0].code])).toEqual([
      ['connector', 'call.unknown_tool'],
      ['connector', 'call.invalid_arguments'],
      ['connector', 'call.invalid_arguments'],
    ]);
    expect(h.legacy.stats().logins).toBe(0);
  });
});
