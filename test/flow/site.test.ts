// Rules of a site on a running connector: those of examples/policies, built by the command that a site uses.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { attributesFile, setAttributes } from '../../src/identity/api-keys/attributes.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { run } from '../support/cli.ts';
import { createTestClock } from '../support/clock.ts';
import { type Harness, type HarnessOptions, reasons, startHarness } from '../support/harness.ts';

const opa = inject('opa');
let dir: string;
let h: Harness | undefined;
beforeAll(async () => {
  if (!opa) return;
  dir = mkdtempSync(join(tmpdir(), 'sallyport-site-'));
  cpSync(join(PACKAGE_ROOT, 'examples', 'policies'), dir, { recursive: true });
  const built = await run(['policy', 'build', '--dir', dir], { env: { OPA: opa.path } });
  if (built.code !== 0) throw new Error(built.stderr);
}, 60_000);
afterAll(() => dir && rmSync(dir, { recursive: true, force: true }));
afterEach(async () => {
  await h?.close();
  h = undefined;
});

/** Tools that take what the rules ask for: an incident, a confirmation. */
const edit = (yaml: string): string =>
  yaml.replaceAll(
    'sku: { type: string, minLength: 1, maxLength: 40 }\n',
    'sku: { type: string, minLength: 1, maxLength: 40 }\n        incident: { type: string, maxLength: 40 }\n        confirm: { type: boolean }\n',
  );
// Monday, 09:00 UTC: 10:00 in Berlin.
const start = async (options: HarnessOptions = {}) => {
  h = await startHarness({ policyDir: dir, edit, ...options });
  return h;
};
/** A client with roles and the attribute by which the rules tell its tenant. */
function client(roles: string[], tenant = 'A'): { key: string; ip: string } {
  const harness = h as Harness;
  const file = join(harness.stateDir, 'clients.json');
  const id = `${roles.join('-')}-${tenant}`;
  const key = addClient(file, readClientFile(file), {
    id,
    roles,
    scopes: ['stock:write'],
    now: new Date(harness.clock.now()),
  }).reveal();
  setAttributes(attributesFile(file), id, { tenant });
  return { key, ip: '10.1.2.3' };
}
/** The client file is read again within a second. */
const seen = async (who: { key: string }) => {
  for (;;) {
    const answer = await (h as Harness).call('stock_get', { sku: 'A-1' }, who);
    if (answer.status === 200 && !reasons(answer).includes('tenant.foreign')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
const ok = (answer: { body: { result?: { isError?: boolean } } }) =>
  answer.body.result !== undefined && answer.body.result.isError === undefined;

describe.skipIf(!opa)('R-72: what a site asks for, by rules of its own on a running connector (needs OPA)', () => {
  it('tenant by claim, office hours of a zone, a limit by argument, deny at night', async () => {
    const harness = await start();
    const clerk = client(['clerk']);
    await seen(clerk);
    expect(reasons(await harness.call('stock_get', { sku: 'B-7' }, clerk))).toEqual(['tenant.foreign']);
    expect(reasons(await harness.call('stock_adjust', { sku: 'A-1', delta: 101 }, clerk))).toEqual([
      'amount.too_large',
    ]);
    expect(ok(await harness.call('stock_adjust', { sku: 'A-1', delta: 1 }, clerk))).toBe(true);
    // 18:30 in Berlin, which is 17:30 UTC.
    harness.clock.advance(8.5 * 3600);
    expect(reasons(await harness.call('stock_adjust', { sku: 'A-1', delta: 1 }, clerk))).toContain(
      'office_hours.closed',
    );
    harness.clock.advance(8.5 * 3600);
    expect(reasons(await harness.call('stock_adjust', { sku: 'A-1', delta: 1 }, clerk)).sort()).toEqual([
      'night.closed',
      'office_hours.closed',
    ]);
    const { input } = (await harness.audit('decision')).at(-1);
    expect(input.time.zones).toEqual({
      'Europe/Berlin': { date: '2026-11-24', weekday: 'tuesday', hour: 3, minute: 0 },
    });
    expect(input.client.claims).toEqual({ tenant: 'A' });
  });

  it('contractors by network, break-glass with evidence, more networks than a person is in', async () => {
    const harness = await start();
    const contractor = client(['contractor']);
    const onCall = client(['on_call']);
    const clerk = client(['clerk']);
    await seen(clerk);
    expect(reasons(await harness.call('stock_get', { sku: 'A-1' }, contractor))).toEqual(['contractors.outside']);
    expect(ok(await harness.call('stock_get', { sku: 'A-1' }, { ...contractor, ip: '10.8.3.4' }))).toBe(true);
    expect(reasons(await harness.call('stock_get', { sku: 'A-1' }, onCall))).toEqual(['access.no_rule']);
    expect(ok(await harness.call('stock_get', { sku: 'A-1', incident: 'INC-secret' }, onCall))).toBe(true);
    const decision = (await harness.audit('decision')).at(-1);
    expect(decision.result).toMatchObject({
      outcome: 'allow',
      reasons: [{ code: 'break_glass.used', params: { incident: expect.stringMatching(/^pseudonym:/) } }],
      observed: [{ code: 'break_glass.declared', params: {} }],
    });
    // The incident is an argument that the audit list of the tool does not name, so the log does not have it anywhere.
    expect(decision.masked).toEqual(['/result/reasons/0/params/incident']);
    expect(JSON.stringify(await harness.audit())).not.toContain('INC-secret');
    const [alert] = await harness.audit('alert');
    expect(alert).toMatchObject({
      severity: 'high',
      reasons: ['break_glass.declared'],
      params: expect.any(Object),
      tool: 'stock_get',
      backend: 'inventory',
    });
    for (const ip of ['10.1.3.1', '10.1.4.1', '10.1.5.1']) {
      harness.clock.advance(600);
      await harness.call('stock_get', { sku: 'A-1' }, { ...clerk, ip });
    }
    expect(reasons(await harness.call('stock_get', { sku: 'A-1' }, { ...clerk, ip: '10.1.5.1' }))).toContain(
      'travel.networks',
    );
  });

  it('the first use in 90 days is denied until it is repeated with a confirmation; each such call gets a session of its own', async () => {
    const harness = await start({ clock: createTestClock() });
    const manager = client(['manager']);
    await seen(manager);
    const handle = await harness.initialize(manager);
    const writeOff = (sku: string, more = {}) =>
      harness.call('stock_write_off', { sku, ...more }, { ...manager, handle });
    expect(reasons(await writeOff('A-1'))).toEqual(['first_use.unconfirmed']);
    expect(reasons(await writeOff('A-1'))).toEqual(['first_use.unconfirmed']);
    const before = harness.legacy.stats().logins;
    expect(ok(await writeOff('A-1', { confirm: true }))).toBe(true);
    expect(harness.legacy.stats().logins).toBe(before + 1);
    // Used once: no confirmation is asked for any more.
    expect(reasons(await writeOff('A-2'))).not.toContain('first_use.unconfirmed');
    expect((await harness.audit('decision')).at(-1).input.usage.tool).toEqual({ calls_90d: 1, last_seconds: 0 });
  });
});

describe.skipIf(!opa)('masks, limits and hidden tools of a site (needs OPA)', () => {
  it('R-70: a required mask that meets nothing withholds the result, another is on record and counted, a limit is told', async () => {
    const own = mkdtempSync(join(tmpdir(), 'sallyport-site-'));
    try {
      cpSync(join(PACKAGE_ROOT, 'policies'), own, { recursive: true });
      cpSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), join(own, 'data.yaml'));
      const rule = `package site.results

masks contains {"pointers": ["/purchase_prize"], "except_roles": [], "required": true} if input.tool.name == "stock_get"

masks contains {"pointers": ["/items/*/purchase_prize"], "except_roles": []} if input.tool.name == "stock_list"

limits contains {"pointer": "/items", "items": 1, "except_roles": ["manager"]} if input.tool.name == "stock_list"

# METADATA
# scope: rule
# schemas:
#   - input: schema.listing
visible contains tool.name if {
	some tool in input.tools
	tool.effect == "destructive"
}
`;
      cpSync(join(PACKAGE_ROOT, 'policies', 'schemas'), join(own, 'schemas'), { recursive: true });
      const site = join(own, 'site');
      cpSync(join(PACKAGE_ROOT, 'examples', 'policies', 'site', 'tests'), join(site, 'tests'), { recursive: true });
      writeFileSync(join(site, 'results.rego'), rule);
      const kase = (name: string, tool: string) =>
        `  - name: ${name}\n    base: clerk_in_session\n    input: { tool: { name: ${tool}, effect: ${tool === 'stock_write_off' ? 'destructive' : 'read'} } }\n    expect: { outcome: ${tool === 'stock_write_off' ? 'deny' : 'allow'}, reasons: [${tool === 'stock_write_off' ? 'access.no_rule' : 'access.role'}] }\n`;
      writeFileSync(
        join(site, 'tests', 'cases.yaml'),
        `cases:\n${kase('get', 'stock_get')}${kase('list', 'stock_list')}${kase('write off', 'stock_write_off')}`,
      );
      const built = await run(['policy', 'build', '--dir', own], { env: { OPA: opa?.path ?? '' } });
      expect(built.stderr).toBe('');
      process.env.TEST_SITE_TOKEN = 'an-admin-token-of-forty-characters-or-so';
      const harness = await start({
        policyDir: own,
        edit: (yaml) => `${yaml}\nadmin: { port: 0, token: { env: TEST_SITE_TOKEN } }\n`,
      });
      expect(reasons(await harness.call('stock_get', { sku: 'A-1' }))).toEqual(['obligation.failed']);
      expect((await harness.audit('outcome')).at(-1)).toMatchObject({
        outcome: 'refused',
        masks_absent: ['/purchase_prize'],
        detail: expect.stringContaining('required'),
      });
      const listed = await harness.call('stock_list');
      expect(listed.body.result.structuredContent.items).toHaveLength(1);
      expect(listed.body.result.content[1].text).toMatch(
        /^The result is shortened by policy: \d+ items are left out\.$/,
      );
      expect((await harness.audit('outcome')).at(-1)).toMatchObject({
        outcome: 'success',
        masks_absent: ['/items/*/purchase_prize'],
        items_cut: expect.any(Number),
      });
      const headers = { authorization: `Bearer ${process.env.TEST_SITE_TOKEN}` };
      const metrics = await (await fetch(new URL('/metrics', harness.connector.adminUrl), { headers })).text();
      expect(metrics).toContain('sallyport_masks_absent_total{backend="inventory"} 2');
      const shown = await harness.rpc('tools/list');
      expect(shown.body.result.tools.map(({ name }: { name: string }) => name)).not.toContain('stock_write_off');
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  });
});

it('R-74: two findings with alerts are two alerts, each with its own code, parameters and session', async () => {
  const harness = await start({ policyDir: join(PACKAGE_ROOT, 'policies'), edit: (yaml) => yaml });
  const handle = await harness.initialize();
  await harness.call('stock_list', {}, { handle, id: 77 });
  await harness.call('stock_list', {}, { handle, id: 77, ip: '192.0.2.8' });
  const alerts = await harness.audit('alert');
  const about = alerts.map(({ reasons: codes, tool, backend }) => [codes, tool, backend]);
  expect(about.sort()).toEqual([
    [['binding.concurrent_networks'], 'stock_list', 'inventory'],
    [['replay.seen'], 'stock_list', 'inventory'],
  ]);
  const decisions = await harness.audit('decision');
  const [first] = decisions;
  const replayed = alerts.find(({ reasons: codes }) => codes[0] === 'replay.seen');
  // The copy names its original.
  expect(replayed.params).toEqual({ source: 'rpc_id', handle: first.input.replay.handle, rpc_id: 77 });
  expect(first.input.replay.handle).not.toContain(handle);
  expect(replayed.session).toBe(decisions.at(-1).input.session.id);
});
