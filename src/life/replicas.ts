// What the replicas on one store are, and in what they differ. Each tells the others every few seconds; a difference
// is an event when it begins and when it is over.
import { createHash, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../config/load.ts';
import { VERSION } from '../core/paths.ts';
import { canonicalJson } from '../formats/json.ts';
import type { ReplicaDescription, Store } from '../store/store.ts';

/** What replicas are compared in. A version differs while a release is rolled out. */
export const COMPARED = ['version', 'policy', 'configuration', 'keyring'] as const;
export type Compared = (typeof COMPARED)[number];

/** What should not differ for long. */
const LASTING = ['policy', 'configuration'] as const;
export type Lasting = (typeof LASTING)[number];

/** By value, the ids of the replicas that have it. */
export interface Difference {
  what: Compared;
  values: Record<string, string[]>;
}

/** The replicas as they were told last. */
export interface Replicas {
  readonly self: ReplicaDescription;
  readonly all: readonly ReplicaDescription[];
  readonly differences: readonly Difference[];
  /** Tells and asks now. Rejects when the store does not answer. */
  look(): Promise<void>;
  close(): void;
}

export interface ReplicasOptions {
  store: Pick<Store, 'replicas' | 'skewMs'>;
  /** What this replica is at present. */
  describe: () => Pick<ReplicaDescription, 'policy' | 'configuration' | 'keyring' | 'order' | 'order_problem'>;
  /** Called when the replicas begin to differ in something, and when they agree again (`values` is empty then). */
  onDifference: (what: Compared, values: Difference['values']) => void;
  /**
   * Called when two policies or configurations have been at work for longer than an activation or a deployment takes, and when
   * that is over (`values` is empty then).
   */
  onLasting: (what: Lasting, values: Difference['values']) => void;
  /** How long that is, in milliseconds. */
  lastingMs?: number;
  /** Called with what all replicas told last. */
  onLook: (all: readonly ReplicaDescription[]) => void;
}

/** How often a replica tells what it is, in milliseconds. */
const LOOK_MS = 2000;
const LASTING_MS = 120_000;

export function watchReplicas(options: ReplicasOptions): Replicas {
  const { store, describe, onDifference, onLasting, lastingMs = LASTING_MS, onLook } = options;
  const born = { id: randomUUID(), host: hostname(), version: VERSION, started_at: new Date().toISOString() };
  const describeSelf = (): ReplicaDescription => ({
    ...born,
    ...describe(),
    clock_skew_ms: Math.round(store.skewMs),
  });
  let all: readonly ReplicaDescription[] = [describeSelf()];
  let differences: readonly Difference[] = [];
  /** Since when they differ in what; infinity once that was told. */
  const differSince = new Map<Lasting, number>();
  const agreed = new Set<Lasting>();

  function watchLasting(what: Lasting, values: Difference['values'] | undefined): void {
    const now = performance.now();
    const since = differSince.get(what);
    if (!values) {
      // Also with the first look: what a process before this one has told may be over by now.
      if ((differSince.delete(what) && since === Number.POSITIVE_INFINITY) || !agreed.has(what)) onLasting(what, {});
      agreed.add(what);
      return;
    }
    agreed.add(what);
    const told = now - (since ?? now) >= lastingMs;
    differSince.set(what, told ? Number.POSITIVE_INFINITY : (since ?? now));
    if (told) onLasting(what, values);
  }

  async function look(): Promise<void> {
    all = await store.replicas(describeSelf());
    const found = differencesOf(all);
    for (const what of COMPARED) {
      const [before, now] = [differences, found].map((list) => list.find((each) => each.what === what));
      if (JSON.stringify(before) !== JSON.stringify(now)) onDifference(what, now?.values ?? {});
    }
    differences = found;
    for (const what of LASTING) watchLasting(what, found.find((each) => each.what === what)?.values);
    onLook(all);
  }
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  timer.unref();
  return {
    get self() {
      return describeSelf();
    },
    get all() {
      return all;
    },
    get differences() {
      return differences;
    },
    look,
    close: () => clearInterval(timer),
  };
}

/** In what the replicas differ. */
export function differencesOf(all: readonly ReplicaDescription[]): Difference[] {
  return COMPARED.flatMap((what) => {
    const values: Record<string, string[]> = {};
    for (const replica of [...all].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      values[replica[what]] ??= [];
      values[replica[what]]?.push(replica.id);
    }
    return Object.keys(values).length > 1 ? [{ what, values }] : [];
  });
}

/** Keys whose values say where something is on one machine. */
const PLACE = /^(file|dir|env|sources)$|_(file|dir|dirs)$/;

/** Names a configuration, less what may be another on each machine: where it listens and where its files are. */
export function configurationRevision(config: Config): string {
  const { listen: _listen, admin: _admin, keyring: _keyring, ...rest } = config;
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(rest, (key, value) => (PLACE.test(key) ? undefined : value)))))
    .digest('hex')
    .slice(0, 16);
}
