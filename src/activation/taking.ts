// One policy taken into use on this replica: prepared apart, kept, on record, and swapped between two calls; and the order by
// which that was done, where all replicas were meant.
import type { Act } from '../audit/events/act.ts';
import type { AuditEvents } from '../audit/events/events.ts';
import type { Config } from '../config/load.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { type Limits, policyOf } from '../decision/open.ts';
import type { PolicyOnDisk } from '../policy/on-disk.ts';
import type { ActivePolicy } from './active.ts';
import { type Activated, type History, olderThanActivated } from './history.ts';
import type { KeptPolicies } from './kept.ts';
import { type Order, writeOrder } from './order.ts';
import { originOf } from './origin.ts';
import type { Prepared, Wanted } from './prepare/prepare.ts';

export interface TakingOptions {
  config: Config;
  env: NodeJS.ProcessEnv;
  policy: ActivePolicy;
  limits: Limits;
  kept: KeptPolicies;
  history: History;
  /** The revision of the configured folder at the start. */
  folder: string;
  events: Pick<AuditEvents, 'activated' | 'activationRefused'>;
  now: () => number;
  /** The configured folder, as it is looked at. */
  onDisk: Pick<PolicyOnDisk, 'seen' | 'taken'>;
  /** The clock that the replicas share, in milliseconds since 1970. */
  shared: () => number;
  /** Keyed: the same on every replica, and on nothing else. */
  fingerprint: (text: string) => string;
  prepare: (config: Config, env: NodeJS.ProcessEnv, wanted: Wanted) => Promise<Prepared>;
}

export type Taken = { ok: true; revision: string; before: string; warnings: string[] } | { ok: false; problem: string };

type Entry = Pick<Activated, 'what' | 'revision' | 'folder'> & {
  issued?: number | undefined;
  order?: Order | undefined;
};

/** After how long an order is tried again that could not be taken up: the folder may come to this replica later. */
const AGAIN_MS = 60_000;
/** An order of a time that has not come would be the last one. */
const A_DAY_MS = 86_400_000;

export function createTaking(options: TakingOptions) {
  const { config, env, policy, kept, history, events, now, prepare, shared, fingerprint } = options;
  let folder = options.folder;
  /** The newest order that was seen, and why it was not taken up. */
  let known = history.entries.findLast(({ order }) => order !== undefined)?.order;
  let problem = '';
  let againAt = 0;

  /** `order`: of another replica; undefined where only this one is meant, `all` where all are. */
  async function take(what: Order['what'], wanted: Wanted, act: Act, order?: Order | 'all'): Promise<Taken> {
    const before = policy.present.revision;
    let revision = 'revision' in wanted ? wanted.revision : '';
    const own = 'place' in wanted && wanted.place.dir === config.policy.dir;
    // What is there when the preparation begins: an edit that is made meanwhile still waits.
    const seen = own ? options.onDisk.seen() : undefined;
    try {
      const { bundle, warnings } = await prepare(config, env, wanted);
      revision = bundle.revision;
      if (order !== undefined && order !== 'all' && revision !== order.revision)
        throw new OperatorError(`policy ${order.revision} is not kept here, and the folder has ${revision}`);
      const wasm = Buffer.from(bundle.wasm);
      const module = new WebAssembly.Module(new Uint8Array(wasm));
      const fresh = policyOf({ ...bundle, wasm, module }, options.limits);
      const { issued } = fresh.signed ?? {};
      const older = fresh.signed && what === 'activate' && olderThanActivated(history.entries, { revision, issued });
      if (older) throw new OperatorError(older);
      kept.save(policy.present);
      kept.save(fresh);
      kept.tried(revision);
      const found = own ? revision : folder;
      const given = order === 'all' ? next({ what, revision, folder: found, act }) : order;
      remember({ what, revision, folder: found, issued, order: given }, act);
      // Nothing after this can fail, so what is on record as in force is.
      if (revision !== before) policy.swap(fresh);
      if (seen) options.onDisk.taken(seen);
      prune(kept, revision, before);
      const origin = 'place' in wanted ? await originOf(wanted.place.dir, env) : undefined;
      events.activated({ what, revision, before, wasmSha256: fresh.wasmSha256, origin }, act);
      return { ok: true, revision, before, warnings };
    } catch (thrown) {
      const why = messageOf(thrown);
      events.activationRefused({ what, revision, before, problem: why }, act);
      return { ok: false, problem: why };
    }
  }

  const next = ({
    what,
    revision,
    act,
    folder,
  }: Pick<Order, 'what' | 'revision' | 'folder'> & { act: Act }): Order => ({
    number: Math.max((known?.number ?? 0) + 1, Math.floor(shared())),
    ...{ what, revision, folder, operator: act.operator, reason: act.reason },
  });

  /** Throws when it cannot be written; then nothing has happened. */
  function remember({ issued, order, folder: found, ...entry }: Entry, { operator, reason }: Act): void {
    const more = { ...(issued !== undefined && { issued }), ...(order && { order }) };
    history.add({ at: new Date(now()).toISOString(), ...entry, folder: found, operator, reason, ...more });
    folder = found;
    if (!order) return;
    known = order;
    problem = '';
  }

  return {
    take,
    remember,
    get folder() {
      return folder;
    },
    /** Whether an order is newer than all that were seen, or could not be taken up a while ago. */
    waits(order: Order): boolean {
      if (order.number > (known?.number ?? 0)) return order.number < shared() + A_DAY_MS;
      return order.number === known?.number && problem !== '' && performance.now() > againAt;
    },
    /** Notes an order, and why it was not taken up. */
    saw(order: Order, why: string) {
      known = order;
      problem = why;
      againAt = performance.now() + AGAIN_MS;
    },
    /** What this replica tells the others. */
    ordered: () => ({ order: known ? writeOrder(known, fingerprint) : '', order_problem: problem }),
  };
}

/** What is not dropped now is dropped with the next one. */
function prune(kept: KeptPolicies, ...except: string[]): void {
  try {
    kept.prune(new Set(except));
  } catch {
    // The folder may be full of what somebody else owns; nothing of what was done is undone by it.
  }
}
