// Unusual answers, redirects and headers of backends that mean no harm.
import { describe, expect, it } from 'vitest';
import { structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { call, connect, connectWith, EXPIRED, ok, serve, serveAll, yamlOf } from '../support/one-app.ts';

it('R-55: answers to one tool that cannot be unpacked do not open the circuit for the other tools', async () => {
  await serve(({ path, response }) =>
    path === '/page' ? ok(response, 'x', { 'content-encoding': 'gzip' }) : ok(response, 'fine'),
  );
  await connect(EXPIRED);
  for (let i = 0; i < 6; i++) expect(reasons(await call('page'))).toEqual(['backend.response_unusable']);
  expect(textOf(await call('put'))).toBe('fine');
});

it('a condition "redirect_to: /" means the root only, not every path', async () => {
  await serveAll((_request, response) =>
    response.writeHead(302, { location: '/login?error', 'set-cookie': 'S=x' }).end(),
  );
  await connectWith(yamlOf(EXPIRED, '').replace('path: /login } }', 'path: /login }, expect: { redirect_to: / } }'));
  expect(reasons(await call('page'))).toEqual(['session.login_failed']);
});

it('R-53: a redirect to the login page under https is recognised when the backend is behind a TLS proxy', async () => {
  await serve(({ cookie, response }) =>
    cookie === 'S=session-1'
      ? response.writeHead(302, { location: 'https://127.0.0.1/login' }).end()
      : ok(response, 'x'),
  );
  await connect('expired: [{ redirect_to: /login }]');
  expect(textOf(await call('page'))).toBe('x');
});

describe('what odd backends need', () => {
  it('a header of a tool and a header of the session that differ only in case are sent once', async () => {
    await serve(({ request, response }) =>
      ok(response, request.rawHeaders.filter((name) => /^x-auth$/i.test(name)).join()),
    );
    await connectWith(
      yamlOf(EXPIRED, '')
        .replace('cookies: [S] }', 'cookies: [S], headers: { X-Auth: mine } }')
        .replace('request: { path: /page }', 'request: { path: /page, headers: { x-auth: theirs } }'),
    );
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
