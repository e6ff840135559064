// what is erased from a record stands nowhere else in it; and who it was, where the site wants that.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createErasure } from '../../src/audit/erasure.ts';
import { loggedDecision } from '../../src/audit/logged-reasons.ts';
import { openPseudonyms, pseudonymWith, readPseudonymKeys, writePseudonymKeys } from '../../src/audit/pseudonyms.ts';
import { createTestClock } from '../support/clock.ts';
import { logText } from '../support/decision-log.ts';
import { type Harness, HOME, reasons, startHarness } from '../support/harness.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-erasure-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const DAY = 86_400;
const keysFile = () => join(dir, 'pseudonyms.json');
const open = (clock = createTestClock(), days = 30) =>
  openPseudonyms({ file: keysFile(), days, clock, onProblem: () => {} });

describe('R-92: pseudonyms', () => {
  it('are the same for the same value within a period, and others in the next one', () => {
    const clock = createTestClock();
    const first = open(clock);
    const alice = first.of('alice');
    expect(alice).toMatch(/^pseudonym:20261123:[\w-]{22}$/);
    expect([first.of('alice'), open(clock).of('alice')]).toEqual([alice, alice]);
    expect(first.of('bob')).not.toBe(alice);
    clock.advance(29 * DAY);
    expect(first.of('alice')).toBe(alice);
    clock.advance(2 * DAY);
    expect(first.of('alice')).toMatch(/^pseudonym:20261223:/);
    expect(first.of('alice').slice(-22)).not.toBe(alice.slice(-22));
  });

  it('are the same on replicas that began with a copy of the file, whatever periods one of them has slept through', () => {
    const clock = createTestClock();
    const first = open(clock);
    const copy = join(dir, 'copy.json');
    writeFileSync(copy, readFileSync(keysFile()), { mode: 0o600 });
    for (let i = 0; i < 4; i += 1) {
      clock.advance(31 * DAY);
      first.of('alice');
    }
    const second = openPseudonyms({ file: copy, days: 30, clock, onProblem: () => {} });
    expect(second.of('alice')).toBe(first.of('alice'));
  });

  it('of a period whose key was destroyed cannot be made again, and the present ones go on', () => {
    const clock = createTestClock();
    const first = open(clock);
    const old = first.of('alice');
    clock.advance(31 * DAY);
    const present = first.of('alice');
    const { periods, ...rest } = readPseudonymKeys(keysFile());
    const [key] = periods.map((period) => period.key);
    expect(pseudonymWith(Buffer.from(key ?? '', 'base64'), 'alice')).toBe(old.slice(-22));
    writePseudonymKeys(keysFile(), { ...rest, periods: periods.map((p, i) => (i === 0 ? { ...p, key: null } : p)) });
    expect([first.of('alice'), open(clock).of('alice')]).toEqual([present, present]);
    clock.advance(31 * DAY);
    first.of('alice');
    expect(readPseudonymKeys(keysFile()).periods.map((period) => period.key === null)).toEqual([true, false, false]);
  });

  it('of a file that is none are refused, and nothing of it is quoted', () => {
    writeFileSync(keysFile(), '{"secret":"abc"', { mode: 0o600 });
    expect(() => open()).toThrow(/has no keys of pseudonyms/);
    expect(() => open()).not.toThrow(/abc/);
  });
});

describe('R-92: an erased argument', () => {
  const decision = (params: Record<string, string | number | boolean>, obligations: object[] = []) =>
    ({ outcome: 'deny', reasons: [{ code: 'a.b', params }], obligations }) as never;
  const logging = (args: Record<string, unknown>, sources = {}, audited: string[] = []) => ({
    ...{ sources, audited },
    erasure: createErasure(
      () => Object.entries(args).flatMap(([name, value]) => (audited.includes(name) ? [] : [value])),
      open(),
    ),
  });

  it.each([
    ['equal text', { pin: '12' }, { given: '12' }],
    ['text within a text', { name: 'Bob' }, { text: 'not for Bob Miller' }],
    ['a number', { salary: 52000 }, { limit: 52000 }],
    ['a number as text', { salary: 52000 }, { limit: 'above 52000' }],
    ['text of a nested value', { who: [{ name: 'Bob Miller' }] }, { text: 'Bob Miller' }],
    ['the name of a nested field', { who: { 'Bob Miller': 1 } }, { text: 'Bob Miller' }],
  ])('comes back as a pseudonym: %s', (_what, args, params) => {
    const { result, masked, erased } = loggedDecision(decision(params), logging(args));
    const [name] = Object.keys(params) as [string];
    expect(result.reasons[0]?.params[name]).toMatch(/^pseudonym:/);
    expect([masked, erased]).toEqual([[`/result/reasons/0/params/${name}`], []]);
  });

  it('that may stand, or a value that has nothing to do with one, stays', () => {
    const params = { name: 'Bob', limit: 3, ok: true };
    const allowed = loggedDecision(decision(params), logging({ name: 'Bob' }, {}, ['name']));
    expect(allowed).toMatchObject({ result: { reasons: [{ params }] }, masked: [] });
    expect(loggedDecision(decision(params), logging({ name: 'Alice', ok: true })).masked).toEqual([]);
  });

  it('from which a rule makes something else is known by the rule: its parameter is a pseudonym in any case', () => {
    const { result, masked } = loggedDecision(
      decision({ name: 'BOB', limit: 3 }),
      logging({ name: 'bob' }, { 'a.b': { name: ['name'] } }),
    );
    expect(result.reasons[0]?.params).toEqual({ name: expect.stringMatching(/^pseudonym:/), limit: 3 });
    expect(masked).toEqual(['/result/reasons/0/params/name']);
  });

  it('as the name of a parameter, or where any parameter may be one, leaves nothing of them', () => {
    for (const [params, sources] of [
      [{ Bob: 1 }, {}],
      [{ BOB: 1 }, { 'a.b': { '*': ['name'] } }],
    ] as const) {
      const { result, erased } = loggedDecision(decision(params), logging({ name: 'Bob' }, sources));
      expect([result.reasons[0]?.params, erased]).toEqual([{}, ['/result/reasons/0/params']]);
    }
  });

  it('in what a rule orders is a pseudonym as well', () => {
    const obligations = [
      { type: 'mask', pointers: ['/a', '/people/Bob'] },
      { type: 'alert', severity: 'high', reason: { code: 'a.b', params: { who: 'Bob' } } },
    ];
    const { result, masked } = loggedDecision(decision({}, obligations), logging({ name: 'Bob' }));
    expect(JSON.stringify(result)).not.toContain('Bob');
    expect(masked).toEqual(['/result/obligations/0/pointers/1', '/result/obligations/1/reason/params/who']);
  });
});

describe('R-92: through the front door', () => {
  let h: Harness;
  afterEach(() => h.close());

  it('an argument that comes back as name of a tool, in a message or as JSON-RPC id stands in no record', async () => {
    h = await startHarness();
    const secret = 'INC-secret-0815';
    await h.call(`get ${secret}`, { incident: secret });
    await h.call(secret, { list: [{ of: [secret] }] });
    await h.call('stock_get', { sku: secret, [secret]: { [secret]: secret } });
    await h.call('stock_adjust', { sku: 'A-1', delta: secret });
    await h.call('stock_get', { sku: 'A-1', incident: secret }, { id: `call of ${secret}` });
    await h.audit();
    expect(logText(h.stateDir)).not.toContain(secret);
    const tools = (await h.audit('decision')).map(({ tool, replayable }) => [tool.name, replayable]);
    expect(tools[0]).toEqual([expect.stringMatching(/^pseudonym:/), false]);
  });

  it('subjects, addresses and user agents are pseudonyms where the site wants it, in every record', async () => {
    h = await startHarness({
      edit: (yaml) => `${yaml}\naudit: { pseudonyms: { for: [subject, address, user_agent] } }\n`,
    });
    const agent = 'an-agent-of-somebody/1.0';
    const headers = { 'user-agent': agent };
    h.addClient('other', ['clerk']);
    await h.call('stock_get', { sku: 'A-1' }, { headers });
    await h.call('stock_get', { sku: 'A-1' }, { headers });
    await h.call('no_such_tool', {}, { headers, ip: '192.0.2.77' });
    await h.rpc('ping', {}, { key: 'a-wrong-key', ip: '192.0.2.78', headers });
    h.clock.advance(400);
    await h.call('stock_get', { sku: 'A-1' }, { headers, ip: '192.0.2.79' });
    expect(reasons(await h.call('stock_list', {}, { headers }))).toEqual(['binding.concurrent_networks']);
    const records = await h.audit();
    const text = logText(h.stateDir);
    for (const hidden of [HOME, '10.1.2.0/24', '192.0.2.', agent, '"subject":"demo-agent"'])
      expect([hidden, text.split('\n').filter((line) => line.includes(hidden))]).toEqual([hidden, []]);
    const decided = records.filter(({ type, input }) => type === 'decision' && input !== null);
    expect(decided.map(({ replayable }) => replayable)).not.toContain(true);
    expect(decided[1].masked).toContain('/input/client/subject');
    // The same person is the same pseudonym in a decision and in what became of the session.
    const [opened] = records.filter(({ event }) => event === 'session_opened');
    expect(opened.client.subject).toBe(decided[0].client.subject);
    expect(decided[0].input.client.subject).toBe(decided[0].client.subject);
  });

  it('a record of a call of which nothing is erased is replayable, and another says what is missing', async () => {
    h = await startHarness({ edit: (yaml) => yaml.replace('audit: [sku, delta]', 'audit: [sku]') });
    await h.call('stock_get', { sku: 'A-1' });
    await h.call('stock_adjust', { sku: 'A-1', delta: 1 });
    const [whole, part] = await h.audit('decision');
    expect([whole.replayable, whole.erased]).toEqual([true, []]);
    expect([part.replayable, part.erased]).toEqual([false, ['/input/tool/arguments/delta']]);
  });
});
