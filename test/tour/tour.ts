// `npm run tour`: the product in under 20 seconds, with real parts on free ports and the SDK's own
// client. Prints a transcript; exit 0 only if everything went as it should.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { paint, print } from '../../src/cli/output.ts';
import { startConnector } from '../../src/connector.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { prepareDemo } from '../../src/demo/start.ts';

interface LogLine {
  type: string;
  event?: string;
  decision_id?: string;
  requested_by?: string;
  severity?: string;
  reasons?: string[];
  outcome?: string;
  proof?: string;
  generation?: number;
  session?: { id: string; generation: number } | null;
  result?: { outcome: string; reasons: { code: string; params: object }[]; obligations: { type: string }[] };
}

const OFFICE = '10.20.30.40';
const CAFE = '198.51.100.23';

const stateDir = mkdtempSync(join(tmpdir(), 'sallyport-tour-'));
// The clock shows real time plus skipped time, so that the tour does not have to wait for an hour to pass.
let skipped = 0;
const system = createSystemClock();
const clock = { now: () => system.now() + skipped };
const wait = (seconds: number): void => {
  skipped += seconds * 1000;
};

const demo = await prepareDemo({
  stateDir,
  now: clock.now,
  // The tour plays the balancer in front of the connector, so that it can call from two networks.
  edit: (yaml) => yaml.replace('port: 8787', 'port: 0').replace('state_dir:', 'proxy_hops: 1\nstate_dir:'),
});
const connector = await startConnector({ config: demo.config, env: demo.env, clock });
const key = readFileSync(demo.keyFile, 'utf8').trim();

let failures = 0;
const { audit } = demo.config;
const files = [audit.file, audit.events.file];
const told = new Map<string, number>();

/** Prints the records written since the last step, those of decisions before those of events. */
async function showLog(): Promise<LogLine[]> {
  await connector.settled();
  const fresh = files.flatMap((file) => {
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    const before = told.get(file) ?? 0;
    told.set(file, lines.length);
    return lines.slice(before).map((line) => JSON.parse(line) as LogLine);
  });
  const shown = fresh.filter(({ type, event }) => type !== 'checkpoint' && event !== 'log_started');
  for (const r of shown) print(`    ${paint('dim', 'audit')} ${describe(r)}`);
  return shown;
}

function describe(r: LogLine): string {
  const id = r.decision_id ? ` ${r.decision_id.slice(0, 8)}` : '';
  switch (r.type) {
    case 'decision': {
      const reasons = r.result?.reasons.map(({ code, params }) =>
        Object.keys(params).length > 0 ? `${code} ${JSON.stringify(params)}` : code,
      );
      return `decision${id}  ${r.result?.outcome.padEnd(6)} from ${r.requested_by}  because ${reasons?.join(', ')}`;
    }
    case 'outcome':
      return `outcome ${id}  ${r.outcome}${r.session ? `  session ${r.session.id.slice(0, 8)} generation ${r.session.generation}` : ''}`;
    case 'alert':
      return `alert   ${id}  ${r.severity}  ${r.reasons?.join(', ')}`;
    default:
      return `event    ${r.event}${r.generation === undefined ? '' : `  generation ${r.generation}`}${r.proof ? `  old session is ${r.proof}` : ''}`;
  }
}

function expect(what: string, holds: boolean): void {
  if (!holds) failures += 1;
  print(`    ${holds ? paint('green', 'ok  ') : paint('red', 'FAIL')} ${what}`);
}

async function connectFrom(ip: string): Promise<{ client: Client; transport: StreamableHTTPClientTransport }> {
  const client = new Client({ name: 'tour', version: '1' });
  const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': ip };
  const transport = new StreamableHTTPClientTransport(new URL(connector.url), { requestInit: { headers } });
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return { client, transport };
}

const heading = (number: number, text: string): void => print(`\n${paint('bold', `${number}. ${text}`)}`);
const decisions = (records: LogLine[]): string[] =>
  records.filter((r) => r.type === 'decision').map((r) => r.result?.outcome ?? '');
const textOf = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';

try {
  print(`Sallyport at ${connector.url}, policy revision ${connector.policy.revision}`);
  print(`before a legacy inventory system at ${demo.legacy.url}`);
  await showLog();

  heading(1, 'An allowed call: the connector logs in and keeps the session; the client never sees it');
  const office = await connectFrom(OFFICE);
  const item = await office.client.callTool({ name: 'stock_get', arguments: { sku: 'A-1' } });
  print(`    result ${textOf(item)}`);
  let records = await showLog();
  expect('the policy allowed it', decisions(records).join() === 'allow');
  expect('one login at the legacy system', demo.legacy.stats().logins === 1);
  expect('the purchase price is masked for a clerk', textOf(item).includes('[masked]'));

  heading(2, 'A rotation by age: six minutes later the token is too old, and replaced before the call');
  wait(360);
  await office.client.callTool({ name: 'stock_get', arguments: { sku: 'B-2' } });
  records = await showLog();
  expect('the policy ordered a rotation', decisions(records).join() === 'rotate');
  expect(
    'the old backend session is dead',
    records.some((r) => r.event === 'session_ended' && r.proof === 'dead'),
  );
  expect('one live session at the legacy system', demo.legacy.stats().liveSessions === 1);

  heading(3, 'A replay: the same JSON-RPC id in the same conversation is denied');
  const copy = { jsonrpc: '2.0', id: 41, method: 'tools/call', params: { name: 'stock_list', arguments: {} } };
  const send = () =>
    fetch(connector.url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'x-forwarded-for': OFFICE,
        'mcp-session-id': office.transport.sessionId ?? '',
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(copy),
    }).then((answer) => answer.json() as Promise<{ result: unknown }>);
  await send();
  const replayed = await send();
  print(`    result ${textOf(replayed.result)}`);
  records = await showLog();
  expect('first allowed, then denied', decisions(records).join() === 'allow,deny');
  expect(
    'an alert of severity high',
    records.some((r) => r.type === 'alert' && r.severity === 'high'),
  );

  heading(4, 'A denial by network change: the same key, seconds later, from another network');
  wait(5);
  const thief = await connectFrom(CAFE);
  const stolen = await thief.client.callTool({ name: 'stock_list' });
  print(`    result ${textOf(stolen)}`);
  records = await showLog();
  expect('the policy denied it', decisions(records).join() === 'deny');
  expect(
    'the session was revoked',
    records.some((r) => r.event === 'session_revoked'),
  );
  expect('no session is left at the legacy system', demo.legacy.stats().liveSessions === 0);

  const everything = files.map((file) => readFileSync(file, 'utf8')).join('');
  const tokens = [...demo.legacy.stats().callsBySession.keys()];
  heading(5, 'What the log knows');
  expect(
    `none of ${tokens.length} session tokens, nor the key, stands in the log`,
    [...tokens, key].every((secret) => !everything.includes(secret)),
  );
  await Promise.all([office.client.close(), thief.client.close()]);
} catch (thrown) {
  failures += 1;
  print(paint('red', `\nthe tour broke off: ${thrown instanceof Error ? thrown.message : String(thrown)}`));
} finally {
  await connector.close();
  await demo.legacy.close();
  rmSync(stateDir, { recursive: true, force: true });
}
print(
  failures === 0
    ? paint('green', '\nEverything went as it should.')
    : paint('red', `\n${failures} things did not go as they should.`),
);
process.exitCode = failures === 0 ? 0 : 1;
