// CSRF tokens that many writes need at once.
import { expect, it } from 'vitest';
import { textOf } from '../support/fronted.ts';
import { CSRF, call, connect, EXPIRED, ok, serve } from '../support/one-app.ts';

it('when only the newest CSRF token is valid, concurrent writes share one request for it', async () => {
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
