// Who may log in, and who waits. In this process all calls that need a login for one session at the same time share
// one; over all replicas the login lock of the store lets one of them through.

import type { Account } from '../../backend/accounts.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import { type Acquired, refusedSession, type SessionRequest } from '../contract.ts';
import type { Cause } from '../events.ts';
import { type SessionKey, sessionKey } from '../record.ts';
import type { SessionSnapshot } from '../store.ts';
import type { HandOut } from './hand-out.ts';
import { createLogin, type LoggedIn, type LoginOptions } from './login.ts';

/**
 * How long this replica tries no further login with an account that the backend has refused. More failures could lock
 * the account, which would help nobody.
 */
const LOGIN_PAUSE_MS = 5000;
/** What the lease of a login lock has on top of the time a login may take, for asking the store before and after. */
const LEASE_MARGIN_MS = 2000;
/** Most accounts whose pause is remembered. */
const PAUSES = 10_000;
/** How long to wait, on average, before the login lock that another replica holds is tried again. */
const WAIT_MS = 25;

export interface Logins {
  /** A session of a new login, which may be the login of another call that needs the same one. */
  share(request: SessionRequest, observed: SessionSnapshot, cause: Cause): Promise<Acquired>;
  /** No login begins any more; resolves when those under way have ended. */
  close(): Promise<void>;
}

export type LoginsOptions = Omit<LoginOptions, 'onRefused'> & { handOut: HandOut };

interface UnderWay {
  result: Promise<Acquired>;
  revocations: number;
  account: Account;
}

export function createLogins(options: LoginsOptions): Logins {
  const { store, clock, handOut } = options;
  const underWay = new Map<string, UnderWay>();
  /** By backend and account: an account whose password is wrong must not keep the other accounts out. */
  const pausedUntil = new BoundedCache<string, number>(PAUSES);
  const pauseKey = ({ backend, account }: SessionRequest): string => JSON.stringify([backend.name, account.key]);
  const login = createLogin({
    ...options,
    onRefused: (request) => void pausedUntil.set(pauseKey(request), clock.now() + LOGIN_PAUSE_MS),
  });
  let closed = false;

  async function share(request: SessionRequest, observed: SessionSnapshot, cause: Cause): Promise<Acquired> {
    const { revocations } = observed;
    const { account } = request;
    const key = sessionKey(keyOf(request));
    const running = underWay.get(key);
    if (!running) {
      const result = lockAndLogIn(request, observed, cause).finally(() => underWay.delete(key));
      underWay.set(key, { result, revocations, account });
      return result;
    }
    const result = await running.result;
    // A login that began before a revocation must not serve a call that was decided after it, nor the other way
    // round; and the login of another account is nobody else's.
    if (running.revocations !== revocations || running.account !== account) return share(request, observed, cause);
    return result.ok ? handOut.other(result.session.record, request) : result;
  }

  /** Takes the login lock and logs in, or waits for the replica that holds the lock. */
  async function lockAndLogIn(request: SessionRequest, observed: SessionSnapshot, cause: Cause): Promise<Acquired> {
    const key = keyOf(request);
    const leaseMs = request.backend.loginLimitMs + LEASE_MARGIN_MS;
    const end = performance.now() + leaseMs;
    for (;;) {
      if (closed) return refusedSession('session.unavailable', 'the connector is stopping');
      if ((pausedUntil.get(pauseKey(request)) ?? 0) > clock.now())
        return refusedSession('session.login_failed', 'a login was refused moments ago');
      const lock = await store.lockLogin(key, observed, leaseMs).catch(() => undefined);
      if (!lock) return refusedSession('session.unavailable', 'the store did not answer');
      switch (lock.kind) {
        case 'changed':
          return handOut.instead(observed, lock.now, request);
        case 'paused':
          return refusedSession('session.login_failed', `a login failed moments ago (${lock.code})`);
        case 'locked':
          return logInWith(lock.lockId, { request, observed, leaseMs, cause }, key);
        case 'held':
          if (performance.now() > end) return refusedSession('session.unavailable', 'another login takes too long');
          // The winner's session shows as `changed`. The time varies, so that replicas do not ask in step.
          await new Promise((resolve) => setTimeout(resolve, WAIT_MS * (0.5 + Math.random())));
          break;
        default:
          lock satisfies never;
      }
    }
  }

  /** A login that came to nothing gives its lock back, and tells the other replicas to pause when it was refused. */
  async function logInWith(lockId: string, turn: Omit<Parameters<typeof login>[0], 'lockId'>, key: SessionKey) {
    const result: LoggedIn = await login({ ...turn, lockId }).catch(() =>
      refusedSession('session.unavailable', 'the store failed during the login'),
    );
    if (!result.ok && !result.unnoted) {
      const refused = result.code === 'session.login_failed';
      await store
        .unlockLogin(key, lockId, refused ? { code: result.code, ms: LOGIN_PAUSE_MS } : undefined)
        .catch(() => undefined);
    }
    return result;
  }

  return {
    share,
    async close() {
      closed = true;
      await Promise.allSettled([...underWay.values()].map(({ result }) => result));
    },
  };
}

const keyOf = ({ backend, owner }: SessionRequest): SessionKey => ({ backend: backend.name, owner });
