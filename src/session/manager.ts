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
import { createEnding } from './ending.ts';
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
   * for a record that is another's: somebody has moved it. `at`: when the store was asked.
   */
  examine(key: SessionKey, seen: SessionSnapshot, at?: number): Promise<Seen>;
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
  /**
   * The same for every session a selector means. Answers how many were ended; what could not be ended
   * now is void all the same, and ended by a later sweep.
   */
  revokeAll(selector: Selector, cause: string): Promise<number>;
  /**
   * Logs out what replicas that are gone have left behind, and ends sessions that are past their time or
   * were revoked while a store or a backend did not answer.
   */
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
  /** When a session that nobody uses is past its time, in milliseconds since the epoch. */
  endsAt: (record: SessionRecord) => number;
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
const WAIT_MS = 25;
/** A session may be rotated while it is being ended. */
const TRIES = 3;

export function createSessionManager(options: SessionManagerOptions): SessionManager {
  const { store, limits, control, backends, sealer, fingerprint, clock, events, endsAt } = options;
  const flights = new Map<string, { result: Promise<Acquired>; revocations: number }>();
  const leases = createLeases();
  const loginPause = new Map<string, number>();
  const vault = createVault(sealer, fingerprint);
  const retirement = createRetirement({ store, backends, leases, vault, clock, events });
  const ending = createEnding({ ...options, retirement });
  let closed = false;

  const keyOf = ({ backend, owner }: SessionRequest): SessionKey => ({ backend: backend.name, owner });

  /** What was seen, or what there is now when that is too old. */
  async function present(key: SessionKey, seen: Seen): Promise<SessionSnapshot> {
    const { at } = seen;
    const fresh = !store.volatile && at !== undefined && performance.now() - at < TRUST_MS;
    return fresh && at > ending.changedAt(key) ? seen : store.get(key);
  }

  async function lease(record: SessionRecord, { backend, owner }: SessionRequest): Promise<Acquired> {
    // A row that was moved under another key names its old owner.
    const belongs = record.owner === owner && record.backend === backend.name;
    const token = belongs ? vault.open(record) : undefined;
    if (token) return { ok: true, session: { record, token, release: leases.take(record) } };
    // Its key was retired or somebody has changed it.
    await ending.discard({ backend: backend.name, owner }, record);
    return refuse('session.unavailable', 'the stored session does not open for this owner');
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
      const result = open(request, seen, cause).finally(() => flights.delete(key));
      flights.set(key, { result, revocations: seen.revocations });
      return result;
    }
    const result = await running.result;
    // One that began before a revocation gives nothing to who was decided on after it, nor the reverse.
    if (running.revocations !== seen.revocations) return share(request, seen, cause);
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
    const { revision, epoch } = await control.read(0);
    const id = current?.id ?? randomBytes(16).toString('base64url');
    if (!current && limit !== undefined && !(await limits.take(bound.client_id, key, id, limit, leaseMs))) {
      return refuse('session.limit', `the client has ${limit} sessions`);
    }
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
          epoch,
          bound,
          fingerprint: current?.fingerprint ?? fingerprint(id),
        },
        token,
      );
    // Each token is on record before the next step is taken: a crash leaves nothing nobody knows.
    const result = await backend.login((token) =>
      store.checkpoint(key, permit, { record: seal(token), due: issuedAt + leaseMs }),
    );
    if (!result.ok) {
      if (result.code === 'session.login_failed') loginPause.set(backend.name, clock.now() + LOGIN_PAUSE_MS);
      if (!current && limit !== undefined) await limits.leave(bound.client_id, key, id).catch(() => undefined);
      events({ type: 'login_failed', backend: backend.name, detail: result.detail });
      if (result.partial) await ending.discardToken(seal(result.partial), 'the login failed');
      return refuse(result.code, result.detail);
    }
    const record = seal(result.token);
    const stored = await store
      .commit(key, permit, seen, record, retirement.due(backend))
      .catch(() => 'failed' as const);
    ending.touch(key);
    if (stored !== true) {
      await ending.discardToken(record, 'not stored');
      if (stored === 'failed') {
        // The answer may have been lost, not the write.
        await store.revoke(key, clock.now(), record).catch(() => undefined);
        return refuse('session.unavailable', 'the session could not be stored');
      }
      return changed(request, seen, await store.get(key));
    }
    events({ type: current ? 'session_rotated' : 'session_opened', record, cause });
    if (current) retirement.retire(current, cause, 'drain');
    // When its time is over; and soon, should this replica die before it has looked for a revocation.
    const over = Math.min(endsAt(record), issuedAt + leaseMs);
    await store.remind(key, over).catch(() => undefined);
    // A revocation that came after the login had begun, and may not have found the record.
    const [now, state] = await Promise.all([store.get(key), control.read(0)]);
    if (isRevoked(state, record)) await ending.end(key, 'revoked during its login', record);
    else if (now.record && now.revocations === seen.revocations) {
      return sameVersion(now.record, record) ? lease(record, request) : leaseOther(now.record, request);
    }
    return refuse('session.revoked', 'revoked during its login');
  }

  return {
    async examine(key, seen, at = performance.now()) {
      if (seen.record && sessionKey(seen.record) !== sessionKey(key)) {
        await ending.discard(key, seen.record);
        throw new Error('the stored session is of another owner');
      }
      if (!seen.record || !isRevoked(await control.read(CONTROL_AGE_MS), seen.record)) return { ...seen, at };
      for (let i = 0; i < TRIES; i++) {
        await ending.end(key, 'revoked', i === 0 ? seen.record : undefined);
        const now = await store.get(key);
        if (!now.record || !isRevoked(await control.read(0), now.record)) return { ...now, at };
      }
      throw new Error('the session is revoked and does not end');
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
      ending.touch(record);
      if (stored) return events({ type: 'session_renewed', record: next, cause: 'the backend set a new cookie' });
      // Two answers may bring the same new token: the one that is stored is in use.
      const now = await store.get(record).catch(() => undefined);
      if (now?.record?.tokenFingerprint !== next.tokenFingerprint)
        await ending.discardToken(next, 'renewed but not stored');
    },

    revoke: async (backend, owner, cause) => void (await ending.end({ backend: backend.name, owner }, cause)),

    async revokeAll(selector, cause) {
      await control.revoke(selector);
      return ending.endAll((record) => selects(selector, record), cause);
    },

    sweep: () => ending.sweep(),
    settled: () => retirement.settled(),

    async close() {
      closed = true;
      await Promise.allSettled([...flights.values()].map(({ result }) => result));
      if (store.volatile) {
        await ending.endAll(() => true, 'shutdown');
      }
      await retirement.settled();
    },
  };
}

const refuse = (code: RefusalCode, detail: string): Acquired => ({ ok: false, code, detail });
