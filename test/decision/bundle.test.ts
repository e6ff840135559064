import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { loadBundle, loadSettings, readCompiled } from '../../src/decision/bundle.ts';
import { createEvaluator } from '../../src/decision/evaluator.ts';
import { loadCases } from '../../src/policy/cases.ts';
import { recompileWith } from '../../src/policy/recompile.ts';
import { unknownNames } from '../../src/policy/settings-names.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';

const opa = inject('opa');
const withOpa = { ...process.env, OPA: opa?.path ?? '' };
/** The environment of a machine that has Node and no OPA compiler. */
const bare = { env: { PATH: '' }, toolDir: '/nowhere' };
let folder: PolicyFolder | undefined;
afterEach(() => folder?.remove());

async function decide(dir: string, name: string, env: NodeJS.ProcessEnv = { PATH: '' }, toolDir = '/nowhere') {
  const bundle = await loadBundle(dir, recompileWith({ env, toolDir }));
  const entry = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), loadSettings(join(PACKAGE_ROOT, 'policies'))).find(
    (c) => c.name === name,
  );
  if (!entry) throw new Error(`no case "${name}"`);
  const evaluation = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: 5000,
  }).evaluate(entry.input);
  return { revision: bundle.revision, outcome: evaluation.ok ? evaluation.decision.outcome : evaluation.code };
}

it('the committed policy is served without a compiler', async () => {
  expect(readCompiled(join(PACKAGE_ROOT, 'policies'))).toBeDefined();
  expect((await decide(join(PACKAGE_ROOT, 'policies'), 'one second before the limit the token is used')).outcome).toBe(
    'allow',
  );
});

it('changing a number in data.yaml needs no compiler, changes the decision and the revision', async () => {
  folder = policyFolder({ 'data.yaml': (text) => text.replace('limit_seconds: 300', 'limit_seconds: 60') });
  const before = await decide(join(PACKAGE_ROOT, 'policies'), 'one second before the limit the token is used');
  const after = await decide(folder.dir, 'one second before the limit the token is used');
  expect([before.outcome, after.outcome]).toEqual(['allow', 'rotate']);
  expect(after.revision).not.toBe(before.revision);
});

it.each([
  [
    'a misspelt key',
    (text: string) => text.replace('limit_seconds: 300', 'limit_secs: 300'),
    /data\.yaml:\d+ settings\.lifetime\.token_age\.limit_secs: unknown key "limit_secs"/,
  ],
  [
    'an unknown grade',
    (text: string) => text.replace('network: rotate', 'network: rotat'),
    /data\.yaml:\d+ settings\.binding\.network: /,
  ],
  [
    'text for a number',
    (text: string) => text.replace('limit_seconds: 300', 'limit_seconds: soon'),
    /data\.yaml:\d+ settings\.lifetime\.token_age\.limit_seconds: /,
  ],
  [
    'a missing group',
    (text: string) => text.replace(/ {2}replay:[\s\S]*? {2}# How much/, '  # How much'),
    /settings\.replay/,
  ],
])('settings with %s are refused with file and line', async (_name, edit, message) => {
  folder = policyFolder({ 'data.yaml': edit });
  await expect(loadBundle(folder.dir, recompileWith())).rejects.toThrow(message);
});

describe('nothing is served on a stale policy', () => {
  it('a changed source without a compiler is one error, which says how to get a compiler', async () => {
    folder = policyFolder({ 'sallyport/lifetime/lifetime.rego': (text) => `${text}\n# changed\n` });
    await expect(
      loadBundle(folder.dir, recompileWith({ ...bare, env: { OPA: '/nowhere/opa', PATH: '' } })),
    ).rejects.toThrow('$OPA is /nowhere/opa');
    await expect(loadBundle(folder.dir, recompileWith(bare))).rejects.toThrow(
      /changed: sallyport\/lifetime\/lifetime\.rego\), and no OPA compiler was found\. Install Go/,
    );
  });

  it.each([
    ['a WASM of another policy', 'compiled/policy.wasm'],
    ['an unreadable manifest', 'compiled/manifest.json'],
  ])('%s counts as stale', async (_name, file) => {
    folder = policyFolder({ [file]: 'x' });
    await expect(loadBundle(folder.dir, recompileWith(bare))).rejects.toThrow('does not belong to the Rego sources');
  });

  it('an added or a removed source counts as stale', async () => {
    folder = policyFolder({ 'sallyport/extra.rego': 'package sallyport.extra\n' });
    expect(readCompiled(folder.dir)).toBeUndefined();
    rmSync(join(folder.dir, 'sallyport/extra.rego'));
    expect(readCompiled(folder.dir)).toBeDefined();
    rmSync(join(folder.dir, 'sallyport/usage/usage.rego'));
    expect(readCompiled(folder.dir)).toBeUndefined();
  });

  it.skipIf(opa === null)('with a compiler it is compiled afresh, and the rule takes effect (needs OPA)', async () => {
    folder = policyFolder({
      'sallyport/lifetime/lifetime.rego': (text) =>
        text.replace('age >= limit.limit_seconds', 'age > limit.limit_seconds'),
    });
    const lines: string[] = [];
    await loadBundle(folder.dir, recompileWith({ env: withOpa, progress: (line) => lines.push(line) }));
    expect(lines.join()).toContain('compiling with OPA');
    expect((await decide(folder.dir, 'at the limit it is replaced before the call', withOpa)).outcome).toBe('allow');
  });

  it.skipIf(opa === null)('a source that does not compile is one error with file and line (needs OPA)', async () => {
    folder = policyFolder();
    writeFileSync(join(folder.dir, 'sallyport/broken.rego'), 'package sallyport.broken\n\nx := \n');
    await expect(loadBundle(folder.dir, recompileWith({ env: withOpa }))).rejects.toThrow(/broken\.rego:\d/);
  });
});

it('R-35: an evaluation over its budget is refused', async () => {
  const bundle = await loadBundle(join(PACKAGE_ROOT, 'policies'), recompileWith({ env: { PATH: '' } }));
  const [entry] = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), bundle.settings);
  if (!entry) throw new Error('no case');
  const evaluator = createEvaluator({
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: 0,
  });
  expect(evaluator.evaluate(entry.input)).toMatchObject({ ok: false, code: 'decision.over_budget' });
});

it('R-36: the same input gives the same decision, byte for byte, also after other inputs and on another instance', async () => {
  const bundle = await loadBundle(join(PACKAGE_ROOT, 'policies'), recompileWith({ env: { PATH: '' } }));
  const cases = loadCases(join(PACKAGE_ROOT, 'policy-tests/cases'), bundle.settings);
  const options = {
    module: bundle.module,
    data: { settings: bundle.settings },
    budgetMs: 5000,
  };
  const run = (evaluator: ReturnType<typeof createEvaluator>) =>
    cases.map(({ input }) => JSON.stringify({ ...evaluator.evaluate(input), nanoseconds: 0 }));
  const evaluator = createEvaluator(options);
  const first = run(evaluator);
  expect(run(evaluator)).toEqual(first);
  expect(run(createEvaluator(options))).toEqual(first);
});

describe('names in data.yaml that match no tool, role or backend', () => {
  const known = {
    tools: new Set(['stock_list', 'stock_get', 'stock_adjust', 'stock_write_off', 'order_list']),
    backends: new Set(['inventory']),
  };

  it('the default policy names the tools of the demo', async () => {
    const { settings, settingsFile } = await loadBundle(join(PACKAGE_ROOT, 'policies'), recompileWith(bare));
    expect(unknownNames(settings, known, settingsFile.file, settingsFile.lineOf)).toEqual([]);
  });

  it.each([
    ['a mask', 'stock_get: { pointers', 'stock_gett: { pointers', 'access.masks.stock_gett', 'no tool "stock_gett"'],
    [
      'a scope',
      'stock_adjust: ["stock:write"]',
      'stock_adjst: ["stock:write"]',
      'access.scopes.stock_adjst',
      'no tool "stock_adjst"',
    ],
    [
      'a tool of a role',
      '[stock_list, stock_get,',
      '[stock_lst, stock_get,',
      'access.roles.clerk.tools.0',
      'no tool "stock_lst"',
    ],
    [
      'a role of a mask',
      'except_roles: [manager]',
      'except_roles: [manger]',
      'access.masks.stock_get.except_roles.0',
      'no role "manger"',
    ],
    [
      'an override of a tool',
      'stock_write_off:\n      binding',
      'stock_writeoff:\n      binding',
      'tools.stock_writeoff',
      'no tool "stock_writeoff"',
    ],
    [
      'an override of a backend',
      'backends: {}',
      'backends: { inventroy: {} }',
      'backends.inventroy',
      'no backend "inventroy"',
    ],
  ])('%s with a misspelt name would be a missing control, and is reported with its line', async (_name, from, to, path, message) => {
    folder = policyFolder({ 'data.yaml': (text) => text.replace(from, to) });
    const { settings, settingsFile } = await loadBundle(folder.dir, recompileWith(bare));
    const [problem, ...more] = unknownNames(settings, known, settingsFile.file, settingsFile.lineOf);
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ path: `settings.${path}`, line: expect.any(Number) });
    expect(problem?.message).toContain(message);
    const line = readFileSync(join(folder.dir, 'data.yaml'), 'utf8').split('\n')[(problem?.line ?? 0) - 1];
    expect(line).toContain(/"(\w+)"/.exec(message)?.[1]);
  });
});
