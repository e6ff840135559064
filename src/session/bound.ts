// Where a session is at home. One slot for each address family: a dual-stack client has one place in
// both, and neither is evidence for the other.
import type { Bound } from '../decision/schema.ts';
import type { ClientId } from '../identity/client.ts';

export interface Place {
  client_id: ClientId;
  subject: string;
  key: string | null;
  ip: string;
  network: string;
}

const family = (network: string): 'ipv4' | 'ipv6' => (network.includes(':') ? 'ipv6' : 'ipv4');

/** What a session that is opened or rotated from here is bound to. The slot of the other family stays. */
export function boundTo(place: Place, before: Bound | undefined): Bound {
  const { client_id, subject, key, ip, network } = place;
  const same = before?.client_id === client_id && before.subject === subject && before.key === key;
  const slots = same ? { ipv4: before.ipv4, ipv6: before.ipv6 } : { ipv4: null, ipv6: null };
  return { client_id, subject, key, ...slots, [family(network)]: { ip, network } };
}

/** Whether a session bound like `bound` serves, without a decision of its own, a call that would bind to `wanted`. */
export function samePlace(bound: Bound, wanted: Bound): boolean {
  return JSON.stringify(parts(bound)) === JSON.stringify(parts(wanted));
}

const parts = ({ client_id, subject, key, ipv4, ipv6 }: Bound) => [
  client_id,
  subject,
  key,
  ipv4?.ip,
  ipv4?.network,
  ipv6?.ip,
  ipv6?.network,
];
