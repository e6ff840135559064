// Signed policies: at a start and at an activation, on one connector. Signed by the command and by OPA's own.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { readFiles } from '../../src/policy/signed/files.ts';
import { withVerified } from '../../src/policy/signed/open.ts';
import { verify } from '../../src/policy/signed/verify.ts';
import { run } from '../support/cli.ts';
import { decisionLog } from '../support/decision-log.ts';
import { type Harness, type Loose, reasons, startHarness } from '../support/harness.ts';
import { type PolicyFolder, policyFolder } from '../support/policies.ts';

const opa = inject('opa');
const TOKEN = 'token-that-acts-0123456789abcdef0123456';
let dir: string;
let state: string;
let folder: PolicyFolder;
let h: Harness | undefined;

function keys(name: string): void {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(dir, `${name}.key`), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(dir, `${name}.pub`), pair.publicKey.export({ type: 'spki', format: 'pem' }));
}
beforeEach(() => {
  process.env.SIGNED_ACT = TOKEN;
  dir = mkdtempSync(join(tmpdir(), 'sallyport-signed-'));
  state = join(dir, 'state');
  keys('release');
  keys('other');
  folder = policyFolder();
});
afterEach(async () => {
  await h?.close();
  h = undefined;
  folder.remove();
  rmSync(dir, { recursive: true, force: true });
  delete process.env.SIGNED_ACT;
});

/** `settings`: more of "policy". */
const startWith = async (settings: string, policyDir = folder.dir) => {
  h = await startHarness({
    policyDir: `${policyDir}${settings}`,
    edit: (yaml) =>
      yaml
        .replace(/^state_dir: .*$/m, `state_dir: ${state}`)
        .replace(
          'state_dir:',
          'admin: { port: 0, tokens: { on-call: { env: SIGNED_ACT, rights: [act, read] } } }\nstate_dir:',
        ),
  });
  return h;
};
const start = (policyDir = folder.dir, more = '') =>
  startWith(`, keys: { release: { file: ${dir}/release.pub } }${more}`, policyDir);
const stop = async () => {
  await h?.close();
  h = undefined;
};
const sign = async (of = folder.dir, key = 'release', ...more: string[]) => {
  const done = await run(['policy', 'sign', of, '--key', join(dir, `${key}.key`), ...more]);
  expect(done).toMatchObject({ code: 0 });
  return done.stdout;
};
const ask = async (path: string, body: object) => {
  const answer = await fetch(new URL(`/api/v1/policy/${path}`, (h as Harness).connector.adminUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ reason: 'a drill', ...body }),
  });
  return (await answer.json()) as Loose;
};
/** Another policy: the number of calls a minute is another one. */
const changed = (calls: number): PolicyFolder =>
  policyFolder({ 'data.yaml': (yaml) => yaml.replace(/calls_per_minute: \d+/, `calls_per_minute: ${calls}`) });
const goesOn = async () => expect(reasons(await (h as Harness).call('stock_get', { sku: 'A-1' }))).toEqual([]);
const events = async (name: string): Promise<Loose[]> => {
  await (h as Harness).connector.settled();
  return decisionLog(state).filter(({ event }) => event === name);
};

describe('R-38: a policy that is signed', () => {
  it('decides, and is said to be signed wherever somebody looks; a bundle of it is activated', async () => {
    await sign();
    // A machine that serves has no compiler, and needs none.
    const found = process.env.OPA;
    process.env.OPA = '/none';
    await start().finally(() => {
      if (found === undefined) delete process.env.OPA;
      else process.env.OPA = found;
    });
    expect((h as Harness).connector.policy).toMatchObject({ verdict: 'signed' });
    expect((await events('sys_startup'))[0]).toMatchObject({ policy: 'signed' });
    await goesOn();
    const next = changed(77);
    const bundle = join(dir, 'next.tar.gz');
    expect(await sign(next.dir, 'release', '--output', bundle)).toMatch(/next\.tar\.gz: \d+ files are signed/);
    const done = await ask('activate', { dir: bundle });
    expect(done).toMatchObject({ ok: true, changed: true });
    await goesOn();
    // It goes on over a restart, from what was kept with its signature.
    await stop();
    await start();
    expect((h as Harness).connector.policy).toMatchObject({ revision: done.revision, verdict: 'signed' });
    next.remove();
  }, 30_000);

  it.each<[string, (path: string) => void | Promise<void>, RegExp]>([
    ['unsigned', (path) => rmSync(join(path, '.signatures.json')), /is not signed \(there is no \.signatures\.json\)/],
    [
      'of another key',
      async (path) => void (await sign(path, 'other')),
      /its signature is of none of the keys in policy\.keys \(release\)/,
    ],
    [
      'changed',
      (path) =>
        writeFileSync(
          join(path, 'data.yaml'),
          `${readFileSync(join(path, 'data.yaml'), 'utf8').replace('calls_per_minute: 77', 'calls_per_minute: 7777')}`,
        ),
      /data\.yaml was changed after it was signed/,
    ],
    [
      'with another module',
      (path) => writeFileSync(join(path, 'compiled', 'policy.wasm'), 'evil'),
      /policy\.wasm was changed after it was signed/,
    ],
    [
      'with a file more',
      (path) => writeFileSync(join(path, 'sallyport', 'more.rego'), 'package sallyport.more\n'),
      /more\.rego is there and is not signed/,
    ],
    [
      'with a file less',
      (path) => rmSync(join(path, 'compiled', 'cases.json')),
      /cases\.json is signed and is not there/,
    ],
    [
      'with a signature that is none',
      (path) => writeFileSync(join(path, '.signatures.json'), '{"signatures":["a.b.c"]}'),
      /its signature is of none of the keys/,
    ],
    [
      'with two signatures',
      (path) => writeFileSync(join(path, '.signatures.json'), '{"signatures":["a","b"]}'),
      /does not hold one signature in OPA's form/,
    ],
  ])(
    '%s is refused in one clear line, at an activation and at a start, and calls go on',
    async (_what, spoil, problem) => {
      await sign();
      await start();
      const { revision } = (h as Harness).connector.policy;
      const next = changed(77);
      await sign(next.dir);
      await spoil(next.dir);
      const refused = await ask('activate', { dir: next.dir });
      expect(refused).toMatchObject({ ok: false, problem: expect.stringMatching(problem), revision });
      expect(refused.problem).not.toContain('\n');
      await goesOn();
      expect(await events('policy_refused')).toHaveLength(1);
      await stop();
      await expect(start(next.dir)).rejects.toThrow(problem);
      next.remove();
    },
    30_000,
  );

  it('a bundle that is cut off, has no end, or leads out of its folder is refused', async () => {
    await sign();
    await start();
    const bundle = join(dir, 'next.tar.gz');
    await sign(folder.dir, 'release', '--output', bundle);
    truncateSync(bundle, 3000);
    expect(await ask('activate', { dir: bundle })).toMatchObject({
      ok: false,
      problem: expect.stringContaining('next.tar.gz cannot be read'),
    });
    writeFileSync(bundle, 'no archive');
    expect(await ask('activate', { dir: bundle })).toMatchObject({ ok: false });
    expect(await ask('activate', { dir: join(dir, 'none.tar.gz') })).toMatchObject({
      problem: expect.stringContaining('none.tar.gz does not exist'),
    });
    cpSync(folder.dir, join(dir, 'inside'), { recursive: true });
    execFileSync('tar', ['czf', bundle, '--transform', 's,^data,../../data,', '-C', join(dir, 'inside'), 'data.yaml'], {
      stdio: 'ignore',
    });
    expect(await ask('activate', { dir: bundle })).toMatchObject({ ok: false });
    await goesOn();
  }, 30_000);

  it('R-96: an older one than was activated needs a rollback, also over a restart', async () => {
    const next = changed(77);
    // They are signed in one second by the command, so the time is OPA's own claim here.
    await sign();
    const signed = async (of: string, iat: number) => {
      const { sign: signFiles } = await import('../../src/policy/signed/sign.ts');
      const { readFiles } = await import('../../src/policy/signed/files.ts');
      writeFileSync(join(of, '.signatures.json'), await signFiles(await readFiles(of), join(dir, 'release.key'), iat));
    };
    await signed(folder.dir, 1_700_000_000);
    await signed(next.dir, 1_700_000_100);
    await start();
    const old = (h as Harness).connector.policy.revision;
    const done = await ask('activate', { dir: next.dir });
    expect(done).toMatchObject({ ok: true });
    expect(await ask('activate', { dir: folder.dir })).toMatchObject({
      ok: false,
      problem: expect.stringMatching(
        /signed 2023-11-14T22:13:20\.000Z, and one of 2023-11-14T22:15:00\.000Z was activated since/,
      ),
    });
    await stop();
    // The folder is another one, and older: it is not used, which is said.
    const older = changed(55);
    await signed(older.dir, 1_600_000_000);
    await start(older.dir);
    expect((h as Harness).connector.policy.revision).toBe(done.revision);
    expect((await events('policy_refused')).at(-1)).toMatchObject({ what: 'start', before: done.revision });
    expect(await ask('rollback', { revision: old })).toMatchObject({ ok: true, revision: old });
    expect(await ask('activate', { dir: older.dir })).toMatchObject({ ok: false });
    expect(await ask('activate', { dir: next.dir })).toMatchObject({ ok: true, revision: done.revision });
    for (const each of [next, older]) each.remove();
  }, 60_000);

  it('one that was kept is verified again: whoever writes the state folder does not choose it', async () => {
    await sign();
    await start();
    const first = (h as Harness).connector.policy.revision;
    const next = changed(77);
    await sign(next.dir);
    await ask('activate', { dir: next.dir });
    const file = join(state, 'policies', first, 'signed.json');
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
    writeFileSync(file, JSON.stringify({ ...kept, 'data.yaml': Buffer.from('settings: {}').toString('base64') }));
    expect(await ask('rollback', { revision: first })).toMatchObject({
      ok: false,
      problem: expect.stringContaining('data.yaml was changed after it was signed'),
    });
    rmSync(file);
    expect(await ask('rollback', { revision: first })).toMatchObject({
      ok: false,
      problem: expect.stringContaining('was kept unsigned'),
    });
    await goesOn();
    next.remove();
  }, 30_000);

  it('what was hashed is what is loaded: one text that two readers of YAML read as two things changes nothing', async () => {
    const write = (site: string) =>
      writeFileSync(join(folder.dir, 'data.yaml'), `settings:\n  site:\n    order: ${site}\n`);
    write('{ limit: 5 }');
    await sign();
    write('{ <<: { limit: 5 } }');
    const laid = await withVerified(
      { dir: folder.dir },
      [{ name: 'release', file: join(dir, 'release.pub') }],
      async ({ place }) => JSON.parse(readFileSync(join(place.dir, 'data.yaml'), 'utf8')),
    );
    expect(laid).toEqual({ settings: { site: { order: { limit: 5 } } } });
  });

  it('keys are changed side by side: what is signed anew is kept with its new signature', async () => {
    await sign();
    const both = `, keys: { release: { file: ${dir}/release.pub }, other: { file: ${dir}/other.pub } }`;
    const next = changed(77);
    await sign(next.dir);
    await startWith(both);
    const { revision } = await ask('activate', { dir: next.dir });
    await sign(folder.dir, 'other');
    await sign(next.dir, 'other');
    expect(await ask('activate', { dir: next.dir })).toMatchObject({ ok: true, changed: false });
    await stop();
    await startWith(`, keys: { other: { file: ${dir}/other.pub } }`);
    expect((h as Harness).connector.policy).toMatchObject({ revision, verdict: 'signed' });
    next.remove();
  }, 30_000);

  it('a pipe in the folder is refused, and holds nothing; a name of a file writes nothing on a terminal', async () => {
    await sign();
    await start();
    const next = changed(77);
    await sign(next.dir);
    execFileSync('mkfifo', [join(next.dir, 'pipe')]);
    expect(await ask('activate', { dir: next.dir })).toMatchObject({
      ok: false,
      problem: expect.stringContaining('has "pipe", which is no file of a policy'),
    });
    rmSync(join(next.dir, 'pipe'));
    writeFileSync(join(next.dir, 'a\n\u001b[2Jok'), '');
    expect((await ask('activate', { dir: next.dir })).problem).toContain(
      '"a\\n\\u001b[2Jok" is there and is not signed',
    );
    await goesOn();
    next.remove();
  }, 30_000);

  it('the command packs no private key, and writes nothing where it cannot write all', async () => {
    cpSync(join(dir, 'release.key'), join(folder.dir, 'release.key'));
    const done = await run(['policy', 'sign', folder.dir, '--key', join(folder.dir, 'release.key')]);
    expect(done).toMatchObject({ code: 1, stderr: expect.stringContaining('would be released with the policy') });
    rmSync(join(folder.dir, 'release.key'));
    const none = await run([
      'policy',
      'sign',
      folder.dir,
      '--key',
      join(dir, 'release.key'),
      '--output',
      join(dir, 'none', 'p.tar.gz'),
    ]);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be written') });
    expect(existsSync(join(folder.dir, '.signatures.json'))).toBe(false);
  });

  it('what cannot be there is an error of the configuration, and the command signs nothing that is not built', async () => {
    await expect(start(folder.dir, `, site_dir: ${dir}`)).rejects.toThrow(/policy\.site_dir/);
    await sign();
    cpSync(join(dir, 'release.key'), join(dir, 'release.pub'));
    await expect(start()).rejects.toThrow(/it is a private key; give the public one/);
    writeFileSync(join(folder.dir, 'compiled', 'policy.wasm'), 'other');
    expect(await run(['policy', 'sign', folder.dir, '--key', join(dir, 'other.key')])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('run "sallyport policy build" first'),
    });
    expect(await run(['policy', 'sign', folder.dir, '--key', join(dir, 'other.pub')])).toMatchObject({ code: 1 });
  });
});

describe.skipIf(!opa)("R-38: what OPA's own commands sign (needs OPA)", () => {
  const own = (args: string[], cwd: string) =>
    execFileSync((opa as NonNullable<typeof opa>).path, args, { cwd, stdio: 'pipe' });
  const key = () => ['--signing-alg', 'ES256', '--signing-key', join(dir, 'release.key')];

  it('keys that look like numbers are hashed as OPA does', async () => {
    writeFileSync(join(folder.dir, 'data.yaml'), 'settings: { a: { "10": 1, "9": 2, "-x": 3, "é": "\\u2028<&" } }\n');
    own(['sign', ...key(), '--bundle', '.'], folder.dir);
    const files = await readFiles(folder.dir);
    expect(await verify('it', files, [{ name: 'release', file: join(dir, 'release.pub') }])).toMatchObject({
      key: 'release',
    });
  });

  it('a folder of "opa sign" is used', async () => {
    own(['sign', ...key(), '--bundle', '.'], folder.dir);
    await start();
    expect((h as Harness).connector.policy).toMatchObject({ verdict: 'signed' });
    await goesOn();
  });

  it('a bundle of "opa build" is used, with the METADATA and cases of this version where the module is the same', async () => {
    const built = join(dir, 'built');
    for (const name of ['sallyport', 'data.yaml', 'capabilities.json'])
      cpSync(join(folder.dir, name), join(built, name), { recursive: true });
    const entrypoints = ['-e', 'sallyport/decision', '-e', 'sallyport/visible'];
    const bundle = join(dir, 'built.tar.gz');
    own(
      ['build', '-b', '.', '-t', 'wasm', ...entrypoints, '--capabilities', 'capabilities.json', ...key(), '-o', bundle],
      built,
    );
    await start(bundle);
    expect((h as Harness).connector.policy).toMatchObject({ verdict: 'signed' });
    await goesOn();
    expect(existsSync(join(state, 'policies', (h as Harness).connector.policy.revision, 'signed.json'))).toBe(true);
    expect((await ask('activate', {})).warnings).toEqual([]);
  }, 30_000);
});
