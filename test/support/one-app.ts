// One legacy application with any behaviour and a connector in front of it, for the tests of odd answers. Both are
// closed after each test.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { afterEach } from 'vitest';
import { createTestClock } from './clock.ts';
import { bodyOf, type Fronted, front, type LegacyServer, legacyServer } from './fronted.ts';

export let server: LegacyServer;
export let connector: Fronted;
/** The number of logins so far. */
export let logins: number;

afterEach(async () => {
  await connector?.close();
  await server?.close();
});

interface Request {
  path: string;
  cookie: string;
  body: string;
  request: IncomingMessage;
  response: ServerResponse;
}

/** A server whose login gives S=session-N, and which answers everything else like this. */
export async function serve(handle: (request: Request) => unknown): Promise<void> {
  logins = 0;
  await serveAll(async (request, response) => {
    const body = await bodyOf(request);
    if (request.url === '/login')
      return response.writeHead(200, { 'set-cookie': `S=session-${++logins}; Path=/` }).end();
    return handle({ path: request.url ?? '', cookie: request.headers.cookie ?? '', body, request, response });
  });
}

/** A server with a login of its own. */
export async function serveAll(
  handle: RequestListener | ((...args: Parameters<RequestListener>) => unknown),
): Promise<void> {
  server = await legacyServer(handle as RequestListener);
}

export const ok = (response: ServerResponse, body: string | Buffer, headers = {}) =>
  response.writeHead(200, { 'content-type': 'text/html', ...headers }).end(body);

export const yamlOf = (backend: string, tools: string) => `
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
export const ENV = { APP_USER: 'anna', APP_PASSWORD: 'hunter2-secret' };

export const connect = (backend: string, tools = ''): Promise<void> => connectWith(yamlOf(backend, tools));

export async function connectWith(yaml: string): Promise<void> {
  connector = await front({ yaml, env: ENV, clock: createTestClock() });
}

export const call = (tool: string, args = {}) => connector.call(tool, args);
export const EXPIRED = 'expired: [{ status: 401 }]';
export const CSRF =
  'csrf: { request: { path: /token }, extract: { token: { form_field: tok } }, headers: { X-T: "{csrf.token}" }, refused: [{ status: 403 }] }';
