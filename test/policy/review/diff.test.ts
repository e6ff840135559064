// policy diff, as a person who reviews a change runs it.
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/core/paths.ts';
import { html } from '../../../src/policy/report/document/html.ts';
import { markdown } from '../../../src/policy/report/document/markdown.ts';
import type { Loose } from '../../support/harness.ts';
import { json, opa, openScratch, policy, rule } from '../../support/reviewing.ts';

// Each command is a process with an OPA of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 150_000 });

const scratch = openScratch();
afterAll(() => scratch.remove());
const { folder } = scratch;

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

  it('of a clone with the shipped rules and tests, only what was changed is told', async () => {
    const repo = join(scratch.dir, 'clone');
    for (const name of ['policies', 'policy-tests'])
      cpSync(join(PACKAGE_ROOT, name), join(repo, name), { recursive: true });
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: repo });
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'as it is');
    const data = join(repo, 'policies', 'data.yaml');
    writeFileSync(data, readFileSync(data, 'utf8').replace('limit_seconds: 300', 'limit_seconds: 10'));
    const { happened, tests } = await json('diff', 'HEAD', '-d', join(repo, 'policies'));
    expect(happened).toEqual({ any: 1, 'setting-stricter': 1 });
    expect(Object.values(tests)).toEqual([[], [], [], [], [], []]);
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
