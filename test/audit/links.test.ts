// A03: every record says what decided, whose it is and what it belongs to; and what was done, who did it.
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { recordSchema } from '../../src/audit/record-schema.ts';
import { run, serve } from '../support/cli.ts';
import { recordsOf } from '../support/decision-log.ts';
import { decisionId, ELSEWHERE, type Harness, type Loose, startHarness, until } from '../support/harness.ts';

let h: Harness | undefined;
afterEach(async () => {
  await h?.close();
  h = undefined;
});
const started = async (options = {}): Promise<Harness> => {
  h = await startHarness(options);
  return h;
};
const call = (options = {}) => (h as Harness).call('stock_get', { sku: 'A-1' }, options);
const events = async (name: string): Promise<Loose[]> =>
  (await (h as Harness).audit('event')).filter(({ event }) => event === name);

describe('A03: every record', () => {
  it('names the policy, the configuration, the program, the form, the replica and its place', async () => {
    const { connector, stateDir, audit } = await started();
    await call();
    await call({ ip: ELSEWHERE });
    await audit();
    const { replica } = JSON.parse(readFileSync(join(stateDir, 'audit-head.json'), 'utf8'));
    const all = ['decisions.jsonl', 'events.jsonl'].flatMap((name) => recordsOf(join(stateDir, name)));
    expect(new Set(all.map(({ type }) => type))).toEqual(
      new Set(['decision', 'outcome', 'alert', 'event', 'checkpoint']),
    );
    for (const record of all) {
      expect(recordSchema.safeParse(record).error?.issues).toBeUndefined();
      expect(record).toMatchObject({
        form: 2,
        labels: { version: expect.any(String), id: expect.any(String), replica },
        chain: { id: expect.stringMatching(/^[0-9a-f]{16}$/), seq: expect.any(Number) },
      });
      if (record.type === 'checkpoint' || record.event?.startsWith('log_')) continue;
      expect(record).toMatchObject({
        labels: { configuration: expect.stringMatching(/^[0-9a-f]{16}$/) },
        bundles: { sallyport: { revision: connector.policy.revision } },
        wasm_sha256: connector.policy.wasmSha256,
      });
    }
  });

  it('of a decision names the call, so that a copy names its original, and the credential', async () => {
    const { initialize, audit, keys, addClient } = await started();
    addClient('other');
    const handle = await initialize();
    await call({ handle, id: 7 });
    await call({ handle, id: 7 });
    await call({ handle, id: 'x'.repeat(200), key: 'other' });
    const [first, copy] = await audit('decision');
    expect(copy.result.reasons[0].code).toBe('replay.seen');
    expect([copy.rpc_id, copy.handle]).toEqual([first.rpc_id, first.handle]);
    expect(first).toMatchObject({ rpc_id: 7, handle: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(first.handle).not.toBe(handle);
    expect(first.credential).toEqual({ method: 'key', key_id: expect.stringMatching(/^[0-9a-f]{16}$/) });
    const text = JSON.stringify(await audit());
    for (const key of keys.values()) expect(text).not.toContain(key);
  });

  it('of a session names client, subject, backend and the decision that it happened for', async () => {
    const { clock, audit } = await started();
    const opening = decisionId(await call());
    clock.advance(301);
    const rotating = decisionId(await call());
    clock.advance(5);
    const revoking = decisionId(await call({ ip: ELSEWHERE }));
    await audit();
    const whose = { backend: 'inventory', client: { id: 'demo-agent', subject: 'demo-agent' } };
    expect(await events('session_opened')).toMatchObject([{ ...whose, decision_id: opening }]);
    expect(await events('session_rotated')).toMatchObject([{ ...whose, decision_id: rotating }]);
    expect(await events('session_revoked')).toMatchObject([{ ...whose, decision_id: revoking }]);
    expect((await events('session_ended')).map((event) => event.decision_id)).toEqual([rotating, revoking]);
    const outcomes = await audit('outcome');
    const [opened, rotated] = await Promise.all(['session_opened', 'session_rotated'].map(events));
    expect(outcomes.slice(0, 2).map(({ session }) => [session.id, session.opened])).toEqual([
      [opened?.[0].session, true],
      [rotated?.[0].session, true],
    ]);
  });

  it('of a session that ends by itself names no decision', async () => {
    const { connector, clock, audit } = await started();
    await call();
    clock.advance(9 * 3600);
    await connector.settled();
    await until(async () => (await events('session_ended')).length > 0, 'the session to end', 15_000);
    expect((await events('session_ended'))[0]).toMatchObject({ decision_id: null, client: { id: 'demo-agent' } });
    await audit();
  });

  it('of how a call ended says what the client got', async () => {
    const { audit } = await started();
    const item = await call();
    const list = await (h as Harness).call('stock_list');
    await call({ ip: ELSEWHERE });
    const [one, many, denied] = await audit('outcome');
    expect(one.given).toEqual({
      bytes: Buffer.byteLength(item.body.result.content[0].text),
      items: null,
      masked: ['/purchase_price'],
    });
    expect(many.given).toMatchObject({ bytes: Buffer.byteLength(list.body.result.content[0].text), items: 3 });
    expect(denied.given).toBeUndefined();
  });
});

describe('A03: who did it', () => {
  it('a file that is changed is on record with its hash before and after, its owner and its time, and nobody’s name', async () => {
    const { stateDir, addClient, audit } = await started();
    await audit();
    const file = join(stateDir, 'clients.json');
    addClient('new-one');
    const [change] = await until(async () => {
      const found = await events('file_changed');
      return found.length > 0 ? found : undefined;
    }, 'the change to be on record');
    expect(change).toMatchObject({
      ...{ part: 'identity.keys.file', file, operator: null, while_stopped: false },
      ...{ before: expect.stringMatching(/^[0-9a-f]{32}$/), after: expect.stringMatching(/^[0-9a-f]{32}$/) },
      ...{ owner: statSync(file).uid, changed_at: statSync(file).mtime.toISOString() },
    });
    expect(change.after).not.toBe(change.before);
    rmSync(file);
    await until(async () => (await events('file_changed')).some(({ after }) => after === null), 'the removal');
  });

  it('what is changed while nothing runs is found by the next start, and so is an end that was none', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-who-'));
    const state = join(dir, '.sallyport');
    const log = () => recordsOf(join(state, 'events.jsonl'));
    const first = await serve(dir);
    first.child.kill('SIGQUIT');
    expect(await first.exited).toBe(0);
    expect(log().find(({ event }) => event === 'sys_shutdown')).toMatchObject({ signal: 'SIGQUIT', operator: null });
    appendFileSync(join(state, 'clients.json'), '\n');
    const second = await serve(dir);
    const changed = await until(
      () => log().find(({ event }) => event === 'file_changed'),
      'the change to be on record',
    );
    expect(changed).toMatchObject({ part: 'identity.keys.file', while_stopped: true, operator: null });
    await until(() => existsSync(join(state, 'audit-head.json')), 'the log to be open');
    second.child.kill('SIGKILL');
    await second.exited;
    const third = await serve(dir);
    const starts = log().filter(({ event }) => event === 'sys_startup');
    expect(starts.map(({ unclean }) => unclean)).toEqual([false, false, true]);
    third.child.kill('SIGTERM');
    await third.exited;
    const keys = join(dir, 'public.json');
    writeFileSync(keys, (await run(['audit', 'keys', 'export', '--file', join(state, 'audit-keys.json')])).stdout);
    const verify = ['decisions.jsonl', 'events.jsonl'].map((name) => join(state, name));
    const verified = await run([
      'audit',
      'verify',
      ...verify,
      '--keys',
      keys,
      '--anchor',
      join(state, 'audit-head.json'),
    ]);
    expect(verified).toMatchObject({ code: 0, stderr: '' });
    rmSync(dir, { recursive: true });
  }, 60_000);
});
