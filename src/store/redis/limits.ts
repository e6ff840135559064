// How many sessions a client id has, in Redis: one place for each session, taken in one step.
import type { Clock } from '../../core/clock.ts';
import type { ClientRef } from '../../identity/client.ts';
import type { SessionLimits } from '../../session/limits.ts';
import type { SessionKey } from '../../session/record.ts';
import type { SessionStore } from '../../session/store.ts';
import type { RedisConnection } from './connection.ts';
import type { Keys } from './keys.ts';
import { ROW_TTL_MS } from './sessions/row.ts';
import { LEAVE_PLACE, LEAVE_PLACES, TAKE_PLACE } from './sessions/sessions.lua.ts';

export interface RedisLimitsOptions {
  connection: RedisConnection;
  keys: Keys;
  clock: Clock;
  /** Tells whether the session of a place still lives. */
  sessions: SessionStore;
}

/**
 * The places for sessions. When none is free, those whose lease is over and whose session is gone are given
 * free.
 */
export function createRedisLimits({ connection: { run }, keys, clock, sessions }: RedisLimitsOptions): SessionLimits {
  const place = ({ owner, backend }: SessionKey) => JSON.stringify([owner, backend]);
  return {
    async take({ issuer, bound }, session, id, limit, leaseMs) {
      const places = keys.places(issuer, bound.client_id);
      const attempt = async () => {
        const args = [place(session), limit, clock.now(), leaseMs, ROW_TTL_MS, id];
        return (await run(TAKE_PLACE, [places], args)) as [number, string[]];
      };
      const [taken, stale] = await attempt();
      if (taken === 1) return true;
      const lives = async (each: string) => {
        const [owner, backend] = JSON.parse(each) as [ClientRef, string];
        return (await sessions.get({ owner, backend })).record !== undefined;
      };
      const living = await Promise.all(stale.map(lives));
      const gone = stale.filter((_, i) => !living[i]);
      if (gone.length === 0) return false;
      await run(LEAVE_PLACES, [places], gone);
      return (await attempt())[0] === 1;
    },
    async leave({ issuer, bound }, session, id) {
      await run(LEAVE_PLACE, [keys.places(issuer, bound.client_id)], [place(session), id]);
    },
  };
}
