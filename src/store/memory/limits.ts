import type { Clock } from '../../core/clock.ts';
import { createKeyedMutex } from '../../core/mutex.ts';
import type { Holder, SessionLimits } from '../../session/limits.ts';
import { type SessionKey, sessionKey } from '../../session/record.ts';

interface Place {
  key: SessionKey;
  id: string;
  until: number;
}

/**
 * The places for sessions, by client id. A place whose session does not live is free again once its lease is
 * over.
 */
export function createMemoryLimits(clock: Clock, lives: (key: SessionKey) => Promise<boolean>): SessionLimits {
  const places = new Map<string, Map<string, Place>>();
  const mutex = createKeyedMutex();
  return {
    take: (holder, session, id, limit, leaseMs) =>
      mutex.run(nameOf(holder), async () => {
        const taken = places.get(nameOf(holder)) ?? new Map<string, Place>();
        places.set(nameOf(holder), taken);
        const name = sessionKey(session);
        if (taken.size >= limit && !taken.has(name)) {
          for (const [other, { key, until }] of taken)
            if (until <= clock.now() && !(await lives(key))) taken.delete(other);
        }
        if (taken.size >= limit && !taken.has(name)) return false;
        taken.set(name, { key: session, id, until: clock.now() + leaseMs });
        return true;
      }),
    async leave(holder, session, id) {
      const taken = places.get(nameOf(holder));
      if (taken?.get(sessionKey(session))?.id === id) taken.delete(sessionKey(session));
      if (taken?.size === 0) places.delete(nameOf(holder));
    },
  };
}

const nameOf = ({ issuer, bound }: Holder): string => JSON.stringify([issuer, bound.client_id]);
