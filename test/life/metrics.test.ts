// What Prometheus gets: names by its conventions, labels that no client can choose, and the state of the whole.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { endOfLife } from '../../src/life/node-release.ts';
import { type Harness, startHarness } from '../support/harness.ts';

const TOKEN = 'an-admin-token-of-forty-characters-or-so';
let h: Harness;
beforeEach(async () => {
  process.env.TEST_METRICS_TOKEN = TOKEN;
  h = await startHarness({
    edit: (yaml) =>
      yaml.replace(
        'state_dir:',
        'log: { access: true }\nadmin: { port: 0, token: { env: TEST_METRICS_TOKEN } }\nstate_dir:',
      ),
  });
});
afterEach(() => h.close());
const scrape = async () =>
  (await fetch(new URL('/metrics', h.connector.adminUrl), { headers: { authorization: `Bearer ${TOKEN}` } })).text();

it('calls, decisions, sessions, logins, credentials, times and the process are told', async () => {
  await h.call('stock_get', { sku: 'A-1' });
  await h.call('no_such_tool_but_a_clients_choice', {});
  await h.rpc('tools/list', {}, { key: 'not-a-key' });
  await h.rpc('tools/list', {}, { key: 'not.a.token' });
  await fetch(h.connector.url, { method: 'POST', headers: { 'x-forwarded-for': '10.1.2.3' } });
  await h.audit();
  const text = await scrape();
  for (const line of [
    /^sallyport_calls_total\{outcome="success"\} 1$/m,
    /^sallyport_call_seconds_count\{backend="inventory",outcome="success"\} 1$/m,
    /^sallyport_tool_decisions_total\{tool="stock_get",outcome="allow"\} 1$/m,
    /^sallyport_decision_reasons_total\{outcome="allow",reason="access.role"\} 1$/m,
    /^sallyport_sessions\{backend="inventory"\} 1$/m,
    /^sallyport_logins_total\{backend="inventory",result="success"\} 1$/m,
    /^sallyport_authentications_total\{method="key",result="success"\} \d+$/m,
    /^sallyport_authentications_total\{method="key",result="unknown_key"\} 1$/m,
    /^sallyport_authentications_total\{method="jwt",result="malformed"\} 1$/m,
    /^sallyport_authentications_total\{method="none",result="missing"\} 1$/m,
    /^sallyport_policy_evaluation_seconds_count 1$/m,
    /^sallyport_audit_write_seconds_count [1-9]\d*$/m,
    /^sallyport_audit_backlog 0$/m,
    /^sallyport_ready\{part="all"\} 1$/m,
    /^sallyport_build_info\{version="[^"]+",node="[^"]+",policy="[0-9a-f]{16}",configuration="[0-9a-f]{16}",keyring="[^"]+"\} 1$/m,
    /^process_cpu_seconds_total /m,
    /^nodejs_eventloop_lag_seconds /m,
    /^process_resident_memory_bytes /m,
  ])
    expect(text).toMatch(line);
  expect(text).not.toMatch(/clients_choice|demo-agent|10\.1\.2\.3|A-1/);
  for (const [, name] of text.matchAll(/^# TYPE (\S+) counter$/gm)) expect(name).toMatch(/_total$/);
});

it('what alerts are made of is there with 0 before the first time, so that an increase is seen', async () => {
  const text = await scrape();
  for (const line of [
    /^sallyport_alerts_total\{severity="high"\} 0$/m,
    /^sallyport_calls_total\{outcome="refused"\} 0$/m,
    /^sallyport_refusals_total\{reason="backend.deadline"\} 0$/m,
    /^sallyport_denials_total\{reason="replay.seen"\} 0$/m,
    /^sallyport_sessions_ended_total\{backend="inventory",proof="residual"\} 0$/m,
    /^sallyport_logins_total\{backend="inventory",result="failure"\} 0$/m,
    /^sallyport_connections_turned_total\{what="refused"\} 0$/m,
  ])
    expect(text).toMatch(line);
});

it('every metric stands in the documents, and every one that they name is there', async () => {
  const read = (file: string) => readFileSync(join(PACKAGE_ROOT, 'docs', file), 'utf8');
  const names = (text: string, pattern: RegExp) => new Set([...text.matchAll(pattern)].map(([, name]) => name));
  const told = names(await scrape(), /^# TYPE (sallyport_\w+) /gm);
  const [reference, guide] = ['configuration.md', 'operations.md'].map((file) =>
    names(read(file), /\b(sallyport_\w+)/g),
  );
  expect([...(reference as Set<string>)].sort()).toEqual([...told].sort());
  expect([...(guide as Set<string>)].filter((name) => !told.has(name))).toEqual([]);
});

it('a file that cannot be used is a metric', async () => {
  writeFileSync(join(h.stateDir, 'clients.json'), '{ half');
  await vi.waitFor(async () => expect(await scrape()).toMatch(/^sallyport_file_unusable\{what="clients"\} 1$/m), 5000);
});

it('R-43: the access log has path, status and who asked, and neither query nor credential', async () => {
  await fetch(new URL('/pasted-secret?secret=in-the-query', h.url));
  await fetch(new URL('/livez', h.url));
  await fetch(new URL('/livez', h.connector.adminUrl));
  await h.rpc('ping');
  await h.rpc('ping', {}, { key: 'sp_wrong' });
  await scrape();
  await fetch(new URL('/metrics?in-the-query', h.connector.adminUrl));
  await fetch(new URL('/.well-known/oauth-protected-resource/mcp', h.url));
  const requests = () => h.ops.map((line) => JSON.parse(line)).filter(({ message }) => message === 'request');
  await vi.waitFor(() => expect(requests()).toHaveLength(6), 5000);
  expect(requests()).toMatchObject([
    { listener: 'clients', method: 'GET', path: 'other', status: 404, ip: '127.0.0.1' },
    { method: 'POST', path: '/mcp', status: 200, ip: '10.1.2.3', client: 'demo-agent' },
    { method: 'POST', path: '/mcp', status: 401, ip: '10.1.2.3' },
    { listener: 'admin', method: 'GET', path: '/metrics', status: 200, operator: 'admin' },
    { listener: 'admin', method: 'GET', path: '/metrics', status: 401, ip: '127.0.0.1' },
    { listener: 'clients', path: '/.well-known/oauth-protected-resource', status: 200 },
  ]);
  expect(h.ops.join('\n')).not.toMatch(/in-the-query|Bearer|sp_|pasted/);
});

it('R-86: a body that is too large, and a connection that is cut, end no process, and the large one is answered', async () => {
  const url = new URL('/revocations', h.connector.adminUrl);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const large = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ reason: 'x'.repeat(200_000) }) });
  expect(large.status).toBe(400);
  for (const base of [h.connector.adminUrl as string, h.url]) {
    const { hostname, port } = new URL(base);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write(
      `POST /mcp HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 9999\r\n\r\n{`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.resetAndDestroy();
  }
  expect((await fetch(new URL('/livez', h.url))).status).toBe(200);
  await vi.waitFor(
    () => expect(h.ops.some((line) => /"path":"\/revocations".*"status":400/.test(line))).toBe(true),
    5000,
  );
});

it('the access log has a probe only when its answer is not 200', async () => {
  appendFileSync(join(h.stateDir, 'keyring.json'), 'broken');
  const failed = () => h.ops.filter((line) => /"path":"\/readyz".*"status":503/.test(line));
  await vi.waitFor(async () => {
    await fetch(new URL('/readyz', h.url));
    expect(failed().length).toBeGreaterThan(0);
  }, 6000);
  expect(h.ops.join('\n')).not.toMatch(/"path":"\/readyz".*"status":200/);
}, 10_000);

it('a change of readiness is one line with its cause', async () => {
  appendFileSync(join(h.stateDir, 'keyring.json'), 'broken');
  await vi.waitFor(() => expect(h.ops.filter((line) => /"not ready"/.test(line))).toHaveLength(1), 6000);
  expect(h.ops.join('\n')).toMatch(/"message":"not ready","failing":"keyring"/);
}, 10_000);

it('a release of Node that gets no fixes any more is named', () => {
  const day = (text: string) => Date.parse(text);
  expect(endOfLife('v20.19.0', day('2026-11-01'))).toBe('2026-04-30');
  expect(endOfLife('v20.19.0', day('2026-04-01'))).toBeUndefined();
  expect(endOfLife('v24.1.0', day('2026-11-01'))).toBeUndefined();
  expect(endOfLife('v99.0.0', day('2099-11-01'))).toBeUndefined();
});
