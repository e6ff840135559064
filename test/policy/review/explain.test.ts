// policy explain and policy case: one decision, why it was made, and as a case from then on.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/core/paths.ts';
import type { Loose } from '../../support/harness.ts';
import { type RecordedLog, recordLog } from '../../support/recorded-log.ts';
import { json, opa, openScratch, policy, rule } from '../../support/reviewing.ts';

// Each command is a process with an OPA of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 150_000 });

let log: RecordedLog;
let scratch: ReturnType<typeof openScratch>;
beforeAll(async () => {
  scratch = openScratch();
  log = await recordLog(20);
}, 120_000);
afterAll(() => {
  log?.remove();
  scratch.remove();
});
const folder = (...args: Parameters<ReturnType<typeof openScratch>['folder']>) => scratch.folder(...args);

describe.skipIf(!opa)('policy explain and case (needs OPA)', () => {
  const of = (code: string): Loose =>
    log.decisions.find(
      ({ result }) => result.reasons.some((reason: Loose) => reason.code === code) && result.reasons.length === 1,
    );

  it('names the rule, its line, the setting that decided and where that stands', async () => {
    const explained = await json(
      'explain',
      '--decision',
      of('replay.seen').decision_id,
      '--log',
      log.file,
      '-k',
      log.keys,
    );
    const [rule] = explained.fired.filter(({ effect }: Loose) => effect === 'denies');
    expect(rule).toMatchObject({ code: 'replay.seen', controls: ['C03'], file: 'sallyport/replay/replay.rego' });
    const source = readFileSync(join(PACKAGE_ROOT, 'policies', rule.file), 'utf8').split('\n');
    expect(source[rule.line - 1]).toMatch(/^findings contains/);
    const [setting] = rule.settings;
    const data = readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8').split('\n');
    expect([setting.path, setting.value, data[setting.place.line - 1]]).toEqual([
      ['replay', 'seen'],
      'deny',
      '    seen: deny',
    ]);
    expect(explained.recorded.same_policy).toBe(true);
    expect(explained.why_not.map(({ outcome }: Loose) => outcome)).toEqual(['allow', 'rotate']);
  });

  it('every change that it claims gives what it claims, when it is made', async () => {
    const explained = await json('explain', '--decision', of('replay.seen').decision_id, '--log', log.file);
    expect(explained.between.single.map(({ kind, path }: Loose) => [kind, path])).toEqual([
      ['setting', 'replay.seen'],
      ['fact', 'replay.seen'],
    ]);
    for (const { kind, path, to, outcome } of explained.between.single) {
      if (kind !== 'fact') continue;
      const again = await json(
        'explain',
        '--decision',
        of('replay.seen').decision_id,
        '--log',
        log.file,
        '--set',
        `${path}=${JSON.stringify(to)}`,
      );
      expect(again.decision.outcome).toBe(outcome);
    }
    const edited = folder('claimed', () =>
      readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8').replace('    seen: deny', '    seen: allow'),
    );
    const allowed = await json(
      'explain',
      '--decision',
      of('replay.seen').decision_id,
      '--log',
      log.file,
      '--policy',
      edited,
    );
    expect(allowed.decision.outcome).toBe('allow');
  });

  it('tells of a rule that did not fire the first condition that failed, with its values', async () => {
    const { decision_id: id } = log.decisions.find(({ input }) => input?.session?.token_uses === 2);
    const { silent } = await json('explain', '--decision', id, '--log', log.file);
    const [old] = silent.filter(({ code }: Loose) => code === 'lifetime.token_too_old');
    expect(old.condition).toMatchObject({
      text: 'age >= limit.limit_seconds',
      values: expect.stringMatching(/^\d+ >= 300$/),
    });
    const [missing] = silent.filter(({ code }: Loose) => code === 'replay.source_missing');
    expect(missing.condition.values).toBe('"rpc_id" == null');
  });

  it('says what a denial without a rule that allows lacks', async () => {
    const input = join(scratch.dir, 'input.json');
    const { input: recorded } = of('access.role');
    writeFileSync(
      input,
      JSON.stringify({ ...recorded, tool: { ...recorded.tool, name: 'stock_write_off', effect: 'destructive' } }),
    );
    const { between, decision } = await json('explain', '--input', input);
    expect(decision.outcome).toBe('deny');
    expect(between.single).toContainEqual(
      expect.objectContaining({
        kind: 'setting',
        path: 'access.roles.clerk.tools',
        outcome: 'allow',
        to: expect.arrayContaining(['stock_write_off']),
      }),
    );
    expect(between.single).toContainEqual(
      expect.objectContaining({ kind: 'fact', path: 'client.roles', to: ['clerk', 'manager'] }),
    );
  });

  it('R-77: refuses what the record no longer holds, and takes it from --set', async () => {
    const [first] = log.decisions;
    const { chain: _chain, form: _form, ...bare } = first;
    const file = join(scratch.dir, 'erased.jsonl');
    const input = { ...bare.input, tool: { ...bare.input.tool, arguments: {} } };
    writeFileSync(file, `${JSON.stringify({ ...bare, input, erased: ['/input/tool/arguments/sku'] })}\n`);
    const dir = folder('reads', undefined, { 'site/reads.rego': rule('reads', 'input.tool.arguments.sku == "A-100"') });
    const args = ['explain', '--decision', first.decision_id, '--log', file, '--policy', dir];
    const refused = await policy(...args);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(
        /no longer holds tool\.arguments\.sku, which the policy may read.*--set 'tool\.arguments\.sku=…'/,
      ),
    ]);
    const given = await json(...args, '--set', 'tool.arguments.sku=A-100');
    expect(given.decision.reasons.map(({ code }: Loose) => code)).toContain('reads.denied');
    const unwritten = await policy('case', '--decision', first.decision_id, '--log', file);
    expect([unwritten.code, unwritten.stderr]).toEqual([
      1,
      expect.stringMatching(/no longer holds tool\.arguments\.sku; give each/),
    ]);
  });

  it('a record becomes a case that runs, and decides as it stands there', async () => {
    const dir = folder('cased', () => readFileSync(join(PACKAGE_ROOT, 'policies', 'data.yaml'), 'utf8'));
    mkdirSync(join(dir, 'site', 'tests'), { recursive: true });
    for (const [i, code] of ['replay.seen', 'access.role'].entries()) {
      const output = join(dir, 'site', 'tests', `case-${i}.yaml`);
      const args = [
        'case',
        '--decision',
        of(code).decision_id,
        '--log',
        log.file,
        '-d',
        dir,
        '--name',
        `case: "${code}" # @`,
        '-o',
        output,
      ];
      expect((await policy(...args)).code).toBe(0);
      // It is not replaced.
      expect((await policy(...args)).code).toBe(1);
    }
    const tested = await policy('test', '-d', dir, '--run', 'case: ', '-v');
    expect([tested.code, tested.stdout.match(/ok {3}case/g)?.length]).toEqual([0, 2]);
  });
});
