// A legacy application that puts a marked session token and a marked password into everything it controls, in every way in
// which software writes a value, and a search for them in everything that came out of the connector.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';

/** What must come out nowhere. */
export const CANARIES = {
  token: 'CanaryTok3n-8Jq2vXw5RbN7tLc1Zp9M',
  password: 'CanaryPassw0rd-4Hd6sKf3GyU0eQa8Vi2T',
};
export type Canary = keyof typeof CANARIES;

const each = (text: string, way: (c: string) => string) => [...text].map(way).join('');
const hexOf = (c: string, digits = 2) => c.charCodeAt(0).toString(16).padStart(digits, '0');

/** How a value is written. */
export const FORMS: Record<string, (value: string) => string> = {
  plain: (v) => v,
  base64: (v) => Buffer.from(`session=${v};`).toString('base64'),
  hex: (v) => Buffer.from(v).toString('hex'),
  url: (v) => each(v, (c) => `%${hexOf(c)}`),
  json: (v) => each(v, (c) => `\\u${hexOf(c, 4)}`),
  gzip: (v) => gzipSync(`the session of the user is ${v} and so on`).toString('base64'),
};

type Way = (response: ServerResponse, value: string, request: IncomingMessage) => void;
const json = { 'content-type': 'application/json' };
const html = { 'content-type': 'text/html; charset=utf-8' };

/** Where a value is put, and in which failure. */
export const WAYS: Record<string, Way> = {
  header: (r, v) => r.writeHead(200, { ...json, 'x-echo': headerOf(v), etag: `"${headerOf(v)}"` }).end('{"ok":true}'),
  reason: (r, v) => r.writeHead(200, headerOf(v), json).end('{"ok":true}'),
  cookie: (r, v) => r.writeHead(200, { ...json, 'set-cookie': `other=${headerOf(v)}; Path=/` }).end('{"ok":true}'),
  json: (r, v) => r.writeHead(200, json).end(JSON.stringify({ a: [{ b: v, [v]: 1 }], message: `it is ${v}` })),
  'json of json': (r, v) =>
    r.writeHead(200, json).end(JSON.stringify({ raw: JSON.stringify({ v: JSON.stringify(v) }) })),
  'no json': (r, v) => r.writeHead(200, json).end(`{"a": ${v}`),
  html: (r, v) =>
    r
      .writeHead(200, html)
      .end(`<html><title>${v}</title><a href="/x?s=${v}">y</a><!-- ${v} --><p data-s="${v}">${v}</p></html>`),
  text: (r, v) => r.writeHead(200, { 'content-type': 'text/plain' }).end(`line\r\n${v}\r\n`),
  'other charset': (r, v) =>
    r.writeHead(200, { 'content-type': 'text/plain; charset=utf-16le' }).end(Buffer.from(v, 'utf16le')),
  'another type': (r, v) => r.writeHead(200, { 'content-type': headerOf(`x/${v}`) }).end(v),
  redirect: (r, v) => r.writeHead(302, { location: `/menu?s=${headerOf(v)}` }).end(v),
  'redirect elsewhere': (r, v) => r.writeHead(307, { location: `https://evil.example/${headerOf(v)}` }).end(),
  'bad redirect': (r, v) => r.writeHead(302, { location: `http://[${headerOf(v)}` }).end(),
  'error 400': (r, v) => r.writeHead(400, json).end(JSON.stringify({ error: v })),
  'error 403': (r, v) => r.writeHead(403, html).end(v),
  'error 404': (r, v) => r.writeHead(404, headerOf(v), { 'content-type': 'text/plain' }).end(v),
  'error 500': (r, v) => r.writeHead(500, { ...html, 'retry-after': headerOf(v) }).end(`<pre>at session ${v}</pre>`),
  'error 503': (r, v) =>
    r.writeHead(503, { 'retry-after': '1', 'www-authenticate': `Basic realm="${headerOf(v)}"` }).end(v),
  slow(r, v) {
    r.writeHead(200, json);
    r.write(`{"a":"${v}`);
  },
  cut(r, v) {
    r.writeHead(200, { ...json, 'content-length': '5000' });
    r.write(`{"a":"${v}"`);
    setTimeout(() => r.destroy(), 20);
  },
  'no http': (r, v) => {
    r.socket?.write(`HTTP/1.1 200 ${v}\r\n${v}\r\nbroken: ${v}\r\n\r\n${v}`);
    r.socket?.destroy();
  },
  'huge header': (r, v) => r.writeHead(200, { ...json, 'x-echo': headerOf(v).repeat(400).slice(0, 12_000) }).end('{}'),
  'too long': (r, v) => r.writeHead(200, json).end(JSON.stringify({ a: `${v} `.repeat(60_000) })),
  gzip: (r, v) => r.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync(JSON.stringify({ a: v }))),
  deflate: (r, v) =>
    r.writeHead(200, { ...json, 'content-encoding': 'deflate' }).end(deflateSync(JSON.stringify({ a: v }))),
  'broken gzip': (r, v) => r.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(`not gzip ${v}`),
  'unknown encoding': (r, v) => r.writeHead(200, { ...json, 'content-encoding': headerOf(v) }).end(v),
  'login page': (r, v) => r.writeHead(200, html).end(`<form action="/login"><input name="pw" value="${v}"></form>`),
  'new session': (r, v) =>
    r.writeHead(200, { ...json, 'set-cookie': `S=${CANARIES.token}; Path=/` }).end(JSON.stringify({ v })),
};

/** A header takes no other bytes. */
const headerOf = (text: string): string => text.replace(/[^\x21-\x7e]/g, '_');

export interface CanaryApp {
  url: string;
  /** How logins are answered from now on: as usual, or in one of the ways. */
  login: string | undefined;
  /** What it has said: way, form and canary. */
  said: Set<string>;
  close(): Promise<void>;
}

/** Its paths are /say/WAY/FORM/CANARY. */
export async function startCanaryApp(): Promise<CanaryApp> {
  const app: CanaryApp = {
    ...{ url: '', login: undefined, said: new Set() },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server: Server = createServer((request, response) => {
    request.resume();
    const [, first = '', ...rest] = (request.url ?? '').split('/').map(decodeURIComponent);
    if (first === 'login' && app.login === undefined)
      return void response.writeHead(200, { 'set-cookie': `S=${CANARIES.token}; Path=/; HttpOnly` }).end('welcome');
    const [way = '', form = 'plain', canary = 'token'] =
      first === 'login' ? [app.login as string, 'plain', 'password'] : rest;
    const value = FORMS[form]?.(CANARIES[canary as Canary]) ?? '';
    const answer = WAYS[way];
    if (!answer) return void response.writeHead(200, json).end('{}');
    app.said.add(`${first} ${way} ${form} ${canary}`);
    try {
      answer(response, value, request);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  app.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return app;
}

/**
 * Lines of connector.yaml, to be put below `backends:` and `tools:`. `password`: the file of the credential. Each client has an
 * account of its own, so that one that is refused keeps no other from a login.
 */
export const canaryBackend = (url: string, password: string, clients: readonly string[]) => `  canary:
    url: ${url}
    accounts: { by: client, map: { ${clients.map((id) => `${id}: { password: { file: ${password} } }`).join(', ')} } }
    timeout_ms: 400
    breaker: { failures: 1000000 }
    retry_after_seconds: 0
    login: [{ request: { method: POST, path: /login, form: { password: "{credentials.password}" } }, expect: { status: 200 } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }, { form_field: pw }]
    logout: { request: { method: POST, path: /logout } }
    probe: { request: { method: GET, path: /probe } }
`;
const ARGUMENTS = `{ type: object, properties: { way: { type: string }, form: { type: string }, canary: { type: string } }, required: [way, form, canary] }`;
const tool = (name: string, method: string, effect: string, as: string) => `  canary_${name}:
    backend: canary
    description: Says something in a way
    effect: ${effect}
    arguments: ${ARGUMENTS}
    audit: [way, form, canary]
    request: { method: ${method}, path: "/say/{way}/{form}/{canary}" }
    result: { as: ${as}, max_bytes: 100000 }
`;
export const canaryTools =
  ['json', 'text', 'html'].map((as) => tool(as, 'GET', 'read', as)).join('') + tool('write', 'POST', 'write', 'json');

/** Each place in which a canary was found: what it was, and how it was written. */
export function findCanaries(outputs: Readonly<Record<string, string | Buffer>>): string[] {
  const found = new Set<string>();
  for (const [where, output] of Object.entries(outputs))
    for (const [how, text] of views(Buffer.isBuffer(output) ? output : Buffer.from(output)))
      for (const [canary, value] of Object.entries(CANARIES))
        if (holds(text, value)) found.add(`${canary} in ${where}, ${how}`);
  return [...found].sort();
}

const charOf = (_: string, code: string): string => String.fromCharCode(Number.parseInt(code, 16));

/** The same bytes as what they may be. Of what is written in base64 or hex, all runs together, one behind the other. */
function* views(bytes: Buffer): Generator<[how: string, text: string]> {
  const text = bytes.toString('latin1');
  yield ['plain', text];
  if (/\\u/i.test(text)) yield ['JSON escapes', text.replace(/\\+u([0-9a-f]{4})/gi, charOf)];
  if (text.includes('%')) yield ['percent codes', text.replace(/%([0-9a-f]{2})/gi, charOf)];
  if (text.includes('\0')) yield ['UTF-16', text.replaceAll('\0', '')];
  const hex = [...text.matchAll(/[0-9a-f]{16,}/gi)].map(([run]) => run);
  for (const skip of [0, 1])
    yield ['hex', hex.map((run) => Buffer.from(run.slice(skip), 'hex').toString('latin1')).join(' ')];
  const runs = new Set([...text.matchAll(/[A-Za-z0-9+/_-]{16,}/g)].map(([run]) => run));
  for (let skip = 0; skip < 4; skip++) {
    const decoded = [...runs].map((run) => Buffer.from(run.slice(skip), 'base64'));
    yield ['base64', decoded.map((each) => each.toString('latin1')).join(' ')];
    for (const each of decoded) for (const unzipped of unzip(each)) yield ['gzip in base64', unzipped];
  }
  for (const unzipped of unzip(bytes)) yield ['gzip', unzipped];
}

function* unzip(bytes: Buffer): Generator<string> {
  const zlib = bytes[0] === 0x78 && bytes.readUInt16BE(0) % 31 === 0;
  const open = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync : zlib ? inflateSync : undefined;
  try {
    if (open) yield open(bytes, { maxOutputLength: 1_000_000 }).toString('latin1');
  } catch {
    // It only begins as if it were packed.
  }
}

/** A value, or so much of it that the rest can be guessed. Secrets are told apart without their case. */
function holds(text: string, value: string): boolean {
  const lower = text.toLowerCase();
  const most = Math.ceil(value.length * 0.8);
  return [value.slice(0, most), value.slice(-most)].some((part) => lower.includes(part.toLowerCase()));
}
