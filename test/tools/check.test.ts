// `npm run check` must fail, with file and line, on every kind of problem below. It runs on a copy of the tree.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';

// Each compiles or reads the whole tree, some more than once.
vi.setConfig({ testTimeout: 120_000 });

const opa = inject('opa');
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
  for (const part of [
    'src',
    'test',
    'policies',
    'policy-tests',
    'docs',
    'package.json',
    'tsconfig.json',
    'package-lock.json',
    'NOTICE',
  ])
    cpSync(join(PACKAGE_ROOT, part), join(root, part), { recursive: true });
  symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(root, 'node_modules'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function check(...steps: string[]): Promise<{ code: number; output: string }> {
  const args = [
    '--import',
    'tsx',
    join(PACKAGE_ROOT, 'tools/check.ts'),
    '--root',
    root,
    ...steps.flatMap((step) => ['--only', step]),
  ];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: PACKAGE_ROOT,
      env: { ...process.env, ...(opa && { OPA: opa.path }) },
    });
    return { code: 0, output: stdout };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}

/** Changes one file for one check. */
async function withChange(file: string, edit: (text: string) => string, ...steps: string[]) {
  const path = join(root, file);
  const before = readFileSync(path, 'utf8');
  writeFileSync(path, edit(before));
  try {
    return await check(...steps);
  } finally {
    writeFileSync(path, before);
  }
}

it('passes on the tree as it is', async () => {
  const { code, output } = await check('architecture', 'schemas');
  expect(output).toContain('ok   architecture');
  expect(code).toBe(0);
});

describe('architecture', () => {
  it('an import against the allowed direction is reported', async () => {
    const { code, output } = await withChange(
      'src/session/use/in-use.ts',
      (text) => `import '../../http/app.ts';\n${text}`,
      'architecture',
    );
    expect(output).toContain('src/session/use/in-use.ts:1 session must not import http');
    expect(code).toBe(1);
  });
  it('code of the running connector that imports the workbench is reported', async () => {
    const { output } = await withChange(
      'src/decision/bundle.ts',
      (text) => `import '../policy/compiler.ts';\n${text}`,
      'architecture',
    );
    expect(output).toContain('src/decision/bundle.ts:1 decision must not import policy');
  });
  it('an import of an adapter outside the open.ts of its part is reported', async () => {
    for (const file of ['src/audit/events/throttle.ts', 'src/store/store.ts']) {
      const to = file.startsWith('src/store') ? './memory/facts.ts' : '../../store/memory/facts.ts';
      const { output } = await withChange(file, (text) => `${text}import '${to}';\n`, 'architecture');
      expect(output).toMatch(/:\d+ store\/memory\/facts\.ts is an adapter: only store\/open\.ts imports it/);
    }
  });
  it('a circle of imports is reported, even of types only', async () => {
    const { code, output } = await withChange(
      'src/session/record.ts',
      (text) => `import type { SessionStore } from './store.ts';\n${text}`,
      'architecture',
    );
    expect(output).toMatch(
      /src\/session\/record\.ts:1 imports in a circle: session\/record\.ts -> session\/store\.ts -> /,
    );
    expect(code).toBe(1);
  });
  it('a file, a function or a folder that is too big is reported', async () => {
    const lines = (n: number) => Array.from({ length: n }, (_, i) => `  console.log(${i});`).join('\n');
    const fat = await withChange('src/core/mutex.ts', (text) => `${text}${lines(350)}\n`, 'architecture');
    expect(fat.output).toMatch(/src\/core\/mutex\.ts:350 has \d+ lines; 350 is the most/);
    const long = await withChange(
      'src/core/mutex.ts',
      (text) => `${text}export function work(): void {\n${lines(79)}\n}\n`,
      'architecture',
    );
    expect(long.output).toMatch(/src\/core\/mutex\.ts:\d+ work has 81 lines; a function has 80 at most/);
    // The length of a factory does not include the functions that it returns.
    const factory = await withChange(
      'src/core/mutex.ts',
      (text) =>
        `${text}export function make() {\n  return {\n    a() {\n${lines(60)}\n    },\n    b() {\n${lines(60)}\n    },\n  };\n}\n`,
      'architecture',
    );
    expect(factory.output).toContain('ok   architecture');
    const extra = Array.from({ length: 13 }, (_, i) => join(root, `src/demo/extra${i}.ts`));
    for (const file of extra) writeFileSync(file, 'export {};\n');
    try {
      expect((await check('architecture')).output).toMatch(/src\/demo holds 14 files; a folder of more than 12/);
    } finally {
      for (const file of extra) rmSync(file);
    }
  });
  it('an import of a library outside its home is reported', async () => {
    const { output } = await withChange(
      'src/http/refuse.ts',
      (text) => `import { request } from 'undici';\n${text}`,
      'architecture',
    );
    expect(output).toContain('src/http/refuse.ts:1 undici is at home in');
  });
});

describe('requirements', () => {
  // The id is put together at run time; written out, it would itself be an undefined id in this file.
  const unknown = ['R', 99].join('-');

  it('an id that is not defined is reported', async () => {
    const { code, output } = await withChange(
      'src/core/mutex.ts',
      (text) => `${text}// ${unknown}: nobody knows.\n`,
      'requirements',
    );
    expect(output).toMatch(new RegExp(`src/core/mutex\\.ts:\\d+ ${unknown} is not defined in docs/requirements\\.md`));
    expect(code).toBe(1);
  });
  it('a requirement without a test, and a test that does not name it', async () => {
    const drop = (text: string) => text.replace(/`test\/flow\/limits\.test\.ts` \|\n\| R-66/, '|\n| R-66');
    const without = await withChange('docs/requirements.md', drop, 'requirements');
    expect(without.output).toMatch(/docs\/requirements\.md:\d+ R-65: names no test that proves it/);
    const unnamed = await withChange(
      'test/flow/limits.test.ts',
      (text) => text.replaceAll('R-65', 'a limit'),
      'requirements',
    );
    expect(unnamed.output).toMatch(/R-65: no test in test\/flow\/limits\.test\.ts has R-65 in its title/);
  });
});

it('a licence that nobody has decided on, and one that NOTICE does not name', async () => {
  const odd = (text: string) => text.replace('"license": "ISC"', '"license": "AGPL-3.0"');
  const { code, output } = await withChange('package-lock.json', odd, 'licences');
  expect(output).toMatch(/package-lock\.json .*: is under AGPL-3\.0, which tools\/licences\.ts does not know/);
  expect(code).toBe(1);
  const unnamed = await withChange('NOTICE', (text) => text.replace(/^.*jmespath.*$/m, ''), 'licences');
  expect(unnamed.output).toContain('@jmespath-community/jmespath: is under MPL-2.0 and is not named in NOTICE');
});

describe('types', () => {
  const schema = 'src/decision/schema.ts';
  it('R-35: an obligation that no code carries out', async () => {
    const { code, output } = await withChange(
      schema,
      (text) =>
        text.replace(
          "z.strictObject({ type: z.literal('revoke_session') }),",
          "z.strictObject({ type: z.literal('revoke_session') }),\n  z.strictObject({ type: z.literal('page_somebody') }),",
        ),
      'types',
    );
    expect(output).toMatch(/src\/enforcement\/obligations\.ts\(\d+,\d+\): error TS1360/);
    expect(code).toBe(1);
  });
  it('R-36: a field or a section of the input for which the code does not say whether it is logged', async () => {
    const field = await withChange(
      schema,
      (text) => text.replace('user_agent: z.string(),', 'user_agent: z.string(),\n    tenant: z.string(),'),
      'types',
    );
    expect(field.output).toMatch(
      /src\/decision\/input-text\.ts\(\d+,\d+\): error TS2741: Property 'tenant' is missing/,
    );
    const section = await withChange(
      schema,
      (text) =>
        text.replace(
          '  replay: z.strictObject({',
          '  weather: z.strictObject({ active: z.boolean() }),\n  replay: z.strictObject({',
        ),
      'types',
    );
    expect(section.output).toMatch(
      /src\/decision\/input-text\.ts\(\d+,\d+\): error TS2741: Property 'weather' is missing/,
    );
  });
  it('a client id where the key of a store is wanted', async () => {
    const { output } = await withChange(
      'src/enforcement/observe.ts',
      (text) => text.replace('owner: scope.client.ref,', 'owner: scope.client.id,'),
      'types',
    );
    expect(output).toMatch(/src\/enforcement\/observe\.ts\(\d+,\d+\): error TS2322: Type 'ClientId'/);
  });
});

it('a published schema that differs from its source is reported', async () => {
  const { code, output } = await withChange(
    'policies/schemas/input.json',
    (text) => text.replace('"token_uses"', '"token_used"'),
    'schemas',
  );
  expect(output).toMatch(/policies\/schemas\/input\.json:\d+ differs from its source/);
  expect(code).toBe(1);
});

describe.skipIf(opa === null)('policies (needs OPA)', () => {
  const lifetime = 'policies/sallyport/lifetime/lifetime.rego';
  const lineOf = (text: string) =>
    readFileSync(join(root, lifetime), 'utf8')
      .split('\n')
      .findIndex((line) => line.includes(text)) + 1;

  it('pass as they are', async () => {
    expect(await check('policies', 'policy tests')).toMatchObject({ code: 0 });
  });
  it('a builtin that WASM does not have', async () => {
    const { code, output } = await withChange(lifetime, (text) => `${text}\nnow := time.now_ns()\n`, 'policies');
    expect(output).toMatch(new RegExp(`${lifetime}:\\d+ rego_type_error: undefined function time\\.now_ns`));
    expect(code).toBe(1);
  });
  it('sprintf, which formats differently in WASM', async () => {
    const { output } = await withChange(lifetime, (text) => `${text}\nx := sprintf("%d", [1])\n`, 'policies');
    expect(output).toContain('undefined function sprintf');
  });
  it('a typo in an input path', async () => {
    const line = lineOf('input.session.token_uses');
    const { code, output } = await withChange(
      lifetime,
      (text) => text.replace('input.session.token_uses', 'input.session.tokn_uses'),
      'policies',
    );
    expect(output).toContain(`${lifetime}:${line} rego_type_error: undefined ref: input.session.tokn_uses`);
    expect(code).toBe(1);
  });
  it('a typo in the settings', async () => {
    const { output } = await withChange(
      'policies/data.yaml',
      (text) => text.replace('overlap_seconds', 'overlap_secs'),
      'policies',
    );
    expect(output).toMatch(/policies\/data\.yaml:\d+ settings\.binding\.overlap_secs: unknown key/);
  });
  it('a reason code without METADATA', async () => {
    const { output } = await withChange(
      lifetime,
      (text) => text.replace('"lifetime.idle_too_long"', '"lifetime.idle"'),
      'policies',
    );
    expect(output).toMatch(new RegExp(`${lifetime}:\\d+ reason "lifetime\\.idle" has no METADATA`));
    expect(output).toMatch(
      new RegExp(`${lifetime}:\\d+ METADATA describes reason "lifetime\\.idle_too_long", which no rule gives`),
    );
  });
  it('a compiled policy that is not what the sources compile to', async () => {
    const { output } = await withChange(
      lifetime,
      (text) => text.replace('age >= limit.limit_seconds', 'age > limit.limit_seconds'),
      'policies',
    );
    expect(output).toContain(
      'policies/compiled/policy.wasm does not belong to the sources; run: sallyport policy build',
    );
  });
  it('a line no test covers, and a case that fails', async () => {
    const uncovered = await withChange(lifetime, (text) => `${text}\nunused if input.version == 2\n`, 'policy tests');
    expect(uncovered.output).toMatch(new RegExp(`${lifetime}:\\d+ is not covered by any test`));
    const failing = await withChange(
      'policy-tests/cases/usage.yaml',
      (text) => text.replace('outcome: allow', 'outcome: deny'),
      'policy tests',
    );
    expect(failing.output).toMatch(/policy-tests\/cases\/usage\.yaml:2 at the limits a call passes: expected/);
  });
});
