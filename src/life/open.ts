// What operators see and do, put together from the parts of a connector.

import type { AuditEvents } from '../audit/events/events.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import type { ReplicaDescription, Store } from '../store/store.ts';
import { createEndings } from './endings.ts';
import { createOperations, type OperateOptions } from './operate.ts';
import type { Live } from './reload/live.ts';
import { createReloads, type ReloadsOptions } from './reload/reloads.ts';
import { configurationRevision, type ReplicasOptions, watchReplicas } from './replicas.ts';
import { endingWarnings, type IssuerKeys } from './warnings.ts';

export interface OperationsOptions
  extends Pick<OperateOptions, 'live' | 'readiness' | 'policy' | 'ops' | 'logins' | 'alerts'> {
  live: Live;
  audit: OperateOptions['audit'] & { identify(writer: { configuration: string }): void };
  /** More may be added while it is being put together. */
  parts: readonly Reloadable[];
  store: Pick<Store, 'replicas' | 'skewMs' | 'problem'> & OperateOptions['store'];
  keyring: { readonly revision: string };
  backends: { readonly problem: string | undefined; health: OperateOptions['health'] };
  identity: {
    readonly problem: string | undefined;
    readonly issuerKeys: IssuerKeys | undefined;
    readonly firstExpiry: number | undefined;
  };
  /** What this replica tells of the policy that was ordered. */
  ordered: () => Pick<ReplicaDescription, 'order' | 'order_problem'>;
  onLook: ReplicasOptions['onLook'];
  events: OperateOptions['events'] &
    ReloadsOptions['events'] &
    Pick<AuditEvents, 'stayApart' | 'replicasDiffer' | 'expiry'>;
}

/** Operations with the replicas beside them. */
export type Operations = ReturnType<typeof openOperations>;

export function openOperations(options: OperationsOptions) {
  const { live, parts, store, keyring, backends, identity, events, policy, ops } = options;
  const endings = createEndings(() => live.config, identity);
  for (const { what, detail } of endingWarnings(endings.present(), Date.now())) ops.warn(`${what} ${detail}`);
  const configuration = () => configurationRevision(live.config);
  const onReloaded = () => {
    endings.reloaded();
    options.audit.identify({ configuration: configuration() });
  };
  const reloads = createReloads({ parts, events, ops, onReloaded, configuration });
  const replicas = watchReplicas({
    store,
    describe: () => ({
      policy: policy().revision,
      configuration: configuration(),
      keyring: keyring.revision,
      ...options.ordered(),
    }),
    onDifference: events.replicasDiffer,
    onLasting: events.stayApart,
    onLook: options.onLook,
  });
  const operations = createOperations({
    ...options,
    replicas,
    reloads,
    endings,
    problems: { clients: () => identity.problem, accounts: () => backends.problem },
    issuerKeys: () => identity.issuerKeys,
    health: backends.health,
  });
  return {
    ...operations,
    replicas,
    endings,
    close() {
      replicas.close();
      operations.close();
    },
  };
}
