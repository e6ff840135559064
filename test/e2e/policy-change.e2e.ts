// A change of a policy, from the editor to the running connector and back, as docs/policies.md tells it: a log of thousands of
// decisions, a limit changed, a mask lost by mistake and a rule added; checked, tested, compared with the revision before, stopped by
// what it would have let pass, mended, activated and rolled back.
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { ELSEWHERE, type Harness, type Loose, startHarness } from '../support/harness.ts';
import { onPath } from '../support/on-path.ts';

/** Decisions to record; 100,000 by hand. */
const DECISIONS = Number(process.env.SALLYPORT_WALK_DECISIONS ?? 10_000);
const TOKEN = 'token-that-acts-0123456789abcdef0123456';
const BEFORE_THE_CHAIN = join(PACKAGE_ROOT, 'test', 'audit', 'before-the-chain.jsonl');
const chromium = onPath('chromium-headless-shell') ?? onPath('chromium');
let h: Harness;
let repo: string;
let dir: string;

const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
    cwd: repo,
    encoding: 'utf8',
  });
const policy = (...args: string[]) => run(['policy', ...args], { cwd: repo });
const edit = (file: string, change: (text: string) => string) =>
  writeFileSync(join(dir, file), change(readFileSync(join(dir, file), 'utf8')));

/** Calls of five clients: reads, writes, denials, rotations, replays, and one from elsewhere. */
async function record(count: number): Promise<void> {
  const clients = [...h.keys];
  const handles = new Map<string, string>();
  let sent = 0;
  for (let round = 0; sent < count; round++) {
    // One second for each round, so that the limits of the minute hold nobody back.
    h.clock.advance(1);
    if (round % 700 === 699) h.clock.advance(400);
    await Promise.all(
      clients.map(async ([name, key]) => {
        if (round % 400 === 0) handles.set(name, await h.initialize({ key }));
        const options = { key, handle: handles.get(name) as string };
        const id = (round % 400) * 3 + 1;
        sent += 1;
        await h.call('stock_get', { sku: 'A-100' }, { ...options, id });
        if (round % 5 === 0) await h.call('stock_adjust', { sku: 'A-100', delta: 1 }, { ...options, id: id + 1 });
        if (round % 97 === 13) await h.call('stock_get', { sku: 'A-100' }, { ...options, id });
        if (round % 500 === 250 && name === 'clerk-1')
          await h.call('stock_get', { sku: 'A-100' }, { ...options, id: id + 2, ip: ELSEWHERE });
      }),
    );
  }
}

beforeAll(async () => {
  process.env.POLICY_ACT = TOKEN;
  repo = mkdtempSync(join(tmpdir(), 'sallyport-walk-'));
  dir = join(repo, 'platform', 'policies');
  mkdirSync(join(repo, 'platform'));
  cpSync(join(PACKAGE_ROOT, 'examples', 'policy-repository', 'policies'), dir, { recursive: true });
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'as it is');
  h = await startHarness({
    policyDir: dir,
    clients: { 'clerk-1': ['clerk'], 'clerk-2': ['clerk'], mia: ['manager'], tom: ['manager'] },
    edit: (yaml) =>
      yaml.replace(
        'state_dir:',
        'admin: { port: 0, tokens: { on-call: { env: POLICY_ACT, rights: [act, read] } } }\nstate_dir:',
      ),
  });
  await record(DECISIONS);
  await h.audit('decision');
  cpSync(join(h.stateDir, 'decisions.jsonl'), join(repo, 'decisions.jsonl'));
  writeFileSync(
    join(repo, 'keys.json'),
    JSON.stringify(exportKeys(readSigningKeys(join(h.stateDir, 'audit-keys.json')))),
  );
  // Of a version before: form and policy are others.
  cpSync(BEFORE_THE_CHAIN, join(repo, 'before.jsonl'));
}, 900_000);
afterAll(async () => {
  await h?.close();
  rmSync(repo, { recursive: true, force: true });
  delete process.env.POLICY_ACT;
});

const LOG = ['--log', 'decisions.jsonl', 'before.jsonl', '--keys', 'keys.json'];
const FAIL_ON = ['--fail-on', 'deny->allow,mask-lost,case-lost,test-lost'];
const DIR = ['--dir', 'platform/policies'];

const RULE = `package site.small_hours

# METADATA
# title: A write in the small hours
# description: Nobody works then, so a write is somebody else's.
# custom:
#   reason: small_hours.write
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "small_hours.write", "params": {"hour": input.time.hour}}, "obligations": []} if {
	input.tool.effect == "write"
	input.time.hour < 5
}
`;
const CASE = `cases:
  - name: a write in the small hours is denied
    base: clerk_in_session
    input: { time: { hour: 3 }, tool: { name: stock_adjust, effect: write, arguments: { sku: A-1, delta: 1 } } }
    expect: { outcome: deny, reasons: [small_hours.write] }
`;

describe('R-77: a change of a policy, seen before it ships', () => {
  it('goes from the editor to the running connector, and back', async () => {
    // As it is, the log decides as it did.
    const replayed = JSON.parse(
      (await policy('replay', ...DIR, '--log', 'decisions.jsonl', '--keys', 'keys.json', '--json')).stdout,
    );
    expect(replayed.decisions).toBeGreaterThanOrEqual(DECISIONS);
    expect([replayed.same, replayed.faults.count, replayed.undecidable.count]).toEqual([replayed.decisions, 0, 0]);
    expect([replayed.matrix['rotate->rotate'] > DECISIONS / 1000, replayed.matrix['deny->deny'] > 100]).toEqual([
      true,
      true,
    ]);

    // A limit is changed, a rule and its case are added, and a mask is lost by mistake.
    edit('data.yaml', (text) =>
      text
        .replace('token_age: { limit_seconds: 300 }', 'token_age: { limit_seconds: 900 }')
        .replace(/^ {6}stock_get: \{ pointers.*\n/m, ''),
    );
    writeFileSync(join(dir, 'site', 'small_hours.rego'), RULE);
    writeFileSync(join(dir, 'site', 'tests', 'small_hours.yaml'), CASE);
    const checked = await policy('check', ...DIR);
    expect([checked.code, checked.stderr]).toEqual([1, expect.stringMatching(/run: sallyport policy build/)]);
    // The sequence that says when a token is replaced does not let the limit pass unseen.
    const built = await policy('build', ...DIR);
    expect([built.code, built.stderr]).toEqual([0, '']);
    const tested = await policy('test', ...DIR);
    expect([tested.code, tested.stderr]).toEqual([
      1,
      expect.stringMatching(/a token of five minutes.*step 3: expected rotate/),
    ]);
    expect(tested.stderr).toMatch(/expected +got\n +outcome +rotate +allow/);
    edit('site/tests/sequences/tokens.yaml', (text) =>
      text.replace('a token of five minutes', 'a token of a quarter of an hour').replace('after: 1m', 'after: 11m'),
    );
    expect((await policy('test', ...DIR)).stdout).toMatch(/cases and 13 sequences through Go and WASM: ok/);
    const stale = await policy('check', ...DIR);
    expect([stale.code, stale.stderr]).toEqual([
      1,
      expect.stringMatching(/access-matrix\.txt:\d+ is not what the policy says .*run: sallyport policy matrix/),
    ]);
    await policy('matrix', ...DIR);

    // The review: it is stopped by the mask, and says everything.
    const reports = ['--markdown', 'review.md', '--html', 'review.html', '--json'];
    const stopped = await policy('diff', 'HEAD', ...DIR, ...LOG, ...FAIL_ON, ...reports);
    expect(stopped.code).toBe(1);
    const diff = JSON.parse(stopped.stdout) as Loose;
    expect(diff.failed_on).toEqual(['mask-lost']);
    expect(diff.settings.map(({ name, before, after, direction }: Loose) => [name, before, after, direction])).toEqual([
      ['mask of stock_get', 'blanks /purchase_price except for manager', undefined, 'looser'],
      ['token age', '300 s', '900 s', 'looser'],
    ]);
    expect(diff.settings[1].comment).toMatch(/^How old a token of the inventory may be/);
    expect(diff.rules).toMatchObject([{ change: 'added', code: 'small_hours.write', controls: ['C02'] }]);
    expect(diff.tests.cases_added).toEqual(['small_hours.yaml: a write in the small hours is denied']);
    expect(diff.access.map(({ role, tool, kinds }: Loose) => [role, tool, kinds])).toEqual(
      [
        ['clerk', 'stock_get', ['mask-lost']],
        ['contractor', 'stock_get', ['mask-lost']],
        ...['clerk', 'manager'].map((role) => [role, 'stock_adjust', ['access-changed']]),
      ].sort(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
    );
    const { past } = diff;
    expect(past.changes['mask-lost'].by_tool).toEqual({ stock_get: past.changes['mask-lost'].count });
    expect(past.changes['mask-lost'].by_role.manager).toBeUndefined();
    expect(past.changes['rotate->allow'].count).toBe(replayed.matrix['rotate->rotate']);
    expect(past.decisions).toBeGreaterThan(replayed.decisions);

    const text = readFileSync(join(repo, 'review.md'), 'utf8');
    expect(text).toMatch(/mask of stock_get.*`blanks \/purchase_price except for manager` → `nothing`/);
    expect(text.length).toBeLessThan(65_536);
    await page();

    // Mended, it passes, and is taken into use and out of it again.
    edit('data.yaml', (yaml) =>
      yaml.replace(
        '    masks:\n',
        '    masks:\n      stock_get: { pointers: ["/purchase_price"], except_roles: [manager] }\n',
      ),
    );
    expect((await policy('matrix', ...DIR)).code).toBe(0);
    expect((await policy('build', ...DIR)).code).toBe(0);
    expect((await policy('check', ...DIR)).stderr).toBe('');
    const passed = await policy('diff', 'HEAD', ...DIR, ...LOG, ...FAIL_ON);
    expect([passed.code, passed.stderr]).toEqual([0, expect.not.stringContaining('error')]);
    const asked = ['--url', h.connector.adminUrl as string, '--reason', 'the walk'];
    const env = { SALLYPORT_ADMIN_TOKEN: TOKEN };
    const before = h.connector.policy.revision;
    const activated = await run(['policy', 'activate', ...asked], { env });
    expect(activated.code).toBe(0);
    expect(h.connector.policy.revision).not.toBe(before);
    expect((await run(['policy', 'rollback', ...asked], { env })).code).toBe(0);
    expect(h.connector.policy.revision).toBe(before);
    git('add', '.');
    git('commit', '-qm', 'a longer token, and no writes in the small hours');
    expect((await policy('diff', 'HEAD~1', 'HEAD', ...DIR, '--fail-on', 'mask-lost,case-lost')).code).toBe(0);
  }, 300_000);
});

const trestle = join(PACKAGE_ROOT, 'tools', '.cache', 'trestle', 'bin', 'python');

describe.skipIf(!existsSync(trestle))('the catalogue as an OSCAL component definition', () => {
  it('is read by compliance-trestle, with each control and the codes that serve it', async () => {
    const file = join(repo, 'component.json');
    expect((await policy('catalogue', ...DIR, '--format', 'oscal', '-o', file)).code).toBe(0);
    const script = `
import pathlib, sys
from trestle.oscal.component import ComponentDefinition
definition = ComponentDefinition.oscal_read(pathlib.Path(sys.argv[1]))
for each in definition.components[0].control_implementations[0].implemented_requirements:
    print(each.control_id.root if hasattr(each.control_id, 'root') else each.control_id, len(each.statements))
`;
    const { stdout } = await promisify(execFile)(trestle, ['-c', script, file]);
    expect(stdout).toMatch(/^C01 \d+\nC02 \d+\nC03 \d+\n/);
  }, 120_000);
});

/** The page in a real browser: it shows the charts and the tables, and asks nobody for anything. */
async function page(): Promise<void> {
  expect(chromium, 'the package chromium-headless-shell is missing').not.toBeNull();
  const file = `file://${join(repo, 'review.html')}`;
  const net = join(repo, 'net.json');
  const args = ['--no-sandbox', '--disable-gpu', `--log-net-log=${net}`, `--screenshot=${join(repo, 'review.png')}`];
  const { stdout } = await promisify(execFile)(
    chromium as string,
    [...args, '--window-size=1100,2400', '--virtual-time-budget=2000', '--dump-dom', file],
    {
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  expect(stdout).toMatch(/<svg[^>]*aria-label="Decisions that changed"/);
  expect(stdout).toMatch(/small_hours\.write/);
  expect(readFileSync(join(repo, 'review.png')).length).toBeGreaterThan(10_000);
  const requests = [...readFileSync(net, 'utf8').matchAll(/"url":"((?:https?|wss?|ftp):[^"]+)"/g)].map(
    ([, url]) => url,
  );
  expect(requests).toEqual([]);
}
