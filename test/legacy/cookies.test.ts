// Cookies of the session and of others, as odd backends set them.
import { describe, expect, it } from 'vitest';
import { structured, textOf } from '../support/fronted.ts';
import { reasons } from '../support/harness.ts';
import { CSRF, call, connect, connector, EXPIRED, logins, ok, serve, server } from '../support/one-app.ts';

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
    expect(await connector.events()).toEqual(['session_opened', 'session_renewed']);
    expect(server.requests).not.toContain('GET /logout');
  });

  it('R-53: a condition on a header also finds the second header of the same name', async () => {
    await serve(({ cookie, response }) =>
      cookie === 'S=session-1'
        ? ok(response, 'anonymous', { 'set-cookie': ['lang=en', 'S=anonymous; Path=/'] })
        : ok(response, 'mine'),
    );
    await connect('expired: [{ header: { Set-Cookie: "^S=" } }]');
    expect(textOf(await call('page'))).toBe('mine');
    expect(logins).toBe(2);
  });

  it('an empty cookie is a removed cookie and not a new session', async () => {
    await serve(({ cookie, response }) => ok(response, cookie.replace('session-', ''), { 'set-cookie': 'S=; Path=/' }));
    await connect(EXPIRED);
    for (let i = 0; i < 2; i++) expect(textOf(await call('page'))).toBe('S=1');
    expect(await connector.events()).toEqual(['session_opened']);
  });

  it('a remember-me cookie of the CSRF token page is not kept; a configured cookie goes back with the token', async () => {
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

  it('R-54: a cookie that each answer replaces is followed through the pages of a list and CSRF token requests', async () => {
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

  it('the new cookie of an answer that cannot be read is kept', async () => {
    await serve(({ path, cookie, response }) => {
      if (path === '/list') return ok(response, 'no json', { 'set-cookie': 'S=session-next; Path=/' });
      return ok(response, cookie.slice(-4));
    });
    await connect(EXPIRED, 'list: { backend: app, description: List, effect: read, request: { path: /list } }');
    expect(reasons(await call('list'))).toEqual(['backend.response_unusable']);
    expect(textOf(await call('page'))).toBe('next');
  });
});
