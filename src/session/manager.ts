// Acquire, rotate, revoke. One login for any number of callers that need one, every write
// guarded by the generation, and no session minted once it was revoked.
import { randomBytes } from 'node:crypto';
import type { BackendPort, BackendToken, TokenSecret } from '../backend/port.ts';
import type { Clock } from '../core/clock.ts';
import { createKeyedMutex } from '../core/mutex.ts';
import { Secret } from '../core/secret.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Bound } from '../decision/schema.ts';
import type { SessionEvents } from './events.ts';
import { createLeases } from './leases.ts';
import { type SessionRecord, sessionKey } from './record.ts';
import type { Fingerprint, Sealer } from './sealing.ts';
import type { SessionStore } from './store.ts';

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

export interface SessionManager {
  peek(backend: string, owner: string): Promise<SessionRecord | undefined>;
  /**
   * The current session, or a new login when there is none. `decidedOn` is the generation the
   * decision saw (null: no session): a session that has gone since was revoked, and the call that
   * was allowed on it does not bring it back.
   */
  acquire(request: SessionRequest, decidedOn: number | null): Promise<Acquired>;
  /**
   * A session newer than `from`: whoever comes first logs in, all others get the result. A session
   * that is gone was revoked, and is not brought back.
   */
  rotate(request: SessionRequest, from: number, cause: string): Promise<Acquired>;
  /** The backend changed the token in an answer: the same session, one generation on. */
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
const OPENED_TOKENS = 10_000;

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
  const opened = new Map<string, TokenSecret>();

  const refuse = (code: RefusalCode, detail: string): Acquired => ({ ok: false, code, detail });

  function lease(record: SessionRecord): Acquired {
    const token = open(record);
    if (!token)
      return refuse('session.unavailable', 'the stored token does not open for this owner, session and generation');
    return { ok: true, session: { record, token, release: leases.take(leaseKey(record)) } };
  }

  /** Opening costs a decryption; the sealed text is the key, so a changed record is opened anew. */
  function open(record: SessionRecord): TokenSecret | undefined {
    const key = `${context(record)} ${record.sealed}`;
    const known = opened.get(key);
    if (known) return known;
    const plain = sealer.open(record.sealed, context(record));
    if (!plain) return undefined;
    const token = new Secret(JSON.parse(plain.toString('utf8')) as BackendToken);
    if (opened.size >= OPENED_TOKENS) opened.delete(opened.keys().next().value as string);
    opened.set(key, token);
    return token;
  }

  function seal(record: Omit<SessionRecord, 'sealed' | 'tokenFingerprint'>, token: TokenSecret): SessionRecord {
    const text = JSON.stringify(token.reveal());
    return { ...record, sealed: sealer.seal(Buffer.from(text), context(record)), tokenFingerprint: fingerprint(text) };
  }

  /** Everybody who needs a login for this session at this time shares one. */
  async function share(key: string, work: () => Promise<Acquired>): Promise<Acquired> {
    const running = flights.get(key);
    if (!running) {
      const flight = mutex.run(key, work).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    }
    const result = await running;
    return result.ok ? lease(result.session.record) : result;
  }

  async function login(
    { backend, owner, bound }: SessionRequest,
    current: SessionRecord | undefined,
    cause: string,
  ): Promise<Acquired> {
    if ((loginPause.get(backend.name) ?? 0) > clock.now())
      return refuse('session.login_failed', 'a login was refused moments ago');
    const result = await backend.login();
    if (!result.ok) {
      if (result.code === 'session.login_failed') loginPause.set(backend.name, clock.now() + LOGIN_PAUSE_MS);
      events({ type: 'login_failed', backend: backend.name, detail: result.detail });
      return refuse(result.code, result.detail);
    }
    const now = clock.now();
    const id = current?.id ?? randomBytes(16).toString('base64url');
    const record = seal(
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
    let stored = false;
    try {
      stored = await store.compareAndSet(sessionKey(backend.name, owner), current?.generation ?? null, record);
    } finally {
      // A login nobody can find again must not stay alive at the backend.
      if (!stored) retire(backend, record, result.token, 'not stored');
    }
    if (!stored) {
      const winner = await store.get(sessionKey(backend.name, owner));
      return winner ? lease(winner) : refuse('session.revoked', 'the session was revoked during its login');
    }
    events({ type: current ? 'session_rotated' : 'session_opened', record, cause });
    if (current) {
      const old = open(current);
      if (old) retire(backend, current, old, cause);
    }
    return lease(record);
  }

  /** Lets calls in flight finish, bounded, then logs the old backend session out. */
  function retire(backend: BackendPort, record: SessionRecord, token: TokenSecret, cause: string): void {
    const work = (async () => {
      const drained = await leases.drained(leaseKey(record), backend.drainMs);
      opened.delete(`${context(record)} ${record.sealed}`);
      const proof = await backend.logout(token).catch(() => 'residual' as const);
      events({ type: 'session_ended', record, cause, proof, drained });
    })().finally(() => retiring.delete(work));
    retiring.add(work);
  }

  const settled = async (): Promise<void> => {
    while (retiring.size > 0) await Promise.allSettled(retiring);
  };

  return {
    peek: (backend, owner) => store.get(sessionKey(backend, owner)),

    async acquire(request, decidedOn) {
      const key = sessionKey(request.backend.name, request.owner);
      const current = await store.get(key);
      if (current) return lease(current);
      if (decidedOn !== null) return refuse('session.revoked', 'the session is gone');
      return share(key, async () => {
        const present = await store.get(key);
        return present ? lease(present) : login(request, undefined, 'first call');
      });
    },

    async rotate(request, from, cause) {
      const key = sessionKey(request.backend.name, request.owner);
      const attempt = () =>
        share(key, async () => {
          const present = await store.get(key);
          if (!present) return refuse('session.revoked', 'the session is gone');
          return present.generation === from ? login(request, present, cause) : lease(present);
        });
      const first = await attempt();
      // A flight that had begun before this generation existed can hand out the very one to replace.
      if (!first.ok || first.session.record.generation !== from) return first;
      first.session.release();
      return attempt();
    },

    async renew({ record }, token) {
      const next = seal({ ...record, generation: record.generation + 1, issuedAt: clock.now() }, token);
      const stored = await store.compareAndSet(sessionKey(record.backend, record.owner), record.generation, next);
      // Not stored: someone rotated or revoked meanwhile, and their word holds.
      if (stored) events({ type: 'session_renewed', record: next, cause: 'the backend set a new cookie' });
    },

    async revoke(backend, owner, cause) {
      const key = sessionKey(backend.name, owner);
      await mutex.run(key, async () => {
        const record = await store.remove(key);
        if (!record) return;
        events({ type: 'session_revoked', record, cause });
        const token = open(record);
        if (token) retire(backend, record, token, cause);
      });
    },

    settled,

    async close() {
      for (const record of await store.volatileRecords()) {
        const backend = backends.get(record.backend);
        if (backend) await this.revoke(backend, record.owner, 'shutdown');
      }
      await settled();
    },
  };
}

const leaseKey = (record: SessionRecord): string => `${record.id}:${record.generation}`;

/** AAD of the seal: owner, session, generation, and the backend the token is meant for. */
const context = ({
  owner,
  id,
  generation,
  backend,
}: Pick<SessionRecord, 'owner' | 'id' | 'generation' | 'backend'>): string =>
  JSON.stringify([owner, id, generation, backend]);
