import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { resolveSecret } from '../../src/config/secrets.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { formatProblem } from '../../src/formats/yaml/yaml.ts';

const demo = readFileSync(join(PACKAGE_ROOT, 'src/demo/connector.yaml'), 'utf8');
const env = { SALLYPORT_STATE_DIR: '/state', LEGACY_INVENTORY_URL: 'http://127.0.0.1:9' };

function problems(edit: (yaml: string) => string, environment: NodeJS.ProcessEnv = env): string[] {
  const result = parseConfig({ text: edit(demo), file: 'connector.yaml', baseDir: '/base', env: environment });
  return result.ok ? [] : result.problems.map(formatProblem);
}

/** 1-based line of the first line that holds a text. */
const lineOf = (yaml: string, text: string): number => yaml.split('\n').findIndex((line) => line.includes(text)) + 1;

it('the demo configuration is valid and frozen, with absolute paths', () => {
  const result = parseConfig({
    text: demo,
    file: 'connector.yaml',
    baseDir: '/base',
    env: { ...env, SALLYPORT_STATE_DIR: 'state' },
  });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  expect(result.config.state_dir).toBe('/base/state');
  expect(result.config.identity.keys).toEqual({ file: '/base/state/clients.json' });
  expect(() => {
    (result.config.tools as Record<string, unknown>).x = 1;
  }).toThrow();
});

it('all problems are listed at once, each with path and line', () => {
  const found = problems((yaml) =>
    yaml
      .replace('effect: write', 'effect: wirte')
      .replace('timeout_ms: 5000', 'timeout_ms: soon')
      .replace('listen:', 'listne:')
      .replace('path: "/api/stock/{sku}" }', 'path: "/api/stock/{skew}" }'),
  );
  expect(found).toHaveLength(3);
  expect(found[0]).toBe(`connector.yaml:${lineOf(demo, 'listen:')} listne: unknown key "listne"`);
  expect(found[1]).toMatch(new RegExp(`^connector.yaml:${lineOf(demo, 'timeout_ms')} backends.inventory.timeout_ms: `));
  expect(found[2]).toMatch(new RegExp(`^connector.yaml:${lineOf(demo, 'effect: write')} tools.stock_adjust.effect: `));
});

describe('mistakes that a schema alone cannot find', () => {
  it.each([
    [
      'a placeholder nothing fills',
      'path: "/api/stock/{sku}" }',
      'path: "/api/stock/{skew}" }',
      'nothing fills the placeholder {skew}',
    ],
    [
      'an unknown backend',
      'backend: inventory\n    description: Show',
      'backend: inventry\n    description: Show',
      'no backend "inventry"',
    ],
    [
      'an optional argument in a path',
      'required: [sku]\n    request: { method: GET',
      'required: []\n    request: { method: GET',
      'must be a required argument',
    ],
    [
      'a session value nothing extracts',
      'values: [csrf]',
      'values: [csfr]',
      'no login step extracts or composes "csfr"',
    ],
    ['a schema that does not compile', 'type: string, maxLength: 100', 'type: strnig, maxLength: 100', 'type'],
    [
      'credentials in the URL',
      'url: ${LEGACY_INVENTORY_URL}',
      'url: http://user:pw@127.0.0.1',
      'do not belong into the URL',
    ],
    [
      'no condition for the end of a session',
      '- status: 401\n      - redirect_to: /login\n      - form_field: form_token',
      '- {}',
      'a condition needs at least one of',
    ],
    ['an unknown audit argument', 'audit: [sku, delta]', 'audit: [sku, detla]', 'no argument "detla"'],
    [
      'a body on a GET',
      'request: { method: GET, path: /orders }',
      'request: { method: GET, path: /orders, json: {} }',
      'has no body',
    ],
    ['a query in the path', 'path: /orders', 'path: /orders?x=1', 'put the query string under "query"'],
    ['no identity at all', 'keys:\n    file: ${SALLYPORT_STATE_DIR}/clients.json', '{}', 'configure identity.keys'],
    ['a key twice', 'version: 1\n', 'version: 1\nversion: 1\n', 'unique'],
    ['a host that others reach, without a public_url', 'host: 127.0.0.1', 'host: 0.0.0.0', 'needs "public_url"'],
    ['a tool name with a space', '  stock_get:\n', '  stock get:\n', 'this name is not allowed: letters, digits'],
    ['a version of the future', 'version: 1\n', 'version: 2\n', 'expected 1'],
    ['not YAML', 'version: 1\n', 'version: [1\n', ''],
  ])('%s', (_name, from, to, message) => {
    expect(demo).toContain(from);
    const found = problems((yaml) => yaml.replace(from, () => to));
    expect(found.length).toBeGreaterThan(0);
    expect(found.join('\n')).toContain(message);
    expect(found.every((line) => /^connector\.yaml:\d+ /.test(line))).toBe(true);
  });

  it('an environment variable that is not set is an error, and $${ stands for the text ${', () => {
    expect(problems((yaml) => yaml, {}).join('\n')).toContain(
      'the environment variable LEGACY_INVENTORY_URL is not set',
    );
    const result = parseConfig({
      text: demo.replace('List the items', () => 'Costs $${5}. List the items'),
      file: 'c',
      baseDir: '/',
      env,
    });
    expect(result.ok && result.config.tools.stock_list?.description).toMatch(/^Costs \$\{5\}\./);
  });
});

it('an unquoted number from the environment is a number', () => {
  const text = demo.replace('port: 8787', 'port: ${MY_PORT}');
  const result = parseConfig({ text, file: 'c', baseDir: '/', env: { ...env, MY_PORT: '9999' } });
  expect(result.ok && result.config.listen.port).toBe(9999);
});

describe('R-48: secrets come from files or the environment', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-secrets-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('a secret file that others can read is refused, and no error shows its value', () => {
    const file = join(dir, 'password');
    writeFileSync(file, 'pa$$word "with" everything ü\n', { mode: 0o600 });
    expect(resolveSecret({ file }, 'x').reveal()).toBe('pa$$word "with" everything ü');
    chmodSync(file, 0o644);
    expect(() => resolveSecret({ file }, 'x')).toThrow(`chmod 600 ${file}`);
    chmodSync(file, 0o600);
    writeFileSync(file, '\n');
    expect(() => resolveSecret({ file }, 'x')).toThrow('is empty');
  });

  it('attack 27: a configuration copied to another host opens no session', () => {
    expect(() => resolveSecret({ file: join(dir, 'not here') }, 'backends.b.credentials.password')).toThrow(
      'cannot be read',
    );
    expect(() => resolveSecret({ env: 'NOT_SET' }, 'backends.b.credentials.password', {})).toThrow(
      'backends.b.credentials.password: the environment variable NOT_SET is not set',
    );
  });

  it('a value in connector.yaml itself is refused', () => {
    expect(
      problems((yaml) => yaml.replace('username: { env: LEGACY_INVENTORY_USER }', 'username: clerk')).length,
    ).toBeGreaterThan(0);
  });
});

describe('R-10: who is believed about the address of a client', () => {
  const open = (yaml: string) =>
    yaml
      .replace('listen:', 'public_url: https://c.example/mcp\nlisten:')
      .replace('host: 127.0.0.1\n  port: 8787', 'host: 0.0.0.0\n  plaintext: true\n  port: 8787');
  const withKeys = (keys: string) => (yaml: string) => open(yaml).replace('state_dir:', `${keys}\nstate_dir:`);
  it.each([
    [
      'hops without networks, beyond loopback',
      'proxy_hops: 1',
      /proxy_hops: needs "trusted_proxies", the networks of the proxies: others reach 0\.0\.0\.0/,
    ],
    ['networks without hops', 'trusted_proxies: [10.0.0.0/8]', /trusted_proxies: has no effect without "proxy_hops"/],
    ['an address', 'proxy_hops: 1\ntrusted_proxies: [10.0.0.1]', /trusted_proxies\.0: not a network/],
    ['octal', 'proxy_hops: 1\ntrusted_proxies: [10.0.0.0/8, 012.0.0.0/8]', /trusted_proxies\.1: not a network/],
    ['a prefix that is too long', 'proxy_hops: 1\ntrusted_proxies: [10.0.0.0/33]', /trusted_proxies\.0: not a network/],
    [
      'an IPv4 network in its IPv6 form',
      'proxy_hops: 1\ntrusted_proxies: ["::ffff:10.0.0.0/104"]',
      /trusted_proxies\.0: not a network/,
    ],
    ['a zone', 'proxy_hops: 1\ntrusted_proxies: ["fe80::1%eth0/64"]', /trusted_proxies\.0: not a network/],
    ['nobody', 'proxy_hops: 1\ntrusted_proxies: []', /trusted_proxies: /],
  ])('%s', (_what, keys, message) => {
    expect(problems(withKeys(keys)).join('\n')).toMatch(message);
  });
  it('networks with hops, and hops alone on loopback, are accepted', () => {
    expect(problems(withKeys('proxy_hops: 2\ntrusted_proxies: [10.0.0.0/8, "2001:db8::/32"]'))).toEqual([]);
    expect(problems((yaml) => yaml.replace('state_dir:', 'proxy_hops: 1\nstate_dir:'))).toEqual([]);
  });
});

it('a default beside arguments that need each other is accepted', () => {
  const found = problems((yaml) =>
    yaml.replace(
      'text: { type: string, maxLength: 100, description: Part of the name }',
      'text: { type: string, maxLength: 100 }\n        limit: { type: integer, default: 10 }\n      oneOf: [{ required: [text] }, { required: [limit] }]',
    ),
  );
  expect(found.filter((problem) => problem.includes('default'))).toEqual([]);
});

it('R-87: a default that its own schema refuses stops the start', () => {
  const found = problems((yaml) =>
    yaml.replace('type: string, maxLength: 100', 'type: string, maxLength: 100, default: 7'),
  );
  expect(found.join('\n')).toContain('the default of "text" does not match its schema');
});
