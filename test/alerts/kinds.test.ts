import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { watchLogins } from '../../src/connector/logins.ts';
import { ALERTS } from '../../src/decision/alerts/codes.ts';
import type { SessionEvent } from '../../src/session/events.ts';
import { createCertificates } from '../support/certificates.ts';
import { front } from '../support/fronted.ts';
import { ELSEWHERE, type Harness, type Loose, startHarness, until } from '../support/harness.ts';
import { call as callPage, connect, connector, EXPIRED, ok, serve } from '../support/one-app.ts';
import { startCollector } from '../support/receivers.ts';
import { freePort } from '../support/redis.ts';

const open: { close(): unknown }[] = [];
const kept = <T extends { close(): unknown }>(part: T): T => {
  open.push(part);
  return part;
};
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

const ADMIN = 'admin: { port: 0, token: { env: ALERT_ADMIN_TOKEN } }\nstate_dir:';
const TOKEN = 'admin-token-of-the-alerts-0123456789abcdef';
const start = async (edit = (yaml: string) => yaml): Promise<Harness> => {
  process.env.ALERT_ADMIN_TOKEN = TOKEN;
  return kept(
    await startHarness({
      clients: { other: ['clerk'] },
      edit: (yaml) => edit(yaml.replace('state_dir:', ADMIN)),
    }),
  );
};
const admin = (app: Harness, path: string, body?: object, token = TOKEN) =>
  fetch(new URL(path, app.connector.adminUrl), {
    headers: { authorization: `Bearer ${token}` },
    ...(body && { method: 'POST', body: JSON.stringify({ reason: 'a drill', ...body }) }),
  });
/** What is open, by code. */
const incidents = async (app: Harness): Promise<Record<string, Loose[]>> => {
  const { incidents: all } = (await (await admin(app, '/api/v1/alerts')).json()) as Loose;
  const byCode: Record<string, Loose[]> = {};
  for (const incident of all) byCode[incident.code] = [...(byCode[incident.code] ?? []), incident];
  return byCode;
};
const opened = (app: Harness, code: string) => until(async () => (await incidents(app))[code], `the alert ${code}`);

describe('R-63, R-64: what is an alert', () => {
  it('R-63: a handle of another client, and one that was revoked; each with the client, and the answer tells neither', async () => {
    const app = await start();
    const handle = await app.initialize();
    const answer = await app.rpc('ping', {}, { handle, key: app.keys.get('other') as string });
    const unknown = await app.rpc('ping', {}, { handle: 'no-such-handle' });
    await admin(app, '/revocations', { client: 'demo-agent' });
    app.clock.advance(1);
    const revoked = await app.rpc('ping', {}, { handle });
    for (const each of [answer, revoked])
      expect([each.status, each.body.error]).toEqual([unknown.status, unknown.body.error]);
    expect((await opened(app, 'handle.foreign'))[0].client.id).toBe('other');
    expect((await opened(app, 'handle.revoked'))[0].client.id).toBe('demo-agent');
    const events = (await app.audit('event')).filter(({ event }) => event === 'session_use_fail');
    expect(events.map(({ failure, cause }) => [failure, cause])).toEqual([
      ['unknown_handle', 'foreign'],
      ['unknown_handle', undefined],
      ['unknown_handle', 'revoked'],
    ]);
  });

  it('R-63: a replay and two networks, with tool, backend, session and the parameters of the finding', async () => {
    const app = await start();
    const handle = await app.initialize();
    await app.call('stock_list', {}, { handle, id: 7 });
    await app.call('stock_list', {}, { handle, id: 7 });
    await app.call('stock_list', {}, { handle, id: 8, ip: ELSEWHERE });
    const [replayed] = await opened(app, 'replay.seen');
    expect(replayed).toMatchObject({
      tool: 'stock_list',
      backend: 'inventory',
      severity: 'high',
      params: { rpc_id: 7 },
    });
    const [apart] = await opened(app, 'binding.concurrent_networks');
    expect(apart.session).toMatch(/^[\w-]+$/);
    expect(apart.params).toMatchObject({ crossing: 'first', overlap_seconds: 120 });
  });

  it('R-64: guessing of clients, by network, and of the admin token', async () => {
    const app = await start((yaml) => yaml.replace('proxy_hops:', 'limits: { failures_per_minute: 3 }\nproxy_hops:'));
    for (let i = 0; i < 6; i++) {
      await app.rpc('ping', {}, { key: 'wrong', ip: '203.0.113.7' });
      await app.rpc('ping', {}, { key: 'wrong', ip: '198.51.100.7' });
      await admin(app, '/metrics', undefined, 'wrong-token');
    }
    const guesses = await until(async () => {
      const found = (await incidents(app))['authn.too_many_failures'];
      return found?.length === 2 ? found : undefined;
    }, 'both networks');
    expect(guesses.map(({ params }: Loose) => params.network).sort()).toEqual(['198.51.100.0/24', '203.0.113.0/24']);
    await opened(app, 'admin.too_many_failures');
  });

  it('R-25, R-63: a backend session that lives on after its logout', async () => {
    await serve(({ path, response }) =>
      path === '/logout'
        ? response.writeHead(500).end()
        : ok(response, path === '/me' ? '{"user":"anna"}' : 'Sign out'),
    );
    await connect(
      `${EXPIRED}\nassert: [{ body_contains: Sign out }]\nlogout: { request: { path: /logout } }\nprobe: { request: { path: /me } }`,
    );
    await callPage('page');
    const { stateDir } = connector;
    await connector.connector.close();
    const records = readFileSync(`${stateDir}/events.jsonl`, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(records.find(({ reasons }) => reasons?.[0] === 'session.residual')).toMatchObject({
      ...{ severity: 'medium', backend: 'app', client: { id: 'agent' } },
      session: expect.any(String),
    });
  });

  it('R-64: a backend that does not take logins until it does, and an account that is near its lock-out', async () => {
    let refuses = true;
    const legacy = createServer((request, response) => {
      request.resume();
      if (request.url !== '/login') return response.end('{}');
      if (refuses) return response.writeHead(403).end();
      return response.writeHead(200, { 'set-cookie': 'S=session-1; Path=/' }).end();
    });
    await new Promise<void>((resolve) => legacy.listen(0, '127.0.0.1', resolve));
    kept({ close: () => legacy.close() });
    const { port } = legacy.address() as { port: number };
    const app = await start((yaml) =>
      yaml
        .replace(
          'backends:\n',
          `backends:\n  crm:\n    url: http://127.0.0.1:${port}\n    login: [{ request: { method: POST, path: /login }, expect: { status: 200 } }]\n    session: { cookies: [S] }\n    expired: [{ status: 401 }]\n`,
        )
        .replace(
          'tools:\n',
          'tools:\n  crm_get: { backend: crm, description: Get, effect: read, request: { path: /x } }\n',
        ),
    );
    const call = () => app.call('crm_get', {}, { key: app.keys.get('boss') ?? app.addClient('boss', ['manager']) });
    await until(async () => (await call()).status === 200, 'the client to be known');
    for (let i = 0; i < 4; i++) {
      await call();
      app.clock.advance(31);
    }
    expect((await opened(app, 'backend.login_failing'))[0].params).toMatchObject({ backend: 'crm' });
    expect((await opened(app, 'backend.account_near_lockout'))[0]).toMatchObject({
      severity: 'high',
      backend: 'crm',
      client: null,
    });
    refuses = false;
    await call();
    await until(async () => !(await incidents(app))['backend.login_failing'], 'the state to be over');
  });

  it('R-64: accounts are counted apart where clients have their own, and a login that succeeds begins anew', () => {
    const told: [string, number, string | undefined][] = [];
    const watch = watchLogins(
      {
        session: async () => {},
        loginsFail: () => {},
        accountRefused: (backend, times, client) => void told.push([backend, times, client?.id]),
      },
      { info() {}, warn() {}, error() {} },
      new Set(['own']),
    );
    const fail = (backend: string, id: string, refused = true) =>
      void watch.events({
        type: 'login_failed',
        backend,
        refused,
        detail: 'd',
        cause: 'c',
        client: { id, subject: id, issuer: 'i' },
      });
    for (const id of ['a', 'b', 'a', 'b']) fail('own', id);
    for (const id of ['a', 'b', 'c']) fail('shared', id);
    for (let i = 0; i < 9; i++) fail('down', 'a', false);
    expect(told).toEqual([['shared', 3, undefined]]);
    const record = { backend: 'own', bound: { client_id: 'a', subject: 'a' }, issuer: 'i' };
    void watch.events({ type: 'session_opened', record, cause: 'c' } as unknown as SessionEvent);
    for (const id of ['a', 'b']) fail('own', id);
    expect(told.slice(1)).toEqual([['own', 3, 'b']]);
  });

  it('R-64: a certificate that ends soon is told, another one in its place is not', async () => {
    const certificates = createCertificates();
    try {
      const { certFile, keyFile } = certificates.make('listener', undefined, 5);
      const app = await start((yaml) =>
        yaml.replace('admin: { port: 0,', `admin: { port: 0, tls: { cert_file: ${certFile}, key_file: ${keyFile} },`),
      );
      const near = async () => (await app.audit('alert')).find(({ reasons }) => reasons[0] === 'expiry.near');
      expect((await until(near, 'the certificate to be told')).params.what).toBe('admin.tls.cert_file');
    } finally {
      certificates.remove();
    }
  });

  it.skipIf(inject('rsyslog') === null)(
    'R-64: a receiver that was removed from the configuration, and one whose connection broke',
    async () => {
      const port = await freePort();
      const collector = await startCollector(inject('rsyslog') as string, port);
      process.env.GONE_SECRET = `whsec_${Buffer.alloc(32).toString('base64')}`;
      const receivers = `\nalerts: { receivers: { old: { type: command, command: ["true"] }, collector: { type: syslog, host: 127.0.0.1, port: ${port}, tls: false } } }\n`;
      try {
        const first = await front({ yaml: `backends: {}${receivers}` });
        const { stateDir } = first;
        await first.connector.close();
        const second = await front({
          yaml: `state_dir: ${stateDir}\nbackends: {}${receivers.replace('old: { type: command, command: ["true"] }, ', '')}`,
        });
        try {
          const removed = async () => {
            await second.connector.settled();
            return readFileSync(join(stateDir, 'events.jsonl'), 'utf8').includes('alerts.receiver_removed');
          };
          await until(removed, 'the removal to be told');
          await until(
            () => collector.alerts().some(({ data }) => data.code === 'alerts.receiver_removed'),
            'the others to be told',
          );
        } finally {
          await second.close();
          await first.close();
        }
      } finally {
        await collector.remove();
      }
    },
  );

  it('every code of the connector has a title, a mend and a severity, and none is a code of a policy', () => {
    for (const [code, { title, mend, severity }] of Object.entries(ALERTS)) {
      expect(code).toMatch(/^[a-z]+\.[a-z_]+$/);
      expect(title).not.toMatch(/\.$/);
      expect(mend.length).toBeGreaterThan(10);
      expect(['low', 'medium', 'high']).toContain(severity);
    }
  });
});
