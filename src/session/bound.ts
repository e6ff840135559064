// The place that a session is bound to. It has one slot for each address family: a dual-stack client has a place in
// both, and an address of one family is no evidence about the other.
import type { Bound } from '../decision/schema.ts';
import type { ClientId } from '../identity/client.ts';

/**
 * Where a call comes from: who the client is, the thumbprint of its key (null when it proved none), and its address.
 */
export interface Place {
  client_id: ClientId;
  subject: string;
  key: string | null;
  ip: string;
  network: string;
}

const family = (network: string): 'ipv4' | 'ipv6' => (network.includes(':') ? 'ipv6' : 'ipv4');

/**
 * What a session is bound to when this call opens or rotates it. The slot of the other address family is kept, as
 * long as client id, subject and key are the same. A client that proves its key keeps the networks it comes from: behind
 * two exits of a proxy it would otherwise log in at every other call.
 */
export function boundTo(place: Place, before: Bound | undefined): Bound {
  const { client_id, subject, key, ip, network } = place;
  const same = before?.client_id === client_id && before.subject === subject && before.key === key;
  const slots = same ? { ipv4: before.ipv4, ipv6: before.ipv6 } : { ipv4: null, ipv6: null };
  const bound = { client_id, subject, key, ...slots, [family(network)]: { ip, network } };
  if (!same || key === null) return bound;
  const left = [slots[family(network)]?.network, ...(before.networks ?? [])];
  const networks = [...new Set(left)].filter((other) => other !== undefined && other !== network).slice(0, FURTHER);
  return networks.length === 0 ? bound : { ...bound, networks: networks as string[] };
}

/** Most networks of a session besides those in its slots. */
const FURTHER = 3;

/**
 * Whether a session bound like `bound` may serve a call that would bind it like `wanted`, although no decision has
 * looked at that session. Every part must be equal.
 */
export function samePlace(bound: Bound, wanted: Bound): boolean {
  return bound === wanted || JSON.stringify(parts(bound)) === JSON.stringify(parts(wanted));
}

const parts = ({ client_id, subject, key, ipv4, ipv6, networks = [] }: Bound) => [
  client_id,
  subject,
  key,
  ipv4?.ip,
  ipv4?.network,
  ipv6?.ip,
  ipv6?.network,
  networks,
];
