// What goes over a network in plain text must be asked for by name.
import { expect, it } from 'vitest';
import { isLoopback, plaintextOf } from '../../src/config/check/plaintext.ts';
import { parseConfig } from '../../src/config/load.ts';

const parse = (changes: Record<string, string>) => {
  const parts = {
    version: '1',
    identity: '{ keys: { file: c.json } }',
    public_url: 'https://mcp.example/mcp',
    ...changes,
    backends: '{}',
  };
  const text = Object.entries(parts)
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n');
  return parseConfig({ text, file: 'c', baseDir: '/', env: {} });
};
const RING = { keyring_file: 'k.json' };

it.each([
  ['listen.host', { listen: '{ host: 0.0.0.0, $ }' }, 'listen'],
  ['listen.host', { listen: '{ host: "::", $ }' }, 'listen'],
  ['admin.host', { admin: '{ host: 10.0.0.1, token: { env: T }, $ }' }, 'admin'],
  ['store.redis.url', { ...RING, store: '{ redis: { url: "redis://redis:6379", $ } }' }, 'store.redis'],
  [
    'store.redis.sentinel',
    { ...RING, store: '{ redis: { sentinel: { name: m, nodes: [{ host: s1, port: 1 }] }, $ } }' },
    'store.redis',
  ],
  ['store.redis.cluster', { ...RING, store: '{ redis: { cluster: { nodes: ["redis://a:1"] }, $ } }' }, 'store.redis'],
  [
    'identity.jwt.jwks.url',
    { identity: '{ jwt: { issuer: i, audience: a, jwks: { url: "http://idp/keys", $ } } }' },
    'identity.jwt.jwks',
  ],
])('%s needs "plaintext: true", and is named then', (path, changes, named) => {
  const fill = (text: string) =>
    Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, value.replace(/,? ?\$/, text)]));
  const without = parse(fill(''));
  expect(without.ok ? [] : without.problems.map((problem) => problem.path)).toEqual([path]);
  const meant = parse(fill(', plaintext: true'));
  if (!meant.ok) throw new Error(meant.problems.map(({ message }) => message).join('; '));
  expect(plaintextOf(meant.config)).toEqual([named]);
});

it.each([
  { listen: '{ host: 0.0.0.0, tls: { cert_file: c, key_file: k } }' },
  { ...RING, store: '{ redis: { url: "rediss://redis:6379" } }' },
  { ...RING, store: '{ redis: { url: "redis://127.0.0.1:6379" } }' },
  { identity: '{ jwt: { issuer: i, audience: a, jwks: { url: "https://idp/keys" } } }' },
])('%j needs nothing', (changes) => {
  const parsed = parse(changes as Record<string, string>);
  expect(parsed.ok ? plaintextOf(parsed.config) : parsed.problems).toEqual([]);
});

it.each([
  { identity: '{ jwt: { issuer: i, audience: a, jwks: { url: "https://u:hunter2@idp/keys" } } }' },
  { public_url: 'https://u:hunter2@mcp.example/mcp' },
])('a password in a URL is refused and not shown: %j', (changes) => {
  const parsed = parse(changes as Record<string, string>);
  if (parsed.ok) throw new Error('taken');
  expect(parsed.problems.map(({ message }) => message)).toEqual([
    'a user name or a password does not belong into a URL',
  ]);
});

it('loopback is what only this machine can reach', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', 'LOCALHOST', 'a.localhost', '::1', '[::1]'])
    expect(isLoopback(host)).toBe(true);
  for (const host of ['128.0.0.1', '127.0.0.1.example', 'localhost.example', '::2', '0.0.0.0', ''])
    expect(isLoopback(host)).toBe(false);
});
