// Keeps idle sessions from timing out at a backend, for a while after their last call. No call of a client
// and no use of the session: what the policy says about age, idle time and uses holds as before.

import type { BackendPort, BackendTokenSecret } from '../backend/port.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { KeyedMutex } from '../core/mutex.ts';
import type { InUse } from './in-use.ts';
import { type SessionRecord, sessionKey } from './record.ts';
import { type SessionStore, sameVersion } from './store.ts';

export interface KeepAlive {
  /** A call is using the session now. */
  used(record: SessionRecord, backendToken: BackendTokenSecret): void;
  /** The session goes on with another token. */
  moved(from: SessionRecord, to: SessionRecord, backendToken: BackendTokenSecret): void;
  /** Gives every session a sign of life whose time has come. */
  tick(): Promise<void>;
}

export interface KeepAliveOptions {
  store: Pick<SessionStore, 'get'>;
  backends: ReadonlyMap<string, BackendPort>;
  inUse: InUse;
  clock: Clock;
  /** Those in which calls of a session wait for each other. */
  turns: KeyedMutex;
  renew: (record: SessionRecord, backendToken: BackendTokenSecret) => Promise<void>;
}

interface Kept {
  record: SessionRecord;
  backendToken: BackendTokenSecret;
  usedAt: number;
  keptAliveAt: number;
}

const SESSIONS = 10_000;
const AT_ONCE = 8;

export function createKeepAlive({ store, backends, inUse, clock, turns, renew }: KeepAliveOptions): KeepAlive {
  const kept = new BoundedCache<string, Kept>(SESSIONS);
  let ticking = false;

  async function keepOneAlive(key: string, entry: Kept, backend: BackendPort): Promise<void> {
    const { record, backendToken } = entry;
    const now = (await store.get(record)).record;
    // Rotated, ended, or gone on elsewhere: whoever uses it now keeps it alive.
    if (!sameVersion(now, record)) return void kept.delete(key);
    entry.keptAliveAt = clock.now();
    const release = inUse.take(record);
    try {
      const result = await backend.keepAlive(backendToken);
      // It came too late. The next call finds out, and logs in anew.
      if (result.kind === 'expired') kept.delete(key);
      else if (result.renewed) await renew(record, result.renewed);
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
      // A slow backend must not have the next round begin before this one has ended.
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
            // A call that is under way is a sign of life, too.
            if (backend.oneAtATime && turns.busy(key)) continue;
            await (backend.oneAtATime ? turns.run(key, work) : work()).catch(() => {});
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, worker));
      } finally {
        ticking = false;
      }
    },
  };
}
