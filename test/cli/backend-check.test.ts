// `sallyport backend check`: what it finds on systems that do not do what their configuration says, and
// that it shows no secret doing so.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MAIN, run } from '../support/cli.ts';
import { bodyOf, type LegacyServer, legacyServer } from '../support/fronted.ts';
import { type Loose, until } from '../support/harness.ts';

const PASSWORD = 'pass word &"1';
let dir: string;
let server: LegacyServer;
/** The fault that the test server shows. */
let quirk:
  | 'none'
  | 'one session'
  | 'logout ends all'
  | 'no logout'
  | 'logout refused'
  | 'probe for all'
  | 'odd cookies'
  | 'welcomes strangers'
  | 'echoes'
  | 'rotates'
  | 'hangs'
  | 'down'
  | 'cookie as a name';

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-check-'));
  quirk = 'none';
  let live: string[] = [];
  let count = 0;
  server = await legacyServer(async (request, response) => {
    const id = /S=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
    const path = request.url?.split('?')[0];
    if (quirk === 'down') return request.socket.destroy();
    if (path === '/login') {
      const form = new URLSearchParams(await bodyOf(request));
      const echo =
        quirk === 'echoes'
          ? `<title>${'x'.repeat(70)}${PASSWORD} \u001b[31m</title><input name="a1b2c3d4e5f60718293a4b5c"><input name="${PASSWORD.replace(/"/g, '&quot;')}">`
          : '<title>Home</title>';
      if (form.get('p') !== PASSWORD) return response.writeHead(200, { 'content-type': 'text/html' }).end(echo);
      if (quirk === 'one session') live = [];
      live.push(`session-${++count}`);
      return response
        .writeHead(302, {
          location: `/home;jsessionid=session-${count}?token=session-${count}`,
          'set-cookie': [
            `S=session-${count}; Path=/`,
            ...(quirk === 'odd cookies'
              ? [
                  'secure=abcdefgh; Domain=other.test',
                  'gone=abcdefgh; Expires=Thu, 01 Jan 1970 00:00:01 GMT',
                  'empty=; Path=/',
                ]
              : []),
          ],
        })
        .end(echo);
    }
    const known = live.includes(id);
    if (path === '/logout' && quirk === 'logout refused') return response.writeHead(403).end('no');
    if (path === '/me' && quirk === 'probe for all') return response.writeHead(200).end('hello');
    if (path === '/logout')
      live = quirk === 'no logout' ? live : quirk === 'logout ends all' ? [] : live.filter((other) => other !== id);
    if (quirk === 'hangs') return undefined;
    if (known && quirk === 'rotates' && path !== '/logout') {
      live = [...live.filter((other) => other !== id), `session-r${++count}`];
      response.setHeader('set-cookie', `S=session-r${count}; Path=/`);
    }
    if (path === '/left') return response.end(JSON.stringify(live.length));
    if (!known && quirk !== 'welcomes strangers') return response.writeHead(401).end();
    return response
      .writeHead(200, {
        'content-type': 'application/json',
        ...(quirk === 'cookie as a name' && { 'set-cookie': 'X=abc12; Path=/' }),
      })
      .end(JSON.stringify({ id, 'odd\u001b[2Jname': 1, ...(quirk === 'cookie as a name' && { abc12: 1 }) }));
  });
});
afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function check(args: string[] = [], change = (yaml: string) => yaml) {
  const yaml = `
version: 1
identity: { keys: { file: clients.json } }
backends:
  app:
    url: ${server.url}
    timeout_ms: 2000
    credentials: { p: { env: APP_PASSWORD } }
    login:
      - request: { method: POST, path: /login, form: { p: "{credentials.p}" } }
        expect: { redirect_to: /home }
        extract: { target: { regex: 'token=(.*)', header: Location } }
    session: { cookies: [S], values: [target] }
    expired: [{ status: 401 }]
    logout: { request: { path: /logout } }
    probe: { request: { path: /me } }
tools:
  list: { backend: app, description: List, effect: read, request: { path: /list } }
  put: { backend: app, description: Put, effect: write, request: { method: POST, path: /list } }
`;
  writeFileSync(join(dir, 'connector.yaml'), change(yaml));
  const result = await run(['backend', 'check', 'app', ...args], { cwd: dir, env: { APP_PASSWORD: PASSWORD } });
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), 'session-', '\u001b'])
    expect(result.stdout + result.stderr).not.toContain(secret);
  return result;
}
/** Returns a text such as "fail expiry" for each result that is not ok. */
async function found(
  args: string[] = [],
  change?: (yaml: string) => string,
): Promise<{ code: number; results: string[]; details: string }> {
  const { code, stdout } = await check(['--json', ...args], change);
  const { results, ok } = JSON.parse(stdout) as Loose;
  expect(ok).toBe(code === 0);
  return {
    code,
    results: results.filter((r: Loose) => r.result !== 'ok').map((r: Loose) => `${r.result} ${r.step}`),
    details: JSON.stringify(results),
  };
}

it('the check shows each step with what it observed, shows no secret, and exits with 0', async () => {
  const { code, stdout } = await check();
  expect(code).toBe(0);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' '));
  expect(lines).toEqual([
    'ok login 1 POST /login; status 302, to /home, no content type, 19 bytes, page "Home", sets S; target (9 characters)',
    'ok session cookie S; target (9 characters)',
    expect.stringMatching(
      /^ok call list: status 200, application\/json, \d+ bytes, members id, odd.*name; result object with id, odd.*name$/,
    ),
    'ok expiry an unknown session is recognised: status 401',
    'ok re-login a second session, beside the first',
    'ok rotation the old session is dead',
    'ok rotation the new session still works',
    'ok logout the old session is dead',
  ]);
});

it('R-40: a cookie that the checked answer itself brings is not shown, not even as the name of a member', async () => {
  quirk = 'cookie as a name';
  const { stdout } = await check();
  expect(stdout).toContain('result object with');
  expect(stdout).not.toContain('abc12');
});

it('the check finds a backend that allows only one session for each account', async () => {
  quirk = 'one session';
  expect(await found()).toMatchObject({ code: 0, results: ['warn re-login'] });
});

it('the check finds a logout that ends other sessions too: every rotation would end the session it just opened', async () => {
  quirk = 'logout ends all';
  expect(await found()).toMatchObject({ code: 1, results: ['fail rotation'] });
});

it('the check finds a logout that does not end the session', async () => {
  quirk = 'no logout';
  expect(await found()).toMatchObject({ code: 0, results: ['warn rotation', 'warn logout'] });
});

it('the check tells a logout that is refused from one that ends nothing, and shows the answer to it', async () => {
  quirk = 'logout refused';
  const { code, results, details } = await found();
  expect({ code, results }).toEqual({ code: 1, results: ['fail rotation', 'fail logout'] });
  expect(details).toContain('the logout is refused with status 403');
  quirk = 'no logout';
  expect((await found()).details).toContain('the logout was answered with status 200');
});

it('R-82: the check finds a probe that calls an unknown session alive', async () => {
  quirk = 'probe for all';
  const { code, results, details } = await found();
  expect(code).toBe(1);
  expect(results).toContain('fail probe');
  expect(details).toMatch(/calls an unknown session alive; add \\"assert\\"/);
  const mended = await found([], (yaml) =>
    yaml.replace('path: /me } }', 'path: /me }, assert: [{ body_contains: anna }] }'),
  );
  expect(mended.details).not.toContain('cannot tell');
});

it('R-93: the check warns of conditions that whoever writes content can fulfil, and --strict fails on them', async () => {
  const change = (yaml: string) =>
    yaml.replace('expired: [{ status: 401 }]', 'expired: [{ status: 401 }, { body_contains: please log in }]');
  const { code, results, details } = await found([], change);
  expect({ code, results }).toEqual({ code: 0, results: ['warn content'] });
  expect(details).toContain('backends.app.expired.1.body_contains');
  expect((await check(['--strict'], change)).code).toBe(1);
  expect((await check(['--strict'])).code).toBe(0);
});

it.each([
  ['cookies: [S, other]', '"no cookie other after the login: no answer has set it"'],
  [
    'cookies: [S, secure]',
    'no cookie secure after the login: it came and was dropped: it is for the domain other.test',
  ],
  ['cookies: [S, gone]', 'no cookie gone after the login: it came and was dropped: its end has passed'],
  ['cookies: [S, empty]', 'no cookie empty after the login: it came and was dropped: it is empty'],
])('of a cookie that is not there (%s) the check says why', async (cookies, why) => {
  quirk = 'odd cookies';
  const { code, details } = await found([], (yaml) => yaml.replace('cookies: [S]', cookies));
  expect(code).toBe(1);
  expect(details).toContain(why.replaceAll('"', ''));
});

it('the check finds that the connector would not notice the end of a session', async () => {
  quirk = 'welcomes strangers';
  const { code, results } = await found();
  expect(code).toBe(1);
  expect(results).toContain('fail expiry');
});

it('for a refused login the check shows which step failed and what the backend answered instead', async () => {
  quirk = 'echoes';
  const { code, results, details } = await found([], (yaml) => yaml.replace('{credentials.p}', 'x{credentials.p}'));
  expect({ code, results }).toEqual({ code: 1, results: ['fail login 1'] });
  expect(details).toContain('[redacted]');
  expect(details).toContain('(a random name)');
});

it('the check reports a backend that does not answer', async () => {
  quirk = 'down';
  expect(await found()).toMatchObject({ code: 1, results: ['fail login 1'] });
});

it('R-54: the check follows a cookie that every answer changes, and leaves no session behind', async () => {
  quirk = 'rotates';
  const inTurn = (yaml: string) => yaml.replace('cookies: [S]', 'cookies: [S], one_at_a_time: true');
  expect(await found([], inTurn)).toMatchObject({ code: 0, results: [] });
  expect(await (await fetch(`${server.url}/left`)).text()).toBe('0');
});

it('the check finds calls at the same time that disturb each other, and says what to set', async () => {
  quirk = 'rotates';
  const { code, results, details } = await found();
  expect(code).toBe(1);
  expect(results).toContain('fail at once');
  expect(details).toContain('set session.one_at_a_time');
});

it('a session that lacks a part is told from one that has ended', async () => {
  quirk = 'odd cookies';
  const { details } = await found([], (yaml) =>
    yaml.replace('cookies: [S], values: [target]', 'send_cookies: { x: y }').replace('path: /me', 'path: /home'),
  );
  expect(details).toContain('the session lacks a part: the login also gave the cookies S, secure, gone, empty');
  expect(details).toContain('the values target (session.values');
});

it.each([
  [{ 'www-authenticate': ['Negotiate', 'NTLM'] }, '', 'Negotiate (Kerberos), which is not spoken, asks for NTLM'],
  [{}, '<form><input name=SAMLRequest value=x></form>', 'SAML, which is spoken only where'],
  [{}, '<form><input name=otp_code></form>', 'a second factor, which is not spoken'],
])('what is not spoken is named (%j %s)', async (headers, page, words) => {
  const other = await legacyServer((_request, response) =>
    response.writeHead(page === '' ? 401 : 200, { 'content-type': 'text/html', ...headers }).end(page),
  );
  const { details } = await found([], (yaml) => yaml.replace(server.url, other.url));
  await other.close();
  expect(details).toContain(words);
});

it('Ctrl-C ends the check, and logs out what it had opened', async () => {
  quirk = 'hangs';
  const { spawn } = await import('node:child_process');
  await check([], (yaml) => yaml.replace('timeout_ms: 2000', 'timeout_ms: 10'));
  writeFileSync(
    join(dir, 'connector.yaml'),
    readFileSync(join(dir, 'connector.yaml'), 'utf8').replace('timeout_ms: 10', 'timeout_ms: 60000'),
  );
  const before = server.requests.length;
  const child = spawn(process.execPath, [MAIN, 'backend', 'check', 'app'], {
    cwd: dir,
    env: { ...process.env, APP_PASSWORD: PASSWORD },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await until(() => server.requests.slice(before).includes('GET /list'), 'the call to be made');
  child.kill('SIGINT');
  await until(() => server.requests.slice(before).includes('GET /logout'), 'the logout');
  child.kill('SIGKILL');
  await exited;
});

it('for a logout whose CSRF token cannot be found the check says what is missing and that a session stays open', async () => {
  const { code, details } = await found([], (yaml) =>
    yaml.replace(
      '    logout: { request: { path: /logout } }',
      '    csrf: { request: { path: /list }, extract: { t: { json: /nosuch } } }\n    logout: { request: { method: POST, path: /logout, form: { t: "{csrf.t}" } } }',
    ),
  );
  expect(code).toBe(1);
  expect(details).toContain('CSRF token: nothing to extract for \\"t\\"; a session is still open');
});

it('a failed step leaves no session behind', async () => {
  const { results } = await found([], (yaml) => yaml.replace("'token=(.*)'", "'nosuch=(.*)'"));
  expect(results).toEqual(['fail login 1']);
  expect(server.requests).toContain('GET /logout');
});

it.each([
  [['--tool', 'put'], 'the tool writes'],
  [['--tool', 'nosuch'], 'no tool \\"nosuch\\"'],
  [['--tool', 'list', '--args', '{"a":1}'], 'has a property that is not defined'],
])('%j is refused', async (args, message) => {
  const { code, details } = await found(args);
  expect(code).toBe(1);
  expect(details).toContain(message);
  expect(server.requests).not.toContain('POST /list');
});

it('the command explains its usage', async () => {
  const missing = await run(['backend', 'check', 'app', '-c', join(dir, 'none.yaml')]);
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('does not exist')]);
  expect((await check(['--args', '{'])).code).toBe(1);
  expect((await run(['backend', 'check'])).code).toBe(2);
  expect((await run(['backend', 'check', '--help'])).stdout).toContain('no secret is shown');
});
