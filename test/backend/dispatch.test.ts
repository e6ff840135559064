import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dispatch } from '../../src/backend/http/dispatch.ts';

let server: Server;
let pool: Pool;
let seen: string[];
let answer: (() => void)[];
beforeEach(async () => {
  [seen, answer] = [[], []];
  server = createServer((request, response) => {
    seen.push(request.url ?? '');
    if (request.url === '/hints') response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    answer.push(() => response.writeHead(201, { 'set-cookie': ['a=1', 'b=2'] }).end('done'));
    if (request.url !== '/waits') answer.pop()?.();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  pool = new Pool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { connections: 1, pipelining: 1 });
});
afterEach(async () => {
  await pool.destroy();
  server.closeAllConnections();
  server.close();
});

const get = (path: string) => {
  const way = { started: 0, cookies: [] as unknown[] };
  const sent = dispatch(
    pool,
    { method: 'GET', path },
    {
      started: () => void way.started++,
      answered: (headers) => void way.cookies.push(headers['set-cookie']),
    },
  );
  return { ...sent, way };
};

it.each([
  '/plain',
  '/hints',
])('R-95: of an answer to %s status, headers and body come, and the way is told', async (path) => {
  const { received, way } = get(path);
  const { status, body } = await received;
  expect([status, body.toString()]).toEqual([201, 'done']);
  expect(way).toEqual({ started: 1, cookies: [['a=1', 'b=2']] });
});

it('R-91: a request that is given up while it waits for a connection ends at once and is never sent', async () => {
  const first = get('/waits');
  while (seen.length === 0) await new Promise(setImmediate);
  const second = get('/second');
  second.cancel(new Error('given up'));
  await expect(second.received).rejects.toThrow('given up');
  answer.pop()?.();
  expect((await first.received).status).toBe(201);
  await get('/third').received;
  expect(seen).toEqual(['/waits', '/third']);
  expect(second.way.started).toBe(0);
});

it('R-91: a request that is given up under way may have been seen', async () => {
  const { received, cancel, way } = get('/waits');
  while (seen.length === 0) await new Promise(setImmediate);
  cancel(new Error('given up'));
  await expect(received).rejects.toThrow('given up');
  expect(way.started).toBe(1);
});
