import {
  chmodSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createThrottle } from '../../src/audit/events/throttle.ts';
import { buildInput } from '../../src/decision/input.ts';
import { inputText } from '../../src/decision/input-text.ts';
import { constant, JsonText } from '../../src/formats/json-text.ts';
import { openLogIn } from '../support/open-log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-audit-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const event = (n: number) => ({ type: 'event' as const, event: 'test', timestamp: 't', n });

const lines = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const tests = (file: string) => lines(file).filter((line) => line.event === 'test');

it('R-60: a record is in the file when its promise resolves, and concurrent records keep their order', async () => {
  const at = join(dir, 'a');
  const file = join(at, 'events.jsonl');
  const log = openLogIn(at, { durability: 'disk', labels: { id: 'x' } });
  await Promise.all(
    Array.from({ length: 500 }, async (_, n) => {
      await log.event(event(n));
      expect(readFileSync(file, 'utf8')).toContain(`"n":${n},`);
    }),
  );
  expect(tests(file).map((line) => line.n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
  expect(tests(file)[0]).toMatchObject({ level: 'info', message: 'event', form: 2, labels: { id: 'x' } });
  await log.close();
  await expect(log.alert({ type: 'alert' } as never)).rejects.toThrow('closed');
});

it('a line torn by a crash does not swallow the next record', async () => {
  const file = join(dir, 'events.jsonl');
  writeFileSync(file, '{"type":"decision","torn":');
  const log = openLogIn(dir);
  await log.event(event(1));
  await log.close();
  const [, ...whole] = readFileSync(file, 'utf8').trim().split('\n');
  expect(whole.map((line) => JSON.parse(line).event)).toEqual([
    'log_started',
    'log_torn',
    undefined,
    'test',
    undefined,
  ]);
});

it('R-60: an unusable path is an error at start', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => openLogIn(dir, { decisions: join(dir, 'file', 'log.jsonl') })).toThrow();
  expect(() => openLogIn(dir, { events: join(dir, 'file', 'log.jsonl') })).toThrow();
});

it('R-36: policy and log get only known fields; arguments that are not listed are left out of the log and named by pointer', () => {
  const surprise = { surprise: 'secret' };
  const input = buildInput({
    now: 0,
    client: { id: 'c', auth: { issuedAt: null, expiresAt: null, ...surprise }, ...surprise },
    tool: { name: 't', backend: 'b', effect: 'read', ...surprise },
    arguments: { sku: 'A', 'a/b~c': 1, password: 'x' },
    session: {
      id: 's',
      bound: { client_id: 'c', ipv4: { ip: '10.0.0.1', network: '10.0.0.0/24', ...surprise }, ...surprise },
      ...surprise,
    },
    usage: { calls_1m: 1, networks: [], tool: { calls_90d: 1, last_seconds: 1, ...surprise }, ...surprise },
    replay: { source: null, ...surprise },
    ...surprise,
  } as never);
  const { text, logged, erased } = inputText(input, ['sku']);
  expect(text).not.toContain('secret');
  expect(text).toContain('10.0.0.0/24');
  expect(JSON.parse(logged.text).tool.arguments).toEqual({ sku: 'A' });
  expect(erased).toEqual(['/input/tool/arguments/a~1b~0c', '/input/tool/arguments/password']);
});

it('the throttle lets a limited number through each second and counts the rest', () => {
  const throttle = createThrottle(2);
  expect([throttle.admit(0), throttle.admit(1), throttle.admit(2), throttle.admit(999)]).toEqual([
    0,
    0,
    undefined,
    undefined,
  ]);
  expect(throttle.admit(1000)).toBe(2);
  expect(throttle.admit(1001)).toBe(0);
});

it.each([
  '\u2028',
  '\u2029',
  '\u0085',
  '\u007f',
  '\u009b',
  '\u202e',
  '\ufeff',
  '\u{e0001}',
  '\u3164',
  '\ufe0f',
  '\r\n',
])('R-62: a line has no character that ends a line, moves a cursor or turns text: %j', async (character) => {
  const file = join(dir, 'events.jsonl');
  const log = openLogIn(dir);
  await log.event({ ...event(1), text: `a${character}b` });
  await log.close();
  expect(readFileSync(file, 'utf8').replaceAll('\n', '')).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u);
  expect(tests(file)[0]?.text).toBe(`a${character}b`);
});

it.each([0o666, 0o662, 0o620, 0o602])('A03: a log file of mode %o, which others can write, is refused', (mode) => {
  const file = join(dir, 'log.jsonl');
  writeFileSync(file, '');
  chmodSync(file, mode);
  expect(() => openLogIn(dir, { decisions: file })).toThrow(/others can write.*chmod 600/);
});

it.each([
  [0o644, 0o640],
  [0o604, 0o600],
  [0o640, 0o640],
])('A03: of a log file of mode %o its group may read on, and everybody else not: %o', async (before, after) => {
  const file = join(dir, 'log.jsonl');
  writeFileSync(file, '');
  chmodSync(file, before);
  await openLogIn(dir, { decisions: file }).close();
  expect(statSync(file).mode & 0o777).toBe(after);
});

it.runIf(process.platform === 'linux')(
  'R-60: a durable log is written through to the disk by each write itself',
  async () => {
    const file = join(dir, 'log.jsonl');
    const flagsOf = () =>
      readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          if (readlinkSync(`/proc/self/fd/${fd}`) !== realpathSync(file)) return [];
          return [
            Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8),
          ];
        } catch {
          return [];
        }
      });
    const durable = openLogIn(dir, { decisions: file, durability: 'disk' });
    expect(flagsOf().map((flags) => flags & constants.O_DSYNC)).toEqual([constants.O_DSYNC]);
    await durable.close();
    const lazy = openLogIn(dir, { decisions: file });
    expect(flagsOf().map((flags) => flags & constants.O_DSYNC)).toEqual([0]);
    await lazy.close();
  },
);

it('R-62: the line of a decision is the text of its record, byte for byte', async () => {
  const file = join(dir, 'log.jsonl');
  const labels = { id: 'host', version: '1' };
  const log = openLogIn(dir, { decisions: file, labels });
  const input = { tool: { arguments: { text: 'a"b\\c 😀' } } };
  const result = constant({
    outcome: 'deny' as const,
    reasons: [{ code: 'a.b', params: { n: 1 } }],
    obligations: [] as [],
  });
  const head = {
    type: 'decision' as const,
    timestamp: 't',
    decision_id: 'd',
    req_id: 'r',
    supersedes: undefined,
    path: 'p',
    bundles: { sallyport: { revision: 'v' } },
    wasm_sha256: 'w',
    requested_by: '::1',
    client: { id: 'c', subject: 's "quoted"', issuer: 'i' },
    decided_by: 'policy' as const,
    tool: { name: 't', backend: 'b' },
    credential: { method: 'key', key_id: null },
    rpc_id: 1,
    handle: null,
    erased: [],
    replayable: true,
    metrics: { timer_rego_query_eval_ns: 1 },
    detail: undefined,
  };
  await log.decided(head, { input: new JsonText(JSON.stringify(input)), result });
  await log.close();
  const { replica } = JSON.parse(readFileSync(join(dir, 'audit-head.json'), 'utf8'));
  const record = {
    level: 'info',
    message: 'decision',
    form: 2,
    ...head,
    labels: { ...labels, replica },
    input,
    result,
  };
  const line = readFileSync(file, 'utf8').split('\n')[2] ?? '';
  expect(line.slice(0, line.lastIndexOf(',"chain":'))).toBe(JSON.stringify(record).slice(0, -1));
});

it.runIf(process.platform === 'linux')(
  'R-60: what cannot be synced is no durable log: every record fails',
  async () => {
    const log = openLogIn(dir, { events: '/dev/null', durability: 'disk' });
    await expect(log.alert({ type: 'alert' } as never)).rejects.toThrow('EINVAL');
    expect(log.failure).toMatch(/^the decision log cannot be written/);
    await log.close();
  },
);
