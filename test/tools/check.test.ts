// `npm run check` must fail, naming file and line, on what it is there for. Run on a copy of the tree.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';

const opa = inject('opa');
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
  for (const part of ['src', 'policies', 'policy-tests', 'docs', 'package.json', 'tsconfig.json'])
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
  it('an import against the direction', async () => {
    const { code, output } = await withChange(
      'src/session/leases.ts',
      (text) => `import '../http/app.ts';\n${text}`,
      'architecture',
    );
    expect(output).toContain('src/session/leases.ts:1 session must not import http');
    expect(code).toBe(1);
  });
  it('an adapter that is not imported by connector.ts', async () => {
    const { output } = await withChange(
      'src/audit/throttle.ts',
      (text) => `${text}import '../store/memory/facts.ts';\n`,
      'architecture',
    );
    expect(output).toMatch(/src\/audit\/throttle\.ts:\d+ audit must not import store/);
  });
  it('a library away from home', async () => {
    const { output } = await withChange(
      'src/http/refuse.ts',
      (text) => `import { request } from 'undici';\n${text}`,
      'architecture',
    );
    expect(output).toContain('src/http/refuse.ts:1 undici is at home in');
  });
});

it('a schema that drifted', async () => {
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
