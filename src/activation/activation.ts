// Taking another policy into use while the connector runs: it is prepared apart, kept, swapped between two calls, and on
// record with both revisions, who asked and why. What cannot be used changes nothing and is told loudly.
import type { Act } from '../audit/events/act.ts';
import { createKeyedMutex } from '../core/mutex.ts';
import type { Activated } from './history.ts';
import { newestOrder, type Order } from './order.ts';
import type { Wanted } from './prepare/prepare.ts';
import { createTaking, type TakingOptions } from './taking.ts';

/** What became of it. With `ok: false` the policy that was in force still is. */
export type ActivationResult =
  | { ok: true; revision: string; before: string; changed: boolean; warnings: string[]; others: OtherReplica[] }
  | { ok: false; revision: string; problem: string };

/** A replica on the same store that decides with another policy. */
export interface OtherReplica {
  id: string;
  host: string;
  policy: string;
  /** Why it does not decide with the policy that was ordered; empty where it has not said. */
  order_problem: string;
}

/** What a replica tells: `order` as it stands in the store. */
type Told = OtherReplica & { order: string };

export interface PolicyStatus {
  revision: string;
  wasm_sha256: string;
  /** Revision of the configured folder when it was looked at last. */
  folder: string;
  kept: string[];
  history: Activated[];
}

export interface Activation {
  /**
   * Takes the policy of a folder or bundle into use, on every replica on the store; without `dir` that of the configured
   * folder. Never rejects.
   */
  activate(dir: string | undefined, act: Act): Promise<ActivationResult>;
  /** Takes that of the configured folder into use, on this replica alone. Never rejects. */
  reload(act: Act): Promise<ActivationResult>;
  /** Takes a policy that is kept into use again; without `revision` the one that was in force before. Never rejects. */
  rollback(revision: string | undefined, act: Act): Promise<ActivationResult>;
  status(): PolicyStatus;
  /** Told what all replicas say, takes up a newer order of another one. Never rejects. */
  follow(all: readonly Told[]): Promise<void>;
  /** What this replica tells the others. */
  ordered(): { order: string; order_problem: string };
  /** Who has put another policy in the place of that of the folder, and why, in words; undefined where it decides. */
  instead(): string | undefined;
}

export interface ActivationOptions extends TakingOptions {
  keptDir: string;
  /** The replicas that live, as they are now. */
  replicas: () => Promise<readonly OtherReplica[]>;
}

/** How long it is waited for the other replicas, in milliseconds. */
const OTHERS_MS = 15_000;
const LOOK_MS = 300;

export function createActivation(options: ActivationOptions): Activation {
  const { config, policy, kept, history, shared, fingerprint } = options;
  const mutex = createKeyedMutex();
  const started = shared();
  const taking = createTaking(options);
  const { take } = taking;

  /** The replicas that do not decide with it, after they have had time to take it up; undefined where the store is silent. */
  async function othersThan(revision: string): Promise<OtherReplica[] | undefined> {
    const end = performance.now() + OTHERS_MS;
    for (;;) {
      const all = await options.replicas().catch(() => undefined);
      const over = performance.now() > end;
      if (!all && over) return undefined;
      const others = (all ?? []).filter((each) => each.policy !== revision);
      if (all && (over || others.every(({ order_problem }) => order_problem !== '')))
        return others.map(({ id, host, policy, order_problem }) => ({ id, host, policy, order_problem }));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async function act(what: Order['what'], wanted: Wanted, by: Act, order?: 'all'): Promise<ActivationResult> {
    const taken = await mutex.run('activation', () => take(what, wanted, by, order));
    if (!taken.ok) return { ...taken, revision: policy.present.revision };
    const { revision, before } = taken;
    const others = order === 'all' ? await othersThan(revision) : [];
    const warnings = [
      ...taken.warnings,
      ...(others ? [] : ['the store does not answer, so whether other replicas took it up is not known']),
    ];
    return { ...taken, warnings, changed: revision !== before, others: others ?? [] };
  }

  /** Takes up an order of another replica, with what this one has. */
  async function obey(order: Order): Promise<void> {
    // Whoever starts with another folder than the order was given for is a deployment, which comes after the order.
    if (!taking.waits(order)) return;
    if (order.number < started && order.folder !== taking.folder) return taking.saw(order, '');
    const { what, revision, operator, reason } = order;
    const by: Act = { operator, reason, ip: '' };
    if (revision === policy.present.revision)
      return taking.remember({ what, revision, folder: taking.folder, order }, by);
    const { dir, site_dir } = config.policy;
    const here = kept.revisions().includes(revision);
    const wanted: Wanted = here ? { kept: options.keptDir, revision } : { place: { dir, site_dir } };
    const taken = await take(what, wanted, by, order);
    taking.saw(order, taken.ok ? '' : taken.problem);
  }

  const place = (dir: string | undefined): Wanted => {
    const { dir: own, site_dir } = config.policy;
    return { place: dir === undefined ? { dir: own, site_dir } : { dir } };
  };

  return {
    activate: (dir, by) => act('activate', place(dir), by, 'all'),
    reload: (by) => act('activate', place(undefined), by),
    rollback(revision, by) {
      const present = policy.present.revision;
      const wanted = revision ?? history.entries.findLast((entry) => entry.revision !== present)?.revision;
      return act('rollback', { kept: options.keptDir, revision: wanted ?? 'none' }, by, 'all');
    },
    async follow(all) {
      const order = newestOrder(
        all.map((each) => each.order),
        fingerprint,
      );
      if (!order || !taking.waits(order) || mutex.busy('activation')) return;
      await mutex.run('activation', () => obey(order)).catch(() => {});
    },
    ordered: taking.ordered,
    instead() {
      const { revision } = policy.present;
      const { folder } = taking;
      if (revision === folder) return undefined;
      const { operator = '', reason = '' } = history.entries.at(-1) ?? {};
      return `${revision} decides, and the folder had ${folder}: by ${operator}: ${reason}`;
    },
    status: () => ({
      ...{ revision: policy.present.revision, wasm_sha256: policy.present.wasmSha256, folder: taking.folder },
      ...{ kept: kept.revisions(), history: [...history.entries].reverse() },
    }),
  };
}
