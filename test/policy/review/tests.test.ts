// policy test: what it shows of tests, cases and sequences that fail.
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { judgeCase } from '../../../src/policy/tests/judge.ts';
import { MAIN } from '../../support/cli.ts';
import type { Loose } from '../../support/harness.ts';
import { opa, openScratch, policy, rule } from '../../support/reviewing.ts';

// Each command is a process with an OPA of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 150_000 });

const scratch = openScratch();
afterAll(() => scratch.remove());
const { folder } = scratch;

describe.skipIf(!opa)('policy test (needs OPA)', () => {
  it('shows the values and the trace of a Rego test that fails, and what was expected beside what came', async () => {
    const dir = folder('failing', undefined, {
      'site/late.rego': rule('late', 'input.time.hour > 30'),
      'site/tests/late_test.rego': 'package late_test\n\ntest_hour if {\n\thour := 9\n\thour > 30\n}\n',
      'site/tests/late.yaml':
        'cases:\n  - { name: late, base: clerk_in_session, input: { time: { hour: 5 } }, expect: { outcome: deny, reasons: [late.denied] } }\n',
    });
    const junit = join(scratch.dir, 'junit.xml');
    const { code, stderr, stdout } = await policy('test', '-d', dir, '--run', 'late|hour', '-v', '--junit', junit);
    expect(code).toBe(1);
    expect(stderr).toMatch(/late_test\.rego:3 test_hour failed\n[\s\S]*\b9\b/);
    expect(stderr).toMatch(
      /late\.yaml:2 late: expected deny \(late\.denied\), got allow \(access\.role\)\n +expected +got\n +outcome +deny +allow/,
    );
    expect(stdout).toMatch(/FAIL case {5}late/);
    const xml = readFileSync(junit, 'utf8');
    expect(xml).toMatch(/<testsuite name="cases" tests="1" failures="1"/);
    await promisify(execFile)('python3', ['-c', 'import sys,xml.dom.minidom as m; m.parse(sys.argv[1])', junit]);
  });

  it('runs what has a pattern in its name, and says so when nothing has', async () => {
    const { stdout } = await policy('test', '--run', 'flood');
    expect(stdout).toMatch(/^0 Rego tests, 0 cases and 1 sequences through Go and WASM: ok/);
    expect(await policy('test', '--run', 'no such thing')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no test, case or sequence has no such thing/),
    });
    expect(await policy('test', '--run', '(')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/--run: Invalid regular expression/),
    });
  });

  it('a sequence that is wrong is told with its line', async () => {
    const dir = folder('sequence', undefined, {
      'site/tests/sequences/wrong.yaml': `clients: { a: { roles: [clerk] } }
tools: { stock_get: { backend: inventory, effect: read } }
sequences:
  - name: too soon
    steps:
      - { call: stock_get, expect: { outcome: allow, reasons: [access.role] } }
      - { after: 10s, call: stock_get, expect: { outcome: rotate, reasons: [lifetime.token_too_old], session: rotated } }
`,
    });
    const failed = await policy('test', '-d', dir, '--run', 'too soon');
    expect([failed.code, failed.stderr]).toEqual([
      1,
      expect.stringMatching(
        /wrong\.yaml:7 too soon: step 2: expected rotate .* got allow[\s\S]*session +rotated +kept/,
      ),
    ]);
    const file = join(dir, 'site/tests/sequences/wrong.yaml');
    const edit = (from: string, to: string) => writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
    edit('after: 10s', 'after: soon');
    expect((await policy('test', '-d', dir, '--run', 'too soon')).stderr).toMatch(
      /wrong\.yaml:\d+ .*is no duration such as "90s"/,
    );
    edit('after: soon', 'after: 10s');
    edit('- { call: stock_get, expect: { outcome: allow', '- { call: stock_gett, expect: { outcome: allow');
    expect((await policy('test', '-d', dir, '--run', 'too soon')).stderr).toMatch(
      /wrong\.yaml:6 too soon, step 1: no tool "stock_gett"; there are stock_get/,
    );
  });
});

describe.skipIf(!opa)('policy test, further (needs OPA)', () => {
  it('shows what the evaluator in Go and the WebAssembly decide otherwise, side by side', () => {
    const decision = (code: string): Loose => ({
      outcome: 'deny',
      reasons: [{ code, params: { n: 1 } }],
      obligations: [],
      observed: [],
    });
    const evaluation = { ok: true as const, decision: decision('a.b'), nanoseconds: 1 };
    const wrong = judgeCase({ expect: { outcome: 'deny', reasons: ['a.b'] } }, evaluation, decision('a.c'));
    expect(wrong).toEqual({
      message: 'WebAssembly and Go decide otherwise',
      detail: [
        '         WebAssembly                      Go',
        'reasons  {"code":"a.b","params":{"n":1}}  {"code":"a.c","params":{"n":1}}',
      ],
    });
  });

  it('--watch runs the tests again after a change', async () => {
    const dir = folder('watched');
    const child = spawn(process.execPath, [MAIN, 'policy', 'test', '-d', dir, '--run', 'flood', '--watch'], {
      env: { ...process.env, OPA: opa?.path ?? '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk;
        });
      const runs = () => output.match(/waiting for a change/g)?.length ?? 0;
      await expect.poll(runs, { timeout: 60_000 }).toBe(1);
      writeFileSync(join(dir, 'data.yaml'), 'settings: 5\n');
      await expect.poll(() => [runs(), /data\.yaml:1 settings: /.test(output)], { timeout: 60_000 }).toEqual([2, true]);
    } finally {
      child.kill();
    }
  }, 130_000);
});
