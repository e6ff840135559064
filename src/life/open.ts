// What operators see and do, put together from the parts of a connector.
import type { Store } from '../store/store.ts';
import type { Live } from './live.ts';
import { createOperations, type IssuerKeys, type OperateOptions } from './operate.ts';
import { configurationRevision, watchReplicas } from './replicas.ts';

export interface OperationsOptions extends Pick<OperateOptions, 'live' | 'readiness' | 'policy' | 'audit' | 'ops'> {
  live: Live;
  parts: OperateOptions['parts'];
  store: Pick<Store, 'replicas' | 'skewMs'> & OperateOptions['store'];
  keyring: { readonly revision: string };
  backends: { readonly stale: boolean; health: OperateOptions['health'] };
  identity: { readonly stale: boolean; readonly issuerKeys: IssuerKeys | undefined };
  events: OperateOptions['events'] & {
    replicasDiffer: (what: string, values: Readonly<Record<string, readonly string[]>>) => void;
  };
}

/** Operations with the replicas beside them. */
export type Operations = ReturnType<typeof openOperations>;

export function openOperations(options: OperationsOptions) {
  const { live, store, keyring, backends, identity, events, policy } = options;
  const replicas = watchReplicas({
    store,
    describe: () => ({
      policy: policy.revision,
      configuration: configurationRevision(live.config),
      keyring: keyring.revision,
    }),
    onDifference: events.replicasDiffer,
  });
  const operations = createOperations({
    ...options,
    replicas,
    stale: { clients: () => identity.stale, accounts: () => backends.stale },
    issuerKeys: () => identity.issuerKeys,
    health: backends.health,
  });
  return {
    ...operations,
    replicas,
    close() {
      replicas.close();
      operations.close();
    },
  };
}
