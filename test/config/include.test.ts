// connector.yaml in several files: backends apart, with their tools.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/formats/yaml/yaml.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-include-'));
  mkdirSync(join(dir, 'backends'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const backend = (name: string) => `backends:
  ${name}:
    url: http://127.0.0.1:\${${name.toUpperCase()}_PORT:-9}
    timeout_ms: \${TIMEOUT:-500}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools:
  ${name}_get: { backend: ${name}, description: One, effect: read, request: { path: /one } }
`;
const put = (name: string, text: string) => writeFileSync(join(dir, 'backends', name), text);
const parse = (include: string, more = 'backends: {}', env = {}) =>
  parseConfig({
    text: `version: 1\ninclude: ${include}\nidentity: { keys: { file: c.json } }\n${more}\n`,
    file: 'connector.yaml',
    baseDir: dir,
    env,
  });
const problems = (...args: Parameters<typeof parse>) => {
  const result = parse(...args);
  return result.ok ? [] : result.problems.map(formatProblem);
};

it('a folder stands for its YAML files, each with its backend and tools', () => {
  put('crm.yaml', backend('crm'));
  put('erp.yml', backend('erp'));
  put('.hidden.yaml', '- no');
  put('notes.txt', 'no');
  const result = parse('[backends]', 'backends: {}', { TIMEOUT: '700', CRM_PORT: '1' });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  expect(Object.keys(result.config.backends)).toEqual(['crm', 'erp']);
  expect(result.config.backends.crm).toMatchObject({ url: 'http://127.0.0.1:1', timeout_ms: 700 });
  expect(Object.keys(result.config.tools)).toEqual(['crm_get', 'erp_get']);
  expect(result.config).not.toHaveProperty('include');
});

it('a problem says in which file and line it is', () => {
  put('crm.yaml', backend('crm').replace('timeout_ms: ${TIMEOUT:-500}', 'timeout_ms: soon'));
  put('erp.yaml', backend('erp').replace('backend: erp', 'backend: epr'));
  expect(problems('[backends/crm.yaml]')).toEqual([
    expect.stringMatching(/^backends\/crm.yaml:4 backends.crm.timeout_ms: /),
  ]);
  expect(problems('[backends/erp.yaml]')).toEqual([
    expect.stringMatching(/^backends\/erp.yaml:9 tools.erp_get.backend: no backend "epr"/),
  ]);
});

it.each([
  [
    'a name that stands elsewhere already',
    backend('crm'),
    backend('crm'),
    /backends.crm: stands in backends\/a.yaml:2 already/,
  ],
  ['another key', backend('crm'), 'policy: { dir: x }', /backends\/b.yaml:1 policy: cannot stand in an included file/],
  ['no table', backend('crm'), '- x', /backends\/b.yaml:1 is no table of backends and tools/],
  ['no YAML', backend('crm'), 'tools: [', /^backends\/b.yaml:1 /],
])('%s is an error', (_name, a, b, message) => {
  put('a.yaml', a);
  put('b.yaml', b);
  expect(problems('[backends]').join('\n')).toMatch(message);
});

it('what is not there is an error, and nothing is left out in silence', () => {
  expect(problems('[nowhere.yaml]')).toEqual([expect.stringMatching(/^connector.yaml:2 include.0: .* does not exist/)]);
  expect(problems('[backends]')).toEqual([expect.stringMatching(/include.0: .* has no YAML file/)]);
  expect(problems('[7]').join()).toMatch(/include.0: /);
});

it('values of variables stand in no problem of included files, nor in their names', () => {
  const env = { V: 'hunter2secret' };
  const problemsWith = (include: string, more?: string) => {
    const parsed = parse(include, more, env);
    return parsed.ok ? '' : parsed.problems.map(formatProblem).join('\n');
  };
  put('a.yaml', '"${V}": 1');
  expect(problemsWith('[backends]')).toMatch(/a.yaml:1 \$\{V\}: cannot stand in an included file/);
  put('a.yaml', 'backends: { "${V}": 1 }');
  put('b.yaml', 'backends: { "${V}": 1 }');
  expect(problemsWith('[backends]')).toMatch(/backends\.\$\{V\}: stands in .*a.yaml:1 already/);
  for (const text of [problemsWith('[backends]'), problemsWith('["${V}.yaml"]')]) expect(text).not.toContain('hunter2');
});
