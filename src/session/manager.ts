// Examine, acquire, rotate, renew and revoke backend sessions, on any number of replicas. Every write is guarded by
// generation and login lock, nothing is opened again once it was revoked, and every backend token that
// is no longer in use is logged out by some replica.
import { samePlace } from './bound.ts';
import {
  type ObservedSession,
  refusedSession,
  type SessionManager,
  type SessionManagerOptions,
  type SessionRequest,
} from './contract.ts';
import { CONTROL_AGE_MS, type Control, isRevoked, selects } from './control.ts';
import { createEnding } from './end/ending.ts';
import { reconcile } from './end/open-entries.ts';
import { createRetirement } from './end/retirement.ts';
import { createAccountRef, createCredentialsRef } from './login/account-ref.ts';
import { createHandOut } from './login/hand-out.ts';
import { createLogins } from './login/logins.ts';
import { sameLogin } from './pending.ts';
import { type SessionKey, type SessionRecord, sessionKey } from './record.ts';
import { createSeen } from './seen.ts';
import { type SessionSnapshot, sameVersion } from './store.ts';
import { createInUse } from './use/in-use.ts';
import { createKeepAlive } from './use/keep-alive.ts';
import { createRenewal } from './use/renewal.ts';
import { createTurns } from './use/turns.ts';
import { createVault } from './vault.ts';

export type {
  Acquired,
  AcquiredSession,
  ObservedSession,
  SessionManager,
  SessionManagerOptions,
  SessionRequest,
} from './contract.ts';

/**
 * A session that was observed less than this ago is used without asking the store again, unless this replica has
 * changed it since. For so long a call on another replica may go on with what it observed before a revocation.
 */
const TRUST_MS = 100;
/** How often it is tried to end a revoked session, because it may be rotated meanwhile. */
const TRIES = 3;
/** How often a replica looks for what others have left behind. */
const SWEEP_MS = 5000;
/** How often sessions are looked through for one that is due for a keep-alive request. */
const KEEP_ALIVE_MS = 1000;

/** Whether the session is the one that was observed: renewed since, perhaps, but not bound otherwise. */
const isObserved = (record: SessionRecord, observed: SessionRecord | undefined): boolean =>
  observed !== undefined && sameLogin(record, observed) && samePlace(record.bound, observed.bound);

/** Makes the session manager of this process. What it promises is in contract.ts. */
export function createSessionManager(options: SessionManagerOptions): SessionManager {
  const { store, control, backends, sealer, fingerprint, clock, events, entries } = options;
  const inUse = createInUse();
  const vault = createVault(sealer, fingerprint);
  const accountRef = createAccountRef(fingerprint);
  const retirement = createRetirement({ store, backends, inUse, vault, clock, events, entries });
  const ending = createEnding({ ...options, retirement });
  const turns = createTurns(store);
  const seen = createSeen();
  const keepAlive = createKeepAlive({
    store,
    backends,
    inUse,
    clock,
    turns,
    apply: (...args) => renewal.apply(...args),
  });
  const renewal = createRenewal({ store, backends, vault, ending, seen, clock, events, onRenewed: keepAlive.moved });
  const handOut = createHandOut({ vault, inUse, keepAlive, ending, accountRef });
  const credentialsRef = createCredentialsRef(fingerprint);
  const logins = createLogins({ ...options, vault, retirement, ending, accountRef, credentialsRef, handOut, seen });

  const keyOf = ({ backend, owner }: SessionRequest): SessionKey => ({ backend: backend.name, owner });

  /** What was observed, or what there is now when that is too old to rely on. */
  async function present(key: SessionKey, observed: ObservedSession): Promise<SessionSnapshot> {
    const { at } = observed;
    const fresh = !store.volatile && at !== undefined && performance.now() - at < TRUST_MS;
    return fresh && at > ending.changedAt(key) ? observed : store.get(key);
  }

  /**
   * What is left when the store has lost the session, or somebody has changed its row: no session, and everything that
   * this replica can still open is logged out.
   */
  async function lost(key: SessionKey, stored: SessionSnapshot, known: SessionRecord | undefined): Promise<void> {
    if (known) await events({ type: 'session_rolled_back', record: stored.record ?? known, newer: known });
    else await events({ type: 'session_damaged', key });
    if (stored.record) await ending.end(key, 'the store went back', stored.record);
    // A row that makes no sense has no version; it is named by its text, so that no newer one is removed.
    else if (stored.damaged !== undefined) await ending.end(key, 'its row makes no sense', { row: stored.damaged });
    if (known) await ending.discardToken(known, 'the store went back');
    seen.forget(key);
  }

  let epoch: string | undefined;
  /** The shared state. After a change of the store's servers, what was seen before says nothing any more. */
  async function shared(): Promise<Control> {
    const state = await control.read(CONTROL_AGE_MS);
    if (epoch !== undefined && epoch !== state.epoch) seen.epochChanged();
    epoch = state.epoch;
    return state;
  }

  let sweeping: Promise<void> | undefined;
  /** One at a time: a sweep over a slow store takes longer than the time between two. */
  function sweep(): Promise<void> {
    sweeping ??= (async () => {
      await renewal.retry().catch(() => undefined);
      await ending.sweep();
    })().finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  }

  return {
    async examine(key, stored, at = performance.now()) {
      if (stored.record && sessionKey(stored.record) !== sessionKey(key)) {
        await ending.discard(key, stored.record);
        // The session that stood there before is not lost with its row, if this replica has seen it.
        const before = seen.lost(key, { ...stored, record: undefined, damaged: '' }, at);
        if (before) await ending.discardToken(before, 'its row was replaced');
        throw new Error('the stored session is of another owner');
      }
      const state = await shared();
      const known = seen.lost(key, stored, at);
      if (stored.damaged !== undefined || known) {
        await lost(key, stored, known);
        return { ...(await store.get(key)), record: undefined, at, forgotten: true };
      }
      if (stored.record) seen.note(stored.record, stored.revocations, at);
      if (!stored.record || !isRevoked(state, stored.record)) return { ...stored, at };
      for (let i = 0; i < TRIES; i++) {
        await ending.end(key, 'revoked', i === 0 ? stored.record : undefined);
        const now = await store.get(key);
        if (!now.record || !isRevoked(await control.read(0), now.record)) return { ...now, at };
      }
      throw new Error('the session is revoked and does not end');
    },

    async look(key) {
      const at = performance.now();
      return this.examine(key, await store.get(key), at);
    },

    async acquire(request, observed) {
      const { record } = await present(keyOf(request), observed);
      if (record) return handOut[isObserved(record, observed.record) ? 'own' : 'other'](record, request);
      // There was a session and it is gone: a new login would bring back what somebody has revoked.
      if (observed.record) return refusedSession('session.revoked', 'the session is gone');
      return logins.share(request, observed, 'first call');
    },

    async rotate(request, observed, cause, anyNewer = false) {
      let from: ObservedSession = observed;
      for (let i = 0; i < TRIES; i++) {
        const result = await logins.share(request, from, cause);
        if (!result.ok || !from.record) return result;
        // A shared login that had begun before this generation existed can hand out the very one that is to be
        // replaced, and an answer may have renewed the session meanwhile, which is no rotation.
        const { record } = result.session;
        if (anyNewer ? !sameVersion(record, from.record) : !sameLogin(record, from.record)) return result;
        result.session.release();
        from = { record, revocations: observed.revocations };
      }
      return refusedSession('session.changed', 'the backend renewed the session while it was to be rotated');
    },

    changed: ({ record, backendToken }, changes, ended, decision) =>
      renewal.apply({ record, backendToken, decision }, changes, ended),

    inTurn: (request, work) =>
      request.backend.oneAtATime
        ? turns.run(keyOf(request), work, () =>
            refusedSession('session.unavailable', 'other calls of this session take too long'),
          )
        : work(),

    ofAccount: (record, account) => record.account === accountRef(account),

    revoke: async (backend, owner, cause) => void (await ending.end({ backend: backend.name, owner }, cause)),

    async revokeAll(selector, cause) {
      const meant = (record: SessionRecord) => selects(selector, record);
      // Another replica may end some of them first, and they have ended because of this all the same.
      const listed = ending.list(meant);
      await control.revoke(selector);
      const ended = await ending.endAll(meant, cause);
      return new Set([...(await listed), ...ended]).size;
    },

    sweep,
    keepAlive: () => keepAlive.tick(),
    start() {
      // One that fails is tried again at the next tick.
      const timers = [
        setInterval(() => void sweep().catch(() => {}), SWEEP_MS),
        setInterval(() => void keepAlive.tick().catch(() => {}), KEEP_ALIVE_MS),
      ];
      for (const timer of timers) timer.unref();
      // What an earlier process of this replica has left behind is on record soon after the start.
      void sweep().catch(() => {});
      return () => timers.forEach(clearInterval);
    },
    settled: () => retirement.settled(),

    async close() {
      // One backend that does not answer a login must not keep the sessions of the others.
      const endAll = async () => void (store.volatile && (await ending.endAll(() => true, 'shutdown')));
      await Promise.all([logins.close(), endAll()]);
      await renewal.retry().catch(() => undefined);
      await endAll();
      await retirement.settled();
      await reconcile(options).catch(() => undefined);
    },
  };
}
