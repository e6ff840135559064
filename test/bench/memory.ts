// What sessions and clients cost in memory: store, facts, session manager and adapter as a connector puts them together, in
// a process of their own. Only the login is made up, because a hundred thousand of them would take the whole day.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { clientId, ref } from '../support/refs.ts';
import { server, start } from './processes.ts';
import { rounded, row, type Show } from './row.ts';

/** The compiled code is measured: a runner of TypeScript gives every closure a name of its own, which takes memory. */
const built = <T>(module: string): Promise<T> =>
  import(new URL(`../../dist/${module}.js`, import.meta.url).href) as Promise<T>;

/** How many clients call at the same time. */
const AT_ONCE = 32;

const YAML = (url: string) => `
version: 1
state_dir: /nowhere
identity: { keys: { file: /nowhere/clients.json } }
backends:
  inventory:
    url: ${url}
    credentials: { username: { env: U }, password: { env: P } }
    login:
      - request: { method: POST, path: /login, form: { u: "{credentials.username}", p: "{credentials.password}" } }
        extract: { csrf: { form_field: csrf } }
    session: { cookies: [JSESSIONID], values: [csrf] }
    expired: [{ status: 401 }]
tools:
  stock_get:
    backend: inventory
    description: One item
    effect: read
    arguments: { type: object, properties: { sku: { type: string } }, required: [sku] }
    request: { method: GET, path: "/api/stock/{sku}" }
`;

async function measureHere(sessions: number, withSessions: boolean): Promise<void> {
  const { createBackendAdapter } = await built<typeof import('../../src/backend/adapter.ts')>('backend/adapter');
  const { parseConfig } = await built<typeof import('../../src/config/load.ts')>('config/load');
  const { Secret } = await built<typeof import('../../src/core/secret.ts')>('core/secret');
  const { createFingerprint, createSealer } =
    await built<typeof import('../../src/keyring/sealing.ts')>('keyring/sealing');
  const { boundTo } = await built<typeof import('../../src/session/bound.ts')>('session/bound');
  const { createSessionManager } = await built<typeof import('../../src/session/manager.ts')>('session/manager');
  const { createMemoryStore } = await built<typeof import('../../src/store/memory/store.ts')>('store/memory/store');
  const gc = (globalThis as { gc?: () => void }).gc as () => void;
  const legacy = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"sku":"A-1","quantity":3}');
  }).listen(0, '127.0.0.1');
  await once(legacy, 'listening');
  const url = `http://127.0.0.1:${(legacy.address() as AddressInfo).port}`;
  const env = { U: 'clerk', P: 'pw-for-the-bench' };
  const parsed = parseConfig({ text: YAML(url), file: 'bench.yaml', baseDir: '/nowhere', env });
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join('; '));
  const { config } = parsed;
  const clock = { now: Date.now };
  const store = createMemoryStore({ clock, clients: sessions + 300, sessions: sessions + 300, ttlMs: 3_600_000 });
  const account = {
    name: '',
    credentials: { username: new Secret('clerk'), password: new Secret('pw-for-the-bench') },
  };
  const adapter = createBackendAdapter({
    name: 'inventory',
    config: config.backends.inventory as never,
    tools: config.tools,
    accounts: () => account as never,
    clock,
  });
  let logins = 0;
  const backend = {
    ...adapter,
    login: async () => {
      const value = `${(logins++).toString(16).padStart(8, '0')}5f4a3b2c1d0e9f8c7d6e5f4a`;
      const cookie = { key: 'JSESSIONID', value, domain: '127.0.0.1', path: '/', hostOnly: true, creation: new Date() };
      return { ok: true as const, backendToken: new Secret({ cookies: [cookie], values: { csrf: `c-${value}` } }) };
    },
  };
  const key = new Secret(Buffer.alloc(32, 7));
  const keys = [{ id: 'k1', secret: key }];
  const entries = new Map<string, object>();
  const manager = createSessionManager({
    store: store.sessions,
    limits: store.limits,
    quotas: store.quotas,
    control: store.control,
    backends: new Map([['inventory', backend]]),
    sealer: createSealer(() => keys, 'session'),
    fingerprint: createFingerprint(key),
    entries: {
      put: (entry) => void entries.set(entry.session, entry),
      remove: () => {},
      all: () => [],
      has: () => true,
    },
    clock,
    events: async () => {},
    endsAt: () => Number.POSITIVE_INFINITY,
  });

  async function one(i: number): Promise<void> {
    const owner = ref(String(i).padStart(64, '0'));
    const ip = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
    const network = ip.replace(/\\d+$/, '0/24');
    const call = `call-${i}`;
    await store.facts.openHandle(owner, String(i).padStart(22, 'h'));
    for (let id = 0; id < 3; id++) {
      const rpc = { handle: String(i).padStart(22, 'h'), id };
      const asked = performance.now();
      const known = await store.facts.observe({ call, owner, network, rpc, backend: 'inventory', tool: 'stock_get' });
      if (withSessions && id === 0) {
        const at = { backend: 'inventory', owner };
        const observed = await manager.examine(at, known.storedSession, asked);
        const place = { client_id: clientId(`client-${i}`), subject: `client-${i}`, key: null, ip, network };
        const bound = boundTo(place, undefined);
        const got = await manager.acquire(
          { backend, owner, issuer: 'urn:keys', bound, account, limit: 1 } as never,
          observed,
        );
        if (!got.ok) throw new Error(`${got.code}: ${got.detail}`);
        const { backendToken } = got.session;
        const signal = { aborted: false, addEventListener() {}, removeEventListener() {} };
        const done = await backend.call({
          tool: 'stock_get',
          arguments: { sku: 'A' },
          backendToken,
          account: account as never,
          signal,
        });
        if (done.kind !== 'ok') throw new Error(JSON.stringify(done));
        await manager.changed(got.session, done, false);
        got.session.release();
      }
      await store.facts.finished(owner, call, { denied: false, used: 'stock_get' });
    }
  }

  const many = async (from: number, to: number) => {
    let next = from;
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        while (next < to) await one(next++);
      }),
    );
  };
  const settle = async () => {
    for (let i = 0; i < 4; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return process.memoryUsage();
  };
  await many(0, 200);
  const before = await settle();
  await many(200, 200 + sessions);
  const after = await settle();
  process.stdout.write(
    `${JSON.stringify({ heap: (after.heapUsed + after.external - before.heapUsed - before.external) / sessions, rss: (after.rss - before.rss) / sessions, all: after.rss })}\n`,
  );
  process.exit(0);
}

type Measured = { heap: number; rss: number; all: number };

/** Shows the rows for 10,000 and for `most` sessions, for clients without one, and for a connector that does nothing. */
export async function memoryRows(most: number, idleSeconds: number, show: Show): Promise<void> {
  const measure = (count: number, what: 'sessions' | 'clients') =>
    start([
      '--expose-gc',
      '--max-old-space-size=4096',
      '--import',
      'tsx',
      fileURLToPath(import.meta.url),
      String(count),
      what,
    ]) as unknown as Promise<Measured>;
  for (const count of [...new Set([Math.min(10_000, most), most])]) {
    const { heap, rss, all } = await measure(count, 'sessions');
    show(row(`a session, with ${count} of them`, { heap_bytes: rounded(heap, 0), rss_bytes: rounded(rss, 0) }));
    show(row(`the process with ${count} sessions`, { rss_bytes: all }));
  }
  const { heap, rss } = await measure(Math.min(10_000, most), 'clients');
  show(row('a client without a session', { heap_bytes: rounded(heap, 0), rss_bytes: rounded(rss, 0) }));
  const { governedServer } = await import('./processes.ts');
  const idle = await governedServer({ legacyUrl: (await server('legacy')).url });
  // V8 gives back what the start has needed once the process has been idle for a while.
  await new Promise((resolve) => setTimeout(resolve, idleSeconds * 1000));
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${idle.pid}/status`, 'utf8'))?.[1];
  show(row('a connector that does nothing', { rss_bytes: Number(kilobytes) * 1024 }));
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] !== undefined)
  await measureHere(Number(process.argv[2]), process.argv[3] === 'sessions');
