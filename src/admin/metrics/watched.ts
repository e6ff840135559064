// What the metrics ask of the parts of a connector, put together.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from '../../config/load.ts';
import type { Replicas } from '../../life/replicas.ts';
import type { SessionStore } from '../../session/store.ts';
import type { Ending, Watched } from './state.ts';

/** How long a count of sessions holds: all of them are looked through for it. */
const COUNT_MS = 15_000;

export interface WatchedParts extends Pick<Watched, 'health' | 'notReady' | 'listener' | 'stale'> {
  store: Watched['store'] & { sessions: Pick<SessionStore, 'records' | 'volatile'> };
  audit: { readonly backlog: number };
  identity: { readonly firstExpiry: number | undefined };
  replicas: Replicas;
  config: () => Config;
}

export function watchedOf(parts: WatchedParts): Watched {
  const { store, audit, identity, replicas, config } = parts;
  return {
    ...parts,
    backlog: () => audit.backlog,
    sessions: createCount(store.sessions, replicas),
    endings: () => [
      ...certificates(config()),
      ...(identity.firstExpiry === undefined ? [] : [{ what: 'client key', at: identity.firstExpiry }]),
    ],
    differences: () => replicas.differences,
    build: () => replicas.self,
  };
}

/** Of the replicas on one store, the one with the lowest id tells. */
function createCount(store: Pick<SessionStore, 'records' | 'volatile'>, replicas: Replicas): Watched['sessions'] {
  let known: { at: number; counts: ReadonlyMap<string, number> } | undefined;
  return async () => {
    const ids = replicas.all.map(({ id }) => id).sort();
    if (!store.volatile && ids[0] !== replicas.self.id) return undefined;
    if (known && performance.now() - known.at < COUNT_MS) return known.counts;
    const counts = new Map<string, number>();
    for await (const { backend } of store.records()) counts.set(backend, (counts.get(backend) ?? 0) + 1);
    known = { at: performance.now(), counts };
    return counts;
  };
}

function certificates({ listen, admin }: Config): Ending[] {
  return Object.entries({ 'listen.tls': listen.tls, 'admin.tls': admin?.tls }).flatMap(([what, tls]) => {
    if (!tls) return [];
    try {
      return [{ what, at: Date.parse(new X509Certificate(readFileSync(tls.cert_file)).validTo) }];
    } catch {
      // A reload says what is wrong with it.
      return [];
    }
  });
}
