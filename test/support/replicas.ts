// Replicas as they run in production: child processes of the built connector, on one Redis and one
// keyring, before one legacy application that counts what really happened.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { writePrivateFile } from '../../src/core/files/private-file.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { type LegacyInventory, startLegacyInventory } from '../../src/demo/legacy-inventory/app.ts';
import { addClient, readClientFile } from '../../src/identity/client-file.ts';
import { createKeyringFile, writeKeyring } from '../../src/keyring/keyring.ts';
import { endWithParent } from './children.ts';
import { decisionLog } from './decision-log.ts';
import type { Answer, Loose, RpcOptions } from './harness.ts';
import { HOME } from './harness.ts';
import { policyFolder } from './policies.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { createIssuer, type Issuer } from './tokens.ts';

export interface Replica {
  /** Its state folder. */
  state: string;
  url: string;
  adminUrl: string;
  child: ChildProcess;
  /** Sends SIGKILL and waits until the process is gone. */
  kill(): Promise<void>;
  /** Sends SIGTERM and waits until the process has ended. */
  stop(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Records of its decision log so far; a line that is being written is left out. */
  audit(type?: string): Loose[];
  stderr(): string;
}

export interface Cluster {
  replicas: Replica[];
  redis: TestRedis;
  legacy: LegacyInventory;
  issuer: Issuer;
  key: string;
  adminToken: string;
  dir: string;
  /** Adds a client and returns its API key. */
  addClient(id: string, roles?: string[]): string;
  /** Starts one more replica. */
  start(options?: StartOptions): Promise<Replica>;
  /** One JSON-RPC request to a replica, or to any URL. */
  rpc(to: Replica | string, method: string, params?: object, options?: RpcOptions): Promise<Answer>;
  call(to: Replica | string, tool: string, args?: object, options?: RpcOptions): Promise<Answer>;
  initialize(to: Replica | string, options?: RpcOptions): Promise<string>;
  /** A proxy that sends each request to the next replica, whoever asks. */
  roundRobin(): Promise<{ url: string; close(): void }>;
  audit(type?: string): Loose[];
  close(): Promise<void>;
}

/** `change`: to its connector.yaml. `args`: for Node, before the program. `again`: in the state folder of that one. */
export interface StartOptions {
  change?: (yaml: string) => string;
  args?: string[];
  again?: Replica;
  /** Where it listens; left out, on any port. */
  port?: number;
  /** The checkout of another release, built, which is started in place of this one. */
  release?: string;
}

export interface ClusterOptions {
  redisProgram: string;
  replicas?: number;
  /** Replacements in policies/data.yaml. */
  settings?: (yaml: string) => string;
  /** Changes to connector.yaml. */
  edit?: (yaml: string) => string;
  clients?: number;
  /** Arguments of Node for the replica of this number, before the program; `dir` is the folder of the cluster. */
  argsOf?: (dir: string, index: number) => string[];
}

export const AUDIENCE_URL = 'https://sallyport.example/mcp';

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { redisProgram, replicas: count = 2, settings = (yaml) => yaml, edit = (yaml) => yaml } = options;
  const { argsOf = () => [] } = options;
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-cluster-'));
  const redis = await startRedis(redisProgram);
  const password = 'legacy-password';
  const legacy = await startLegacyInventory({
    users: { clerk: { password, role: 'clerk' }, manager: { password, role: 'manager' } },
  });
  const issuer = await createIssuer();
  const policies = policyFolder({ 'data.yaml': settings });
  const clientsFile = join(dir, 'clients.json');
  const add = (id: string, roles = ['clerk'], existing = readClientFile(clientsFile)) =>
    addClient(clientsFile, existing, { id, roles, scopes: ['stock:write'], now: new Date() }).reveal();
  const key = add('demo-agent', ['clerk'], []);
  const adminToken = 'admin-token-of-the-tests-0123456789abcdef';
  writePrivateFile(join(dir, 'admin.token'), adminToken);
  writeKeyring(join(dir, 'keyring.json'), createKeyringFile(new Date()));
  writePrivateFile(join(dir, 'demo-backend.password'), password);
  const replicas: Replica[] = [];
  let nextId = 1;

  const start: Cluster['start'] = async (given = {}) => {
    const { change = (yaml: string) => yaml, args = [], again, release, port = 0 } = given;
    const state = again?.state ?? join(dir, `replica-${replicas.length}`);
    mkdirSync(state, { mode: 0o700, recursive: true });
    writePrivateFile(join(state, 'demo-backend.password'), password);
    const config = join(state, 'connector.yaml');
    const text = readFileSync(join(PACKAGE_ROOT, 'src/demo/connector.yaml'), 'utf8')
      .replace('port: 8787', 'port: 0')
      .replace('file: ${SALLYPORT_STATE_DIR}/clients.json', `file: ${clientsFile}`)
      .replace('identity:\n', `identity:\n${issuer.yaml}`)
      .replace(
        'state_dir:',
        `proxy_hops: 1
public_url: ${AUDIENCE_URL}
policy: { dir: ${release === undefined ? policies.dir : join(release, 'policies')}, budget_ms: 5000 }
keyring_file: ${join(dir, 'keyring.json')}
store: { redis: { url: "${redis.url}" } }
admin: { port: 0, token: { file: ${join(dir, 'admin.token')} } }
state_dir:`,
      );
    writeFileSync(config, change(edit(text)));
    const child = endWithParent(
      spawn(
        process.execPath,
        [
          ...argsOf(dir, Number(/\d+$/.exec(state)?.[0])),
          ...args,
          join(release ?? PACKAGE_ROOT, 'dist', 'main.js'),
          'serve',
          '--config',
          config,
          '--port',
          String(port),
          '--json',
        ],
        {
          cwd: state,
          env: {
            ...process.env,
            SALLYPORT_STATE_DIR: state,
            LEGACY_INVENTORY_URL: legacy.url,
            LEGACY_INVENTORY_USER: 'manager',
          },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      ),
    );
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    let ready: { url: string; admin_url: string } | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      ready = JSON.parse(line);
      break;
    }
    if (!ready) throw new Error(`a replica did not start: ${stderr}`);
    const replica: Replica = {
      state,
      url: ready.url,
      adminUrl: ready.admin_url,
      child,
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
      async stop() {
        child.kill('SIGCONT');
        child.kill('SIGTERM');
        await exited;
      },
      pause: () => void child.kill('SIGSTOP'),
      resume: () => void child.kill('SIGCONT'),
      audit: (type) => decisionLog(state, type),
      stderr: () => stderr,
    };
    replicas.push(replica);
    return replica;
  };

  const rpc: Cluster['rpc'] = async (to, method, params = {}, more = {}) => {
    const { id = nextId++, handle, key: other, ip = HOME, headers = {} } = more;
    const response = await fetch(typeof to === 'string' ? to : to.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${other ?? key}`,
        'x-forwarded-for': ip,
        ...(handle !== undefined && { 'mcp-session-id': handle }),
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
    });
    const text = await response.text();
    let body: Loose;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    return { status: response.status, headers: response.headers, body, text };
  };

  for (let i = 0; i < count; i++) await start();
  return {
    replicas,
    redis,
    legacy,
    issuer,
    key,
    adminToken,
    dir,
    addClient: (id, roles) => add(id, roles),
    start,
    rpc,
    call: (to, name, args = {}, more) => rpc(to, 'tools/call', { name, arguments: args }, more),
    async initialize(to, more) {
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
      return (await rpc(to, 'initialize', params, more)).headers.get('mcp-session-id') ?? '';
    },
    roundRobin: () => roundRobin(() => replicas.filter(({ child }) => child.exitCode === null && !child.killed)),
    audit: (type) => replicas.flatMap((replica) => replica.audit(type)),
    async close() {
      await Promise.all(replicas.map((replica) => replica.stop()));
      await legacy.close();
      await redis.stop();
      issuer.remove();
      policies.remove();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Starts a round-robin proxy without affinity and without retries. */
async function roundRobin(targets: () => Replica[]): Promise<{ url: string; close(): void }> {
  let turn = 0;
  const server: Server = createServer((incoming, outgoing) => {
    const alive = targets();
    const target = alive[turn++ % alive.length];
    if (!target) return void outgoing.writeHead(502).end();
    const { hostname, port, pathname, host } = new URL(target.url);
    const forward = request(
      { hostname, port, path: pathname, method: incoming.method, headers: { ...incoming.headers, host } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forward.on('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()));
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
