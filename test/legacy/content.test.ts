// conditions look at the part of an answer that they are about. Whoever writes a page, a mail or a ticket can neither
// end sessions by it nor make it unreadable.
import { describe, expect, it } from 'vitest';
import { textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { CSRF, call, connect, connector, EXPIRED, logins, ok, serve, server } from '../support/one-app.ts';

const LOGIN_PAGE = '<form action=/login><input name=pw type=password></form>';

describe('R-93: a form field is one of a page', () => {
  it.each([
    ['a mail', { 'content-type': 'text/plain' }],
    ['a table', { 'content-type': 'text/csv; charset=utf-8' }],
    ['a calendar', { 'content-type': 'TEXT/CALENDAR' }],
    [
      'an attachment that is a page',
      { 'content-type': 'text/html', 'content-disposition': 'attachment; filename=a.html' },
    ],
    ['a JSON document with a page in it', { 'content-type': 'application/json' }, JSON.stringify({ body: LOGIN_PAGE })],
    ['an XML document with a page in it', { 'content-type': 'text/xml' }, `<mail>${LOGIN_PAGE}</mail>`],
    ['a text under no type', { 'content-type': '' }, `Dear all, ${LOGIN_PAGE}`],
  ])('%s ends no session', async (_name, headers, body = LOGIN_PAGE) => {
    await serve(({ response }) => ok(response, body, headers));
    await connect('expired: [{ form_field: pw }]');
    for (let i = 0; i < 5; i++) expect(textOf(await call('page'))).toBe(body);
    expect(logins).toBe(1);
  });

  it.each([
    ['HTML', { 'content-type': 'text/html; charset=utf-8' }],
    ['XHTML', { 'content-type': 'application/xhtml+xml' }],
    ['HTML with a comma', { 'content-type': 'text/html, charset=utf-8' }],
    [
      'XML with a prolog',
      { 'content-type': 'text/xml' },
      `<?xml version="1.0"?>\n<!-- x --><!DOCTYPE html>${LOGIN_PAGE}`,
    ],
    ['XML that is a page', { 'content-type': 'application/xml' }, `\n<!DOCTYPE html>${LOGIN_PAGE}`],
    ['JSON, as a framework labels every answer', { 'content-type': 'application/json' }, `\ufeff\n${LOGIN_PAGE}`],
    ['nothing', { 'content-type': '' }],
  ])('a login page that is labelled as %s is one', async (_name, headers, body = LOGIN_PAGE) => {
    await serve(({ cookie, response }) => ok(response, cookie === 'S=session-1' ? body : 'fine', headers));
    await connect('expired: [{ form_field: pw }]');
    expect(textOf(await call('page'))).toBe('fine');
    expect(logins).toBe(2);
  });
});

describe('R-93: a JSON condition is about a document of the application', () => {
  const BODY = '{"error":{"code":"notloggedin"}}';
  it.each([
    ['a file', { 'content-type': 'application/octet-stream' }],
    ['an attachment', { 'content-type': 'application/json', 'content-disposition': 'attachment' }],
    ['plain text, where text is asked for', { 'content-type': 'text/plain' }],
  ])('%s ends no session', async (_name, headers) => {
    await serve(({ response }) => ok(response, BODY, headers));
    await connect('expired: [{ json: { /error/code: notloggedin } }]');
    for (let i = 0; i < 3; i++) expect(textOf(await call('page'))).toBe(BODY);
    expect(logins).toBe(1);
  });

  it.each(['application/json', 'text/html', 'text/javascript', ''])('a document under %s does', async (type) => {
    await serve(({ cookie, response }) =>
      ok(response, cookie === 'S=session-1' ? BODY : '{}', { 'content-type': type }),
    );
    await connect('expired: [{ json: { /error/code: notloggedin } }]');
    expect(textOf(await call('page'))).toBe('{}');
  });
});

describe('R-93: a CSRF token is refused where one was sent', () => {
  it('a page that says so is read', async () => {
    await serve(({ path, response }) =>
      ok(response, path === '/token' ? '<input name=tok value=token-1234>' : 'CSRF check failed'),
    );
    await connect(`${EXPIRED}\n${CSRF.replace('{ status: 403 }', '{ body_contains: CSRF check failed }')}`);
    expect(textOf(await call('page'))).toBe('CSRF check failed');
    expect(reasons(await call('put'))).toEqual(['backend.rejected']);
    expect(server.requests.filter((each) => each === 'GET /token')).toHaveLength(2);
  });

  it('a tool may have a refusal and an end of its own', async () => {
    let frames = 0;
    await serve(({ path, response }) => {
      if (path === '/token') return ok(response, '<input name=tok value=token-1234>');
      return ok(
        response,
        path === '/frame' && ++frames === 1 ? 'please sign in' : 'please sign in: a page about signs, stale',
      );
    });
    await connect(
      `${EXPIRED}\n${CSRF}`,
      `
frame: { backend: app, description: F, effect: read, request: { path: /frame }, result: { as: text }, expired: [{ body_matches: "sign in$" }] }
stale: { backend: app, description: S, effect: write, request: { method: POST, path: /stale }, result: { as: text }, refused: [{ body_contains: stale }] }`,
    );
    expect(textOf(await call('page'))).toContain('please sign in');
    expect(textOf(await call('frame'))).toContain('a page about signs');
    expect(logins).toBe(2);
    expect(textOf(await call('put'))).toContain('stale');
    expect(reasons(await call('stale'))).toEqual(['backend.rejected']);
  });

  it('a field of a page that is named like that of the token has no words of others blanked', async () => {
    const page = '<input name=tok value="the invoice"> the invoice is here';
    await serve(({ path, response }) => ok(response, path === '/token' ? '<input name=tok value=token-1234>' : page));
    await connect(`${EXPIRED}\n${CSRF}`);
    expect(textOf(await call('page'))).toBe(page);
  });

  it('R-40: a token of letters alone is blanked all the same', async () => {
    await serve(({ response }) => ok(response, '<input type=hidden name=tok value=ZxCvBnMaSdFg> form'));
    await connect(`${EXPIRED}\n${CSRF}`);
    expect(textOf(await call('page'))).not.toContain('ZxCvBnMaSdFg');
  });
});

describe('R-91: a write that is refused by a redirect', () => {
  it.each([
    ['/order?id=0', '/order?id=0', true],
    ['/order?id=0', '/order?x=1&id=0', true],
    ['/order?id=0', '/order?id=10', false],
    ['/order?id=0', '/order', false],
    ['/order?id=0', '/orders?id=0', false],
    ['/order?id=a%20b&e', '/order?e=&id=a+b', true],
    ['/order', '/order?id=7', true],
  ])('"failed: %s" and a redirect to %s', async (wanted, location, refused) => {
    await serve(({ response }) => response.writeHead(302, { location }).end());
    await connect(
      EXPIRED,
      `add: { backend: app, description: A, effect: write, request: { method: POST, path: /order }, failed: [{ redirect_to: "${wanted}" }], expect: [{ redirect_to: [/order, /orders] }], result: { as: location } }`,
    );
    const answer = await call('add');
    expect(reasons(answer)).toEqual(refused ? ['backend.rejected'] : []);
    if (refused) expect(answer.body.result._meta['sallyport/outcome']).toBe('rejected');
    else expect(JSON.parse(textOf(answer)).location).toBe(location);
    expect((await connector.audit('outcome')).at(-1)?.backend.status).toBe(302);
  });
});
