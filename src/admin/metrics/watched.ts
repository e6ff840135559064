// What the metrics ask of the parts of a connector, put together.
import type { Config } from '../../config/load.ts';
import type { Identity } from '../../identity/open.ts';
import type { Replicas } from '../../life/replicas.ts';
import type { SessionStore } from '../../session/store.ts';
import type { Watched } from './state.ts';

/** How long a count of sessions holds: all of them are looked through for it. */
const COUNT_MS = 15_000;

export interface WatchedParts
  extends Pick<Watched, 'health' | 'notReady' | 'listener' | 'stale' | 'reloads' | 'endings' | 'receivers'> {
  store: Watched['store'] & { sessions: Pick<SessionStore, 'records' | 'volatile'> };
  audit: { readonly backlog: number };
  identity: Pick<Identity, 'issuerKeys'>;
  replicas: Replicas;
  config: () => Config;
}

export function watchedOf(parts: WatchedParts): Watched {
  const { store, audit, identity, replicas, config } = parts;
  return {
    ...parts,
    backlog: () => audit.backlog,
    sessions: createCount(store.sessions, replicas),
    issuerKeys() {
      const issuer = config().identity.jwt?.issuer;
      return identity.issuerKeys && issuer !== undefined ? [{ issuer, ageMs: identity.issuerKeys.ageMs }] : [];
    },
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
