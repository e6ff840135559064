// docs/policies.md: each command that it shows is run, in a copy of examples/policy-repository, and prints what stands there.
// `UPDATE_DOCS=1` writes what they print into the document.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import type { Opa } from '../../src/policy/opa.ts';
import { MAIN } from '../support/cli.ts';
import type { Loose } from '../support/harness.ts';

const opa = inject('opa') as Opa | null;
const DOCUMENT = join(PACKAGE_ROOT, 'docs', 'policies.md');
const EXAMPLE = join(PACKAGE_ROOT, 'examples', 'policy-repository');
let scratch: string;
let repo: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-cookbook-'));
  repo = join(scratch, 'policy-repository');
  cpSync(EXAMPLE, repo, { recursive: true });
  const bin = join(scratch, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'sallyport'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(join(bin, 'sallyport'), 0o755);
  env = {
    ...process.env,
    ...{ PATH: `${bin}${delimiter}${process.env.PATH}`, OPA: opa?.path ?? '', NO_COLOR: '1', LC_ALL: 'C' },
    ...{
      GIT_AUTHOR_NAME: 't',
      GIT_AUTHOR_EMAIL: 't@example.com',
      GIT_COMMITTER_NAME: 't',
      GIT_COMMITTER_EMAIL: 't@example.com',
    },
  };
  for (const args of [
    ['init', '-q'],
    ['add', '.'],
    ['commit', '-qm', 'as it is'],
  ])
    execFileSync('git', args, { cwd: repo, env });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The first denial for a replay: the document says DENIED for its id. */
function denied(): string {
  const lines = gunzipSync(readFileSync(join(repo, 'log', 'decisions.jsonl.gz')))
    .toString('utf8')
    .trim()
    .split('\n');
  const records = lines.map((line) => JSON.parse(line) as Loose);
  return records.find(
    ({ type, result }) =>
      type === 'decision' &&
      result.outcome === 'deny' &&
      result.reasons.length === 1 &&
      result.reasons[0].code === 'replay.seen',
  ).decision_id;
}

function printed(command: string): string {
  const { stdout, stderr } = spawnSync('sh', ['-c', command.replaceAll('DENIED', denied())], {
    cwd: repo,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  return `${stderr}${stdout}`
    .replaceAll(denied(), 'DENIED')
    .replaceAll(/[ \t]+$/gm, '')
    .trim();
}

/** What differs from version to version, and says nothing. */
const plain = (text: string): string =>
  text.replaceAll(/\b[0-9a-f]{16}\b/g, 'REVISION').replaceAll(/\b[0-9a-f]{12}\b/g, 'COMMIT');

describe.skipIf(!opa)('docs/policies.md (needs OPA)', () => {
  it('shows what each command prints', () => {
    const text = readFileSync(DOCUMENT, 'utf8');
    const fresh = text.replaceAll(/```console\n([\s\S]*?)```/g, (_block, content: string) => {
      const commands = content.split('\n').filter((line) => line.startsWith('$ '));
      const parts = commands.map((line) => [line, printed(line.slice(2))].filter((part) => part !== '').join('\n'));
      return `\`\`\`console\n${parts.join('\n')}\n\`\`\``;
    });
    if (process.env.UPDATE_DOCS === '1') writeFileSync(DOCUMENT, fresh);
    else expect(plain(text), 'run: UPDATE_DOCS=1 npm test -- test/docs/policies').toBe(plain(fresh));
  }, 180_000);

  it('the workflow of the example reviews a change, and the hook refuses one that is wrong', () => {
    const at = (command: string) =>
      spawnSync('sh', ['-c', command], { cwd: repo, env, encoding: 'utf8', timeout: 180_000 });
    at('git checkout -q -- . && git clean -qfd');
    expect(at('./review.sh HEAD')).toMatchObject({ status: 0 });
    expect(readFileSync(join(repo, 'review.md'), 'utf8')).toMatch(/The two policies are the same/);
    at(
      "sed -i 's/most_moved: 100/most_moved: 0/' policies/data.yaml && git add policies && git config core.hooksPath hooks",
    );
    const refused = at('git commit -qm wrong');
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/policies\/data\.yaml:\d+ settings\.site\.most_moved/),
    ]);
    at(
      "sed -i 's/most_moved: 0/most_moved: 90/' policies/data.yaml && sed -i 's/delta: 100 /delta: 90 /' policies/site/tests/cases.yaml && git add policies",
    );
    const taken = at('git commit -qm right');
    expect([taken.status, at('git status --short -- policies').stdout]).toEqual([0, '']);
    // A test that was taken away stops the review; what is left out is told in the Markdown.
    at(
      "git rm -q policies/site/tests/sequences/tokens.yaml && sed -i '/a contractor outside/,$d' policies/site/tests/cases.yaml",
    );
    const stopped = at('./review.sh HEAD~1');
    expect([stopped.status, readFileSync(join(repo, 'review.md'), 'utf8')]).toEqual([
      1,
      expect.stringMatching(/Stopped by --fail-on.*case-lost/),
    ]);
    expect(readFileSync(join(repo, 'policy-tests.xml'), 'utf8')).toMatch(
      /<testsuite name="cases" tests="65" failures="0"/,
    );
  }, 240_000);
});
