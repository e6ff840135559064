// What a hostile reader found, each on a real server; and what odd backends need.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { scrubText, spellings } from '../../src/backend/answer/scrub.ts';
import { openBackends } from '../../src/backend/open.ts';
import type { Config } from '../../src/config/load.ts';
import { parseConfig } from '../../src/config/load.ts';
import { Secret } from '../../src/core/secret.ts';
import { parseJson } from '../../src/formats/json.ts';
import { createTestClock } from '../support/clock.ts';
import {
  bodyOf,
  type Fronted,
  front,
  type LegacyServer,
  legacyServer,
  structured,
  textOf,
} from '../support/fronted.ts';
import { reasons, until } from '../support/harness.ts';

let server: LegacyServer;
let connector: Fronted | undefined;
afterEach(async () => {
  await connector?.close();
  connector = undefined;
  await server?.close();
});

interface Seen {
  path: string;
  cookie: string;
  body: string;
  request: IncomingMessage;
  response: ServerResponse;
}
let logins: number;

/** A server whose login gives S=session-N, and which answers everything else like this. */
async function serve(handle: (seen: Seen) => unknown): Promise<void> {
  logins = 0;
  server = await legacyServer(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === '/login')
      return response.writeHead(200, { 'set-cookie': `S=session-${++logins}; Path=/` }).end();
    return handle({ path: request.url ?? '', cookie: request.headers.cookie ?? '', body, request, response });
  });
}
const ok = (response: ServerResponse, body: string | Buffer, headers = {}) =>
  response.writeHead(200, { 'content-type': 'text/html', ...headers }).end(body);

const yamlOf = (backend: string, tools: string) => `
backends:
  app:
    url: ${server.url}
    credentials: { user: { env: APP_USER }, user_password: { env: APP_PASSWORD } }
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
${backend.trim().replace(/^/gm, '    ')}
tools:
  page: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: text } }
  put: { backend: app, description: Put, effect: write, request: { method: POST, path: /put }, result: { as: text } }
${tools.replace(/^(?=.)/gm, '  ')}`;
const ENV = { APP_USER: 'anna', APP_PASSWORD: 'hunter2-secret' };
async function connect(backend: string, tools = ''): Promise<void> {
  connector = await front({ yaml: yamlOf(backend, tools), env: ENV, clock: createTestClock() });
}
const call = (tool: string, args = {}) => (connector as Fronted).call(tool, args);
const EXPIRED = 'expired: [{ status: 401 }]';
const CSRF =
  'csrf: { request: { path: /token }, extract: { token: { form_field: tok } }, headers: { X-T: "{csrf.token}" }, refused: [{ status: 403 }] }';

describe('a page that was made to stop the connector', () => {
  it.each([
    ['a cell of a billion columns', '<table><tr><td colspan=1000000000 rowspan=100000000>x</td></tr></table>', 'x'],
    ['a list that begins nowhere', '<ol start=99999999999999999999 type=i><li>x</ol>', '- x'],
    ['a million spaces that are kept', `<pre>${' '.repeat(900_000)}x</pre>`, 'x'],
    ['tags that nobody closes', '<b>'.repeat(300_000), undefined],
    ['deeper than any browser shows', '<div>'.repeat(150_000), undefined],
  ])('%s', async (_name, page, text) => {
    await serve(({ response }) => ok(response, page));
    await connect(
      'expired: [{ form_field: pw }]',
      'html: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: html, max_bytes: 2000000 } }',
    );
    const answer = await call('html');
    if (text === undefined) expect(reasons(answer)).toEqual(['backend.response_unusable']);
    else expect(textOf(answer)).toBe(text);
  });
});

describe('cookies', () => {
  it('R-54: two answers that bring the same new cookie are one renewal, and nothing is logged out', async () => {
    let waiting: (() => void)[] = [];
    await serve(({ path, response }) => {
      if (path === '/logout') return ok(response, '');
      const answer = () => ok(response, 'x', { 'set-cookie': 'S=session-new; Path=/' });
      waiting.push(answer);
      if (waiting.length === 2) for (const go of waiting.splice(0)) go();
      return undefined;
    });
    await connect(`${EXPIRED}\nlogout: { request: { path: /logout } }`);
    await Promise.all([call('page'), call('page')]);
    waiting = [];
    expect(await (connector as Fronted).events()).toEqual(['session_opened', 'session_renewed']);
    expect(server.requests).not.toContain('GET /logout');
  });

  it('R-53: the header that says it may be the second of its name', async () => {
    await serve(({ cookie, response }) =>
      cookie === 'S=session-1'
        ? ok(response, 'anonymous', { 'set-cookie': ['lang=en', 'S=anonymous; Path=/'] })
        : ok(response, 'mine'),
    );
    await connect('expired: [{ header: { Set-Cookie: "^S=" } }]');
    expect(textOf(await call('page'))).toBe('mine');
    expect(logins).toBe(2);
  });

  it('an empty cookie is a cookie taken away, not a session', async () => {
    await serve(({ cookie, response }) => ok(response, cookie.replace('session-', ''), { 'set-cookie': 'S=; Path=/' }));
    await connect(EXPIRED);
    for (let i = 0; i < 2; i++) expect(textOf(await call('page'))).toBe('S=1');
    expect(await (connector as Fronted).events()).toEqual(['session_opened']);
  });

  it('a remember-me cookie of the page with the token is not kept; a cookie that is named goes back with it', async () => {
    const seen: string[] = [];
    await serve(({ path, cookie, response }) => {
      seen.push(`${path} ${cookie}`);
      if (path === '/token')
        return ok(response, '<input name=tok value=csrf-token-1>', {
          'set-cookie': ['remember=me-for-ever', 'XSRF=xsrf-cookie'],
        });
      return ok(response, 'x');
    });
    await connect(`${EXPIRED}\n${CSRF.replace('headers:', 'cookies: [XSRF], headers:')}`);
    await call('put');
    await call('page');
    expect(seen).toEqual(['/token S=session-1', '/put S=session-1; XSRF=xsrf-cookie', '/page S=session-1']);
  });

  it('R-54: a cookie that each answer replaces goes on through pages and tokens', async () => {
    let current = 1;
    await serve(({ path, cookie, response }) => {
      if (cookie !== (current === 1 ? 'S=session-1' : `S=next-${current}`)) return response.writeHead(401).end();
      const headers = { 'set-cookie': `S=next-${++current}; Path=/` };
      if (path === '/token') return ok(response, '<input name=tok value=csrf-token-1>', headers);
      return ok(response, path.includes('page=3') ? '[]' : '[1]', headers);
    });
    await connect(
      `session: { cookies: [S], one_at_a_time: true }\n${EXPIRED}\n${CSRF}`.replace(
        'session: { cookies: [S], one_at_a_time: true }\n',
        '',
      ),
      `
list:
  backend: app
  description: List
  effect: read
  request: { path: /list, query: { page: "{page}", t: "{csrf.token}" } }
  pages: { by: number, size: 1 }`,
    );
    expect(structured(await call('list'))).toEqual({ items: [1, 1], complete: true });
    expect(textOf(await call('page'))).toBe('[1]');
    expect(logins).toBe(1);
  });

  it('an answer that cannot be read still brings its cookie', async () => {
    await serve(({ path, cookie, response }) => {
      if (path === '/list') return ok(response, 'no json', { 'set-cookie': 'S=session-next; Path=/' });
      return ok(response, cookie.slice(-4));
    });
    await connect(EXPIRED, 'list: { backend: app, description: List, effect: read, request: { path: /list } }');
    expect(reasons(await call('list'))).toEqual(['backend.response_unusable']);
    expect(textOf(await call('page'))).toBe('next');
  });
});

describe('R-40: what must not come back', () => {
  it('a password under any name, and what the login makes of it alone', async () => {
    const made = Buffer.from('xhunter2-secret').toString('base64');
    await serve(({ response }) => ok(response, `anna hunter2-secret ${made}`));
    const yaml = yamlOf(EXPIRED, '').replace(
      'login: [{',
      'login: [{ compose: { half: { base64: "x{credentials.user_password}" } } }, {',
    );
    connector = await front({ yaml, env: ENV, clock: createTestClock() });
    expect(textOf(await call('page'))).toBe('anna [redacted] [redacted]');
  });

  it('a CSRF token that a page shows, before and after it was fetched, and one that was refused', async () => {
    let issued = 0;
    await serve(({ path, request, response }) => {
      if (path === '/token') return ok(response, `<input name=tok value=csrf-token-${++issued}>`);
      if (path === '/put' && request.headers['x-t'] === 'csrf-token-1') return response.writeHead(403).end();
      return ok(response, `<input name=tok value=csrf-token-page> csrf-token-1 csrf-token-2`);
    });
    await connect(`${EXPIRED}\n${CSRF}`);
    expect(textOf(await call('page'))).toBe('<input name=tok value=[redacted]> csrf-token-1 csrf-token-2');
    expect(textOf(await call('put'))).toBe('<input name=tok value=[redacted]> [redacted] [redacted]');
    expect(textOf(await call('page'))).toBe('<input name=tok value=[redacted]> csrf-token-1 [redacted]');
  });

  it('any mixture of spellings of a secret', () => {
    const ways = [
      (c: string) => c,
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#${c.charCodeAt(0)};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#x${c.charCodeAt(0).toString(16)};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `&#X00${c.charCodeAt(0).toString(16).toUpperCase()};`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `\\u00${c.charCodeAt(0).toString(16).padStart(2, '0')}`),
      (c: string) => (/[a-z0-9]/i.test(c) ? c : `\\${c}`),
      (c: string) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c,
    ];
    const secret = fc.string({
      unit: fc.constantFrom(...'abXY09+/=&<>"\'.;-_:$^()[]{}|\\ ?*!~#%@,'),
      minLength: 6,
      maxLength: 24,
    });
    fc.assert(
      fc.property(secret, fc.array(fc.nat(ways.length - 1), { minLength: 24, maxLength: 24 }), (text, choice) => {
        // With a backslash in it, a secret that is escaped sign by sign is looked for as JSON has it only.
        const way = (i: number) => (text.includes('\\') && choice[i] === 7 ? 0 : (choice[i] as number));
        const written = [...text].map((c, i) => ways[way(i)]?.(c)).join('');
        expect(scrubText(`before ${written} after`, spellings([text]))).toBe('before [redacted] after');
      }),
      { numRuns: 1000 },
    );
  });
});

it('neither an answer nor a token in it can make the connector search for ever', () => {
  const secret = `${'\\\\'.repeat(60)}z`;
  expect(scrubText(`x${'\\\\'.repeat(5000)}y ${JSON.stringify(secret)}`, spellings([secret]))).toContain('[redacted]');
  expect(parseJson(`1234567890123456 "${'\\"'.repeat(400_000)}`)).toBeUndefined();
});

describe('logout', () => {
  const PROBE = 'logout: { request: { path: /logout } }\nprobe: { request: { path: /me } }';

  it('R-25: a probe that does not show what tools show has not proven anything', async () => {
    await serve(({ path, response }) =>
      path === '/logout'
        ? response.writeHead(500).end()
        : ok(response, path === '/me' ? '{"user":"anna"}' : 'Sign out'),
    );
    await connect(`${EXPIRED}\nassert: [{ body_contains: Sign out }]\n${PROBE}`);
    await call('page');
    const { stateDir } = connector as Fronted;
    await (connector as Fronted).connector.close();
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(`${stateDir}/decisions.jsonl`, 'utf8')).toContain('"proof":"residual"');
  });

  it('R-25: while a proxy says that the backend is down, nothing is known: it is asked again', async () => {
    await serve(({ path, response }) => (path === '/page' ? ok(response, 'x') : response.writeHead(503).end()));
    const parsed = parseConfig({
      text: `version: 1\nidentity: { keys: { file: c } }${yamlOf(`${EXPIRED}\n${PROBE}`, '')}`,
      file: 'c',
      baseDir: '/',
      env: {},
    });
    if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
    const backends = openBackends({ config: parsed.config as Config, env: ENV, clock: createTestClock() });
    const [app] = backends.ports.values();
    expect(await app?.logout(new Secret({ cookies: [], values: {} }))).toBe('unreachable');
    await backends.close();
  });
});

it('R-53: a stored session that lacks what the configuration needs by now is replaced', async () => {
  await serve(({ response }) => ok(response, 'x'));
  const yaml = yamlOf(EXPIRED, '')
    .replace('session: { cookies: [S] }', 'session: { cookies: [S], values: [k], headers: { X-K: "{session.k}" } }')
    .replace(
      'login: [{ request: { method: POST, path: /login } }]',
      'login: [{ request: { method: POST, path: /login }, extract: { k: { cookie: S } } }]',
    );
  const parsed = parseConfig({
    text: `version: 1\nidentity: { keys: { file: c } }${yaml}`,
    file: 'c',
    baseDir: '/',
    env: {},
  });
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
  const backends = openBackends({ config: parsed.config as Config, env: ENV, clock: createTestClock() });
  const app = backends.ports.get('app');
  const account = app?.account({ id: 'a', subject: 'a', claims: {} }) ?? { key: '', credentials: {} };
  const token = new Secret({ cookies: [], values: { k: 'line\nbreak' } });
  const result = await app?.call({
    tool: 'page',
    arguments: {},
    backendToken: token,
    account,
    signal: new AbortController().signal,
  });
  expect(result).toMatchObject({ kind: 'expired', beforeEffect: true });
  expect(await app?.logout(token)).toBe('residual');
  await backends.close();
});

it('CSRF tokens of which only the newest is good: writes at once share one request for them', async () => {
  let newest = 0;
  const writes: string[] = [];
  await serve(({ path, request, response }) => {
    if (path === '/token') return ok(response, `<input name=tok value=csrf-token-${++newest}>`);
    if (request.headers['x-t'] !== `csrf-token-${newest}`) return response.writeHead(403).end();
    writes.push(path);
    return ok(response, 'done');
  });
  await connect(`${EXPIRED}\n${CSRF}`);
  const answers = await Promise.all(Array.from({ length: 6 }, () => call('put')));
  expect(answers.map(textOf)).toEqual(Array(6).fill('done'));
  expect([writes.length, newest]).toEqual([6, 1]);
});

it('R-55: packed answers of one tool do not open the circuit for the others', async () => {
  await serve(({ path, response }) =>
    path === '/page' ? ok(response, gzipSync('x'), { 'content-encoding': 'gzip' }) : ok(response, 'fine'),
  );
  await connect(EXPIRED);
  for (let i = 0; i < 6; i++) expect(reasons(await call('page'))).toEqual(['backend.response_unusable']);
  expect(textOf(await call('put'))).toBe('fine');
});

it('a redirect to "/" is a redirect to the root, not to anywhere', async () => {
  server = await legacyServer((_request, response) =>
    response.writeHead(302, { location: '/login?error', 'set-cookie': 'S=x' }).end(),
  );
  connector = await front({
    yaml: yamlOf(EXPIRED, '').replace('path: /login } }', 'path: /login }, expect: { redirect_to: / } }'),
    env: ENV,
  });
  expect(reasons(await call('page'))).toEqual(['session.login_failed']);
});

it('R-53: a backend behind a TLS proxy redirects to its login under https', async () => {
  await serve(({ cookie, response }) =>
    cookie === 'S=session-1'
      ? response.writeHead(302, { location: 'https://127.0.0.1/login' }).end()
      : ok(response, 'x'),
  );
  await connect('expired: [{ redirect_to: /login }]');
  expect(textOf(await call('page'))).toBe('x');
});

it('an account whose password changes under the same key gets a session of its own', async () => {
  const { mkdtempSync, rmSync, writeFileSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  const dir = mkdtempSync(`${tmpdir()}/sallyport-accounts-`);
  const file = (user: string) =>
    writeFileSync(`${dir}/a.json`, JSON.stringify({ agent: { name: user } }), { mode: 0o600 });
  file('anna');
  const users = new Map<string, string>();
  server = await legacyServer(async (request, response) => {
    if (request.url === '/login') {
      users.set(`S=${users.size}`, new URLSearchParams(await bodyOf(request)).get('n') ?? '');
      return response.writeHead(200, { 'set-cookie': `S=${users.size - 1}; Path=/` }).end();
    }
    return ok(response, users.get(request.headers.cookie ?? '') ?? 'nobody');
  });
  const yaml = yamlOf(EXPIRED, '')
    .replace('path: /login }', 'path: /login, form: { n: "{credentials.name}" } }')
    .replace('    login:', `    accounts: { by: client, file: ${dir}/a.json }\n    login:`);
  connector = await front({ yaml, env: ENV, clock: createTestClock() });
  expect(textOf(await call('page'))).toBe('anna');
  file('bernd');
  await until(async () => textOf(await call('page')) === 'bernd', 'the new account to be used');
  rmSync(dir, { recursive: true, force: true });
});

describe('what odd backends need', () => {
  it('a header of a tool and one of the session with another case are one', async () => {
    await serve(({ request, response }) =>
      ok(response, request.rawHeaders.filter((name) => /^x-auth$/i.test(name)).join()),
    );
    connector = await front({
      yaml: yamlOf(EXPIRED, '')
        .replace('cookies: [S] }', 'cookies: [S], headers: { X-Auth: mine } }')
        .replace('request: { path: /page }', 'request: { path: /page, headers: { x-auth: theirs } }'),
      env: ENV,
    });
    expect(textOf(await call('page'))).toBe('x-auth');
  });

  it('a charset that only the page names', async () => {
    await serve(({ response }) =>
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(Buffer.from('<meta charset="iso-8859-1"><p>M\u00fcller', 'latin1')),
    );
    await connect(EXPIRED);
    expect(textOf(await call('page'))).toContain('Müller');
  });

  it('whole numbers that a double cannot hold come as text, all others as they are', async () => {
    const text =
      '{"id":9007199254740993,"n":[-12345678901234567890,1234567890123456],"s":"9007199254740993 \\" 12345678901234567","f":0.1234567890123456,"e":1e-1234567890123456}';
    await serve(({ response }) => response.writeHead(200, { 'content-type': 'application/json' }).end(text));
    await connect(EXPIRED, 'json: { backend: app, description: J, effect: read, request: { path: /json } }');
    expect(structured(await call('json'))).toEqual({
      id: '9007199254740993',
      n: ['-12345678901234567890', 1234567890123456],
      s: '9007199254740993 " 12345678901234567',
      f: 0.1234567890123456,
      e: 0,
    });
  });

  it('a write that is answered 204, and an optional argument that is null', async () => {
    await serve(({ body, response }) =>
      body === 'b=1' ? response.writeHead(204).end() : response.writeHead(400).end(),
    );
    await connect(
      EXPIRED,
      `
save:
  backend: app
  description: Save
  effect: write
  arguments: { type: object, properties: { a: { type: [string, "null"] }, b: { type: integer } } }
  request: { method: POST, path: /save, form: { a: "{a}", b: "{b}" } }`,
    );
    const answer = await call('save', { a: null, b: 1 });
    expect([reasons(answer), textOf(answer)]).toEqual([[], 'null']);
  });
});
