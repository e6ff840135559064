// Acquire, rotate, revoke. One login for any number of callers that need one, every write
// guarded by the generation, and no session minted once it was revoked.
import { randomBytes } from 'node:crypto';
import type { BackendPort, TokenSecret } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import { createKeyedMutex } from '../core/mutex.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { SessionEvents } from './events.ts';
import { createLeases } from './leases.ts';
import { type SessionRecord, sessionKey } from './record.ts';
import type { Fingerprint, Sealer } from './sealing.ts';
import { type SessionStore, sameVersion } from './store.ts';
import { createVault } from './vault.ts';

/** Whose session is meant, and the place a new one would be bound to. */
export interface SessionRequest {
  backend: BackendPort;
  owner: string;
  bound: Bound;
}

/** A session that may be used until `release`, which must be called exactly once. */
export interface AcquiredSession {
  record: SessionRecord;
  token: TokenSecret;
  release(): void;
}

export type Acquired = { ok: true; session: AcquiredSession } | { ok: false; code: RefusalCode; detail: string };

/** What a decision saw of a session, and how often it had been revoked by then. */
export interface SessionSnapshot {
  record: SessionRecord | undefined;
  revocations: number;
}

export interface SessionManager {
  peek(backend: string, owner: string): Promise<SessionSnapshot>;
  /**
   * The session the decision saw, or a new login when it saw none. What was revoked since is not
   * brought back. What somebody else has opened or rotated since is handed out only when it
   * is bound to the same place: no decision has looked at it.
   */
  acquire(request: SessionRequest, seen: SessionSnapshot): Promise<Acquired>;
  /** A session newer than the one seen: whoever comes first logs in, all others get the result. */
  rotate(request: SessionRequest, seen: SessionSnapshot, cause: string): Promise<Acquired>;
  /**
   * The backend changed the token in an answer: the same session, one generation on. When
   * someone rotated or revoked meanwhile their word holds, and the new token is logged out.
   */
  renew(session: AcquiredSession, token: TokenSecret): Promise<void>;
  /** After it has returned, nothing of the old session is handed out. */
  revoke(backend: BackendPort, owner: string, cause: string): Promise<void>;
  /** Waits for sessions that are being logged out. */
  settled(): Promise<void>;
  /** Logs out what would end with this process. */
  close(): Promise<void>;
}

export interface SessionManagerOptions {
  store: SessionStore;
  backends: ReadonlyMap<string, BackendPort>;
  sealer: Sealer;
  fingerprint: Fingerprint;
  clock: Clock;
  events: SessionEvents;
}

/** After the backend refused a login, how long nobody tries again: a locked service account helps no one. */
const LOGIN_PAUSE_MS = 5000;
const REVOCATIONS = 100_000;
const CLOSING_AT_ONCE = 8;

export function createSessionManager({
  store,
  backends,
  sealer,
  fingerprint,
  clock,
  events,
}: SessionManagerOptions): SessionManager {
  const mutex = createKeyedMutex();
  const flights = new Map<string, Promise<Acquired>>();
  const leases = createLeases();
  const retiring = new Set<Promise<void>>();
  const loginPause = new Map<string, number>();
  const vault = createVault(sealer, fingerprint);
  const revocations = new Map<string, number>();
  let closed = false;

  function lease(record: SessionRecord, { backend, owner }: SessionRequest): Acquired {
    // A row that was moved under another key names its old owner.
    const belongs = record.owner === owner && record.backend === backend.name;
    const token = belongs ? vault.open(record) : undefined;
    if (!token) return refuse('session.unavailable', 'the stored session does not open for this owner');
    return { ok: true, session: { record, token, release: leases.take(leaseKey(record)) } };
  }

  /** Hands out a record that is not the one decided on, if it is bound to the same place. */
  function leaseOther(record: SessionRecord, request: SessionRequest): Acquired {
    const same = (Object.keys(request.bound) as (keyof Bound)[]).every(
      (part) => record.bound[part] === request.bound[part],
    );
    return same ? lease(record, request) : refuse('session.changed', 'another call bound the session elsewhere');
  }

  /** Everybody who needs a login for this session at this time shares one. */
  async function share(key: string, request: SessionRequest, work: () => Promise<Acquired>): Promise<Acquired> {
    const running = flights.get(key);
    if (!running) {
      const flight = mutex.run(key, work).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    }
    const result = await running;
    return result.ok ? leaseOther(result.session.record, request) : result;
  }

  async function login(request: SessionRequest, current: SessionRecord | undefined, cause: string): Promise<Acquired> {
    const { backend, owner, bound } = request;
    const key = sessionKey(backend.name, owner);
    if (closed) return refuse('session.unavailable', 'the connector is stopping');
    if ((loginPause.get(backend.name) ?? 0) > clock.now()) {
      return refuse('session.login_failed', 'a login was refused moments ago');
    }
    const result = await backend.login();
    if (!result.ok) {
      if (result.code === 'session.login_failed') loginPause.set(backend.name, clock.now() + LOGIN_PAUSE_MS);
      events({ type: 'login_failed', backend: backend.name, detail: result.detail });
      return refuse(result.code, result.detail);
    }
    const now = clock.now();
    const id = current?.id ?? randomBytes(16).toString('base64url');
    const record = vault.seal(
      {
        id,
        backend: backend.name,
        owner,
        generation: (current?.generation ?? 0) + 1,
        createdAt: current?.createdAt ?? now,
        issuedAt: now,
        bound,
        fingerprint: current?.fingerprint ?? fingerprint(id),
      },
      result.token,
    );
    const stored = await store.compareAndSet(key, current ?? null, record).catch(() => 'failed' as const);
    if (stored !== true) {
      // A login nobody can find again must not stay alive at the backend.
      retire(backend, record, result.token, 'not stored');
      if (stored === 'failed') return refuse('session.unavailable', 'the session could not be stored');
      const winner = await store.get(key);
      return winner ? leaseOther(winner, request) : refuse('session.revoked', 'revoked during its login');
    }
    events({ type: current ? 'session_rotated' : 'session_opened', record, cause });
    if (current) {
      const old = vault.open(current);
      if (old) retire(backend, current, old, cause);
    }
    return lease(record, request);
  }

  /** Lets calls in flight finish, bounded, then logs the old backend session out. */
  function retire(backend: BackendPort, record: SessionRecord, token: TokenSecret, cause: string): void {
    const work = (async () => {
      const drained = await leases.drained(leaseKey(record), backend.drainMs);
      vault.forget(record);
      const proof = await backend.logout(token).catch(() => 'residual' as const);
      events({ type: 'session_ended', record, cause, proof, drained });
    })().finally(() => retiring.delete(work));
    retiring.add(work);
  }

  const settled = async (): Promise<void> => {
    while (retiring.size > 0) await Promise.allSettled(retiring);
  };

  const revokedSince = (key: string, seen: SessionSnapshot): boolean =>
    (revocations.get(key) ?? 0) !== seen.revocations;

  async function revoke(backend: BackendPort, owner: string, cause: string): Promise<void> {
    const key = sessionKey(backend.name, owner);
    const count = (revocations.get(key) ?? 0) + 1;
    if (revocations.size >= REVOCATIONS) revocations.delete(revocations.keys().next().value as string);
    revocations.set(key, count);
    await mutex.run(key, async () => {
      const record = await store.remove(key);
      if (!record) return;
      events({ type: 'session_revoked', record, cause });
      const token = vault.open(record);
      if (token) retire(backend, record, token, cause);
    });
  }

  return {
    async peek(backend, owner) {
      const key = sessionKey(backend, owner);
      // Counted before the record is read: a revocation in between is then noticed.
      const count = revocations.get(key) ?? 0;
      return { record: await store.get(key), revocations: count };
    },

    async acquire(request, seen) {
      const key = sessionKey(request.backend.name, request.owner);
      const current = await store.get(key);
      if (current) return sameVersion(current, seen.record) ? lease(current, request) : leaseOther(current, request);
      if (seen.record) return refuse('session.revoked', 'the session is gone');
      return share(key, request, async () => {
        if (revokedSince(key, seen)) return refuse('session.revoked', 'revoked since the decision');
        const present = await store.get(key);
        return present ? leaseOther(present, request) : login(request, undefined, 'first call');
      });
    },

    async rotate(request, seen, cause) {
      const key = sessionKey(request.backend.name, request.owner);
      const attempt = () =>
        share(key, request, async () => {
          const present = await store.get(key);
          if (!present || revokedSince(key, seen)) return refuse('session.revoked', 'the session is gone');
          return sameVersion(present, seen.record) ? login(request, present, cause) : leaseOther(present, request);
        });
      const first = await attempt();
      // A flight that had begun before this generation existed can hand out the very one to replace.
      if (!first.ok || !sameVersion(first.session.record, seen.record)) return first;
      first.session.release();
      return attempt();
    },

    async renew({ record }, token) {
      const backend = backends.get(record.backend);
      const next = vault.seal({ ...record, generation: record.generation + 1, issuedAt: clock.now() }, token);
      const key = sessionKey(record.backend, record.owner);
      const stored = await store.compareAndSet(key, record, next).catch(() => false);
      if (stored) events({ type: 'session_renewed', record: next, cause: 'the backend set a new cookie' });
      else if (backend) retire(backend, next, token, 'renewed but not stored');
    },

    revoke,
    settled,

    async close() {
      closed = true;
      await Promise.allSettled(flights.values());
      const records = await store.volatileRecords();
      // A few at a time: a backend refuses more than it takes at once, and what is refused stays alive.
      for (let at = 0; at < records.length; at += CLOSING_AT_ONCE) {
        const batch = records.slice(at, at + CLOSING_AT_ONCE);
        await Promise.allSettled(
          batch.map((record) => {
            const backend = backends.get(record.backend);
            return backend && revoke(backend, record.owner, 'shutdown');
          }),
        );
        await settled();
      }
      await settled();
    },
  };
}

const refuse = (code: RefusalCode, detail: string): Acquired => ({ ok: false, code, detail });

const leaseKey = (record: SessionRecord): string => `${record.id}:${record.generation}`;
