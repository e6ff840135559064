// Secrets where platforms mount them: Kubernetes and Docker give files that belong to root, that a group may read, and
// whose names are symbolic links. What counts there is that nobody else can change them.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { preparePrivateFolder, privateFolder } from '../../src/core/files/private-file.ts';
import { readSecretFile, TRUSTED_FOLDERS, trustFolders } from '../../src/core/files/secret-file.ts';
import { readSecretJson } from '../../src/core/files/secret-source.ts';

let base: string;
let mount: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-secrets-')));
  mount = join(base, 'secrets');
  mkdirSync(mount);
  trustFolders([mount]);
});
afterEach(() => {
  trustFolders(TRUSTED_FOLDERS);
  delete process.env.CREDENTIALS_DIRECTORY;
  rmSync(base, { recursive: true, force: true });
});

/** A secret as the kubelet mounts it: `token` points to `..data/token`, and `..data` to a folder with the time. */
function kubernetes(mode: number, folderMode = 0o1777): string {
  const dir = join(mount, '..2026_11_27_10_00_00.1');
  mkdirSync(dir);
  writeFileSync(join(dir, 'token'), 's3cret');
  chmodSync(join(dir, 'token'), mode);
  symlinkSync('..2026_11_27_10_00_00.1', join(mount, '..data'));
  symlinkSync(join('..data', 'token'), join(mount, 'token'));
  chmodSync(mount, folderMode);
  return join(mount, 'token');
}

const root = process.getuid?.() === 0;

describe('R-48: in a trusted folder', () => {
  it.each([0o444, 0o440, 0o400, 0o644])('a mounted secret with mode %o is read, through its links', (mode) => {
    expect(readSecretFile(kubernetes(mode))).toBe('s3cret');
  });

  it.each([0o646, 0o660, 0o666])('one that others can write (%o) is refused', (mode) => {
    expect(() => readSecretFile(kubernetes(mode))).toThrow(/in the trusted folder .* but others can write to .*token/);
  });

  it('one in a folder whose names others can change is refused; the sticky bit keeps them from it', () => {
    expect(() => readSecretFile(kubernetes(0o444, 0o777))).toThrow(/others can write to .*secrets \(mode 777\)/);
  });

  it.runIf(root)('one that belongs to somebody else is refused, and one below a folder of his', () => {
    const path = kubernetes(0o444);
    chownSync(realpathSync(path), 4242, 4242);
    expect(() => readSecretFile(path)).toThrow(/owned by uid 4242/);
    chownSync(realpathSync(path), 0, 4242);
    expect(readSecretFile(path)).toBe('s3cret');
    chownSync(mount, 4242, 4242);
    expect(() => readSecretFile(path)).toThrow(/secrets is owned by uid 4242/);
  });

  it('a link out of it leads to a file that is not in it, and a link into it is not, either', () => {
    const outside = join(base, 'outside');
    writeFileSync(outside, 's3cret', { mode: 0o644 });
    symlinkSync(outside, join(mount, 'out'));
    expect(() => readSecretFile(join(mount, 'out'))).toThrow(/is a link that leads out of the trusted folder/);
    const path = kubernetes(0o444);
    symlinkSync(path, join(base, 'in'));
    expect(() => readSecretFile(join(base, 'in'))).toThrow(/can be read by others/);
  });

  it('the folder of systemd is one, and a folder with a name that begins like it is none', () => {
    const dir = join(base, 'credentials');
    mkdirSync(dir, { mode: 0o500 });
    mkdirSync(`${dir}-of-others`);
    for (const at of [dir, `${dir}-of-others`]) writeFileSync(join(at, 'token'), 's3cret', { mode: 0o440 });
    process.env.CREDENTIALS_DIRECTORY = dir;
    expect(readSecretFile(join(dir, 'token'))).toBe('s3cret');
    expect(() => readSecretFile(join(`${dir}-of-others`, 'token'))).toThrow(/can be read by others/);
  });
});

it('R-48: elsewhere only the owner may read a secret, and the message says what to do', () => {
  const path = join(base, 'token');
  writeFileSync(path, 's3cret', { mode: 0o644 });
  expect(() => readSecretFile(path)).toThrow(`run: chmod 600 ${path} (or name its folder under secrets.trusted_dirs`);
});

it.runIf(root)(
  'R-48: a file that may not be read says EACCES, whose it is and who asks, and never to remove it',
  () => {
    const path = join(base, 'keyring.json');
    writeFileSync(path, '{}', { mode: 0o400 });
    chmodSync(base, 0o755);
    const uid = process.geteuid?.() as number;
    process.seteuid?.(4242);
    try {
      expect(() => readSecretJson(path)).toThrow(/cannot be read: EACCES, it belongs to uid 0 with mode 400/);
      expect(() => readSecretJson(path)).not.toThrow(/remove/);
    } finally {
      process.seteuid?.(uid);
    }
  },
);

it('R-48: what is missing says so', () => {
  expect(() => readSecretFile(join(base, 'nothing'))).toThrow(/there is no such file \(ENOENT\)/);
  expect(() => readSecretJson({ env: 'SALLYPORT_NOT_SET' })).toThrow(
    /environment variable SALLYPORT_NOT_SET is not set/,
  );
});

describe.runIf(root)('R-48: a state folder on a mount', () => {
  it.each([0o755, 0o777, 0o1777])('that belongs to root with mode %o gets a private folder inside', (mode) => {
    const dir = join(base, 'state');
    mkdirSync(dir);
    chmodSync(dir, mode);
    const inside = privateFolder(dir);
    expect(inside).toBe(join(dir, 'sallyport-private'));
    preparePrivateFolder(inside);
    expect(privateFolder(dir)).toBe(inside);
    preparePrivateFolder(inside);
  });

  it('what Kubernetes gives to a group at each start of a pod (fsGroup) is closed to it again', () => {
    const dir = join(base, 'state');
    mkdirSync(dir);
    chmodSync(dir, 0o2775);
    const inside = privateFolder(dir);
    preparePrivateFolder(inside);
    writeFileSync(join(inside, 'keyring.json'), '{}', { mode: 0o600 });
    chmodSync(join(inside, 'keyring.json'), 0o660);
    chmodSync(inside, 0o2770);
    preparePrivateFolder(privateFolder(dir));
    expect(statSync(inside).mode & 0o777).toBe(0o700);
    expect(statSync(join(inside, 'keyring.json')).mode & 0o777).toBe(0o600);
  });

  it('a private folder that somebody else has put there is refused', () => {
    const dir = join(base, 'state');
    mkdirSync(join(dir, 'sallyport-private'), { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o777);
    chownSync(join(dir, 'sallyport-private'), 4242, 4242);
    expect(() => preparePrivateFolder(privateFolder(dir))).toThrow(/belongs to uid 4242/);
  });

  it('one that is private already, or not there yet, is used itself', () => {
    expect(privateFolder(join(base, 'new'))).toBe(join(base, 'new'));
    preparePrivateFolder(join(base, 'new'));
    expect(privateFolder(join(base, 'new'))).toBe(join(base, 'new'));
  });
});
