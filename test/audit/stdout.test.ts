// The log on standard output, and the commands about the log.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { type LegacyInventory, startLegacyInventory } from '../../src/demo/legacy-inventory/app.ts';
import { endWithParent } from '../support/children.ts';
import { MAIN, run } from '../support/cli.ts';
import { openLogIn } from '../support/open-log.ts';
import { linesOf, tamper } from '../support/tampering.ts';

let dir: string;
let legacy: LegacyInventory;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-stdout-'));
  legacy = await startLegacyInventory({ users: { manager: { password: 'legacy-password', role: 'manager' } } });
});
afterEach(async () => {
  await legacy.close();
  rmSync(dir, { recursive: true, force: true });
});

const state = () => join(dir, 'state');

/** Starts a connector whose log goes there, makes calls, stops it by a signal, and answers what it has written. */
async function session(to: 'stdout' | 'both', calls: number, signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
  mkdirSync(state(), { recursive: true, mode: 0o700 });
  writeFileSync(join(state(), 'demo-backend.password'), 'legacy-password', { mode: 0o600 });
  const config = join(dir, 'connector.yaml');
  const text = readFileSync(join(PACKAGE_ROOT, 'src/demo/connector.yaml'), 'utf8').replace('port: 8787', 'port: 0');
  writeFileSync(config, `${text}\naudit: { to: ${to} }\n`);
  const clients = join(state(), 'clients.json');
  const added = await run(['client', 'add', `agent-${Date.now()}`, '--file', clients, '--role', 'clerk', '--json']);
  const { key } = JSON.parse(added.stdout);
  const env = {
    ...process.env,
    ...{ SALLYPORT_STATE_DIR: state(), LEGACY_INVENTORY_URL: legacy.url, LEGACY_INVENTORY_USER: 'manager' },
  };
  const child = endWithParent(spawn(process.execPath, [MAIN, 'serve', '--config', config], { env, cwd: dir }));
  let written = '';
  child.stdout.on('data', (chunk: Buffer) => {
    written += chunk.toString();
  });
  const exited = new Promise((resolve) => child.once('close', resolve));
  let url = '';
  for await (const line of createInterface({ input: child.stderr })) {
    const entry = JSON.parse(line);
    if (entry.message === 'listening') {
      url = entry.url;
      break;
    }
  }
  child.stderr.resume();
  for (let id = 0; id < calls; id += 1) {
    const params = { name: 'stock_get', arguments: { sku: 'A-1' } };
    const answer = await fetch(url, {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }),
    });
    expect(answer.status).toBe(200);
    // The decision was written before the call was made.
    const { result } = (await answer.json()) as { result: { _meta: Record<string, string> } };
    expect(written).toContain(`"decision_id":"${result._meta['sallyport/decision-id']}"`);
  }
  child.kill(signal);
  await exited;
  return written;
}

async function verify(files: string[], ...more: string[]) {
  const keys = join(dir, 'public.json');
  writeFileSync(keys, (await run(['audit', 'keys', 'export', '--file', join(state(), 'audit-keys.json')])).stdout);
  return run(['audit', 'verify', ...files, '--keys', keys, ...more]);
}
const anchor = () => ['--anchor', join(state(), 'audit-head.json')];

describe('R-60, R-61: audit.to', () => {
  it('stdout: both logs stand in one stream, goes on over restarts, and is whole when it was collected', async () => {
    const collected = join(dir, 'collected.jsonl');
    writeFileSync(collected, (await session('stdout', 3)) + (await session('stdout', 3)));
    const types = new Set(linesOf(collected).map((line) => JSON.parse(line).type));
    expect(types).toEqual(new Set(['checkpoint', 'event', 'decision', 'outcome']));
    expect(await verify([collected], ...anchor())).toMatchObject({ code: 0, stdout: expect.stringContaining('whole') });
    // What a collector has lost is found.
    tamper(collected, (lines) => lines.filter((line) => !line.includes('"message":"outcome"')));
    expect(await verify([collected], ...anchor())).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('delete'),
    });
  });

  it('stdout: after a kill another chain begins, since nobody knows what was read', async () => {
    const collected = join(dir, 'collected.jsonl');
    writeFileSync(collected, (await session('stdout', 3, 'SIGKILL')) + (await session('stdout', 1)));
    const verified = await verify([collected], ...anchor());
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringMatching(/gap on record .*: absent/) });
  });

  it('both: the same lines in the files and on standard output', async () => {
    const written = await session('both', 2);
    const files = ['decisions.jsonl', 'events.jsonl'].map((name) => join(state(), name));
    expect(written.trim().split('\n').sort()).toEqual(files.flatMap(linesOf).sort());
    expect(await verify(files, ...anchor())).toMatchObject({ code: 0 });
  });

  it.each([
    ['audit: { to: stdout, file: x.jsonl }', 'audit.file'],
    ['audit: { file: x/events.jsonl }', 'audit.events.file'],
    ['audit: { rotate: { budget_mb: 10, size_mb: 1 } }', 'audit.rotate'],
    ['audit: { rotate: { budget_mb: 10, size_mb: 6, keep_at_least: { days: 1 } } }', 'audit.rotate'],
    ['audit: { rotate: { keep_at_least: { days: 1 } } }', 'audit.rotate'],
  ])('what has no effect is an error of the configuration: %s', async (yaml, path) => {
    const config = join(dir, 'connector.yaml');
    writeFileSync(config, `${readFileSync(join(PACKAGE_ROOT, 'src/demo/connector.yaml'), 'utf8')}\n${yaml}\n`);
    const checked = await run(['config', 'check', config, '--offline']);
    expect(checked.code).toBe(1);
    expect(checked.stderr).toContain(path);
  });
});

describe('R-61: the commands', () => {
  const file = () => join(dir, 'keys.json');
  const keys = (...args: string[]) => run(['audit', 'keys', ...args, '--file', file()]);

  it('keys rotate: a new one waits, the one that signs is not retired, and a retired one is exported still', async () => {
    expect(await keys('status')).toMatchObject({ code: 1, stderr: expect.stringContaining('audit keys init') });
    const { id } = JSON.parse((await keys('init', '--json')).stdout);
    expect(await keys('init')).toMatchObject({ code: 1 });
    const next = JSON.parse((await keys('add', '--json')).stdout);
    const states = async () =>
      JSON.parse((await keys('status', '--json')).stdout).keys.map(({ state }: { state: string }) => state);
    expect(await states()).toEqual(['signs', 'waits']);
    expect(await keys('retire', id)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is the one that signs'),
    });
    expect(await keys('retire', next.id)).toMatchObject({ code: 0 });
    await keys('add', '--delay-seconds', '0');
    expect(await keys('retire', id)).toMatchObject({ code: 0 });
    expect(await states()).toEqual(['retired', 'retired', 'signs']);
    const exported = (await keys('export')).stdout;
    expect(JSON.parse(exported).keys).toHaveLength(3);
    expect(exported).not.toContain('private');
    const pem = await keys('export', '--pem', id);
    expect(pem.stdout).toMatch(/^-----BEGIN PUBLIC KEY-----\n[\w+/=\n]+\n-----END PUBLIC KEY-----\n$/);
    expect(readFileSync(file(), 'utf8').match(/private_key/g)).toHaveLength(1);
  }, 60_000);

  it('verify says what it cannot use with an exit code of its own, and nothing in colour to a file', async () => {
    const log = openLogIn(state());
    await log.event({ type: 'event', event: 'test', timestamp: '2026-11-23T09:00:00.000Z' });
    await log.close();
    const file = join(state(), 'events.jsonl');
    expect(await verify([join(dir, 'none.jsonl')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ENOENT'),
    });
    expect(await run(['audit', 'verify', file])).toMatchObject({ code: 2 });
    expect(await verify([file], '--threads', 'many')).toMatchObject({ code: 2 });
    const whole = await verify([file]);
    expect(whole).toMatchObject({ code: 3, stdout: expect.stringContaining('give --anchor') });
    expect(whole.stdout).not.toContain('\u001b');
    expect(JSON.parse((await verify([file], '--json')).stdout)).toMatchObject({ verdict: 'to_checkpoint' });
    tamper(file, (lines) => lines.map((line) => line.replace('"event":"test"', '"event":"task"')));
    expect((await verify([file])).stdout).toMatch(/events\.jsonl:3: edit: record 3 was changed/);
  });

  it('pseudonyms are found again by who has the keys, and not after those are destroyed', async () => {
    const file = join(dir, 'pseudonyms.json');
    const key = Buffer.alloc(32, 7).toString('base64');
    const periods = ['2026-01-01', '2026-04-01', '2026-06-30'].map((from) => ({ from, key }));
    writeFileSync(file, JSON.stringify({ version: 1, days: 90, periods }), { mode: 0o600 });
    const find = () =>
      execFileSync(process.execPath, [MAIN, 'audit', 'pseudonyms', 'find', '--file', file], { input: 'alice\n' })
        .toString()
        .trim()
        .split('\n');
    expect(find()).toHaveLength(3);
    const command = (...args: string[]) => run(['audit', 'pseudonyms', ...args, '--file', file]);
    expect(await command('destroy', '--before', '2026-03-31')).toMatchObject({ code: 1 });
    expect(await command('destroy', '--before', '2026-04-01', '--json')).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify({ destroyed: ['2026-01-01'] })}\n`,
    });
    expect(find().map((each) => each.slice(0, 18))).toEqual(['pseudonym:20260401', 'pseudonym:20260630']);
    expect((await command('status')).stdout).toContain('2026-01-01  90 days  destroyed');
    expect(await command('destroy', '--before', 'soon')).toMatchObject({ code: 1 });
  });
});
