// Acquire, rotate, revoke, on any number of replicas. One login for all callers that need one,
// every write guarded by generation and permit, no session minted once it was revoked,
// and every token that is not in use any more logged out by somebody.
import { randomBytes } from 'node:crypto';
import type { BackendPort, TokenSecret } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { Fingerprint, Sealer } from '../keyring/sealing.ts';
import { samePlace } from './bound.ts';
import { CONTROL_AGE_MS, type ControlPort, isRevoked, type Selector, selects } from './control.ts';
import type { SessionEvents } from './events.ts';
import { createLeases } from './leases.ts';
import type { SessionLimits } from './limits.ts';
import { type SessionKey, type SessionRecord, sessionKey } from './record.ts';
import { createRetirement } from './retirement.ts';
import { type SessionSnapshot, type SessionStore, sameVersion } from './store.ts';
import { createVault } from './vault.ts';

/** Whose session is meant, and the place a new one would be bound to. */
export interface SessionRequest {
  backend: BackendPort;
  owner: string;
  bound: Bound;
  /** Most sessions the client id may have; undefined: any number. */
  limit?: number | undefined;
}

/** A session that may be used until `release`, which must be called exactly once. */
export interface AcquiredSession {
  record: SessionRecord;
  token: TokenSecret;
  release(): void;
}

export type Acquired = { ok: true; session: AcquiredSession } | { ok: false; code: RefusalCode; detail: string };

/** What a decision saw of a session, and when (performance.now). */
export interface Seen extends SessionSnapshot {
  at?: number;
}

export interface SessionManager {
  /**
   * What a decision may see of a stored session: nothing, when a revocation means it. Rejects
   * for a record that is another's: somebody has moved it.
   */
  examine(key: SessionKey, seen: SessionSnapshot): Promise<Seen>;
  /**
   * The session the decision saw, or a new login when it saw none. What was revoked since is not
   * brought back. What somebody else has opened or rotated since is handed out only when it
   * is bound to the same place: no decision has looked at it.
   */
  acquire(request: SessionRequest, seen: Seen): Promise<Acquired>;
  /** A session newer than the one seen: whoever comes first logs in, all others get the result. */
  rotate(request: SessionRequest, seen: Seen, cause: string): Promise<Acquired>;
  /**
   * The backend changed the token in an answer: the same session, one generation on. When
   * someone rotated or revoked meanwhile their word holds, and the new token is logged out.
   */
  renew(session: AcquiredSession, token: TokenSecret): Promise<void>;
  /** After it has returned, nothing of the old session is handed out. */
  revoke(backend: BackendPort, owner: string, cause: string): Promise<void>;
  /** The same for every session a selector means. Answers how many were ended. */
  revokeAll(selector: Selector, cause: string): Promise<number>;
  /** Logs out what replicas that are gone have left behind. */
  sweep(): Promise<void>;
  /** Waits for sessions that are being logged out. */
  settled(): Promise<void>;
  /** Logs out what would end with this process. */
  close(): Promise<void>;
}

export interface SessionManagerOptions {
  store: SessionStore;
  limits: SessionLimits;
  control: ControlPort;
  backends: ReadonlyMap<string, BackendPort>;
  sealer: Sealer;
  fingerprint: Fingerprint;
  clock: Clock;
  events: SessionEvents;
}

/** After the backend refused a login, how long nobody tries again: a locked service account helps no one. */
const LOGIN_PAUSE_MS = 5000;
/** On top of the login itself: the store has to be asked before and after. */
const LEASE_MARGIN_MS = 2000;
/**
 * A session that was seen so shortly ago is used without asking the store again, unless it was changed
 * from here since. So long can a call on another replica go on with what it saw before a revocation.
 */
const TRUST_MS = 100;
const CHANGED = 10_000;
const WAIT_MS = 25;
const CLOSING_AT_ONCE = 8;

export function createSessionManager(options: SessionManagerOptions): SessionManager {
  const { store, limits, control, backends, sealer, fingerprint, clock, events } = options;
  const flights = new Map<string, Promise<Acquired>>();
  const leases = createLeases();
  const loginPause = new Map<string, number>();
  /** When sessions were changed from here (performance.now). */
  const changedAt = new Map<string, number>();
  const vault = createVault(sealer, fingerprint);
  const retirement = createRetirement({ store, backends, leases, vault, clock, events });
  let closed = false;

  const keyOf = ({ backend, owner }: SessionRequest): SessionKey => ({ backend: backend.name, owner });

  function touch(key: SessionKey): void {
    changedAt.delete(sessionKey(key));
    if (changedAt.size >= CHANGED) changedAt.delete(changedAt.keys().next().value as string);
    changedAt.set(sessionKey(key), performance.now());
  }

  /** What was seen, or what there is now when that is too old. */
  async function present(key: SessionKey, seen: Seen): Promise<SessionSnapshot> {
    const { at } = seen;
    const fresh = !store.volatile && at !== undefined && performance.now() - at < TRUST_MS;
    return fresh && at > (changedAt.get(sessionKey(key)) ?? 0) ? seen : store.get(key);
  }

  async function lease(record: SessionRecord, { backend, owner }: SessionRequest): Promise<Acquired> {
    // A row that was moved under another key names its old owner.
    const belongs = record.owner === owner && record.backend === backend.name;
    const token = belongs ? vault.open(record) : undefined;
    if (token) return { ok: true, session: { record, token, release: leases.take(record) } };
    // Its key was retired or somebody has changed it.
    await discard({ backend: backend.name, owner }, record);
    return refuse('session.unavailable', 'the stored session does not open for this owner');
  }

  /** Ends a record that nobody will ever open again, so that the next call logs in. */
  async function discard(key: SessionKey, record: SessionRecord): Promise<void> {
    await store.revoke(key, clock.now(), record).catch(() => undefined);
    await store.paid(key, record).catch(() => undefined);
    events({ type: 'session_unopenable', record });
  }

  /** Hands out a record that is not the one decided on, if it is bound to the same place. */
  async function leaseOther(record: SessionRecord, request: SessionRequest): Promise<Acquired> {
    return samePlace(record.bound, request.bound)
      ? lease(record, request)
      : refuse('session.changed', 'another call bound the session elsewhere');
  }

  /** Everybody in this process who needs a login for this session at this time shares one. */
  async function share(request: SessionRequest, seen: SessionSnapshot, cause: string): Promise<Acquired> {
    const key = sessionKey(keyOf(request));
    const running = flights.get(key);
    if (!running) {
      const flight = open(request, seen, cause).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    }
    const result = await running;
    return result.ok ? leaseOther(result.session.record, request) : result;
  }

  /** Claims the right to log in, or waits for the replica that has it. */
  async function open(request: SessionRequest, seen: SessionSnapshot, cause: string): Promise<Acquired> {
    const { backend } = request;
    const key = keyOf(request);
    const leaseMs = backend.loginLimitMs + LEASE_MARGIN_MS;
    const end = performance.now() + leaseMs;
    for (;;) {
      if (closed) return refuse('session.unavailable', 'the connector is stopping');
      if ((loginPause.get(backend.name) ?? 0) > clock.now()) {
        return refuse('session.login_failed', 'a login was refused moments ago');
      }
      const claim = await store.claim(key, seen, leaseMs).catch(() => undefined);
      switch (claim?.kind) {
        case undefined:
          return refuse('session.unavailable', 'the store did not answer');
        case 'changed':
          return changed(request, seen, claim.now);
        case 'paused':
          return refuse('session.login_failed', `a login failed moments ago (${claim.code})`);
        case 'claimed': {
          const result = await login(request, seen, claim.permit, leaseMs, cause).catch(() =>
            refuse('session.unavailable', 'the store failed during the login'),
          );
          if (!result.ok) {
            const pause =
              result.code === 'session.login_failed' ? { code: result.code, ms: LOGIN_PAUSE_MS } : undefined;
            await store.giveUp(key, claim.permit, pause).catch(() => undefined);
          }
          return result;
        }
        case 'busy':
          if (performance.now() > end) return refuse('session.unavailable', 'another login takes too long');
          await new Promise((resolve) => setTimeout(resolve, WAIT_MS * (0.5 + Math.random())));
      }
    }
  }

  async function changed(request: SessionRequest, seen: SessionSnapshot, now: SessionSnapshot): Promise<Acquired> {
    if (now.revocations !== seen.revocations) return refuse('session.revoked', 'revoked since the decision');
    return now.record ? leaseOther(now.record, request) : refuse('session.revoked', 'the session is gone');
  }

  async function login(
    request: SessionRequest,
    seen: SessionSnapshot,
    permit: string,
    leaseMs: number,
    cause: string,
  ): Promise<Acquired> {
    const { backend, bound, limit } = request;
    const key = keyOf(request);
    const current = seen.record;
    // Read before the login: a revocation from now on is newer than the session, whatever it overtakes.
    const { revision } = await control.read(0);
    if (!current && limit !== undefined && !(await limits.take(bound.client_id, key, limit, leaseMs))) {
      return refuse('session.limit', `the client has ${limit} sessions`);
    }
    const id = current?.id ?? randomBytes(16).toString('base64url');
    const issuedAt = clock.now();
    const seal = (token: TokenSecret): SessionRecord =>
      vault.seal(
        {
          ...key,
          id,
          generation: (current?.generation ?? 0) + 1,
          createdAt: current?.createdAt ?? issuedAt,
          issuedAt,
          revision: current?.revision ?? revision,
          bound,
          fingerprint: current?.fingerprint ?? fingerprint(id),
        },
        token,
      );
    // Each token is on record before the next step is taken: a crash leaves nothing nobody knows.
    const result = await backend.login((token) => store.owe(key, { record: seal(token), due: issuedAt + leaseMs }));
    if (!result.ok) {
      if (result.code === 'session.login_failed') loginPause.set(backend.name, clock.now() + LOGIN_PAUSE_MS);
      if (!current && limit !== undefined) await limits.leave(bound.client_id, key).catch(() => undefined);
      events({ type: 'login_failed', backend: backend.name, detail: result.detail });
      if (result.partial) retirement.retire(seal(result.partial), 'the login failed');
      return refuse(result.code, result.detail);
    }
    const record = seal(result.token);
    const stored = await store
      .commit(key, permit, seen, record, retirement.due(backend))
      .catch(() => 'failed' as const);
    touch(key);
    if (stored !== true) {
      retirement.retire(record, 'not stored');
      if (stored === 'failed') {
        // The answer may have been lost, not the write.
        await store.revoke(key, clock.now(), record).catch(() => undefined);
        return refuse('session.unavailable', 'the session could not be stored');
      }
      return changed(request, seen, await store.get(key));
    }
    events({ type: current ? 'session_rotated' : 'session_opened', record, cause });
    if (current) retirement.retire(current, cause, 'drain');
    // A revocation that came after the login had begun and did not find the record yet.
    if (isRevoked(await control.read(0), record)) {
      await end(record, 'revoked during its login');
      return refuse('session.revoked', 'revoked during its login');
    }
    return lease(record, request);
  }

  /** Ends exactly this record, or whatever has become of it. */
  async function end({ owner, backend: name }: SessionKey, cause: string): Promise<boolean> {
    const backend = backends.get(name);
    const key = { owner, backend: name };
    const record = await store.revoke(key, retirement.due(backend));
    touch(key);
    if (!record) return false;
    events({ type: 'session_revoked', record, cause });
    retirement.retire(record, cause, 'drain');
    await limits.leave(record.bound.client_id, key).catch(() => undefined);
    return true;
  }

  return {
    async examine(key, seen) {
      const at = performance.now();
      if (seen.record && sessionKey(seen.record) !== sessionKey(key)) {
        await discard(key, seen.record);
        throw new Error('the stored session is of another owner');
      }
      if (!seen.record || !isRevoked(await control.read(CONTROL_AGE_MS), seen.record)) return { ...seen, at };
      await end(seen.record, 'revoked');
      return { ...(await store.get(seen.record)), at };
    },

    async acquire(request, seen) {
      const { record } = await present(keyOf(request), seen);
      if (record) return sameVersion(record, seen.record) ? lease(record, request) : leaseOther(record, request);
      return seen.record ? refuse('session.revoked', 'the session is gone') : share(request, seen, 'first call');
    },

    async rotate(request, seen, cause) {
      const first = await share(request, seen, cause);
      // A flight that had begun before this generation existed can hand out the very one to replace.
      if (!first.ok || !sameVersion(first.session.record, seen.record)) return first;
      first.session.release();
      return share(request, seen, cause);
    },

    async renew({ record }, token) {
      const next = vault.seal({ ...record, generation: record.generation + 1, issuedAt: clock.now() }, token);
      const stored = await store.replace(record, record, next).catch(() => false);
      touch(record);
      if (stored) events({ type: 'session_renewed', record: next, cause: 'the backend set a new cookie' });
      else retirement.retire(next, 'renewed but not stored');
    },

    revoke: async (backend, owner, cause) => void (await end({ backend: backend.name, owner }, cause)),

    async revokeAll(selector, cause) {
      await control.revoke(selector);
      let ended = 0;
      for await (const record of store.records()) {
        if (selects(selector, record) && (await end(record, cause))) ended += 1;
      }
      return ended;
    },

    sweep: () => retirement.sweep(),
    settled: () => retirement.settled(),

    async close() {
      closed = true;
      await Promise.allSettled(flights.values());
      if (store.volatile) {
        const records: SessionRecord[] = [];
        for await (const record of store.records()) records.push(record);
        // A few at a time: a backend refuses more than it takes at once, and what is refused stays alive.
        for (let at = 0; at < records.length; at += CLOSING_AT_ONCE) {
          await Promise.allSettled(records.slice(at, at + CLOSING_AT_ONCE).map((record) => end(record, 'shutdown')));
          await retirement.settled();
        }
      }
      await retirement.settled();
    },
  };
}

const refuse = (code: RefusalCode, detail: string): Acquired => ({ ok: false, code, detail });
