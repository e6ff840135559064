import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { run } from '../support/cli.ts';
import { policyFolder } from '../support/policies.ts';

const opa = inject('opa');
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('exit codes and help', () => {
  it('--help and --version exit with 0, wrong usage exits with 2', async () => {
    const help = await run(['--help']);
    expect(help.code).toBe(0);
    for (const word of ['serve', 'config', 'policy', 'client', 'Exit codes']) expect(help.stdout).toContain(word);
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const args of [
      ['nonsense'],
      ['serve', '--nonsense'],
      ['client', 'add'],
      ['client', 'add', 'x'],
      ['config', 'nonsense'],
    ]) {
      expect((await run(args)).code, args.join(' ')).toBe(2);
    }
  });

  it.each([
    ['serve'],
    ['config', 'check'],
    ['policy', 'check'],
    ['policy', 'build'],
    ['policy', 'test'],
    ['client', 'add'],
  ])('%s %s has help', async (...args) => {
    expect(await run([...args.filter((a) => typeof a === 'string'), '--help'])).toMatchObject({ code: 0 });
  });

  it('an error that the operator can fix is one message without a stack trace, and the exit code is 1', async () => {
    const missing = await run(['serve', '--config', 'nowhere.yaml'], { cwd: dir });
    expect(missing).toEqual({
      code: 1,
      stdout: '',
      stderr: 'nowhere.yaml does not exist; give the path of a connector.yaml\n',
    });
    expect(await run(['serve', '--port', 'abc'], { cwd: dir })).toMatchObject({
      code: 1,
      stderr: 'the port (--port or PORT) is "abc"; give a number from 0 to 65535\n',
    });
  });
});

describe('client add', () => {
  it('prints the key once, stores its hash in a private file, and refuses the same id again', async () => {
    const file = join(dir, 'clients.json');
    const args = [
      'client',
      'add',
      'agent-7',
      '--file',
      file,
      '--role',
      'clerk',
      'auditor',
      '--scope',
      'stock:write',
      '--expires-days',
      '30',
    ];
    const added = await run(args);
    expect(added.code).toBe(0);
    const key = added.stdout.trim();
    expect(key).toMatch(/^sp_[\w-]{43}$/);
    expect(readFileSync(file, 'utf8')).not.toContain(key);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, 'utf8')).clients[0]).toMatchObject({
      id: 'agent-7',
      subject: 'agent-7',
      roles: ['clerk', 'auditor'],
      scopes: ['stock:write'],
    });
    expect(await run(args)).toMatchObject({ code: 1, stdout: '' });
    const replaced = await run([...args, '--replace', '--json']);
    expect(JSON.parse(replaced.stdout)).toMatchObject({ id: 'agent-7', key: expect.not.stringMatching(key) });
  });

  it('a file that others can read, or that is not a client file, is refused and stays unchanged', async () => {
    const file = join(dir, 'clients.json');
    writeFileSync(file, '{"version":1,"clients":[{}]}', { mode: 0o600 });
    expect((await run(['client', 'add', 'x', '--file', file])).stderr).toContain('clients.0.id');
    chmodSync(file, 0o640);
    expect((await run(['client', 'add', 'x', '--file', file])).stderr).toContain('chmod 600');
    expect(readFileSync(file, 'utf8')).toBe('{"version":1,"clients":[{}]}');
  });
});

describe('client list and client remove', () => {
  it('show clients without keys, and take one out with its attributes', async () => {
    const file = join(dir, 'clients.json');
    const add = (id: string, ...more: string[]) => run(['client', 'add', id, '--file', file, ...more]);
    await add('a', '--role', 'clerk', '--attribute', 'site=4');
    await add('b', '--subject', 'somebody', '--expires-days', '30');
    const { stdout } = await run(['client', 'list', '--file', file]);
    expect(stdout).toMatch(
      /^a {2}roles clerk, attributes \{"site":4\}\nb {2}roles none, acts for somebody, ends 20\d\d-/,
    );
    const listed = JSON.parse((await run(['client', 'list', '--file', file, '--json'])).stdout);
    expect(listed.clients.map(({ id }: { id: string }) => id)).toEqual(['a', 'b']);
    expect(JSON.stringify(listed)).not.toMatch(/key|sha256|[0-9a-f]{64}/);
    expect(await run(['client', 'remove', 'nobody', '--file', file])).toMatchObject({
      code: 1,
      stderr: `${file} has no client "nobody"; see: sallyport client list --file ${file}\n`,
    });
    expect(await run(['client', 'remove', 'a', '--file', file])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('sallyport revoke --client a'),
    });
    expect(readFileSync(join(dir, 'clients.attributes.json'), 'utf8')).not.toContain('site');
    expect((await run(['client', 'list', '--file', file])).stdout).toMatch(/^b /);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }, 30_000);
});

describe('keys', () => {
  it('in an environment variable can be looked at, and say that they cannot be rotated', async () => {
    const file = join(dir, 'keyring.json');
    expect((await run(['keys', 'init', '--file', file])).code).toBe(0);
    const env = { RING: readFileSync(file, 'utf8') };
    expect(await run(['keys', 'status', '--env', 'RING'], { env })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ seals /),
    });
    for (const command of [['add'], ['init'], ['retire', 'x']])
      expect(await run(['keys', ...command, '--env', 'RING'], { env })).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^the keyring in RING cannot be changed by this command, nor while the connector runs/,
        ),
      });
    expect((await run(['keys', 'status'])).stderr).toMatch(/^give --file FILE, or --env NAME/);
    expect((await run(['keys', 'status', '--env', 'NOT_SET'])).stderr).toMatch(/NOT_SET is not set/);
  }, 30_000);
});

describe('config check', () => {
  it('lists every problem, as text or as JSON', async () => {
    const file = join(dir, 'connector.yaml');
    writeFileSync(
      file,
      'version: 1\nidentity: { keys: { file: clients.json } }\nbackends: {}\ntools:\n  t:\n    backend: none\n    description: x\n    effect: read\n    request: { path: /x }\n    nonsense: 1\n',
    );
    const text = await run(['config', 'check', file]);
    expect(text.code).toBe(1);
    expect(text.stderr).toContain(`${file}:10 tools.t.nonsense: unknown key "nonsense"`);
    const json = await run(['config', 'check', file, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      problems: [{ file, line: 10, path: 'tools.t.nonsense' }],
    });
    writeFileSync(file, 'version: 1\nidentity: { keys: { file: clients.json } }\nbackends: {}\ntools: {}\n');
    expect((await run(['config', 'check', file])).stderr).toContain('identity.keys.file');
    await run(['client', 'add', 'x', '--file', join(dir, 'clients.json')]);
    expect((await run(['config', 'check', file])).stderr).toMatch(
      /policy\.dir: .*data\.yaml:\d+ settings\.access\.roles\.clerk\.tools\.0: no tool "stock_list"/,
    );
    writeFileSync(file, `${readFileSync(file, 'utf8')}policy: { allow_unknown_names: true }\n`);
    expect(await run(['config', 'check', file])).toMatchObject({ code: 0, stdout: `${file}: ok\n` });
    const rest = `tools: {}\nbackends:\n  b:\n    url: https://b.example\n    ca_file: none.pem\n    credentials: { password: { file: none } }\n    accounts: { by: client, file: nobody.json }\n    login: [{ request: { path: / } }]\n    session: { cookies: [S] }\n    expired: [{ status: 401 }]\npolicy: { dir: none }\n`;
    writeFileSync(file, `version: 1\nidentity: { keys: { file: clients.json } }\n${rest}`);
    const files = await run(['config', 'check', file]);
    for (const path of [
      'backends.b.ca_file',
      'backends.b.credentials.password',
      'backends.b.accounts.file',
      'policy.dir',
    ])
      expect(files.stderr).toContain(path);
    expect((await run(['serve', '--config', file])).stderr).not.toContain('    at ');
  });
});

describe.skipIf(opa === null)('policy (needs OPA)', () => {
  const env = { OPA: opa?.path ?? '' };
  it('R-98: a rule that says own_place and looks at other networks is refused by check', async () => {
    const folder = policyFolder({
      'sallyport/binding/binding.rego': (rego) =>
        rego.replace('#   reason: binding.ip_changed\n', '#   reason: binding.ip_changed\n#   own_place: true\n'),
    });
    try {
      await run(['policy', 'build', '--dir', folder.dir], { env });
      const { code, stdout, stderr } = await run(['policy', 'check', '--dir', folder.dir], { env });
      expect([code, `${stdout}${stderr}`]).toEqual([1, expect.stringContaining('says own_place')]);
    } finally {
      folder.remove();
    }
  });

  it('check, build and test', async () => {
    const folder = policyFolder();
    try {
      expect(await run(['policy', 'check', '--dir', folder.dir], { env })).toMatchObject({ code: 0 });
      rmSync(join(folder.dir, 'compiled'), { recursive: true });
      expect(await run(['policy', 'check', '--dir', folder.dir], { env })).toMatchObject({ code: 1 });
      const built = await run(['policy', 'build', '--dir', folder.dir, '--json'], { env });
      expect(JSON.parse(built.stdout)).toMatchObject({ opa: opa?.version, bytes: expect.any(Number) });
      expect(existsSync(join(folder.dir, 'compiled/policy.wasm'))).toBe(true);
      const tested = await run(
        ['policy', 'test', '--dir', folder.dir, '--tests', join(PACKAGE_ROOT, 'policy-tests'), '--json'],
        { env },
      );
      expect(JSON.parse(tested.stdout)).toMatchObject({ ok: true, coverage: 100 });
    } finally {
      folder.remove();
    }
  });
});
