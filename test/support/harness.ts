// A connector in front of the embedded legacy application, on free ports, with a clock that a test moves.
// Tests talk to it over real HTTP and ask the legacy side what really happened.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { OpsLog } from '../../src/audit/ops.ts';
import { type Connector, startConnector } from '../../src/connector.ts';
import type { LegacyInventory } from '../../src/demo/legacy-inventory/app.ts';
import { type DemoOptions, prepareDemo } from '../../src/demo/start.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { createTestClock, type TestClock } from './clock.ts';
import { decisionLog } from './decision-log.ts';

export const HOME = '10.1.2.3';
export const ELSEWHERE = '192.0.2.8';

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type Loose = any;

export interface Answer {
  status: number;
  headers: Headers;
  body: Loose;
  text: string;
}

export interface RpcOptions {
  id?: unknown;
  handle?: string;
  key?: string;
  ip?: string;
  headers?: Record<string, string>;
}

export interface Harness {
  url: string;
  key: string;
  legacy: LegacyInventory;
  connector: Connector;
  clock: TestClock;
  stateDir: string;
  /** Lines of the operational log. */
  ops: string[];
  /** One JSON-RPC request. */
  rpc(method: string, params?: object, options?: RpcOptions): Promise<Answer>;
  call(tool: string, args?: object, options?: RpcOptions): Promise<Answer>;
  /** Sends a body unchanged. */
  post(body: string | Buffer | object, headers?: Record<string, string>): Promise<Answer>;
  /** Opens a conversation and returns its handle. */
  initialize(options?: RpcOptions): Promise<string>;
  /** The SDK's own client. */
  sdkClient(options?: { key?: string; ip?: string; fetch?: typeof fetch }): Promise<Client>;
  /** Keys of the clients the harness was started with, by id. */
  keys: ReadonlyMap<string, string>;
  /** Adds a client to the client file and returns its API key. */
  addClient(id: string, roles?: string[], scopes?: string[]): string;
  /** Returns the records of the decision log after every call in flight has been written. */
  audit(type?: string): Promise<Loose[]>;
  close(): Promise<void>;
}

export interface HarnessOptions extends Pick<DemoOptions, 'roles' | 'scopes' | 'edit' | 'legacyUser'> {
  clients?: Record<string, string[]>;
  policyDir?: string;
  clock?: TestClock;
  /** The clock that the store goes by; that of the connector unless a test lets the two differ. */
  storeClock?: TestClock;
}

export async function startHarness({
  roles,
  scopes,
  legacyUser,
  edit = (yaml) => yaml,
  policyDir,
  clock = createTestClock(),
  storeClock = clock,
  clients = {},
}: HarnessOptions = {}): Promise<Harness> {
  const stateDir = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const demo = await prepareDemo({
    stateDir,
    now: () => clock.now(),
    ...(roles && { roles }),
    ...(scopes && { scopes }),
    ...(legacyUser && { legacyUser }),
    edit: (yaml) =>
      edit(
        yaml
          .replace('port: 8787', 'port: 0')
          .replace(
            'state_dir:',
            `proxy_hops: 1\npolicy: { ${policyDir === undefined ? '' : `dir: ${policyDir}, `}budget_ms: 5000, guard_ms: 2000 }\nstate_dir:`,
          ),
      ),
  });
  const clientsFile = join(stateDir, 'clients.json');
  const keys = new Map<string, string>();
  const add = (id: string, clientRoles = ['clerk'], clientScopes = ['stock:write']): string => {
    const key = addClient(clientsFile, readClientFile(clientsFile), {
      id,
      roles: clientRoles,
      scopes: clientScopes,
      now: new Date(clock.now()),
    }).reveal();
    keys.set(id, key);
    return key;
  };
  for (const [id, clientRoles] of Object.entries(clients)) add(id, clientRoles);

  const ops: string[] = [];
  const log = (message: string, fields?: object): void => void ops.push(JSON.stringify({ message, ...fields }));
  const opsLog: OpsLog = { info: log, warn: log, error: log };
  let connector: Connector;
  try {
    connector = await startConnector({
      config: demo.config,
      env: demo.env,
      clock,
      storeTime: () => storeClock.now(),
      ops: opsLog,
    });
  } catch (thrown) {
    await demo.legacy.close();
    rmSync(stateDir, { recursive: true, force: true });
    throw thrown;
  }
  const key = readFileSync(demo.keyFile, 'utf8').trim();
  let nextId = 1;

  const post: Harness['post'] = async (body, headers = {}) => {
    const raw = typeof body === 'string' || Buffer.isBuffer(body);
    const response = await fetch(connector.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${key}`,
        'x-forwarded-for': HOME,
        ...headers,
      },
      body: raw ? (body as string) : JSON.stringify(body),
    });
    const text = await response.text();
    let parsed: Loose;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    return { status: response.status, headers: response.headers, body: parsed, text };
  };
  const rpc: Harness['rpc'] = (method, params = {}, { id = nextId++, handle, key: other, ip, headers = {} } = {}) =>
    post(
      { jsonrpc: '2.0', id, method, params },
      {
        ...(handle !== undefined && { 'mcp-session-id': handle }),
        ...(other !== undefined && { authorization: `Bearer ${keys.get(other) ?? other}` }),
        ...(ip !== undefined && { 'x-forwarded-for': ip }),
        ...headers,
      },
    );

  return {
    url: connector.url,
    key,
    legacy: demo.legacy,
    connector,
    clock,
    stateDir,
    ops,
    rpc,
    post,
    call: (name, args = {}, options) => rpc('tools/call', { name, arguments: args }, options),
    async initialize(options) {
      const answer = await rpc(
        'initialize',
        { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
        options,
      );
      return answer.headers.get('mcp-session-id') ?? '';
    },
    async sdkClient({ key: other = key, ip = HOME, fetch: customFetch } = {}) {
      const client = new Client({ name: 'test', version: '1' });
      const transport = new StreamableHTTPClientTransport(new URL(connector.url), {
        requestInit: { headers: { authorization: `Bearer ${keys.get(other) ?? other}`, 'x-forwarded-for': ip } },
        ...(customFetch && { fetch: customFetch }),
      });
      // The SDK's own types disagree with themselves under exactOptionalPropertyTypes.
      await client.connect(transport as Parameters<Client['connect']>[0]);
      return client;
    },
    keys,
    addClient: add,
    async audit(type) {
      await connector.settled();
      return decisionLog(stateDir, type);
    },
    async close() {
      await connector.close();
      await demo.legacy.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Waits for a condition that another process or a background task brings about, without a fixed sleep. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  limitMs = 10_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Reason codes of a refused call. */
export const reasons = (answer: Answer): string[] => answer.body?.result?._meta?.['sallyport/reasons'] ?? [];
export const decisionId = (answer: Answer): string => answer.body?.result?._meta?.['sallyport/decision-id'];
