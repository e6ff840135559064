// Acquire, rotate, revoke, on any number of replicas. One login for all callers that need one,
// every write guarded by generation and permit, no session minted once it was revoked,
// and every token that is not in use any more logged out by somebody.
import { randomBytes } from 'node:crypto';

import type { Account } from '../backend/accounts.ts';
import type { TokenSecret } from '../backend/port.ts';
import { createKeyedMutex } from '../core/mutex.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import { samePlace } from './bound.ts';
import type { Acquired, Seen, SessionManager, SessionManagerOptions, SessionRequest } from './contract.ts';
import { CONTROL_AGE_MS, isRevoked, selects } from './control.ts';
import { createEnding } from './end/ending.ts';
import { createKeepAlive } from './keep-alive.ts';
import { createLeases } from './in-use.ts';
import { type SessionKey, type SessionRecord, sessionKey } from './record.ts';
import { createRetirement } from './end/retirement.ts';
import { type SessionSnapshot, sameVersion } from './store.ts';
import { createVault } from './vault.ts';

export type {
  Acquired,
  AcquiredSession,
  Seen,
  SessionManager,
  SessionManagerOptions,
  SessionRequest,
} from './contract.ts';

/** After the backend refused a login, how long nobody tries again: a locked service account helps no one. */
const LOGIN_PAUSE_MS = 5000;
/** On top of the login itself: the store has to be asked before and after. */
const LEASE_MARGIN_MS = 2000;
/**
 * A session that was seen so shortly ago is used without asking the store again, unless it was changed
 * from here since. So long can a call on another replica go on with what it saw before a revocation.
 */
const TRUST_MS = 100;
const PAUSES = 10_000;
const WAIT_MS = 25;
/** A session may be rotated while it is being ended. */
const TRIES = 3;

export function createSessionManager(options: SessionManagerOptions): SessionManager {
  const { store, limits, control, backends, sealer, fingerprint, clock, events, endsAt } = options;
  const flights = new Map<string, { result: Promise<Acquired>; revocations: number; account: Account }>();
  const leases = createLeases();
  const loginPause = new Map<string, number>();
  const vault = createVault(sealer, fingerprint);
  const retirement = createRetirement({ store, backends, leases, vault, clock, events });
  const ending = createEnding({ ...options, retirement });
  const turns = createKeyedMutex();
  const keepAlive = createKeepAlive({ store, backends, leases, clock, turns, renew });
  let closed = false;

  const keyOf = ({ backend, owner }: SessionRequest): SessionKey => ({ backend: backend.name, owner });

  /** What was seen, or what there is now when that is too old. */
  async function present(key: SessionKey, seen: Seen): Promise<SessionSnapshot> {
    const { at } = seen;
    const fresh = !store.volatile && at !== undefined && performance.now() - at < TRUST_MS;
    return fresh && at > ending.changedAt(key) ? seen : store.get(key);
  }

  const accounts = new WeakMap<Account, string>();
  /** Names the account and its credentials: with others, the same key is another account. */
  function accountRef(account: Account): string {
    if (account.key === '') return '';
    const known = accounts.get(account);
    if (known !== undefined) return known;
    const credentials = Object.entries(account.credentials).map(([name, secret]) => [name, secret.reveal()]);
    const ref = fingerprint(JSON.stringify([account.key, credentials.sort()]));
    accounts.set(account, ref);
    return ref;
  }

  /** An account that is refused must not keep the others out. */
  const pauseOf = ({ backend, account }: SessionRequest): string => JSON.stringify([backend.name, account.key]);

  function pause(request: SessionRequest): void {
    if (loginPause.size >= PAUSES) loginPause.delete(loginPause.keys().next().value as string);
    loginPause.set(pauseOf(request), clock.now() + LOGIN_PAUSE_MS);
  }

  async function lease(record: SessionRecord, { backend, owner }: SessionRequest): Promise<Acquired> {
    // A row that was moved under another key names its old owner.
    const belongs = record.owner === owner && record.backend === backend.name;
    const token = belongs ? vault.open(record) : undefined;
    if (token) {
      keepAlive.used(record, token);
      return { ok: true, session: { record, token, release: leases.take(record) } };
    }
    // Its key was retired or somebody has changed it.
    await ending.discard({ backend: backend.name, owner }, record);
    return refuse('session.unavailable', 'the stored session does not open for this owner');
  }

  /** Hands out a record that is not the one decided on, if it is bound to the same place. */
  async function leaseOther(record: SessionRecord, request: SessionRequest): Promise<Acquired> {
    return accountRef(request.account) === record.account && samePlace(record.bound, request.bound)
      ? lease(record, request)
      : refuse('session.changed', 'another call bound the session elsewhere');
  }

  /** Everybody in this process who needs a login for this session at this time shares one. */
  async function share(request: SessionRequest, seen: SessionSnapshot, cause: string): Promise<Acquired> {
    const key = sessionKey(keyOf(request));
    const running = flights.get(key);
    if (!running) {
      const result = open(request, seen, cause).finally(() => flights.delete(key));
      flights.set(key, { result, revocations: seen.revocations, account: request.account });
      return result;
    }
    const result = await running.result;
    // One that began before a revocation gives nothing to who was decided on after it, nor the reverse; and
    // one of another account is nobody else's.
    if (running.revocations !== seen.revocations || running.account !== request.account)
      return share(request, seen, cause);
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
      if ((loginPause.get(pauseOf(request)) ?? 0) > clock.now()) {
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
    const { backend, bound, limit, account } = request;
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
          account: accountRef(account),
          fingerprint: current?.fingerprint ?? fingerprint(id),
        },
        token,
      );
    // Each token is on record before the next step is taken: a crash leaves nothing nobody knows.
    const result = await backend.login(account, (token) =>
      store.checkpoint(key, permit, { record: seal(token), due: issuedAt + leaseMs }),
    );
    if (!result.ok) {
      if (result.code === 'session.login_failed') pause(request);
      if (!current && limit !== undefined) await limits.leave(bound.client_id, key, id).catch(() => undefined);
      events({ type: 'login_failed', backend: backend.name, detail: result.detail });
      if (result.partial) await ending.discardToken(seal(result.partial), 'the login failed');
      return { ...refuse(result.code, result.detail), retryAfterSeconds: result.retryAfterSeconds };
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

  async function renew(record: SessionRecord, token: TokenSecret): Promise<void> {
    const next = vault.seal({ ...record, generation: record.generation + 1, issuedAt: clock.now() }, token);
    const stored = await store.replace(record, record, next).catch(() => false);
    ending.touch(record);
    if (stored) keepAlive.moved(record, next, token);
    if (stored) return events({ type: 'session_renewed', record: next, cause: 'the backend set a new cookie' });
    // Two answers may bring the same new token: the one that is stored is in use.
    const now = await store.get(record).catch(() => undefined);
    if (now?.record?.tokenFingerprint !== next.tokenFingerprint)
      await ending.discardToken(next, 'renewed but not stored');
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

    renew: ({ record }, token) => renew(record, token),

    inTurn: (request, work) => (request.backend.oneAtATime ? turns.run(sessionKey(keyOf(request)), work) : work()),

    ofAccount: (record, account) => record.account === accountRef(account),

    revoke: async (backend, owner, cause) => void (await ending.end({ backend: backend.name, owner }, cause)),

    async revokeAll(selector, cause) {
      await control.revoke(selector);
      return ending.endAll((record) => selects(selector, record), cause);
    },

    sweep: () => ending.sweep(),
    keepAlive: () => keepAlive.tick(),
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

const refuse = (code: RefusalCode, detail: string): Extract<Acquired, { ok: false }> => ({ ok: false, code, detail });
