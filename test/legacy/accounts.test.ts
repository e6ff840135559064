// Whose account a call uses at the backend. Nobody gets somebody else's, and nobody's session serves another.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { bodyOf, type Fronted, front, type LegacyServer, legacyServer, structured } from '../support/fronted.ts';
import { reasons, until } from '../support/harness.ts';
import { createIssuer, type Issuer } from '../support/tokens.ts';

let dir: string;
let server: LegacyServer;
let connector: Fronted;
let issuer: Issuer | undefined;
let clock: TestClock;
/** User and password of each login. */
let logins: string[];
let live: Map<string, string>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-accounts-'));
  clock = createTestClock();
  logins = [];
  live = new Map();
  server = await legacyServer(async (request, response) => {
    const id = /S=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
    if (request.url === '/login') {
      const { user, password, tenant } = JSON.parse(await bodyOf(request));
      logins.push(`${user}:${password}@${tenant}`);
      if (password === 'wrong-password') return response.writeHead(403).end();
      live.set(`session${logins.length}`, user);
      return response.writeHead(200, { 'set-cookie': `S=session${logins.length}; Path=/` }).end();
    }
    if (request.url === '/logout') live.delete(id);
    const user = live.get(id);
    return response
      .writeHead(user ? 200 : 401)
      .end(JSON.stringify({ user, password: logins.at(-1)?.replace(/^\w+:|@.*$/g, '') }));
  });
});
afterEach(async () => {
  await connector?.close();
  await server.close();
  issuer?.remove();
  issuer = undefined;
  rmSync(dir, { recursive: true, force: true });
});

async function connect(accounts: string, clients = ['agent-a', 'agent-b', 'agent-c']): Promise<void> {
  const yaml = `
backends:
  app:
    url: ${server.url}
    credentials: { tenant: { env: TENANT } }
    accounts: ${accounts}
    login:
      - request: { method: POST, path: /login, json: { user: "{credentials.user}", password: "{credentials.password}", tenant: "{credentials.tenant}" } }
    session: { cookies: [S] }
    expired: [{ status: 401 }]
    logout: { request: { path: /logout } }
    probe: { request: { path: /me } }
tools:
  me: { backend: app, description: Me, effect: read, request: { path: /me } }
`;
  issuer = await createIssuer(() => clock.now());
  const env = { TENANT: 'north', A_USER: 'anna', A_PW: 'pass "word" 1', B_PW: 'password-2' };
  connector = await front({ yaml, env, clock, clients, identity: issuer.yaml });
}
const file = (accounts: unknown, mode = 0o600) => {
  const path = join(dir, 'accounts.json');
  writeFileSync(path, typeof accounts === 'string' ? accounts : JSON.stringify(accounts), { mode });
  chmodSync(path, mode);
  return path;
};
const userOf = async (as: string) => structured(await connector.call('me', {}, as))?.user;

it('by client, from a map: each client uses its own account; a client without one is refused, which is on record', async () => {
  await connect(`
      by: client
      map:
        agent-a: { user: { env: A_USER }, password: { env: A_PW } }
        agent-b: { user: { file: ${file('berta\n')} }, password: { env: B_PW } }`);
  expect(await userOf('agent-a')).toBe('anna');
  expect(await userOf('agent-b')).toBe('berta');
  expect(logins).toEqual(['anna:pass "word" 1@north', 'berta:password-2@north']);
  const refused = await connector.call('me', {}, 'agent-c');
  expect(reasons(refused)).toEqual(['backend.no_account']);
  const [outcome] = (await connector.audit('outcome')).slice(-1);
  expect(outcome).toMatchObject({ outcome: 'refused', reasons: ['backend.no_account'], session: null, backend: null });
  expect(logins).toHaveLength(2);
});

it('R-40: the password of an account is blanked in results, like the shared password', async () => {
  await connect('{ by: client, map: { agent-a: { user: { env: A_USER }, password: { env: A_PW } } } }');
  const answer = await connector.call('me', {}, 'agent-a');
  expect(structured(answer)).toEqual({ user: 'anna', password: '[redacted]' });
});

describe('from a file', () => {
  it('accounts are read again when the file changes: a new account works, a removed one is refused', async () => {
    const path = file({ 'agent-a': { user: 'anna', password: 'one-password' } });
    await connect(`{ by: subject, file: ${path} }`);
    expect(await userOf('agent-a')).toBe('anna');
    expect(reasons(await connector.call('me', {}, 'agent-b'))).toEqual(['backend.no_account']);
    file({ 'agent-b': { user: 'berta', password: 'two-password' } });
    await until(async () => (await userOf('agent-b')) === 'berta', 'the file to be read again');
    expect(reasons(await connector.call('me', {}, 'agent-a'))).toEqual(['backend.no_account']);
  });

  it('a file that becomes unusable leaves the last good accounts in force, and an event says so', async () => {
    const path = file({ 'agent-a': { user: 'anna', password: 'one-password' } });
    await connect(`{ by: client, file: ${path} }`);
    file('{ half');
    const told = async () =>
      (await connector.audit('event')).some((r) => r.event === 'file_unusable' && r.part === 'accounts');
    await until(told, 'the event');
    expect((await fetch(new URL('/readyz', connector.connector.url))).status).toBe(200);
    expect(await userOf('agent-a')).toBe('anna');
  });

  it('names of built-in properties are accounts like any other', async () => {
    const path = file('{ "__proto__": { "user": "anna", "password": "one-password" } }');
    await connect(`{ by: subject, file: ${path} }`, ['__proto__', 'constructor']);
    expect(await userOf('__proto__')).toBe('anna');
    expect(reasons(await connector.call('me', {}, 'constructor'))).toEqual(['backend.no_account']);
  });

  it('a subject that is not well-formed Unicode is refused like any wrong credential', async () => {
    await connect(`{ by: subject, file: ${file({})} }`);
    for (const claims of [{ sub: '\ud800' }, { client_id: 'a\udc00' }, { roles: ['\udfff'] }, { scope: '\ud9ab' }])
      expect((await connector.call('me', {}, await issuer?.token(claims, clock.now()))).status).toBe(401);
    expect((await connector.call('me', {}, await issuer?.token({ sub: '__proto__' }, clock.now()))).status).toBe(200);
  });

  it.each([
    ['others can read', { a: { user: 'x' } }, 0o644, 'can be read by others'],
    ['is no JSON', '{ "a": ', 0o600, 'is not JSON'],
    ['has a value that is no text', { a: { user: 7 } }, 0o600, 'a.user'],
  ])('a file that %s stops the start, and the error shows no value', async (_name, content, mode, message) => {
    const path = file(content, mode);
    await expect(connect(`{ by: client, file: ${path} }`)).rejects.toThrow(message);
  });

  it('an account without a password does not log in with an empty one', async () => {
    await connect(`{ by: client, file: ${file({ 'agent-a': { user: 'anna' } })} }`);
    expect(reasons(await connector.call('me', {}, 'agent-a'))).toEqual(['session.login_failed']);
    expect(logins).toEqual([]);
  });

  it('R-55: a wrong password of one account does not keep the others out', async () => {
    const path = file({
      'agent-a': { user: 'a', password: 'wrong-password' },
      'agent-b': { user: 'b', password: 'good-password' },
    });
    await connect(`{ by: client, file: ${path} }`);
    for (let i = 0; i < 3; i++)
      expect(reasons(await connector.call('me', {}, 'agent-a'))).toEqual(['session.login_failed']);
    expect(await userOf('agent-b')).toBe('b');
    expect(logins.filter((login) => login.startsWith('a:'))).toHaveLength(1);
  });
});

describe('by claim', () => {
  const accounts = () =>
    file({ 'legacy-1': { user: 'one', password: 'password-1' }, 'legacy-2': { user: 'two', password: 'password-2' } });
  const token = (claims: object) => (issuer as Issuer).token({ roles: ['manager'], ...claims });

  it('a call uses the account that the claim names; a missing, malformed or unknown claim is refused', async () => {
    await connect(`{ by: { claim: /legacy/login }, file: ${accounts()} }`);
    expect(await userOf(await token({ legacy: { login: 'legacy-2' } }))).toBe('two');
    for (const legacy of [
      undefined,
      { login: ['legacy-1'] },
      { login: 'nobody' },
      { login: '' },
      { login: '__proto__' },
    ])
      expect(reasons(await connector.call('me', {}, await token({ sub: 'bob', legacy })))).toEqual([
        'backend.no_account',
      ]);
    expect(reasons(await connector.call('me', {}, 'agent-a'))).toEqual(['backend.no_account']);
  });

  it('a client whose token names another account never uses the session of the first', async () => {
    await connect(`{ by: { claim: legacy }, file: ${accounts()} }`);
    const [one, two] = [await token({ legacy: 'legacy-1' }), await token({ legacy: 'legacy-2' })];
    expect(await userOf(one)).toBe('one');
    expect(await userOf(two)).toBe('two');
    expect(await userOf(one)).toBe('one');
    const rotated = (await connector.audit('event')).filter((event) => event.event === 'session_rotated');
    expect(rotated.map((event) => event.cause)).toEqual(Array(2).fill('the client has another account'));
    // With calls for both accounts at the same time, each call gets its own account or is refused.
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => connector.call('me', {}, i % 2 ? one : two)));
    answers.forEach((answer, i) => {
      if (answer.body.result.isError) expect(['session.changed', 'usage.in_flight']).toContain(reasons(answer)[0]);
      else expect(structured(answer).user).toBe(i % 2 ? 'one' : 'two');
    });
    await connector.connector.settled();
    expect(live.size).toBe(1);
  });
});
