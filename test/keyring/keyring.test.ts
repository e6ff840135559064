import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  createKey,
  createKeyringFile,
  type Keyring,
  openKeyring,
  readKeyring,
  sealsAt,
  writeKeyring,
} from '../../src/keyring/keyring.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { until } from '../support/harness.ts';

let dir: string;
let path: string;
let clock: TestClock;
let keyring: Keyring | undefined;
let problems: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-keyring-'));
  path = join(dir, 'keyring.json');
  clock = createTestClock();
  problems = [];
});
afterEach(() => {
  keyring?.close();
  rmSync(dir, { recursive: true, force: true });
});

const open = () => {
  keyring = openKeyring({ source: { file: path }, clock, onProblem: (problem) => void problems.push(problem) });
  return keyring;
};
const ids = () => (keyring as Keyring).sealing().map(({ id }) => id);

it('R-48: the keyring is made on first start, for its owner only, and refused when others can read it', () => {
  open();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  keyring?.close();
  chmodSync(path, 0o640);
  expect(open).toThrow('chmod 600');
});

it('R-42: an added key opens at once and seals from its start time on; the old key goes on opening', async () => {
  open();
  const [first] = ids();
  const now = new Date(clock.now());
  const added = createKey(now, new Date(clock.now() + 30_000));
  const file = readKeyring(path);
  writeKeyring(path, { ...file, sealing: [...file.sealing, added] });
  await until(() => ids().length === 2, 'the new key to be read');
  expect(ids()).toEqual([first, added.id]);
  clock.advance(30);
  expect(ids()).toEqual([added.id, first]);
  // The array stays the same while nothing changes, so that keys are derived from it only once.
  expect(keyring?.sealing()).toBe(keyring?.sealing());
});

it('R-42: an unusable keyring file leaves the last good one in force, and readyz reports it', async () => {
  open();
  const before = ids();
  const good = readFileSync(path, 'utf8');
  for (const bad of ['{', JSON.stringify({ ...JSON.parse(good), sealing: [] })]) {
    writeFileSync(path, bad);
    await until(() => keyring?.stale, 'the problem to be seen');
    expect(ids()).toEqual(before);
    writeFileSync(path, `${good} `);
    await until(() => keyring?.stale === false, 'the file to be good again');
  }
  expect(problems.every((problem) => problem.includes('is not a keyring'))).toBe(true);
  // No reported problem shows any part of a key.
  expect(problems.join()).not.toContain(JSON.parse(good).sealing[0].key);
}, 20_000);

it('R-42: with a shared store a missing keyring is an error that names the mend, and nothing is made', () => {
  const start = () => openKeyring({ source: { file: path }, clock, shared: true });
  expect(start).toThrow(`${path} does not exist, and all replicas on one store need the same keyring`);
  expect(start).toThrow(`sallyport keys init --file ${path}`);
  expect(existsSync(path)).toBe(false);
});

it('two keys with one id are refused, because chance would decide which of them opens', () => {
  const file = createKeyringFile(new Date());
  writeKeyring(path, {
    ...file,
    sealing: [...file.sealing, { ...createKey(new Date(), new Date()), id: file.sealing[0]?.id ?? '' }],
  });
  expect(open).toThrow('not a keyring');
});

it('when no time has come yet, the first to come seals', () => {
  const key = (id: string, seconds: number) => ({ ...createKey(new Date(0), new Date(seconds * 1000)), id });
  const file = { ...createKeyringFile(new Date(0)), sealing: [key('late', 20), key('early', 10)] };
  expect(sealsAt(file, 0).id).toBe('early');
  expect(sealsAt(file, 15_000).id).toBe('early');
  expect(sealsAt(file, 25_000).id).toBe('late');
});
