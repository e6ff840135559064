// The policy commands on the folder of a site, as a person runs them.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { Opa } from '../../src/policy/opa.ts';
import { run as runCli } from '../support/cli.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';
import { CASES, type Files, RULE } from './mistakes/rule.ts';

const opa = inject('opa') as Opa | null;
const folders: PolicyFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

/** A policy folder with the rule and its case, some of it changed. */
function site(files: Files = {}): PolicyFolder {
  const folder = policyFolder({ 'site/night.rego': RULE, 'site/tests/night.yaml': CASES, ...files });
  folders.push(folder);
  return folder;
}
describe.skipIf(!opa)('the policy commands on a folder of the site (needs OPA)', () => {
  const env = { ...process.env, OPA: opa?.path ?? '' };

  it('R-72: a folder with nothing but data.yaml and rules of the site is checked, built, tested and posed', async () => {
    const folder = site();
    for (const name of ['sallyport', 'schemas', 'capabilities.json', 'compiled'])
      rmSync(join(folder.dir, name), { recursive: true });
    const run = (...args: string[]) => runCli(['policy', ...args, '--dir', folder.dir], { env });
    expect((await run('check')).stderr).toMatch(
      /policy\.wasm does not belong to the sources; run: sallyport policy build/,
    );
    expect((await run('build')).code).toBe(0);
    const checked = await run('check');
    expect([checked.code, checked.stdout]).toEqual([
      0,
      expect.stringMatching(
        /: ok\nposture: controls that are off\n {2}for all: binding\.ip allow \(shipped\)\n {2}for role manager: may call every tool/,
      ),
    ]);
    expect((await run('test')).stdout).toMatch(
      /\d+ Rego tests, coverage 100 %, \d+ cases and \d+ sequences through Go and WASM: ok/,
    );
    expect(existsSync(join(folder.dir, 'compiled', 'cases.json'))).toBe(true);
  }, 60_000);

  it('R-72: rules in a folder of their own (--site) are compiled there', async () => {
    const folder = site();
    const rules = policyFolder({ 'mine/night.rego': RULE, 'mine/tests/night.yaml': CASES });
    folders.push(rules);
    rmSync(join(folder.dir, 'site'), { recursive: true });
    const mine = join(rules.dir, 'mine');
    const { code, stdout } = await runCli(['policy', 'build', '--dir', folder.dir, '--site', mine], { env });
    expect([code, stdout]).toEqual([0, expect.stringContaining(join('mine', 'compiled', 'policy.wasm'))]);
  });

  it('every control set to allow is told, and --strict fails on it', async () => {
    const folder = site({
      'data.yaml': (text) =>
        text
          .replaceAll(/: (deny|rotate)$/gm, ': allow')
          .replaceAll(/grade: (deny|rotate)/g, 'grade: allow')
          .replace('history_lost: allow', 'history_lost: rotate'),
    });
    await runCli(['policy', 'build', '--dir', folder.dir], { env });
    const plain = await runCli(['policy', 'check', '--dir', folder.dir], { env });
    expect(plain.code).toBe(0);
    expect(plain.stdout).toMatch(
      /for all: binding\.client allow, binding\.key allow, .*lifetime\.absolute allow, replay\.seen allow/,
    );
    const strict = await runCli(['policy', 'check', '--strict', '--json', '--dir', folder.dir], { env });
    expect(strict.code).toBe(1);
    expect(JSON.parse(strict.stdout).problems.map((p: { path: string }) => p.path)).toContain('replay.seen');
  }, 60_000);
});
