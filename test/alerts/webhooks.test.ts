import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { payloadSchema } from '../../src/alerts/receivers/payload.ts';
import { writePrivateFile } from '../../src/core/files/private-file.ts';
import { createCertificates } from '../support/certificates.ts';
import { type Harness, startHarness, until } from '../support/harness.ts';
import { signingSecret, startWebReceiver, type WebReceiver } from '../support/receivers.ts';

const OLD = signingSecret('the old secret');
const NEW = signingSecret('the new secret');
const open: { close(): Promise<void> }[] = [];
const kept = <T extends { close(): Promise<void> }>(part: T): T => {
  open.push(part);
  return part;
};

afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

const RETRY = 'retry: { first_seconds: 0.05, longest_seconds: 0.2 }';
/** The settings of one receiver named "hook", which has its secrets in files of the state folder. */
const hook =
  (receiver: WebReceiver, more = '') =>
  (yaml: string) => {
    return `${yaml}
alerts:
  receivers:
    hook:
      type: webhook
      url: ${receiver.url}
      secrets: [{ env: HOOK_OLD }, { env: HOOK_NEW }]
      ${RETRY}
      ${more}
`;
  };

async function harness(receiver: WebReceiver, more = ''): Promise<Harness> {
  process.env.HOOK_OLD = OLD;
  process.env.HOOK_NEW = NEW;
  return kept(await startHarness({ edit: hook(receiver, more), clients: { thief: ['clerk'] } }));
}

/** The same call twice in one conversation. */
async function replay(app: Harness, key = app.key): Promise<void> {
  const handle = await app.initialize({ key });
  for (let i = 0; i < 2; i++) await app.call('stock_list', {}, { handle, key, id: 7 });
}

/** A handle of one client in the hands of another: one alert of the connector. */
async function stolenHandle(app: Harness, as = 'thief'): Promise<void> {
  const handle = await app.initialize();
  await app.rpc('ping', {}, { handle, key: app.keys.get(as) as string });
}

describe('R-63: alerts by webhook', () => {
  it('a replay and a foreign handle reach the receiver, signed with both secrets, which a library of Standard Webhooks accepts', async () => {
    const receiver = kept(await startWebReceiver());
    const app = await harness(receiver);
    await stolenHandle(app);
    await replay(app);
    await receiver.has(2);
    for (const { headers, text } of receiver.received) {
      expect(String(headers['webhook-signature']).split(' ')).toHaveLength(2);
      for (const secret of [OLD, NEW])
        expect(new Webhook(secret).verify(text, headers as Record<string, string>)).toBeTruthy();
      expect(() => new Webhook(signingSecret('another')).verify(text, headers as Record<string, string>)).toThrow();
    }
    const byCode = Object.fromEntries(receiver.taken.map((body) => [body.data.code, body]));
    expect(Object.keys(byCode).sort()).toEqual(['handle.foreign', 'replay.seen']);
    for (const body of receiver.taken) expect(payloadSchema.safeParse(body).error).toBeUndefined();
    expect(byCode['replay.seen'].data).toMatchObject({
      ...{ severity: 'high', count: 1, tool: 'stock_list', backend: 'inventory', client: { id: 'demo-agent' } },
      session: expect.stringMatching(/^[\w-]{8,}/),
    });
    expect(byCode['handle.foreign'].data.client.id).toBe('thief');
  });

  it('eight replays are one alert, then how many followed, then that it is over; each is on record by itself', async () => {
    const receiver = kept(await startWebReceiver());
    const app = await harness(receiver);
    const handle = await app.initialize();
    for (let i = 0; i < 9; i++) await app.call('stock_list', {}, { handle, id: 7 });
    await receiver.has(1);
    app.clock.advance(300);
    await receiver.has(2);
    app.clock.advance(300);
    await receiver.has(3);
    const [first, more, over] = receiver.taken;
    expect([first, more, over].map(({ type, data }) => [type, data.count])).toEqual([
      ['alert.triggered', 1],
      ['alert.repeated', 7],
      ['alert.resolved', 8],
    ]);
    expect(new Set(receiver.taken.map(({ data }) => data.incident)).size).toBe(1);
    expect(new Set(receiver.taken.map(({ data }) => data.id)).size).toBe(3);
    expect(await app.audit('alert')).toHaveLength(8);
    // The next one is a new incident.
    await app.call('stock_list', {}, { handle, id: 7 });
    await receiver.has(4);
    expect(receiver.taken[3]).toMatchObject({ type: 'alert.triggered', data: { count: 1 } });
    expect(receiver.taken[3].data.id).not.toBe(first.data.id);
  });

  it('the same about another client or another session is told by itself', async () => {
    const receiver = kept(await startWebReceiver());
    const app = await harness(receiver);
    for (const key of [app.key, app.keys.get('thief') as string]) await replay(app, key);
    await receiver.has(2);
    await app.connector.close();
    expect(receiver.taken.map(({ data }) => data.client.id)).toEqual(['demo-agent', 'thief']);
  });

  it('a receiver that hangs costs no call anything, and gets the alert when it answers again, with the same id', async () => {
    const receiver = kept(await startWebReceiver());
    receiver.status = undefined;
    const app = await harness(receiver, 'timeout_seconds: 0.3');
    await replay(app);
    await until(() => receiver.received.length > 0, 'the first attempt');
    expect((await app.call('stock_list')).body.result.isError).toBeFalsy();
    for (const status of [503, 500, 429, 302]) {
      receiver.status = status;
      receiver.headers = { location: 'http://127.0.0.1:9/elsewhere' };
      const tried = receiver.received.length;
      await until(() => receiver.received.length > tried + 1, `another attempt after ${status}`);
    }
    receiver.status = 200;
    await receiver.has(1);
    const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
    // A receiver that fails is an alert, too, and it is not told to the one that fails.
    expect(new Set(ids).size).toBe(1);
    const alerts = await app.audit('alert');
    expect(alerts.find(({ reasons }) => reasons[0] === 'alerts.receiver_failing').params).toMatchObject({
      receiver: 'hook',
    });
    const told = async () => (await app.audit('event')).filter(({ event }) => event === 'alert_receiver');
    await until(async () => (await told()).length === 2, 'the receiver to be well again');
    expect(await told()).toMatchObject([
      { failing: true, receiver: 'hook' },
      { failing: false, receiver: 'hook' },
    ]);
    expect(JSON.stringify([...alerts, ...app.ops])).not.toContain('a word of the receiver');
  });

  it('pauses between attempts grow, and a Retry-After of the receiver holds', async () => {
    const receiver = kept(await startWebReceiver());
    receiver.status = 429;
    receiver.headers = { 'retry-after': '1' };
    const app = await harness(receiver);
    await replay(app);
    await until(() => receiver.received.length === 2, 'the second attempt');
    const [first, second] = receiver.received;
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(990);
  });

  it('a secret is replaced by a reload, both are signed with meanwhile, and one that is none changes nothing', async () => {
    const receiver = kept(await startWebReceiver());
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-hook-'));
    kept({ close: async () => rmSync(dir, { recursive: true, force: true }) });
    const file = join(dir, 'secret');
    writePrivateFile(file, OLD);
    const app = kept(
      await startHarness({
        edit: (yaml) =>
          `${yaml}\nalerts: { receivers: { hook: { type: webhook, url: "${receiver.url}", secrets: [{ file: ${file} }] } } }\n`,
        clients: { thief: ['clerk'] },
      }),
    );
    await stolenHandle(app);
    await receiver.has(1);
    writePrivateFile(file, 'whsec_short');
    const act = { operator: 'signal', reason: 'r', ip: '' };
    const refused = app.connector.reload(act);
    expect(refused.parts.find(({ part }) => part === 'alerts.receivers.hook')).toMatchObject({
      result: 'refused',
      detail: expect.stringContaining('a signing secret is "whsec_" and 24 to 64 random bytes in base64'),
    });
    writePrivateFile(file, NEW);
    expect(app.connector.reload(act).parts).toContainEqual({ part: 'alerts.receivers.hook', result: 'changed' });
    await replay(app);
    await receiver.has(2);
    const [first, second] = receiver.received;
    const accepts = (secret: string, of: typeof first) => () =>
      new Webhook(secret).verify(of?.text ?? '', of?.headers as Record<string, string>);
    expect(accepts(OLD, first)).not.toThrow();
    expect(accepts(NEW, second)).not.toThrow();
    expect(accepts(OLD, second)).toThrow();
    // Whoever changes where alerts go, or what they are signed with, is on record.
    await until(
      async () => (await app.audit('event')).some(({ event, part }) => event === 'file_changed' && /hook/.test(part)),
      'the change of the file',
    );
  });

  it('one alert that the receiver will not have keeps no other from it, and is tried again', async () => {
    const receiver = kept(await startWebReceiver());
    receiver.status = 400;
    const app = await harness(receiver);
    await replay(app);
    await until(() => receiver.received.length === 1, 'the first attempt');
    receiver.status = 200;
    await stolenHandle(app);
    await receiver.has(1);
    expect(receiver.taken[0].data.code).toBe('handle.foreign');
    app.clock.advance(2);
    await receiver.has(2);
    expect(receiver.taken[1].data.code).toBe('replay.seen');
  });

  it('over TLS only with a certificate that is trusted, also where it is for another name', async () => {
    const certificates = createCertificates();
    try {
      const server = certificates.make('receiver');
      const other = certificates.make('other');
      const receiver = kept(await startWebReceiver({ tls: server }));
      const untrusting = await harness(receiver, `ca_file: ${other.certFile}`);
      await replay(untrusting);
      const problem = () =>
        untrusting.audit('event').then((all) => all.find(({ event }) => event === 'alert_receiver'));
      expect((await until(problem, 'the receiver to fail')).problem).toMatch(
        /^its certificate is not trusted \(\w+\); set ca_file/,
      );
      expect(receiver.received).toEqual([]);
      const trusting = await harness(receiver, `ca_file: ${server.certFile}`);
      await replay(trusting);
      await receiver.has(1);
    } finally {
      certificates.remove();
    }
  });

  it('R-40: where an alert cannot be delivered neither the address nor a secret is told', async () => {
    process.env.CHAT_URL = 'https://127.0.0.1:1/services/T0-SECRET-PATH';
    const receiver = kept(await startWebReceiver());
    const app = kept(
      await startHarness({
        edit: (yaml) => `${hook(receiver)(yaml)}    chat: { type: slack, url: { env: CHAT_URL }, ${RETRY} }\n`,
      }),
    );
    process.env.HOOK_OLD = OLD;
    await replay(app);
    await receiver.has(2);
    const failing = receiver.taken.find(({ data }) => data.code === 'alerts.receiver_failing');
    expect(failing.data.params).toMatchObject({ receiver: 'chat', problem: 'no connection (ECONNREFUSED)' });
    const told = JSON.stringify([receiver.received, await app.audit(), app.ops]);
    for (const secret of ['SECRET-PATH', OLD.slice(6), NEW.slice(6), Buffer.from(OLD.slice(6), 'base64').toString()])
      expect(told).not.toContain(secret);
  });
});
