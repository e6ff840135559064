// policy matrix and policy catalogue: who may call what, and what an auditor files.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/core/paths.ts';
import { catalogueCsv, catalogueMarkdown } from '../../../src/policy/catalogue/formats.ts';
import { oscal } from '../../../src/policy/catalogue/oscal.ts';
import type { Loose } from '../../support/harness.ts';
import { json, opa, openScratch, policy, rule } from '../../support/reviewing.ts';

// Each command is a process with an OPA of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 150_000 });

const EXAMPLES = join(PACKAGE_ROOT, 'examples', 'policies');

const scratch = openScratch();
afterAll(() => scratch.remove());
const { folder } = scratch;

describe.skipIf(!opa)('policy matrix and catalogue (needs OPA)', () => {
  const ZONED = (yaml: string) => yaml.replace('  backends: {}', '  backends: {}\n  zones: [Europe/Berlin]');

  it('says who may call what, with scope, key, time, network and mask; check fails when it is out of date', async () => {
    const dir = folder('matrix', ZONED, {
      'site/office.rego': rule(
        'office',
        'input.tool.name == "stock_adjust"\n\tnot open',
        'open if {\n\tnow := input.time.zones["Europe/Berlin"]\n\tnow.weekday in ["monday", "tuesday"]\n\tnow.hour in numbers.range(8, 17)\n}\n',
      ),
      'site/proof.rego': rule('proof', 'input.tool.effect == "destructive"\n\tis_null(input.client.auth.key)'),
      'site/tests/cases.yaml': `cases:
  - name: closed
    base: clerk_in_session
    input: { time: { zones: { Europe/Berlin: { date: "2026-11-22", weekday: sunday, hour: 9, minute: 0 } } }, tool: { name: stock_adjust, effect: write } }
    expect: { outcome: deny, reasons: [office.denied] }
  - name: open
    base: clerk_in_session
    input: { session: { token_age_seconds: 5 }, time: { zones: { Europe/Berlin: { date: "2026-11-23", weekday: monday, hour: 9, minute: 0 } } }, tool: { name: stock_adjust, effect: write } }
    expect: { outcome: allow, reasons: [access.role] }
  - name: without a key
    base: clerk_in_session
    input: { client: { roles: [manager] }, tool: { name: stock_write_off, effect: destructive } }
    expect: { outcome: deny, reasons: [proof.denied] }
`,
    });
    await promisify(execFile)(opa?.path ?? '', ['fmt', '--write', join(dir, 'site')]);
    await policy('matrix', '-d', dir);
    const file = join(dir, 'access-matrix.txt');
    const add = '    stock_write_off  ?  destructive\n';
    writeFileSync(file, `${readFileSync(file, 'utf8')}${add}`);
    await policy('matrix', '-d', dir);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(
      'clerk, manager: with scope stock:write and monday to tuesday 8:00–18:00 Europe/Berlin\n    stock_adjust ',
    );
    expect(text).toContain('manager: with a proven key\n    stock_write_off ');
    expect(text).toContain(
      'clerk: without /price\nguest: with a call from 10.0.0.0/8; without /price\nmanager\n    stock_get ',
    );
    const stale = () =>
      policy('check', '-d', dir).then(({ stderr }) =>
        stderr.split('\n').filter((line) => line.includes('access-matrix')),
      );
    expect((await policy('check', '-d', dir)).stderr).toMatch(/^[^\n]*run: sallyport policy build\n?$/);
    expect(await stale()).toEqual([]);
    writeFileSync(
      join(dir, 'data.yaml'),
      readFileSync(join(dir, 'data.yaml'), 'utf8').replace(
        'guest: { tools: [stock_get] }',
        'guest: { tools: [stock_get, stock_adjust] }',
      ),
    );
    expect(await stale()).toEqual([
      expect.stringMatching(/access-matrix\.txt:\d+ is not what the policy says .*; run: sallyport policy matrix/),
    ]);
  });

  it('asks 700 tools of 30 roles, and folds what is alike', async () => {
    const roles = Array.from(
      { length: 30 },
      (_, i) => `      role_${i}: { tools: [${i % 3 === 0 ? '"*"' : `tool_${i}, tool_${i + 1}`}] }`,
    );
    const dir = folder('large', (yaml) =>
      yaml
        .replace(/ {4}roles:\n[\s\S]*? {4}scopes:/, `    roles:\n${roles.join('\n')}\n    scopes:`)
        .replace('guest: [', 'role_1: ['),
    );
    writeFileSync(
      join(dir, 'access-matrix.txt'),
      Array.from(
        { length: 700 },
        (_, i) => `    tool_${i}  inventory  ${['read', 'write', 'destructive'][i % 3]}`,
      ).join('\n'),
    );
    const first = await policy('matrix', '-d', dir, '--print');
    expect(first.stdout.match(/^ {4}tool_/gm)).toHaveLength(700);
    const paragraphs = first.stdout.split('\n\n').filter((each) => /^ {4}tool_/m.test(each));
    expect(paragraphs.length).toBeLessThan(40);
    const rows = await json('matrix', '-d', dir);
    expect(rows.filter(({ tool }: Loose) => tool === 'tool_5').map(({ outcome }: Loose) => outcome)).toHaveLength(32);
  });

  it('the catalogue names every code with the tests that make it fire, in every form', async () => {
    const { codes } = await json('catalogue', '-d', EXAMPLES);
    const ours = codes.filter(({ by }: Loose) => by !== 'connector');
    expect(
      ours.filter(
        ({ tests, controls, titles }: Loose) => tests.length === 0 || controls.length === 0 || titles.length === 0,
      ),
    ).toEqual([]);
    expect(codes.find(({ code }: Loose) => code === 'amount.too_large')).toMatchObject({
      by: 'site',
      settings: ['site.most_moved'],
      rules: ['site/amount.rego:12'],
    });
    expect(codes.find(({ code }: Loose) => code === 'session.limit')).toMatchObject({ by: 'connector' });
    expect(codes.find(({ code }: Loose) => code === 'replay.seen').tests).toContain(
      'sequence: a copy of a call is denied, and from elsewhere it ends the session',
    );
    const csv = catalogueCsv(codes).split('\r\n');
    expect([csv[0], csv.length]).toEqual([
      'code,by,titles,descriptions,controls,settings,rules,tests',
      codes.length + 2,
    ]);
    expect(catalogueMarkdown(codes, 'abc')).toMatch(
      /\| `amount\.too_large` \| More than a role may move \| C02 \| site\.most_moved \|/,
    );
    const made = oscal(codes, 'abc', '2026-11-28T00:00:00Z');
    expect(oscal(codes, 'abc', '2026-11-28T00:00:00Z')).toEqual(made);
    expect(JSON.stringify(made)).toMatch(/"control-id":"ISO27001-A\.5\.15"/);
  });
});
