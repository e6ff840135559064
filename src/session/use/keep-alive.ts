// Keeps idle sessions from timing out at a backend, for a while after their last call. A keep-alive request is not a
// call of the client and does not count as a use of the session. When its answer changes the cookie, the session is
// renewed as after a call.

import type { BackendPort, BackendTokenSecret } from '../../backend/port.ts';
import { BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { type SessionRecord, sessionKey } from '../record.ts';
import { type SessionStore, sameVersion } from '../store.ts';
import type { InUse } from './in-use.ts';
import type { Renewal } from './renewal.ts';
import type { Turns } from './turns.ts';

/**
 * The sessions of this process that are kept alive. Nothing is kept for a backend that wants no keep-alive requests.
 */
export interface KeepAlive {
  /** Notes that a call is using the session now. */
  used(record: SessionRecord, backendToken: BackendTokenSecret): void;
  /** Notes that the session goes on with another backend token. */
  moved(from: SessionRecord, to: SessionRecord, backendToken: BackendTokenSecret): void;
  /**
   * Sends a keep-alive request for every session whose time has come. It does nothing while an earlier round is
   * running.
   */
  tick(): Promise<void>;
}

/** What keeping sessions alive works with. */
export interface KeepAliveOptions {
  store: Pick<SessionStore, 'get'>;
  backends: ReadonlyMap<string, BackendPort>;
  inUse: InUse;
  clock: Clock;
  /** The turns in which the calls of one session wait for each other. Keep-alive requests take the same turns. */
  turns: Turns;
  /** Takes in what an answer has changed; see `Renewal.apply`. */
  apply: Renewal['apply'];
}

interface Kept {
  record: SessionRecord;
  backendToken: BackendTokenSecret;
  usedAt: number;
  keptAliveAt: number;
}

/** Most sessions that are kept alive; the one that was not used for the longest time is dropped first. */
const SESSIONS = 10_000;
/** Most keep-alive requests at the same time. */
const AT_ONCE = 8;

/** Makes an empty set of sessions. Requests are sent only by `tick`. */
export function createKeepAlive({ store, backends, inUse, clock, turns, apply }: KeepAliveOptions): KeepAlive {
  const kept = new BoundedCache<string, Kept>(SESSIONS);
  let ticking = false;

  async function keepOneAlive(key: string, entry: Kept, backend: BackendPort): Promise<void> {
    const { record, backendToken } = entry;
    const now = (await store.get(record)).record;
    // The session was rotated, has ended, or was renewed elsewhere. Whoever uses it now keeps it alive.
    if (!sameVersion(now, record)) return void kept.delete(key);
    entry.keptAliveAt = clock.now();
    const release = inUse.take(record);
    try {
      const result = await backend.keepAlive(backendToken);
      // The request came too late. The next call finds the session ended, and logs in anew.
      if (result.kind === 'expired') kept.delete(key);
      await apply({ record, backendToken }, result, result.kind === 'expired');
    } finally {
      release();
    }
  }

  return {
    used(record, backendToken) {
      if (!backends.get(record.backend)?.keepAliveTimes) return;
      const now = clock.now();
      kept.set(sessionKey(record), { record, backendToken, usedAt: now, keptAliveAt: now });
    },

    moved(from, to, backendToken) {
      const entry = kept.get(sessionKey(from));
      if (!entry || !sameVersion(entry.record, from)) return;
      entry.record = to;
      entry.backendToken = backendToken;
    },

    async tick() {
      // When a backend is slow, the next round must not begin before this one has ended.
      if (ticking) return;
      ticking = true;
      try {
        const due: [string, Kept, BackendPort][] = [];
        for (const [key, entry] of kept) {
          const backend = backends.get(entry.record.backend);
          const now = clock.now();
          if (!backend?.keepAliveTimes || now - entry.usedAt > backend.keepAliveTimes.forMs) kept.delete(key);
          else if (now - entry.keptAliveAt >= backend.keepAliveTimes.everyMs) due.push([key, entry, backend]);
        }
        const worker = async () => {
          for (let next = due.pop(); next; next = due.pop()) {
            const [key, entry, backend] = next;
            const work = () => keepOneAlive(key, entry, backend);
            // A call that is under way keeps the session alive, too.
            await (backend.oneAtATime ? turns.runIfFree(entry.record, work) : work()).catch(() => {});
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
      } finally {
        ticking = false;
      }
    },
  };
}
