// `sallyport policy update`, and the policy commands from the packed npm package.
import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { readCompiled } from '../../src/decision/bundle.ts';
import { run } from '../support/cli.ts';

const opa = inject('opa');
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-update-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const update = (...args: string[]) => run(['policy', 'update', '--dir', join(dir, 'policies'), ...args]);

describe('R-72: policy folders of this repository’s history', () => {
  it.each(['2041d1f', '3cc386a'])('%s is taken over, and then decides its own cases alike', async (revision) => {
    cpSync(join(PACKAGE_ROOT, 'test', 'policy', 'history', revision), dir, { recursive: true });
    const settings = readFileSync(join(dir, 'policies', 'data.yaml'), 'utf8');
    const shown = await update('--dry-run');
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^--- a\/sallyport\/decision\.rego/m);
    expect(shown.stdout).toContain('nothing was written');
    expect(existsSync(join(dir, 'policies', 'sallyport', 'shape'))).toBe(false);

    const { code, stdout, stderr } = await update('--json');
    expect([code, stderr]).toEqual([0, '']);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ ok: true, written: true, compiled: true, cases_changed: [], to_do: [] });
    expect(readFileSync(join(dir, 'policies', 'data.yaml'), 'utf8')).toBe(settings);
    // What was there is kept aside, each file of it.
    const kept = readdirSync(join(dir, 'policies')).find((name) => name.startsWith('replaced-')) as string;
    const before = join(PACKAGE_ROOT, 'test', 'policy', 'history', revision, 'policies', 'sallyport', 'decision.rego');
    expect(readFileSync(join(dir, 'policies', kept, 'sallyport', 'decision.rego'), 'utf8')).toBe(
      readFileSync(before, 'utf8'),
    );
    expect(readCompiled(join(dir, 'policies'))).toBeDefined();
    expect((await update()).stdout).toMatch(/the shipped part is that of version/);
  });
});

it('R-72: an edited shipped file is named by check and by update, and its rule goes to the folder kept aside', async () => {
  cpSync(join(PACKAGE_ROOT, 'policies'), join(dir, 'policies'), { recursive: true });
  const file = join(dir, 'policies', 'sallyport', 'usage', 'usage.rego');
  writeFileSync(file, readFileSync(file, 'utf8').replace('calls > limit', 'calls >= limit'));
  writeFileSync(join(dir, 'policies', 'sallyport', 'mine.rego'), 'package sallyport.mine\n');
  const { code, stdout } = await update();
  expect(code).toBe(1);
  expect(stdout).toMatch(/^-\tcalls >= limit$/m);
  expect(stdout).toMatch(/to do: sallyport\/mine\.rego is not part of the shipped policy: put its rules into site\//);
  expect(readFileSync(file, 'utf8')).toContain('calls > limit');
  expect(readCompiled(join(dir, 'policies'))).toBeDefined();
});

it('a folder that is no policy folder is left as it is', async () => {
  const { code, stderr } = await update();
  expect([code, stderr]).toEqual([1, expect.stringMatching(/has no data\.yaml, so it is no policy folder/)]);
  expect(readdirSync(dir)).toEqual([]);
});

it.skipIf(opa === null)(
  'the packed package checks, builds and tests a policy by itself, and refuses what the gate refuses (needs OPA)',
  async () => {
    const { stdout } = await promisify(execFile)(
      'npm',
      ['pack', '--ignore-scripts', '--json', '--pack-destination', dir],
      { cwd: PACKAGE_ROOT, maxBuffer: 1 << 26 },
    );
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    await promisify(execFile)('tar', ['xzf', join(dir, filename), '-C', dir]);
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(dir, 'package', 'node_modules'));
    cpSync(join(PACKAGE_ROOT, 'examples', 'policies'), join(dir, 'mine'), { recursive: true });
    const command = (name: string, ...args: string[]) =>
      promisify(execFile)(process.execPath, [join(dir, 'package', 'dist', 'main.js'), 'policy', name, ...args], {
        cwd: dir,
        env: { ...process.env, OPA: opa?.path ?? '' },
      }).then(
        (ran) => ({ code: 0, ...ran }),
        (failed: { code: number; stdout: string; stderr: string }) => failed,
      );
    expect(await command('check', '--dir', 'package/policies')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('package/policies: ok'),
    });
    expect(await command('test', '--dir', 'package/policies')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('coverage 100 %'),
    });
    expect(await command('build', '--dir', 'mine')).toMatchObject({ code: 0 });
    expect(await command('check', '--dir', 'mine')).toMatchObject({ code: 0 });
    expect(await command('test', '--dir', 'mine')).toMatchObject({ code: 0 });
    const night = join(dir, 'mine', 'site', 'night.rego');
    writeFileSync(night, readFileSync(night, 'utf8').replace('"deny"', '"denied"'));
    for (const name of ['check', 'build'])
      expect(await command(name, '--dir', 'mine')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/night\.rego:\d+ grade "denied" is none/),
      });
    // Without an OPA it says which one to get.
    expect(existsSync(join(dir, 'package', 'tools', 'opa', 'go.mod'))).toBe(true);
    const bare = await promisify(execFile)(
      process.execPath,
      [join(dir, 'package', 'dist', 'main.js'), 'policy', 'check', '--dir', 'mine'],
      { cwd: dir, env: { PATH: '/nonexistent' } },
    ).catch((failed: { stderr: string }) => failed);
    expect(bare.stderr).toMatch(/no OPA compiler was found\. .*OPA 1\.22\.2.*put an opa of that version on PATH/);
  },
  90_000,
);
