// Who did something, as every record of it says.
import type { EventRecord } from '../records.ts';

/** What an operator did: under which name, from where, and why. */
export interface Act {
  operator: string;
  reason: string;
  ip: string;
}

/** What an event says besides its name and time. */
export type Fields = Omit<EventRecord, 'type' | 'event' | 'timestamp'>;

/** Who acted, from where and why. */
export const actFields = ({ operator, reason, ip }: Act): Fields => ({ operator, reason, requested_by: ip });
