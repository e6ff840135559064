// The shape of an attack: what is done to the connector, the expected result, and how the actual result is obtained.
import { createHash } from 'node:crypto';
import { KEYS_ISSUER } from '../../src/identity/keys.ts';
import { until } from '../support/harness.ts';
import type { Cluster, ClusterOptions, Replica } from '../support/replicas.ts';

export interface Attack {
  /** Number in the list of attacks the project replays. */
  id: number;
  title: string;
  expected: string;
  /** Carries the attack out and returns its result, worded so that it can be compared with `expected`. */
  run(cluster: Cluster): Promise<string>;
}

/** Attacks that share two replicas, one Redis and one legacy application. */
export interface AttackGroup {
  name: string;
  options?: Partial<ClusterOptions>;
  attacks: Attack[];
}

/**
 * Adds a client and waits until every replica accepts its API key. The waiting calls come from a separate network,
 * so that refused credentials do not count against the networks that the attacks use.
 */
export async function known(cluster: Cluster, id: string, roles?: string[]): Promise<string> {
  const key = cluster.addClient(id, roles);
  for (const replica of cluster.replicas) {
    if (replica.child.killed) continue;
    const accepted = async () => (await cluster.rpc(replica, 'ping', {}, { key, ip: '198.51.100.1' })).status === 200;
    await until(accepted, `${id} to be known`);
  }
  return key;
}

/** The ref of a client that uses an API key. */
export const refOf = (id: string): string =>
  createHash('sha256')
    .update(JSON.stringify([KEYS_ISSUER, id, id]))
    .digest('hex');

/** The Redis key of its stored session. */
export const rowOf = (id: string): string => `sallyport:2:{${refOf(id)}}:session:inventory`;

/** Reason codes of a recorded decision. */
export const codesOf = ({ reasons }: { reasons: { code: string }[] }): string[] => reasons.map(({ code }) => code);

/** Ends sessions through the admin listener of a replica. */
export async function revoke(cluster: Cluster, at: Replica, selector: object): Promise<void> {
  await fetch(new URL('/revocations', at.adminUrl), {
    method: 'POST',
    headers: { authorization: `Bearer ${cluster.adminToken}` },
    body: JSON.stringify({ ...selector, reason: 'a drill' }),
  });
}

export const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

/** A stored row: its first line, and the record after it. */
export function split(row: string): { head: string; record: { id: string; sealed: string } } {
  const end = row.indexOf('\n');
  return { head: row.slice(0, end), record: JSON.parse(row.slice(end + 1)) };
}
