import { join } from 'node:path';
import type { BackendToken } from '../../src/backend/port.ts';
import { Secret } from '../../src/core/secret.ts';
import { createFingerprint, createSealer } from '../../src/keyring/sealing.ts';
import type { OpenEntry, SessionRecord } from '../../src/session/record.ts';
import { createVault } from '../../src/session/vault.ts';
import { openEntriesFile } from '../../src/store/open-entries-file.ts';
import { parseRow } from '../../src/store/redis/sessions/row.ts';
import { decisionLog } from '../support/decision-log.ts';
import type { Cluster } from '../support/replicas.ts';

/** What the store knows: the backend tokens that can be opened, logins under way, and the logins of all rows. */
export interface Known {
  ids: Set<string>;
  loginsUnderWay: number;
  logins: Set<string>;
}

const loginOf = ({ fingerprint, login }: SessionRecord): string => `${fingerprint} ${login}`;

/** Opens everything in the store with the keys in the keyring file, and with those that were retired meanwhile. */
export async function readStore(cluster: Cluster, keys: ReadonlyMap<string, string>): Promise<Known> {
  const secrets = [...keys].map(([id, key]) => ({ id, secret: new Secret(Buffer.from(key, 'base64')) }));
  const vault = createVault(
    createSealer(() => secrets, 'session'),
    createFingerprint(new Secret(Buffer.alloc(32))),
  );
  const known: Known = { ids: new Set(), loginsUnderWay: 0, logins: new Set() };
  const take = (row: string): void => {
    const record = parseRow(row);
    if (!record) return;
    known.logins.add(loginOf(record));
    const token: BackendToken | undefined = vault.open(record)?.reveal();
    for (const cookie of (token?.cookies ?? []) as { value: string }[]) known.ids.add(cookie.value);
  };
  const { command } = cluster.redis;
  for (const key of (await command('KEYS', 'sallyport:2:*:session:*')) as string[])
    take(String((await command('GET', key)) ?? ''));
  for (const key of (await command('KEYS', 'sallyport:2:*:superseded:*')) as string[])
    for (const row of (await command('HVALS', key)) as string[]) take(row);
  for (const key of (await command('KEYS', 'sallyport:2:*:pending:*')) as string[]) {
    const flat = (await command('HGETALL', key)) as string[];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      if (flat[i]?.startsWith('login ')) known.loginsUnderWay += 1;
      take((flat[i + 1] ?? '').replace(/^\d+ /, ''));
    }
  }
  return known;
}

/** Open logins that the replicas have noted, each once, and which no row in the store answers for. */
export function openLogins(cluster: Cluster, { logins }: Known): OpenEntry[] {
  const entries = new Map<string, OpenEntry>();
  for (const { state } of cluster.replicas)
    for (const entry of openEntriesFile(join(state, 'open-logins.jsonl'), () => {}).all())
      if (!logins.has(`${entry.session} ${entry.login}`)) entries.set(`${entry.session} ${entry.login}`, entry);
  return [...entries.values()];
}

/** How many sessions the logs say may have been left behind. */
export function onRecord(cluster: Cluster): number {
  let count = 0;
  for (const state of new Set(cluster.replicas.map((replica) => replica.state))) {
    for (const record of decisionLog(state, 'event')) if (record.residual === true) count += record.count ?? 1;
  }
  return count;
}

/** Logins at the legacy system that live and of which the store has no backend token. */
export function unknownLogins(cluster: Cluster, { ids }: Known): Set<string> {
  const { live } = cluster.legacy.stats();
  return new Set(live.filter(({ id }) => !ids.has(id)).map(({ login, id }) => `${login} ${id}`));
}
