// A session manager under test, with a backend that the test controls, on the memory store and on a real Redis. Each
// test starts with new parts.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, inject } from 'vitest';
import type { BackendPort, BackendToken, Checkpoint } from '../../src/backend/port.ts';
import { Secret } from '../../src/core/secret.ts';
import type { Bound } from '../../src/decision/schema.ts';
import { createFingerprint, createSealer } from '../../src/keyring/sealing.ts';
import type { OpenEntries } from '../../src/session/end/open-entries.ts';
import type { SessionEvent } from '../../src/session/events.ts';
import {
  createSessionManager,
  type ObservedSession,
  type SessionManager,
  type SessionManagerOptions,
} from '../../src/session/manager.ts';
import type { OpenEntry } from '../../src/session/record.ts';
import { createMemoryStore } from '../../src/store/memory/store.ts';
import type { Store } from '../../src/store/store.ts';
import { createTestClock, type TestClock } from './clock.ts';
import { redisStore, startRedis, type TestRedis } from './redis.ts';
import { clientId, ref } from './refs.ts';

export const HOME = { ip: '10.0.0.1', network: '10.0.0.0/24' };
export const bound: Bound = { client_id: clientId('a'), subject: 'a', key: null, ipv4: HOME, ipv6: null };
const program = inject('redis');
export const keys = [{ id: 'k', secret: new Secret(randomBytes(32)) }];
export const fingerprintKey = new Secret(randomBytes(32));

export let live: Set<string>;
export let logins: number;
let gate: Promise<void> | undefined;
/** Called after the backend has answered a login and before the login returns, so that tests can create races. */
let afterLogin: ((checkpoint: Checkpoint, token: Secret<BackendToken>) => Promise<void>) | undefined;
export let events: SessionEvent[];
export let store: Store;
export let sessions: SessionManager;
export let backend: BackendPort;
export let clock: TestClock;

export const name = (token: Secret<BackendToken>) => token.reveal().values.id as string;

/** The open logins of one replica, in memory. */
export function noted(): OpenEntries {
  const all = new Map<string, OpenEntry>();
  const of = ({ session, login }: Pick<OpenEntry, 'session' | 'login'>) => `${session} ${login}`;
  return {
    put: (entry) => void all.set(of(entry), entry),
    remove: (entry) => void all.delete(of(entry)),
    has: (entry) => all.has(of(entry)),
    all: () => [...all.values()],
  };
}

/** A session manager on the store, with parts of its own where a test gives them. */
export function manager(of: Store, own: Partial<SessionManagerOptions> = {}): SessionManager {
  return createSessionManager({
    store: of.sessions,
    limits: of.limits,
    quotas: of.quotas,
    control: of.control,
    backends: new Map([['b', backend]]),
    sealer: createSealer(() => keys, 'session'),
    fingerprint: createFingerprint(fingerprintKey),
    clock,
    events: async (event) => void events.push(event),
    endsAt: ({ createdAt }) => createdAt + 3_600_000,
    entries: noted(),
    ...own,
  });
}

export const KEY = (owner = 'owner') => ({ backend: 'b', owner: ref(owner) });
export const SHARED = { key: '', credentials: {} };
export const request = (owner = 'owner', place = bound, account = SHARED) => ({
  backend,
  owner: ref(owner),
  issuer: 'https://idp.example',
  bound: place,
  account,
});
export const observed = async (owner = 'owner', by = sessions, at = store): Promise<ObservedSession> =>
  by.examine(KEY(owner), await at.sessions.get(KEY(owner)));
export async function acquired(result: Promise<Awaited<ReturnType<SessionManager['acquire']>>>) {
  const value = await result;
  if (!value.ok) throw new Error(value.code);
  return value.session;
}
export const stored = async (owner = 'owner') => (await store.sessions.get(KEY(owner))).record;

beforeEach(() => {
  live = new Set();
  logins = 0;
  gate = undefined;
  afterLogin = undefined;
  events = [];
  clock = createTestClock();
  backend = {
    name: 'b',
    drainMs: 50,
    loginLimitMs: 1000,
    quota: { calls: undefined, waitMs: 1000, perMinute: undefined, failures: { most: 1000, withinMs: 1000 } },
    oneAtATime: false,
    keepAliveTimes: undefined,
    account: () => SHARED,
    async login(_account, checkpoint) {
      const id = `token-${++logins}`;
      await gate;
      live.add(id);
      const token = new Secret({ cookies: [], values: { id } });
      await afterLogin?.(checkpoint, token);
      return { ok: true, backendToken: token };
    },
    async logout(token) {
      live.delete(name(token));
      return 'dead';
    },
    call: () => Promise.reject(new Error('not used')),
    keepAlive: async () => ({ kind: 'ok' }),
    merge: (_base, mine) => mine,
    health: () => ({ circuit: 'closed', inFlight: 0, queued: 0, pausedSeconds: 0 }),
    close: async () => {},
  };
});

/** Sets what is called after the backend has answered and before the login returns, for each login from now on. */
export function onLogin(hook: typeof afterLogin): void {
  afterLogin = hook;
}

/** Holds every login from now on until the returned function is called. */
export function holdLogins(): () => void {
  let open = () => {};
  gate = new Promise((resolve) => {
    open = resolve;
  });
  return open;
}

export function changeBackend(changes: Partial<BackendPort>): void {
  backend = { ...backend, ...changes };
}

/** Another replica on the same Redis. */
export async function replica(): Promise<{ manager: SessionManager; store: Store }> {
  const other = await redisStore(redis, clock, { prefix });
  others.push(other);
  return { manager: manager(other), store: other };
}
export let redis: TestRedis;
export let prefix: string;
let others: Store[] = [];

export function onMemory(suite: () => void): void {
  describe('on the memory of one process', () => {
    afterEach(() => sessions.settled());
    beforeEach(() => {
      store = createMemoryStore({ clock, clients: 100, sessions: 100, ttlMs: 3_600_000 });
      sessions = manager(store);
    });
    suite();
  });
}

/** Runs a suite on Redis, where two managers stand for two replicas. */
export function onRedis(suite: () => void): void {
  describe.skipIf(program === null)('on Redis', () => {
    beforeAll(async () => {
      redis = await startRedis(program as string);
    });
    beforeEach(async () => {
      prefix = `m-${randomBytes(4).toString('hex')}`;
      others = [];
      ({ manager: sessions, store } = await replica());
    });
    afterEach(async () => {
      await sessions.settled();
      for (const other of others) await other.close();
    });
    afterAll(() => redis?.stop());
    suite();
  });
}
