// policy replay: what is on record, decided again. The logs are written by a running connector, and the policies are compiled by OPA.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PACKAGE_ROOT } from '../../../src/core/paths.ts';
import { reasonsOf } from '../../../src/policy/rego/reasons.ts';
import { compareDecisions } from '../../../src/policy/replay/compare.ts';
import { loadVersion } from '../../../src/policy/versions/load.ts';
import { run as runCli } from '../../support/cli.ts';
import type { Loose } from '../../support/harness.ts';
import { type RecordedLog, recordLog } from '../../support/recorded-log.ts';
import { opa, policy } from '../../support/reviewing.ts';

// Each command is a process with an OPA of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 150_000 });

const POLICIES = join(PACKAGE_ROOT, 'policies');
const BEFORE_THE_CHAIN = join(PACKAGE_ROOT, 'test', 'audit', 'before-the-chain.jsonl');
let log: RecordedLog;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-replay-'));
  log = await recordLog(130);
}, 120_000);
afterAll(() => {
  log?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

/** A policy folder of a site: the shipped settings with some text replaced, and rules of its own. */
function candidate(name: string, edit: (yaml: string) => string, rule?: string): string {
  const dir = join(scratch, name);
  mkdirSync(join(dir, 'site'), { recursive: true });
  writeFileSync(join(dir, 'data.yaml'), edit(readFileSync(join(POLICIES, 'data.yaml'), 'utf8')));
  if (rule !== undefined) writeFileSync(join(dir, 'site', 'own.rego'), rule);
  return dir;
}

async function replay(files: string[], args: string[] = []): Promise<{ code: number; report: Loose; stderr: string }> {
  const { code, stdout, stderr } = await policy('replay', '--log', ...files, '--json', ...args);
  return { code, report: stdout === '' ? undefined : JSON.parse(stdout), stderr };
}

/** A file with these records, without a chain. */
function written(name: string, records: readonly object[]): string {
  const file = join(scratch, name);
  const bare = records.map(({ chain: _chain, form: _form, ...record }: Loose) => JSON.stringify(record));
  writeFileSync(file, `${bare.join('\n')}\n`);
  return file;
}

/** A rule of a site that reads the part of the input that is given, and never fires. */
const reading = (part: string, more = '') => `package site.own
${more}
# METADATA
# title: Reads
# description: Reads a part of the input.
# custom:
#   reason: own.read
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "own.read", "params": {}}, "obligations": []} if {
	${part}
}
`;

describe.skipIf(!opa)('policy replay (needs OPA)', () => {
  it('R-77: the policy of the records decides each of them as it stands there', async () => {
    const { code, report } = await replay([log.file], ['-k', log.keys]);
    expect(code).toBe(0);
    const decided = log.decisions.filter(({ decided_by }) => decided_by === 'policy');
    expect([report.decisions, report.compared, report.same]).toEqual([decided.length, decided.length, decided.length]);
    expect(report.not_decided).toBe(log.decisions.length - decided.length);
    const outcomes = new Set(decided.map(({ result }) => result.outcome));
    expect([...outcomes].sort()).toEqual(['allow', 'deny', 'rotate']);
  });

  it('R-77: outcomes, masks, observed findings and reasons are compared, by tool, role and client', async () => {
    const other = candidate('other', (yaml) =>
      yaml
        .replace(
          'tools: [stock_list, stock_get, stock_adjust, order_list]',
          'tools: [stock_list, stock_get, order_list]',
        )
        .replace(/^ {6}stock_get: \{ pointers.*$/m, '')
        .replace('token_age: { limit_seconds: 300, grade: rotate }', 'token_age: { limit_seconds: 300, grade: allow }'),
    );
    const { code, report } = await replay([log.file], ['-k', log.keys, '--policy', other]);
    expect(code).toBe(0);
    const of = (want: (record: Loose) => boolean) =>
      log.decisions.filter((r) => r.decided_by === 'policy' && want(r)).length;
    const adjusts = of(({ tool, result }) => tool.name === 'stock_adjust' && result.outcome !== 'deny');
    expect(report.changes['allow->deny'].by_tool).toEqual({ stock_adjust: report.changes['allow->deny'].count });
    expect(report.changes['allow->deny'].count + (report.changes['rotate->deny']?.count ?? 0)).toBe(adjusts);
    expect(report.changes['mask-lost'].by_tool).toEqual({
      stock_get:
        of(
          ({ tool, result }) =>
            tool.name === 'stock_get' &&
            result.outcome !== 'deny' &&
            result.obligations.some(({ type }: Loose) => type === 'mask'),
        ) + of(({ tool, result }) => tool.name === 'stock_get' && result.outcome === 'deny'),
    });
    expect(report.changes['mask-lost'].by_detail).toEqual({ '/purchase_price': report.changes['mask-lost'].count });
    const tooOld = of(
      ({ tool, result }) =>
        tool.name !== 'stock_adjust' &&
        result.outcome === 'rotate' &&
        result.reasons.some(({ code }: Loose) => code === 'lifetime.token_too_old'),
    );
    expect(report.changes['rotate->allow'].count).toBe(tooOld);
    // What is let pass now is on record as observed.
    expect(report.changes.observed.count).toBeGreaterThanOrEqual(tooOld);
    expect(report.changes['rotate->allow'].samples).toContain(
      log.decisions.find(({ tool, result }) => tool.name !== 'stock_adjust' && result.outcome === 'rotate').decision_id,
    );
  });

  it('R-77: --fail-on stops on what it names, and on nothing else; an unknown name is refused', async () => {
    const other = candidate('masks', (yaml) => yaml.replace(/^ {6}stock_get: \{ pointers.*$/m, ''));
    const args = (kinds: string) => ['-k', log.keys, '--policy', other, '--fail-on', kinds];
    expect((await replay([log.file], args('mask-lost'))).code).toBe(1);
    expect((await replay([log.file], args('deny->allow,mask-added'))).code).toBe(0);
    const { code, stderr } = await replay([log.file], args('mask-gone'));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/"mask-gone" is none of any, undecidable/)]);
  });

  it('R-77: a record that was changed is a fault of this very policy', async () => {
    const [first] = log.decisions.filter(({ result }) => result.outcome === 'allow');
    const file = written('changed.jsonl', [{ ...first, result: { ...first.result, outcome: 'deny' } }]);
    const { code, report } = await replay([file]);
    expect([code, report.faults.count, report.faults.samples]).toEqual([1, 1, [first.decision_id]]);
  });

  it.each([
    ['by its name', 'input.tool.arguments.sku == "x"', ''],
    ['through a helper', 'sku == "x"', 'sku := input.tool.arguments.sku'],
    ['by a computed name', 'some name in ["sku"]\n\tinput.tool.arguments[name] == "x"', ''],
    ['all of them', 'count(input.tool.arguments) > 99', ''],
    ['with object.get', 'object.get(input.tool, "arguments", {}).sku == "x"', ''],
    ['behind a literal', '[input.tool.arguments][0].sku == "x"', ''],
    ['by a short name', 'args.sku == "x"', 'import input.tool.arguments as args'],
    [
      'for another tool, with the name replaced',
      'helper with input.tool.name as "other"',
      'helper if {\n\tinput.tool.name == "other"\n\tinput.tool.arguments.sku == "x"\n}',
    ],
  ])('R-77: an argument that was erased is undecidable for a rule that reads it %s', async (name, part, more) => {
    const [first] = log.decisions.filter(({ tool }) => tool.name === 'stock_get');
    const { sku: _sku, ...rest } = first.input.tool.arguments;
    const input = { ...first.input, tool: { ...first.input.tool, arguments: rest } };
    const file = written('erased.jsonl', [
      { ...first, input, erased: ['/input/tool/arguments/sku'], replayable: false },
    ]);
    const policy = candidate(`reads ${name}`, (yaml) => yaml, reading(part, more));
    const { report } = await replay([file], ['--policy', policy]);
    expect([report.undecidable.count, report.compared, report.undecidable.by_detail]).toEqual([
      1,
      0,
      { 'tool.arguments.sku': 1 },
    ]);
  });

  it.each([
    ['object.get(input.tool, "arguments", {}).sku', ''],
    ['[input.tool.arguments][0].sku', ''],
    ['args.sku', 'import input.tool.arguments as args'],
  ])('R-92: a parameter that is %s is known to come from an argument, so it is erased as that is', async (part, more) => {
    const text = reading('input.time.hour > 30', more).replace('"params": {}', `"params": {"what": ${part}}`);
    const place = { dir: candidate(`parameter ${part.length}`, (yaml) => yaml, text) };
    const version = { name: 'it', commit: undefined, place, tests: undefined, named: (path: string) => path };
    const { modules } = await loadVersion(version, opa ?? undefined);
    expect(reasonsOf(modules ?? [])['own.read']?.from_arguments?.what).toBeDefined();
  });

  it('R-77: an erased argument that no rule reads, or only rules for other tools, is decided', async () => {
    const [first] = log.decisions.filter(({ tool }) => tool.name === 'stock_get');
    const input = { ...first.input, tool: { ...first.input.tool, arguments: {} } };
    const file = written('unread.jsonl', [{ ...first, input, erased: ['/input/tool/arguments/sku'] }]);
    for (const [name, part] of [
      ['other tool', 'input.tool.name == "order_list"\n\tinput.tool.arguments.sku == "x"'],
      ['no argument', 'input.time.hour > 30'],
    ]) {
      const policy = candidate(name as string, (yaml) => yaml, reading(part as string));
      const { report } = await replay([file], ['--policy', policy]);
      expect([report.undecidable.count, report.same]).toEqual([0, 1]);
    }
  });

  it('R-77: without the sources and without OPA everything that was erased is undecidable', async () => {
    const [first] = log.decisions.filter(({ tool }) => tool.name === 'stock_get');
    const file = written('agent.jsonl', [{ ...first, masked: ['/input/client/user_agent'] }]);
    const { stdout } = await runCli(['policy', 'replay', '--log', file, '--json'], {
      env: { OPA: '', PATH: '/nonexistent' },
    });
    const withOpa = await replay([file]);
    expect(withOpa.report.undecidable.count).toBe(0);
    // The pinned OPA may have been built beside the program; then it is found there.
    if (stdout !== '' && !JSON.parse(stdout).undecidable.count) expect(JSON.parse(stdout).same).toBe(1);
    else expect(JSON.parse(stdout).undecidable.count).toBe(1);
  });

  it('R-77: a pseudonym in the input is undecidable where the policy reads it, and decided where it does not', async () => {
    const [first] = log.decisions.filter(({ tool }) => tool.name === 'stock_get');
    const pseudonym = 'pseudonym:20261123:AAAAAAAAAAAAAAAAAAAAAA';
    const agent = {
      ...first,
      input: { ...first.input, client: { ...first.input.client, user_agent: pseudonym } },
      masked: ['/input/client/user_agent'],
    };
    const subject = { ...first, masked: ['/input/client/subject', '/input/session/bound/subject'] };
    const { report } = await replay([written('pseudonyms.jsonl', [agent, subject])]);
    expect([report.same, report.undecidable.count, report.undecidable.by_detail]).toEqual([
      1,
      1,
      { 'client.subject': 1 },
    ]);
  });

  it('R-77: a pseudonym in a parameter is as good as any value, and another code is not', () => {
    const decision = (code: string, x: string): Loose => ({
      outcome: 'deny',
      reasons: [{ code, params: { x } }],
      obligations: [],
      observed: [],
    });
    const hidden = new Set(['/result/reasons/0/params/x']);
    expect(compareDecisions(decision('a.b', 'pseudonym:1:x'), decision('a.b', 'real'), hidden).changes).toEqual([]);
    expect(compareDecisions(decision('a.b', 'pseudonym:1:x'), decision('a.b', 'real')).changes).toEqual([
      { kind: 'params', detail: 'a.b' },
    ]);
    expect(compareDecisions(decision('a.b', 'x'), decision('a.c', 'x'), hidden).changes).toEqual([
      { kind: 'reasons', detail: 'a.b -> a.c' },
    ]);
  });

  it('R-77: records of the form before the chain are read beside chained ones, plain and packed, on any number of threads', async () => {
    const packed = join(scratch, 'packed.jsonl.gz');
    writeFileSync(packed, gzipSync(readFileSync(log.file)));
    const plain = await replay([BEFORE_THE_CHAIN, log.file]);
    const other = await replay([BEFORE_THE_CHAIN, packed], ['--threads', '3']);
    expect(plain.report.decisions).toBeGreaterThan((await replay([log.file])).report.decisions);
    expect(other.report).toEqual(plain.report);
    // A file that is given twice counts once.
    expect((await replay([BEFORE_THE_CHAIN, BEFORE_THE_CHAIN])).report.decisions).toBe(
      (await replay([BEFORE_THE_CHAIN])).report.decisions,
    );
  });

  it('R-61: a chained log that is not whole is not replayed', async () => {
    const file = join(scratch, 'edited.jsonl');
    writeFileSync(file, readFileSync(log.file, 'utf8').replace('"outcome":"allow"', '"outcome":"deny" '.trim()));
    for (const args of [[], ['-k', log.keys]]) {
      const { code, stderr, report } = await replay([file], args);
      expect([code, report]).toEqual([1, undefined]);
      expect(stderr).toMatch(/edited\.jsonl:\d+: (edit|damage): .*nothing is concluded from it/);
    }
  });

  it('R-76, R-77: the policy that a connector keeps by its revision decides its records as they stand there', async () => {
    const { code, report, stderr } = await replay([log.file], ['-k', log.keys, '--policy', log.kept]);
    // What was erased may be read by a policy of which only the module is there.
    expect([code, report.same + report.undecidable.count, report.faults.count]).toEqual([0, report.decisions, 0]);
    expect([report.policy.revision, stderr]).toEqual([
      Object.keys(report.policies)[0],
      expect.stringMatching(/the rules of .*kept cannot be read/),
    ]);
    const other = candidate('kept', (yaml) => yaml.replace(/^ {6}stock_get: \{ pointers.*$/m, ''));
    const { stdout } = await policy('diff', log.kept, other, '--json', '--fail-on', 'case-lost');
    const diff = JSON.parse(stdout) as Loose;
    expect([diff.settings.map(({ name }: Loose) => name), diff.patches, diff.failed_on]).toEqual([
      ['mask of stock_get'],
      [],
      ['case-lost'],
    ]);
  });

  it('what no connector can have written is counted and stops nothing', async () => {
    const [first] = log.decisions;
    const deep = `{"type":"decision","decided_by":"policy","input":${'['.repeat(60_000)}${']'.repeat(60_000)}}`;
    const strange = [
      { ...first, result: { ...first.result, outcome: ['allow'] } },
      { ...first, result: { ...first.result, obligations: [{ type: { toString: 1 } }] } },
      { ...first, input: { ...first.input, client: { ...first.input.client, roles: 5 } } },
      { ...first, result: { ...first.result, obligations: [{ type: 'mask', pointers: { length: 1 } }] } },
    ];
    const file = written('strange.jsonl', [...strange, first]);
    writeFileSync(file, `${deep}\n{"level":"info","mess\n${readFileSync(file, 'utf8')}`);
    const { code, report, stderr } = await replay([file], ['--fail-on', 'undecidable']);
    expect(stderr).not.toMatch(/ at /);
    expect([code, report?.malformed, report?.same]).toEqual([1, 6, 1]);
  });

  it('a policy is taken from a folder, a bundle and a revision of a larger repository', async () => {
    const repo = join(scratch, 'repo');
    const git = (...args: string[]) =>
      import('node:child_process').then(({ execFileSync }) =>
        execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
          cwd: repo,
          encoding: 'utf8',
        }),
      );
    mkdirSync(join(repo, 'deploy', 'policy one'), { recursive: true });
    cpSync(join(POLICIES, 'data.yaml'), join(repo, 'deploy', 'policy one', 'data.yaml'));
    await git('init', '-q');
    await git('add', '.');
    await git('commit', '-qm', 'one');
    writeFileSync(
      join(repo, 'deploy', 'policy one', 'data.yaml'),
      readFileSync(join(POLICIES, 'data.yaml'), 'utf8').replace(/^ {6}stock_get: \{ pointers.*$/m, ''),
    );
    await git('commit', '-qam', 'two');
    const dir = join(repo, 'deploy', 'policy one');
    const at = (policy: string) => replay([log.file], ['-d', dir, '--policy', policy, '--fail-on', 'mask-lost']);
    expect([(await at('HEAD~1')).code, (await at('HEAD')).code, (await at(dir)).code]).toEqual([0, 1, 1]);
    const { stderr } = await at('HEAD~9');
    expect(stderr).toMatch(
      /"HEAD~9" is no folder, no bundle \(\.tar\.gz\) and no revision of Git \(the repository .* has no revision "HEAD~9"\)/,
    );
    expect((await at('--exec=touch x')).code).not.toBe(0);
    const bundle = join(scratch, 'bundle.tar.gz');
    await import('node:child_process').then(({ execFileSync }) =>
      execFileSync('tar', ['-C', dir, '-czf', bundle, '.']),
    );
    expect((await at(bundle)).code).toBe(1);
  });
});
