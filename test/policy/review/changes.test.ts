// policy diff, explain, case, matrix and catalogue, as a person who reviews a change runs them.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/core/paths.ts';
import type { Opa } from '../../../src/policy/opa.ts';
import { html } from '../../../src/policy/report/document/html.ts';
import { markdown } from '../../../src/policy/report/document/markdown.ts';
import { run as runCli } from '../../support/cli.ts';
import type { Loose } from '../../support/harness.ts';
import { type RecordedLog, recordLog } from '../../support/recorded-log.ts';

const opa = inject('opa') as Opa | null;
const EXAMPLES = join(PACKAGE_ROOT, 'examples', 'policies');
let log: RecordedLog;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-review-'));
  log = await recordLog(20);
}, 120_000);
afterAll(() => {
  log?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

const policy = (...args: string[]) => runCli(['policy', ...args], { env: { OPA: opa?.path ?? '' } });
const json = async (...args: string[]): Promise<Loose> => JSON.parse((await policy(...args, '--json')).stdout);

/** A policy folder; the settings are those of the example policies with some text replaced. */
function folder(
  name: string,
  edit: (yaml: string) => string = (yaml) => yaml,
  files: Record<string, string> = {},
): string {
  const dir = join(scratch, name);
  const all = { 'data.yaml': edit(DATA), ...files };
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), text);
  }
  return dir;
}

const DATA = `settings:
  access:
    # Who may call what.
    roles:
      clerk: { tools: [stock_get, stock_adjust] }
      manager: { tools: ["*"] }
      guest: { tools: [stock_get] }
    scopes:
      stock_adjust: ["stock:write"]
    networks:
      guest: [10.0.0.0/8]
    masks:
      stock_get: { pointers: ["/price"], except_roles: [manager] }
  binding: {}
  lifetime:
    # How old a token may be.
    token_age: { limit_seconds: 300, grade: rotate }
  replay: {}
  usage: {}
  backends: {}
  #  payroll:
  tools:
    stock_adjust:
      lifetime: { token_age: { limit_seconds: 60 } }
`;

const rule = (name: string, condition: string, more = '') => `package site.${name}

# METADATA
# title: A rule that is called ${name}
# description: It denies.
# custom:
#   reason: ${name}.denied
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "${name}.denied", "params": {}}, "obligations": []} if {
	${condition}
}
${more}`;

describe.skipIf(!opa)('policy diff (needs OPA)', () => {
  const changes = async (name: string, edit: (yaml: string) => string): Promise<Loose[]> =>
    (await json('diff', folder(`${name}-before`), folder(`${name}-after`, edit))).settings;

  it('tells settings in words, with the comment beside them and which way they went', async () => {
    const edit = (yaml: string) =>
      yaml
        .replace('limit_seconds: 300', 'limit_seconds: 900')
        .replace('limit_seconds: 60', 'limit_seconds: 30')
        .replace('clerk: { tools: [stock_get, stock_adjust] }', 'clerk: { tools: [stock_get, order_list] }')
        .replace('[10.0.0.0/8]', '[10.1.0.0/16]')
        .replace(/masks:\n {6}stock_get: \{ pointers.*\n/, 'masks: {}\n');
    const settings = await changes('words', edit);
    const told = settings.map(({ name, before, after, direction, comment }) => [
      name,
      before,
      after,
      direction,
      comment,
    ]);
    expect(told).toEqual([
      ['mask of stock_get', 'blanks /price except for manager', undefined, 'looser', expect.any(String)],
      ['networks of role guest', '10.0.0.0/8', '10.1.0.0/16', 'stricter', expect.any(String)],
      ['tools of role clerk', 'stock_get, stock_adjust', 'stock_get, order_list', 'other', 'Who may call what.'],
      ['token age', '300 s', '900 s', 'looser', 'How old a token may be.'],
      ['token age of tool stock_adjust', '60 s', '30 s', 'stricter', 'How old a token may be.'],
    ]);
    expect(settings[2]).toMatchObject({ added: ['order_list'], removed: ['stock_adjust'], line: 5 });
  });

  it.each([
    ['every tool', 'clerk: { tools: [stock_get, stock_adjust] }', 'clerk: { tools: ["*"] }', 'looser'],
    ['a tool beside every tool', 'tools: ["*"]', 'tools: ["*", stock_get]', 'other'],
    ['a network inside another', '[10.0.0.0/8]', '[10.0.0.0/8, 10.1.0.0/16]', 'other'],
    ['a wider network', '[10.0.0.0/8]', '[0.0.0.0/0]', 'looser'],
    ['no networks any more', '      guest: [10.0.0.0/8]\n', '      other: [10.0.0.0/8]\n', 'looser'],
    ['a scope more', '["stock:write"]', '["stock:write", "stock:all"]', 'stricter'],
    ['a role spared the mask', 'except_roles: [manager]', 'except_roles: [manager, clerk]', 'looser'],
    ['a grade', 'grade: rotate', 'grade: deny', 'stricter'],
    [
      'an override that is gone',
      '      lifetime: { token_age: { limit_seconds: 60 } }',
      '      lifetime: {}',
      'looser',
    ],
  ])('says which way a setting went: %s', async (name, from, to, direction) => {
    const [first] = await changes(name, (yaml) => yaml.replace(from, to));
    expect(first.direction).toBe(direction);
  });

  it('says nothing of the direction where the backend of a tool has a value of its own', async () => {
    const strict = (yaml: string) =>
      yaml.replace('backends: {}', 'backends:\n    payroll: { lifetime: { token_age: { limit_seconds: 10 } } }');
    const before = folder('layers-before', strict);
    const after = folder('layers-after', (yaml) =>
      strict(yaml).replace('      lifetime: { token_age: { limit_seconds: 60 } }', '      lifetime: {}'),
    );
    expect((await json('diff', before, after)).settings).toEqual([expect.objectContaining({ direction: 'other' })]);
  });

  it('names rules by reason and control, helpers by what asks them, and a package that is only imported otherwise', async () => {
    const helper = (text: string) => `late if input.time.hour > ${text}\n`;
    const before = folder('rules-before', undefined, {
      'site/gone.rego': rule('gone', 'input.time.hour > 30'),
      'site/same.rego': rule('same', 'late', helper('22')),
      'site/other.rego': rule('other', 'data.site.same.late'),
      'site/short.rego': rule('short', 'u.late').replace('\n\n', '\n\nimport data.site.same as u\n\n'),
    });
    const after = folder('rules-after', undefined, {
      'site/added.rego': rule('added', 'input.time.hour > 30'),
      'site/same.rego': rule('same', 'late', helper('21')),
      'site/other.rego': rule('other', 'data.site.same.late').replace('title: A rule', 'title: The rule'),
      'site/short.rego': rule('short', 'u.late').replace('\n\n', '\n\nimport data.site.added as u\n\n'),
    });
    const { rules } = await json('diff', before, after);
    expect(rules.map(({ change, what, code, name, affects }: Loose) => [change, what, code ?? name, affects])).toEqual([
      ['added', 'text', 'added.denied', []],
      ['removed', 'text', 'gone.denied', []],
      ['changed', 'metadata', 'other.denied', []],
      ['changed', 'text', 'late', ['other.denied', 'same.denied']],
      ['changed', 'text', 'short.denied', []],
    ]);
  });

  it('counts tests and cases that are lost, and stops where they cannot be read', async () => {
    const cases =
      'cases:\n  - { name: one, base: clerk_in_session, expect: { outcome: allow, reasons: [access.role] } }\n';
    const before = folder('tests-before', undefined, { 'site/tests/own.yaml': cases });
    const lost = await policy('diff', before, folder('tests-lost'), '--fail-on', 'case-lost', '--json');
    expect([lost.code, JSON.parse(lost.stdout).tests.cases_lost]).toEqual([1, ['own.yaml: one']]);
    const broken = await policy(
      'diff',
      before,
      folder('tests-broken', undefined, { 'site/tests/own.yaml': 'cases: 5\n' }),
      '--fail-on',
      'case-lost',
      '--json',
    );
    expect([broken.code, JSON.parse(broken.stdout).tests.problems]).toEqual([
      1,
      [expect.stringMatching(/own\.yaml:1 cases: .*expected array/)],
    ]);
    const without = await policy('diff', before, before, '--fail-on', 'deny->allow');
    expect([without.code, without.stderr]).toEqual([
      1,
      expect.stringMatching(/only past calls can tell that; give --log/),
    ]);
  });

  it('shows what a client of each role may now call that it could not', async () => {
    const after = folder('access-after', (yaml) =>
      yaml
        .replace('guest: { tools: [stock_get] }', 'guest: { tools: [stock_get, stock_adjust] }')
        .replace('pointers: ["/price"]', 'pointers: ["/cost"]'),
    );
    const { access, happened } = await json('diff', folder('access-before'), after);
    expect(access).toEqual([
      {
        kinds: ['access-added'],
        role: 'guest',
        tool: 'stock_adjust',
        before: 'no',
        after: 'with scope stock:write and a call from 10.0.0.0/8',
      },
      {
        kinds: ['mask-lost', 'mask-added'],
        role: 'clerk',
        tool: 'stock_get',
        before: 'without /price',
        after: 'without /cost',
      },
      {
        kinds: ['mask-lost', 'mask-added'],
        role: 'guest',
        tool: 'stock_get',
        before: 'with a call from 10.0.0.0/8; without /price',
        after: 'with a call from 10.0.0.0/8; without /cost',
      },
    ]);
    expect(happened).toMatchObject({ 'access-added': 1, 'mask-lost': 2, 'setting-looser': 1 });
  });

  it('nothing of a policy or log becomes markup, script, link or mention', () => {
    const evil =
      '<script>alert(1)</script> @octocat #12 GH-3 https://evil.example www.evil.example ![x](y) `a` | b $x$ :tada: \u202e\u001b[31m';
    const blocks = [
      { heading: evil, level: 2 as const },
      { text: [evil, { code: evil }] },
      { list: [{ line: evil, below: evil }] },
      { table: { head: [evil], rows: [[{ code: evil }]] } },
      { code: `\`\`\`\`\n${evil}`, language: 'diff' as const },
      { bars: { title: evil, rows: [{ label: evil, value: 1, tone: undefined }] } },
      { details: { summary: evil, blocks: [] } },
    ];
    const page = html(evil, blocks);
    expect(page).not.toMatch(/<script|<img|href=|\u202e/);
    expect(page).not.toContain('\u001b');
    expect(page).toMatch(/default-src 'none'/);
    const whole = markdown(blocks);
    expect(whole).not.toContain('\u001b');
    expect(whole).not.toContain('\u202e');
    // In a fence or a span of code nothing is looked for.
    const text = whole.replaceAll(/^`{5}diff[\s\S]*?^`{5}$/gm, '').replaceAll(/`[^`\n]*`/g, '');
    expect(text).not.toMatch(/<script|@octocat|(?<!&)#12|GH-3|https:\/\/|www\.evil|!\[/);
  });
});

describe.skipIf(!opa)('policy explain and case (needs OPA)', () => {
  const of = (code: string): Loose =>
    log.decisions.find(
      ({ result }) => result.reasons.some((reason: Loose) => reason.code === code) && result.reasons.length === 1,
    );

  it('names the rule, its line, the setting that decided and where that stands', async () => {
    const explained = await json(
      'explain',
      '--decision',
      of('replay.seen').decision_id,
      '--log',
      log.file,
      '-k',
      log.keys,
    );
    const [rule] = explained.fired.filter(({ effect }: Loose) => effect === 'denies');
    expect(rule).toMatchObject({ code: 'replay.seen', controls: ['C03'], file: 'sallyport/replay/replay.rego' });
    const source = readFileSync(join(PACKAGE_ROOT, 'policies', rule.file), 'utf8').split('\n');
    expect(source[rule.line - 1]).toMatch(/^findings contains/);
    const [setting] = rule.settings;
    const data = readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8').split('\n');
    expect([setting.path, setting.value, data[setting.place.line - 1]]).toEqual([
      ['replay', 'seen'],
      'deny',
      '    seen: deny',
    ]);
    expect(explained.recorded.same_policy).toBe(true);
    expect(explained.why_not.map(({ outcome }: Loose) => outcome)).toEqual(['allow', 'rotate']);
  });

  it('every change that it claims gives what it claims, when it is made', async () => {
    const explained = await json('explain', '--decision', of('replay.seen').decision_id, '--log', log.file);
    expect(explained.between.single.map(({ kind, path }: Loose) => [kind, path])).toEqual([
      ['setting', 'replay.seen'],
      ['fact', 'replay.seen'],
    ]);
    for (const { kind, path, to, outcome } of explained.between.single) {
      if (kind !== 'fact') continue;
      const again = await json(
        'explain',
        '--decision',
        of('replay.seen').decision_id,
        '--log',
        log.file,
        '--set',
        `${path}=${JSON.stringify(to)}`,
      );
      expect(again.decision.outcome).toBe(outcome);
    }
    const edited = folder('claimed', () =>
      readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8').replace('    seen: deny', '    seen: allow'),
    );
    const allowed = await json(
      'explain',
      '--decision',
      of('replay.seen').decision_id,
      '--log',
      log.file,
      '--policy',
      edited,
    );
    expect(allowed.decision.outcome).toBe('allow');
  });

  it('tells of a rule that did not fire the first condition that failed, with its values', async () => {
    const { decision_id: id } = log.decisions.find(({ input }) => input?.session?.token_uses === 2);
    const { silent } = await json('explain', '--decision', id, '--log', log.file);
    const [old] = silent.filter(({ code }: Loose) => code === 'lifetime.token_too_old');
    expect(old.condition).toMatchObject({
      text: 'age >= limit.limit_seconds',
      values: expect.stringMatching(/^\d+ >= 300$/),
    });
    const [missing] = silent.filter(({ code }: Loose) => code === 'replay.source_missing');
    expect(missing.condition.values).toBe('"rpc_id" == null');
  });

  it('says what a denial without a rule that allows lacks', async () => {
    const input = join(scratch, 'input.json');
    const { input: recorded } = of('access.role');
    writeFileSync(
      input,
      JSON.stringify({ ...recorded, tool: { ...recorded.tool, name: 'stock_write_off', effect: 'destructive' } }),
    );
    const { between, decision } = await json('explain', '--input', input);
    expect(decision.outcome).toBe('deny');
    expect(between.single).toContainEqual(
      expect.objectContaining({
        kind: 'setting',
        path: 'access.roles.clerk.tools',
        outcome: 'allow',
        to: expect.arrayContaining(['stock_write_off']),
      }),
    );
    expect(between.single).toContainEqual(
      expect.objectContaining({ kind: 'fact', path: 'client.roles', to: ['clerk', 'manager'] }),
    );
  });

  it('R-77: refuses what the record no longer holds, and takes it from --set', async () => {
    const [first] = log.decisions;
    const { chain: _chain, form: _form, ...bare } = first;
    const file = join(scratch, 'erased.jsonl');
    const input = { ...bare.input, tool: { ...bare.input.tool, arguments: {} } };
    writeFileSync(file, `${JSON.stringify({ ...bare, input, erased: ['/input/tool/arguments/sku'] })}\n`);
    const dir = folder('reads', undefined, { 'site/reads.rego': rule('reads', 'input.tool.arguments.sku == "A-100"') });
    const args = ['explain', '--decision', first.decision_id, '--log', file, '--policy', dir];
    const refused = await policy(...args);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(
        /no longer holds tool\.arguments\.sku, which the policy may read.*--set 'tool\.arguments\.sku=…'/,
      ),
    ]);
    const given = await json(...args, '--set', 'tool.arguments.sku=A-100');
    expect(given.decision.reasons.map(({ code }: Loose) => code)).toContain('reads.denied');
    const unwritten = await policy('case', '--decision', first.decision_id, '--log', file);
    expect([unwritten.code, unwritten.stderr]).toEqual([
      1,
      expect.stringMatching(/no longer holds tool\.arguments\.sku; give each/),
    ]);
  });

  it('a record becomes a case that runs, and decides as it stands there', async () => {
    const dir = folder('cased', () => readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8'));
    mkdirSync(join(dir, 'site', 'tests'), { recursive: true });
    for (const [i, code] of ['replay.seen', 'access.role'].entries()) {
      const output = join(dir, 'site', 'tests', `case-${i}.yaml`);
      const args = [
        'case',
        '--decision',
        of(code).decision_id,
        '--log',
        log.file,
        '-d',
        dir,
        '--name',
        `case: "${code}" # @`,
        '-o',
        output,
      ];
      expect((await policy(...args)).code).toBe(0);
      // It is not replaced.
      expect((await policy(...args)).code).toBe(1);
    }
    const tested = await policy('test', '-d', dir, '--run', 'case: ', '-v');
    expect([tested.code, tested.stdout.match(/ok {3}case/g)?.length]).toEqual([0, 2]);
  });
});

describe.skipIf(!opa)('policy test (needs OPA)', () => {
  it('shows the values and the trace of a Rego test that fails, and what was expected beside what came', async () => {
    const dir = folder('failing', undefined, {
      'site/late.rego': rule('late', 'input.time.hour > 30'),
      'site/tests/late_test.rego': 'package late_test\n\ntest_hour if {\n\thour := 9\n\thour > 30\n}\n',
      'site/tests/late.yaml':
        'cases:\n  - { name: late, base: clerk_in_session, input: { time: { hour: 5 } }, expect: { outcome: deny, reasons: [late.denied] } }\n',
    });
    const junit = join(scratch, 'junit.xml');
    const { code, stderr, stdout } = await policy('test', '-d', dir, '--run', 'late|hour', '-v', '--junit', junit);
    expect(code).toBe(1);
    expect(stderr).toMatch(/late_test\.rego:3 test_hour failed\n[\s\S]*\b9\b/);
    expect(stderr).toMatch(
      /late\.yaml:2 late: expected deny \(late\.denied\), got allow \(access\.role\)\n +expected +got\n +outcome +deny +allow/,
    );
    expect(stdout).toMatch(/FAIL case {5}late/);
    const xml = readFileSync(junit, 'utf8');
    expect(xml).toMatch(/<testsuite name="cases" tests="1" failures="1"/);
    await promisify(execFile)('python3', ['-c', 'import sys,xml.dom.minidom as m; m.parse(sys.argv[1])', junit]);
  });

  it('runs what has a pattern in its name, and says so when nothing has', async () => {
    const { stdout } = await policy('test', '--run', 'flood');
    expect(stdout).toMatch(/^0 Rego tests, 0 cases and 1 sequences through Go and WASM: ok/);
    expect(await policy('test', '--run', 'no such thing')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no test, case or sequence has no such thing/),
    });
    expect(await policy('test', '--run', '(')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--run: Invalid regular expression/),
    });
  });

  it('a sequence that is wrong is told with its line', async () => {
    const dir = folder('sequence', undefined, {
      'site/tests/sequences/wrong.yaml': `clients: { a: { roles: [clerk] } }
tools: { stock_get: { backend: inventory, effect: read } }
sequences:
  - name: too soon
    steps:
      - { call: stock_get, expect: { outcome: allow, reasons: [access.role] } }
      - { after: 10s, call: stock_get, expect: { outcome: rotate, reasons: [lifetime.token_too_old], session: rotated } }
`,
    });
    const failed = await policy('test', '-d', dir, '--run', 'too soon');
    expect([failed.code, failed.stderr]).toEqual([
      1,
      expect.stringMatching(
        /wrong\.yaml:7 too soon: step 2: expected rotate .* got allow[\s\S]*session +rotated +kept/,
      ),
    ]);
    const file = join(dir, 'site/tests/sequences/wrong.yaml');
    const edit = (from: string, to: string) => writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
    edit('after: 10s', 'after: soon');
    expect((await policy('test', '-d', dir)).stderr).toMatch(/wrong\.yaml:\d+ .*is no duration such as "90s"/);
    edit('after: soon', 'after: 10s');
    edit('- { call: stock_get, expect: { outcome: allow', '- { call: stock_gett, expect: { outcome: allow');
    expect((await policy('test', '-d', dir)).stderr).toMatch(
      /wrong\.yaml:6 too soon, step 1: no tool "stock_gett"; there are stock_get/,
    );
  });
});

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

  it('asks 700 tools of 30 roles, folds what is alike, and gives the same text each time', async () => {
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
    const again = await policy('matrix', '-d', dir, '--print');
    expect(first.stdout).toBe(again.stdout);
    expect(first.stdout.match(/^ {4}tool_/gm)).toHaveLength(700);
    const paragraphs = first.stdout.split('\n\n').filter((each) => /^ {4}tool_/m.test(each));
    expect(paragraphs.length).toBeLessThan(40);
    const rows = await json('matrix', '-d', dir);
    expect(rows.filter(({ tool }: Loose) => tool === 'tool_5').map(({ outcome }: Loose) => outcome)).toHaveLength(32);
  }, 60_000);

  it('the catalogue names every code with the tests that make it fire, in four forms', async () => {
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
    const csv = (await policy('catalogue', '-d', EXAMPLES, '-f', 'csv')).stdout.split('\r\n');
    expect([csv[0], csv.length]).toEqual([
      'code,by,titles,descriptions,controls,settings,rules,tests',
      codes.length + 2,
    ]);
    expect((await policy('catalogue', '-d', EXAMPLES)).stdout).toMatch(
      /\| `amount\.too_large` \| More than a role may move \| C02 \| site\.most_moved \|/,
    );
  }, 60_000);
});
