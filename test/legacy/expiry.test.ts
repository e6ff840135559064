// however a backend says that a session has ended, it is recognised, never returned as data, and a
// write is sent again only when it is certain that nothing was done.
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestClock } from '../support/clock.ts';
import { type Fronted, front, type LegacyServer, legacyServer, structured } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';

let server: LegacyServer;
let connector: Fronted;
afterEach(async () => {
  await connector?.close();
  await server?.close();
});

type Answer = (response: ServerResponse) => unknown;
const GOOD: Answer = (response) =>
  response.writeHead(200, { 'content-type': 'application/json', 'x-user': 'me' }).end('{"secret":"data"}');

/** A backend whose first session is dead for every call, and whose second one lives. */
async function connect(dead: Answer, expired: string, { good = GOOD, more = '', always = false } = {}): Promise<void> {
  let logins = 0;
  server = await legacyServer((request, response) => {
    if (request.url === '/login') return response.writeHead(200, { 'set-cookie': `S=${++logins}; Path=/` }).end();
    return (request.headers.cookie === 'S=1' || always ? dead : good)(response);
  });
  const yaml = `
backends:
  app:
    url: ${server.url}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: ${expired}
    ${more}
tools:
  get: { backend: app, description: Get, effect: read, request: { path: /data } }
  put: { backend: app, description: Put, effect: write, request: { method: POST, path: /data } }
  set: { backend: app, description: Set, effect: write, idempotent: true, request: { method: PUT, path: /data } }
`;
  connector = await front({ yaml, clock: createTestClock() });
}
const json =
  (value: unknown, status = 200): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const count = (line: string) => server.requests.filter((request) => request === line).length;

const WAYS: [string, Answer, string][] = [
  ['a status', (r) => r.writeHead(440).end('{"secret":"no"}'), '[{ status: 440 }]'],
  ['a redirect', (r) => r.writeHead(302, { location: '/auth/login?next=x' }).end(), '[{ redirect_to: /auth }]'],
  [
    'a header',
    (r) => r.writeHead(200, { 'x-login-required': 'true' }).end('{}'),
    '[{ header: { X-Login-Required: "^(true|1)$" } }]',
  ],
  [
    'a header that is there at all',
    (r) => r.writeHead(200, { 'x-expired': '' }).end('{}'),
    '[{ header: { X-Expired: "" } }]',
  ],
  ['a text in the body', (r) => r.writeHead(200).end('<h1>Please sign in</h1>'), '[{ body_contains: Please sign in }]'],
  [
    'a pattern in the body',
    (r) => r.writeHead(200).end('ERR-0451 session'),
    "[{ body_matches: 'ERR-0\\d{3} session' }]",
  ],
  ['a form field', (r) => r.writeHead(200).end('<input name=j_username>'), '[{ form_field: [j_username, user] }]'],
  ['a value in JSON', json({ status: { code: 7 }, secret: 'no' }), '[{ json: { /status/code: [7, "7"] } }]'],
  ['a member of JSON', json({ loginUrl: null }), '[{ json_has: /loginUrl }]'],
  ['a member that JSON lacks', json({}), '[{ json_lacks: /secret }]'],
  ['several together', json({ error: 'auth' }, 403), '[{ status: 403, json: { /error: auth } }]'],
  ['one of several', json({ error: 'auth' }), '[{ status: 401 }, { json: { /error: auth } }]'],
];

describe.each(WAYS)('%s', (_name, dead, expired) => {
  it('is recognised: a read logs in again once', async () => {
    await connect(dead, expired);
    expect(structured(await connector.call('get'))).toEqual({ secret: 'data' });
    expect((await connector.audit('outcome')).at(-1)).toMatchObject({ outcome: 'success', backend: { attempts: 2 } });
  });

  it('is never data, also when it comes again right after the login', async () => {
    await connect(dead, expired, { always: true });
    expect(reasons(await connector.call('get'))).toEqual(['session.expired']);
    expect(count('GET /data')).toBe(2);
  });
});

it('all parts of a condition must hold: a refusal that only shares the status is not an ended session', async () => {
  await connect(json({ error: 'forbidden' }, 403), '[{ status: 403, json: { /error: auth } }]');
  expect(reasons(await connector.call('get'))).toEqual(['backend.rejected']);
  expect(count('POST /login')).toBe(1);
});

it('failures of an application that answers 200 to everything are not returned as data', async () => {
  await connect(json({ error: 'busy', secret: 'no' }), '[{ json: { /error: auth } }]', {
    more: 'failed: [{ json_has: /error }]',
  });
  expect(reasons(await connector.call('get'))).toEqual(['backend.rejected']);
  expect(count('POST /login')).toBe(1);
});

describe('a read that silently turns anonymous', () => {
  const anonymous: Answer = (r) => r.writeHead(200, { 'content-type': 'application/json' }).end('{"secret":null}');

  it('is found because it lacks what every good answer must show', async () => {
    await connect(anonymous, '[{ status: 401 }]', {
      more: 'assert: [{ header: { X-User: "." } }, { json: { /public: true } }]',
    });
    expect(structured(await connector.call('get'))).toEqual({ secret: 'data' });
    expect(count('POST /login')).toBe(2);
  });

  it('is not confused with a failure, which does not show that mark either', async () => {
    await connect(json({}, 500), '[{ status: 401 }]', { more: 'assert: [{ header: { X-User: "." } }]' });
    expect(reasons(await connector.call('get'))).toEqual(['backend.rejected']);
    expect(count('POST /login')).toBe(1);
  });
});

describe('a write', () => {
  const dead: Answer = (response) => response.writeHead(401).end();

  it('is not sent again: it may have been done', async () => {
    await connect(dead, '[{ status: 401 }]');
    expect(reasons(await connector.call('put'))).toEqual(['session.expired']);
    expect(count('POST /data')).toBe(1);
    // The next one finds a session.
    expect(structured(await connector.call('put'))).toEqual({ secret: 'data' });
    expect(count('POST /login')).toBe(2);
  });

  it('is sent again when the configuration vouches that nothing was done', async () => {
    await connect(dead, '[{ status: 401, before_effect: true }]');
    expect(structured(await connector.call('put'))).toEqual({ secret: 'data' });
    expect(count('POST /data')).toBe(2);
  });

  it('is sent again when it is idempotent', async () => {
    await connect(dead, '[{ status: 401 }]');
    expect(structured(await connector.call('set'))).toEqual({ secret: 'data' });
    expect(count('PUT /data')).toBe(2);
  });
});
