// A connector in front of any backend, from a text of connector.yaml, with API-key clients of its own.
// Tests talk to it over real HTTP.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '../../src/config/load.ts';
import { type Connector, startConnector } from '../../src/connector.ts';
import type { Clock } from '../../src/core/clock.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { decisionLog } from './decision-log.ts';
import { type Answer, HOME, type Loose } from './harness.ts';

export interface Fronted {
  connector: Connector;
  stateDir: string;
  /** Makes a tool call and returns its answer. `as` is the id of an API-key client, or an access token. */
  call(tool: string, args?: object, as?: string): Promise<Answer>;
  rpc(method: string, params?: object, as?: string): Promise<Answer>;
  /** The headers of a request of this client. */
  headers(as?: string): Record<string, string>;
  /** Sends a body as it is. */
  post(body: string, as?: string): Promise<Answer>;
  /** Returns the records of the decision log after every call in flight has been written. */
  audit(type?: string): Promise<Loose[]>;
  /** Names of the session events so far. */
  events(): Promise<string[]>;
  close(): Promise<void>;
}

export interface FrontedOptions {
  /** Text of connector.yaml: "backends" and "tools" at least; what else it needs is added when it is not there. */
  yaml: string;
  env?: Record<string, string>;
  clock?: Clock;
  /** Lines under `identity:` besides the keys. */
  identity?: string;
  /** Client ids; each is its own subject, with the role that may call everything. */
  clients?: string[];
}

export async function front({
  yaml,
  env = {},
  clock,
  identity = '',
  clients = ['agent'],
}: FrontedOptions): Promise<Fronted> {
  const stateDir = mkdtempSync(join(tmpdir(), 'sallyport-fronted-'));
  const clientsFile = join(stateDir, 'clients.json');
  const keys = new Map<string, string>();
  let records: ReturnType<typeof readClientFile> = [];
  for (const id of clients) {
    const client = { id, roles: ['manager'], scopes: [], now: new Date(clock?.now() ?? Date.now()) };
    keys.set(id, addClient(clientsFile, records, client).reveal());
    records = readClientFile(clientsFile);
  }
  const added = Object.entries({
    version: 'version: 1',
    listen: 'listen: { port: 0 }',
    proxy_hops: 'proxy_hops: 1',
    state_dir: `state_dir: ${stateDir}`,
    identity: `identity:\n  keys: { file: ${clientsFile} }\n${identity}`,
    policy: 'policy: { allow_unknown_names: true, budget_ms: 5000 }',
  }).filter(([key]) => !new RegExp(`^${key}:`, 'm').test(yaml));
  const text = `${added.map(([, line]) => line).join('\n')}\n${yaml}`;
  const file = 'connector.yaml';
  const parsed = parseConfig({ text, file, baseDir: stateDir, env: { ...env, SALLYPORT_STATE_DIR: stateDir } });
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => `${p.path}: ${p.message}`).join('\n'));
  const silent = () => {};
  const connector = await startConnector({
    config: parsed.config,
    env,
    ops: { info: silent, warn: silent, error: silent },
    ...(clock && { clock }),
  });
  let nextId = 1;

  const headers: Fronted['headers'] = (as = clients[0] as string) => ({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${keys.get(as) ?? as}`,
    'x-forwarded-for': HOME,
  });
  const post: Fronted['post'] = async (body, as = clients[0] as string) => {
    const response = await fetch(connector.url, {
      method: 'POST',
      headers: headers(as),
      body,
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: JSON.parse(text || 'null'), text };
  };
  const rpc: Fronted['rpc'] = (method, params = {}, as) =>
    post(JSON.stringify({ jsonrpc: '2.0', id: nextId++, method, params }), as);
  const audit: Fronted['audit'] = async (type) => {
    await connector.settled();
    return decisionLog(stateDir, type);
  };
  return {
    connector,
    headers,
    stateDir,
    rpc,
    post,
    call: (name, args = {}, as) => rpc('tools/call', { name, arguments: args }, as),
    audit,
    events: async () =>
      (await audit('event')).map((record) => record.event).filter((event) => !event.startsWith('sys_')),
    async close() {
      await connector.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

export interface LegacyServer {
  url: string;
  /** "GET /path" of each request, in order. */
  requests: string[];
  close(): Promise<void>;
}

/** A real server on a free port. */
export async function legacyServer(
  listener: (...parameters: Parameters<RequestListener>) => unknown,
): Promise<LegacyServer> {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    try {
      await listener(request, response);
    } catch (thrown) {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(thrown));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The whole body of a request, as text. */
export async function bodyOf(request: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** The text of the first content in the answer of a call. */
export const textOf = (answer: Answer): string => answer.body?.result?.content?.[0]?.text ?? '';
export const structured = (answer: Answer): Loose => answer.body?.result?.structuredContent;
