// Access tokens whose keys are on a server: it is asked rarely, and its outage is not one of the connector.
import { createServer, type Server } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Harness, startHarness } from '../support/harness.ts';

const TOKEN = 'token-of-the-admin-0123456789abcdef0123';
const [first, second] = (await Promise.all(
  ['k1', 'k2'].map(async (kid) => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
  }),
)) as [Key, Key];
type Key = { kid: string; privateKey: CryptoKey; jwk: object };

let server: Server;
let port = 0;
let fetches = 0;
let served: Key[] = [];
let answers: 'keys' | 'nothing' | { status?: number; body: string } = 'keys';
let h: Harness;

async function listen(): Promise<void> {
  server = createServer((_request, response) => {
    fetches += 1;
    if (answers === 'nothing') return;
    const { status = 200, body } =
      answers === 'keys' ? { body: JSON.stringify({ keys: served.map(({ jwk }) => jwk) }) } : answers;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
}
async function stop(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
async function start(keys = false): Promise<void> {
  h = await startHarness({
    edit: (yaml) => {
      const jwt = `identity:\n  jwt:\n    issuer: i\n    audience: a\n    jwks: { url: "http://127.0.0.1:${port}/" }\n`;
      const edited = yaml
        .replace('identity:\n', jwt)
        .replace('state_dir:', 'admin: { port: 0, token: { env: KEY_SERVER_ADMIN } }\nstate_dir:');
      return keys ? edited : edited.replace(/^ {2}keys:\n.*\n/m, '');
    },
  });
}
beforeEach(async () => {
  process.env.KEY_SERVER_ADMIN = TOKEN;
  [port, fetches, served, answers] = [0, 0, [first], 'keys'];
  await listen();
});
afterEach(async () => {
  await h.close();
  await stop();
  delete process.env.KEY_SERVER_ADMIN;
});

const now = () => Math.floor(h.clock.now() / 1000);
const sign = (key: Key, sub: string, { exp = now() + 60, nbf = now(), kid = key.kid } = {}) =>
  new SignJWT({ sub, client_id: 'c', roles: ['clerk'], iss: 'i', aud: 'a', exp, nbf })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid })
    .sign(key.privateKey);
const ask = async (token: string) => h.rpc('ping', {}, { key: token });
const status = async (token: string) => (await ask(token)).status;
const admin = (path: string) =>
  fetch(new URL(path, h.connector.adminUrl), { headers: { authorization: `Bearer ${TOKEN}` } });
const readyz = async () => (await fetch(new URL('/readyz', h.url))).json();

it('R-01: the server is asked once for many access tokens, and thirty seconds of skew are accepted', async () => {
  await start();
  expect(await Promise.all(['x', 'y', 'z'].map(async (sub) => status(await sign(first, sub))))).toEqual([
    200, 200, 200,
  ]);
  expect(fetches).toBe(1);
  expect(await status(await sign(first, 'x', { exp: now() - 29 }))).toBe(200);
  expect(await status(await sign(first, 'x', { exp: now() - 31 }))).toBe(401);
  expect(await status(await sign(first, 'x', { nbf: now() + 29 }))).toBe(200);
  expect(await status(await sign(first, 'x', { nbf: now() + 31 }))).toBe(401);
});

it('R-29: a token is answered 503 while there are no keys, the replica says why, and is ready by itself', async () => {
  await stop();
  await start();
  const answer = await ask(await sign(first, 'x'));
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
  expect((await h.audit('event')).find((e) => e.event === 'authn_login_fail')).toMatchObject({
    failure: 'unavailable',
  });
  expect(await readyz()).toMatchObject({ status: 'unavailable', failing: ['issuer'] });
  await vi.waitFor(
    () => expect(h.ops.join('\n')).toMatch(/"not ready","failing":"issuer","issuer":"ECONNREFUSED"/),
    5000,
  );
  const { warnings, issuer_keys: keys } = (await (await admin('/api/v1/status')).json()) as Record<string, never>;
  expect(warnings).toContainEqual({
    what: 'issuer',
    detail: 'its keys cannot be fetched (ECONNREFUSED); none are known',
  });
  expect(keys).toEqual({ age_seconds: null, failure: 'ECONNREFUSED' });
  expect(await (await admin('/metrics')).text()).toMatch(/^sallyport_jwks_age_seconds\{issuer="i"\} \+Inf$/m);
  await listen();
  h.clock.advance(11);
  await vi.waitFor(async () => expect(await readyz()).toMatchObject({ status: 'ok' }), 8000);
  expect(await status(await sign(first, 'x'))).toBe(200);
  expect(h.ops.filter((line) => /can be fetched again/.test(line))).toHaveLength(1);
}, 20_000);

it('R-29: keys that are known go on for a day while the provider is down, and no longer', async () => {
  await start();
  expect(await status(await sign(first, 'x'))).toBe(200);
  await stop();
  for (const hours of [0.2, 1, 22]) {
    h.clock.advance(hours * 3600);
    expect([hours, await status(await sign(first, 'x'))]).toEqual([hours, 200]);
  }
  await vi.waitFor(() => expect(h.ops.filter((line) => /cannot be fetched/.test(line))).toHaveLength(1));
  expect(await readyz()).toMatchObject({ status: 'ok' });
  h.clock.advance(3600);
  expect(await status(await sign(first, 'x'))).toBe(503);
  expect(await readyz()).toMatchObject({ failing: ['issuer'] });
  await listen();
});

it('an issuer without keys leaves those with API keys served, so the replica stays in the balancer', async () => {
  await stop();
  await start(true);
  expect(await status(await sign(first, 'x'))).toBe(503);
  expect((await h.rpc('ping')).status).toBe(200);
  expect(await readyz()).toMatchObject({ status: 'ok' });
  await listen();
});

it('R-86: tokens that name keys which do not exist become no requests to the provider, up or down', async () => {
  await start();
  await status(await sign(first, 'x'));
  h.clock.advance(11);
  for (let i = 0; i < 20; i++) expect(await status(await sign(first, 'x', { kid: `made-up-${i}` }))).toBe(401);
  expect(fetches).toBe(2);
  answers = { body: '<html>' };
  h.clock.advance(11);
  for (let i = 0; i < 20; i++) expect(await status(await sign(first, 'x', { kid: `made-up-${i}` }))).toBe(503);
  expect(fetches).toBe(3);
  expect(await status(await sign(first, 'y'))).toBe(200);
});

it('R-01: a new key is accepted at once, and one that the provider has withdrawn no more after minutes', async () => {
  await start();
  expect(await status(await sign(first, 'x'))).toBe(200);
  served = [first, second];
  h.clock.advance(11);
  expect(await status(await sign(second, 'x'))).toBe(200);
  const old = await sign(first, 'x', { exp: now() + 3600 });
  expect(await status(old)).toBe(200);
  served = [second];
  h.clock.advance(290);
  expect(await status(old)).toBe(200);
  h.clock.advance(11);
  // Whoever comes next has the keys fetched, and what was verified with the old ones is forgotten.
  await vi.waitFor(async () => {
    await status(await sign(second, `someone-${Math.random()}`));
    expect(await status(old)).toBe(401);
  });
});

it.each([
  ['no key', { body: '{"keys":[]}' }, 'a JWK set without keys'],
  ['no set', { body: '[]' }, 'no JWK set (RFC 7517)'],
  [
    'nothing usable',
    { body: '{"keys":[{"kty":"EC","crv":"P-256"}]}' },
    'a JWK set without a public key that can be used',
  ],
  [
    'only keys to encrypt',
    { body: JSON.stringify({ keys: [{ ...first.jwk, use: 'enc' }] }) },
    'a JWK set without a public key that can be used',
  ],
  [
    'a key that is for something else',
    { body: JSON.stringify({ keys: [{ ...first.jwk, key_ops: ['encrypt'] }] }) },
    'a JWK set without a public key that can be used',
  ],
  ['a secret key', { body: '{"keys":[{"kty":"oct","k":"AAAA"}]}' }, 'a JWK set with a secret key (kty "oct")'],
  ['an error', { status: 502, body: '{"keys":[]}' }, 'the answer has status 502'],
  ['a redirect', { status: 302, body: '' }, 'the answer has status 302'],
  ['two megabytes', { body: ' '.repeat(2_097_152) }, 'an answer of more than 1048576 bytes'],
])(
  'R-29: a server that answers with %s does not take away the keys that are known, and the reason is told',
  async (_what, answer, why) => {
    await start();
    expect(await status(await sign(first, 'x'))).toBe(200);
    answers = answer;
    h.clock.advance(301);
    await vi.waitFor(async () => {
      await status(await sign(first, 'z'));
      expect(h.ops.filter((line) => /cannot be fetched/.test(line)).map((line) => JSON.parse(line).problem)).toEqual([
        why,
      ]);
    });
    expect(await status(await sign(first, 'y'))).toBe(200);
    const { warnings } = (await (await admin('/api/v1/status')).json()) as {
      warnings: { what: string; detail: string }[];
    };
    expect(warnings.find(({ what }) => what === 'issuer')?.detail).toContain(why);
    answers = { status: 503, body: '' };
    h.clock.advance(11);
    await vi.waitFor(() => expect(h.ops.join('\n')).toMatch(/has status 503/), 8000);
  },
  15_000,
);

it('R-65: an outage of the provider makes nobody a guesser', async () => {
  await stop();
  await start(true);
  const statuses = new Set<number>();
  for (let i = 0; i < 80; i++) statuses.add(await status(await sign(first, `x${i}`)));
  expect([...statuses]).toEqual([503]);
  expect(await h.audit('alert')).toEqual([]);
  await listen();
});

it('a server that does not answer holds a call for three seconds at most, and one such call at a time', async () => {
  answers = 'nothing';
  await start();
  const began = performance.now();
  const tokens = await Promise.all(['x', 'y', 'z'].map((sub) => sign(first, sub)));
  expect(await Promise.all(tokens.map(status))).toEqual([503, 503, 503]);
  expect(performance.now() - began).toBeLessThan(6000);
  expect(fetches).toBe(1);
});
