// how many sessions one client id may have at the same time, over all its subjects, backends and
// replicas. Counted when a place is taken, in one step: two logins at once cannot both be the last.
import type { ClientId } from '../identity/client.ts';
import type { SessionKey } from './record.ts';

export interface SessionLimits {
  /**
   * Takes a place for the session. False when `limit` others are taken by sessions that live, or by
   * logins whose lease has not ended. A session that has a place already keeps it, whatever the limit.
   */
  take(client: ClientId, session: SessionKey, id: string, limit: number, leaseMs: number): Promise<boolean>;
  /** Gives the place back, unless a session with another id has taken it since. */
  leave(client: ClientId, session: SessionKey, id: string): Promise<void>;
}
