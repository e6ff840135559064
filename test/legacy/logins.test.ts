// Ways to log in, each on a real server that takes nothing else, described by configuration alone.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import {
  bodyOf,
  type Fronted,
  front,
  type LegacyServer,
  legacyServer,
  structured,
  textOf,
} from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';

let server: LegacyServer;
let connector: Fronted;
afterEach(async () => {
  await connector?.close();
  await server?.close();
});

type Routes = Record<string, (request: IncomingMessage, response: ServerResponse, body: string) => unknown>;

/** A server with these routes ("GET /path", without the query); everything else is 404. */
async function serve(routes: Routes): Promise<void> {
  server = await legacyServer(async (request, response) => {
    const body = await bodyOf(request);
    const route = routes[`${request.method} ${request.url?.split('?')[0]}`];
    if (!route) return void response.writeHead(404).end();
    await route(request, response, body);
    if (!response.writableEnded) response.end();
  });
}

const USER = 'o\'brien & "söhne" <x>';
const PASSWORD = ' +%&=;"\'\\{x}</p>\u{1F511}ß ';
const json = (response: ServerResponse, value: unknown, headers = {}) =>
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

/** Connects one tool, which returns the name of the logged-in user, behind the given login. */
async function connect(backend: string, tool = 'request: { path: /me }'): Promise<void> {
  const yaml = `
backends:
  app:
    url: ${server.url}
    credentials: { user: { env: APP_USER }, password: { env: APP_PASSWORD } }
    expired: [{ status: 401 }]
${backend.replace(/^/gm, '    ')}
tools:
  me:
    backend: app
    description: Who am I
    effect: read
    ${tool}
`;
  connector = await front({ yaml, env: { APP_USER: USER, APP_PASSWORD: PASSWORD } });
}

/** Answers /me for requests that carry the session as `check` wants it. */
const me = (check: (request: IncomingMessage) => boolean): Routes => ({
  'GET /me': (request, response) => (check(request) ? json(response, { name: 'me' }) : response.writeHead(401).end()),
});

const worked = async () => {
  const answer = await connector.call('me');
  expect(reasons(answer)).toEqual([]);
  expect(structured(answer)).toEqual({ name: 'me' });
};

it('a form with all the hidden fields its page has, and a cookie of that page', async () => {
  await serve({
    'GET /login.aspx': (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': 'pre=1; Path=/' }).end(
        `<form id=search><input type=hidden name=q value=no></form>
         <form id="login"><input type="hidden" name="__VIEWSTATE" value="a&amp;b==&quot;"><INPUT TYPE=HIDDEN NAME=empty>
         <input name=user><input type=password name=pw></form>`,
      ),
    'POST /login.aspx': (request, response, body) => {
      const form = Object.fromEntries(new URLSearchParams(body));
      const good = { __VIEWSTATE: 'a&b=="', empty: '', user: USER, pw: PASSWORD };
      expect(form).toEqual(good);
      const ok = request.headers.cookie === 'pre=1';
      response.writeHead(302, { location: '/home', ...(ok && { 'set-cookie': 'ASPSESSION=abcdef0123; Path=/' }) });
    },
    ...me((request) => request.headers.cookie === 'ASPSESSION=abcdef0123'),
  });
  await connect(`
login:
  - request: { path: /login.aspx }
    extract: { fields: { hidden_fields: login } }
  - request: { method: POST, path: /login.aspx, hidden_fields: fields, form: { user: "{credentials.user}", pw: "{credentials.password}" } }
    expect: { redirect_to: /home }
session: { cookies: [ASPSESSION] }`);
  await worked();
});

it('JSON in, a token in a header out', async () => {
  await serve({
    'POST /api/login': (_request, response, body) => {
      expect(JSON.parse(body)).toEqual({ auth: { user: USER, password: PASSWORD }, remember: false });
      json(response, { data: { token: 'tok-123456' } });
    },
    ...me((request) => request.headers['x-auth-token'] === 'tok-123456'),
  });
  await connect(`
login:
  - request: { method: POST, path: /api/login, json: { auth: { user: "{credentials.user}", password: "{credentials.password}" }, remember: false } }
    extract: { token: { json: /data/token } }
session: { values: [token], headers: { X-Auth-Token: "{session.token}" } }`);
  await worked();
});

it('JSON-RPC, whose errors come with status 200', async () => {
  const rpc =
    (handle: (method: string, params: { session?: string }) => object): Routes[string] =>
    (_request, response, body) => {
      const { id, jsonrpc, method, params } = JSON.parse(body);
      expect(jsonrpc).toBe('2.0');
      json(response, { jsonrpc, id, ...handle(method, params) });
    };
  await serve({
    'POST /rpc': rpc((method, params) => {
      if (method === 'login') return { result: { session: 'rpc-session-1' } };
      if (params.session !== 'rpc-session-1') return { error: { code: -1, message: 'no session' } };
      return { result: { name: 'me' } };
    }),
  });
  await connect(
    `
login:
  - request: { method: POST, path: /rpc, jsonrpc: { method: login, params: { user: "{credentials.user}", password: "{credentials.password}" } } }
    extract: { key: { json: /result/session } }
session: { values: [key] }`,
    'request: { method: POST, path: /rpc, jsonrpc: { method: whoami, params: { session: "{session.key}" } } }',
  );
  await worked();
});

it('a JSON-RPC login whose error comes with status 200 has failed', async () => {
  await serve({
    'POST /rpc': (_request, response, body) =>
      json(response, { jsonrpc: '2.0', id: JSON.parse(body).id, error: { code: 1, message: `bad ${PASSWORD}` } }),
  });
  await connect(`
login:
  - request: { method: POST, path: /rpc, jsonrpc: { method: login, params: [] } }
    extract: { key: { json: /result } }
session: { values: [key], headers: { X-K: "{session.key}" } }`);
  expect(reasons(await connector.call('me'))).toEqual(['session.login_failed']);
  expect(JSON.stringify(await connector.audit())).not.toContain(JSON.stringify(PASSWORD).slice(1, -1));
});

it('HTTP Basic on the first request, which brings a cookie', async () => {
  const expected = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`;
  await serve({
    'GET /signin': (request, response) =>
      request.headers.authorization === expected
        ? response.writeHead(204, { 'set-cookie': 'SID=basic-sid-1; HttpOnly' })
        : response.writeHead(401),
    ...me((request) => request.headers.cookie === 'SID=basic-sid-1' && request.headers.authorization === undefined),
  });
  await connect(`
login:
  - compose: { basic: { base64: "{credentials.user}:{credentials.password}" } }
    request: { path: /signin, headers: { Authorization: "Basic {basic}" } }
session: { cookies: [SID] }`);
  await worked();
});

it('a token endpoint', async () => {
  await serve({
    'POST /oauth/token': (_request, response, body) => {
      const form = Object.fromEntries(new URLSearchParams(body));
      expect(form).toEqual({ grant_type: 'password', username: USER, password: PASSWORD });
      json(response, { access_token: 'opaque-access-token', token_type: 'Bearer' });
    },
    ...me((request) => request.headers.authorization === 'Bearer opaque-access-token'),
  });
  await connect(`
login:
  - request: { method: POST, path: /oauth/token, form: { grant_type: password, username: "{credentials.user}", password: "{credentials.password}" } }
    expect: { json: { /token_type: [Bearer, bearer] } }
    extract: { access: { json: /access_token } }
session: { values: [access], headers: { Authorization: "Bearer {session.access}" } }`);
  await worked();
});

it('a header made of login, user id and key, from several answers, with encodings', async () => {
  const expected = `${Buffer.from(USER).toString('base64')}.${encodeURIComponent('42/7')}.${Buffer.from('k€y').toString('hex')}`;
  await serve({
    'GET /key': (_request, response) =>
      response.writeHead(200, { 'x-key': 'prefix k=0451;' }).end('<script>var key = "k€y";</script>'),
    'POST /login': (_request, response) => json(response, { user: { id: '42/7' } }),
    ...me((request) => request.headers['x-legacy'] === `${expected}:0451`),
  });
  await connect(`
login:
  - request: { path: /key }
    extract: { key: { regex: 'var key = "([^"]+)"' }, number: { regex: 'k=(\\d+);', header: X-Key } }
  - request: { method: POST, path: /login, json: { user: "{credentials.user}", key: "{key}" } }
    extract: { id: { json: /user/id } }
  - compose:
      login64: { base64: "{credentials.user}" }
      idurl: { url: "{id}" }
      keyhex: { hex: "{key}" }
      whole: "{login64}.{idurl}.{keyhex}:{number}"
session: { values: [whole], headers: { X-Legacy: "{session.whole}" } }`);
  await worked();
});

it('a challenge that is answered with a digest', async () => {
  const md5 = (text: string) => createHash('md5').update(text).digest('hex');
  await serve({
    'GET /login': (_request, response) => response.writeHead(200).end('<meta name="challenge" content="c-77">'),
    'POST /login': (_request, response, body) => {
      const { answer } = Object.fromEntries(new URLSearchParams(body));
      if (answer !== md5(`c-77${md5(PASSWORD)}`)) return response.writeHead(403);
      return response.writeHead(200, { 'set-cookie': 'SID=digested-1' });
    },
    ...me((request) => request.headers.cookie === 'SID=digested-1'),
  });
  await connect(`
login:
  - request: { path: /login }
    extract: { challenge: { meta: challenge } }
  - compose:
      inner: { md5: "{credentials.password}" }
      answer: { md5: "{challenge}{inner}" }
    request: { method: POST, path: /login, form: { answer: "{answer}" } }
session: { cookies: [SID] }`);
  await worked();
});

it('a cookie and a header at once, and a cookie made of a value', async () => {
  await serve({
    'POST /login': (_request, response) =>
      json(response, { csrf: 'csrf-123', key: 'a b;c' }, { 'set-cookie': 'SID=both-1; Path=/' }),
    ...me(
      (request) =>
        request.headers['x-csrf'] === 'csrf-123' &&
        request.headers.cookie === `SID=both-1; KEY=${Buffer.from('a b;c').toString('base64url')}`,
    ),
  });
  await connect(`
login:
  - request: { method: POST, path: /login }
    extract: { csrf: { json: /csrf }, raw: { json: /key } }
  - compose: { key: { base64url: "{raw}" } }
session:
  cookies: [SID]
  values: [csrf, key]
  headers: { X-CSRF: "{session.csrf}" }
  send_cookies: { KEY: "{session.key}" }`);
  await worked();
});

it('a value that a cookie or a header cannot carry fails the login, and says how to carry it', async () => {
  await serve({ 'POST /login': (_request, response) => json(response, { key: 'a b;c' }), ...me(() => true) });
  await connect(`
login:
  - request: { method: POST, path: /login }
    extract: { key: { json: /key } }
session: { values: [key], send_cookies: { KEY: "{session.key}" } }`);
  expect(reasons(await connector.call('me'))).toEqual(['session.login_failed']);
  expect((await connector.audit('event')).find((e) => e.event === 'backend_login_fail').detail).toContain(
    'encode it with "compose"',
  );
});

it('XML in and out', async () => {
  await serve({
    'POST /soap': (request, response, body) => {
      expect(request.headers['content-type']).toBe('text/xml; charset=utf-8');
      if (body.includes('<login')) {
        // What any XML parser makes of it: the reference value is decoded by hand.
        const value = (name: string) =>
          (new RegExp(`${name}="([^"]*)"`).exec(body)?.[1] ?? '').replace(/&#(\d+);/g, (_all, n) =>
            String.fromCodePoint(Number(n)),
          );
        expect([value('user'), value('pw')]).toEqual([USER, PASSWORD]);
        return response.writeHead(200, { 'content-type': 'text/xml' }).end('<r><sid>soap-sid-1</sid></r>');
      }
      return response.writeHead(200, { 'content-type': 'text/xml' }).end('<r><name>me</name></r>');
    },
  });
  await connect(
    `
login:
  - request:
      method: POST
      path: /soap
      content_type: text/xml; charset=utf-8
      xml: '<login user="{credentials.user}" pw="{credentials.password}"/>'
    extract: { sid: { regex: '<sid>([^<]+)</sid>' } }
session: { values: [sid], headers: { X-Sid: "{session.sid}" } }`,
    `request: { method: POST, path: /soap, content_type: "text/xml; charset=utf-8", xml: "<who/>" }
    result: { as: xml, pointer: /r }`,
  );
  await worked();
  expect(textOf(await connector.call('me'))).toBe('{"name":"me"}');
});

it('a login fails when a value that it must extract is missing, and nothing is posted', async () => {
  await serve({
    'GET /login': (_request, response) => response.writeHead(200).end('<form></form>'),
    'POST /login': (_request, response) => response.writeHead(200, { 'set-cookie': 'SID=x' }),
    ...me(() => true),
  });
  await connect(`
login:
  - request: { path: /login }
    extract: { token: { form_field: token } }
  - request: { method: POST, path: /login, form: { token: "{token}" } }
session: { cookies: [SID] }`);
  expect(reasons(await connector.call('me'))).toEqual(['session.login_failed']);
  expect(server.requests).toEqual(['GET /login']);
});
