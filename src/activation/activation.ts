// Taking another policy into use while the connector runs: it is prepared apart, kept, swapped between two calls, and on
// record with both revisions, who asked and why. What cannot be used changes nothing and is told loudly.
import type { Act, AuditEvents } from '../audit/events.ts';
import type { Config } from '../config/load.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { createKeyedMutex } from '../core/mutex.ts';
import type { PolicyPlace } from '../decision/data/paths.ts';
import { type Limits, policyOf } from '../decision/open.ts';
import type { ActivePolicy } from './active.ts';
import { type Activated, type History, olderThanActivated } from './history.ts';
import type { KeptPolicies } from './kept.ts';
import { originOf } from './origin.ts';
import type { Prepared, Wanted } from './prepare.ts';

/** What became of it. With `ok: false` the policy that was in force still is. */
export type ActivationResult =
  | { ok: true; revision: string; before: string; changed: boolean; warnings: string[]; others: OtherReplica[] }
  | { ok: false; revision: string; problem: string };

/** A replica on the same store that decides with another policy. */
export interface OtherReplica {
  id: string;
  host: string;
  policy: string;
}

export interface PolicyStatus {
  revision: string;
  wasm_sha256: string;
  /** Revision of the configured folder when it was looked at last. */
  folder: string;
  kept: string[];
  history: Activated[];
}

export interface Activation {
  /** Takes the policy of a folder into use; without `dir` that of the configured one. Never rejects. */
  activate(dir: string | undefined, act: Act): Promise<ActivationResult>;
  /** Takes a policy that is kept into use again; without `revision` the one that was in force before. Never rejects. */
  rollback(revision: string | undefined, act: Act): Promise<ActivationResult>;
  status(): PolicyStatus;
  /** Who has put another policy in the place of that of the folder, and why, in words; undefined where it decides. */
  instead(): string | undefined;
}

export interface ActivationOptions {
  config: Config;
  env: NodeJS.ProcessEnv;
  policy: ActivePolicy;
  limits: Limits;
  kept: KeptPolicies;
  keptDir: string;
  history: History;
  /** The revision of the configured folder at the start. */
  folder: string;
  events: Pick<AuditEvents, 'activated' | 'activationRefused'>;
  now: () => number;
  /** Called when the configured folder was taken into use as it is. */
  onFolder: () => void;
  /** The replicas that live, as they are now. */
  replicas: () => Promise<readonly OtherReplica[]>;
  prepare: (config: Config, env: NodeJS.ProcessEnv, wanted: Wanted) => Promise<Prepared>;
}

export function createActivation(options: ActivationOptions): Activation {
  const { config, env, policy, kept, history, events, now, prepare } = options;
  const mutex = createKeyedMutex();
  let folder = options.folder;

  async function take(what: 'activate' | 'rollback', wanted: Wanted, act: Act): Promise<ActivationResult> {
    const before = policy.present.revision;
    let revision = 'revision' in wanted ? wanted.revision : '';
    try {
      const { bundle, warnings } = await prepare(config, env, wanted);
      revision = bundle.revision;
      const wasm = Buffer.from(bundle.wasm);
      const module = new WebAssembly.Module(new Uint8Array(wasm));
      const fresh = policyOf({ ...bundle, wasm, module }, options.limits);
      if ('place' in wanted && wanted.place.dir === config.policy.dir) folder = revision;
      const { operator, reason } = act;
      const { issued } = fresh.signed ?? {};
      const older = fresh.signed && what === 'activate' && olderThanActivated(history.entries, { revision, issued });
      if (older) throw new OperatorError(older);
      kept.save(fresh);
      const at = new Date(now()).toISOString();
      history.add({ at, what, revision, folder, operator, reason, ...(issued !== undefined && { issued }) });
      // Nothing after this can fail, so what is on record as in force is.
      if (revision !== before) policy.swap(fresh);
      if (folder === revision && 'place' in wanted) options.onFolder();
      kept.prune(new Set([revision, before]));
      const origin = 'place' in wanted ? await originOf(wanted.place.dir, env) : undefined;
      events.activated({ what, revision, before, wasmSha256: fresh.wasmSha256, origin }, act);
      const all = await options.replicas().catch(() => []);
      const others = all.flatMap(({ id, host, policy }) => (policy === revision ? [] : [{ id, host, policy }]));
      return { ok: true, revision, before, changed: revision !== before, warnings, others };
    } catch (thrown) {
      const problem = messageOf(thrown);
      events.activationRefused({ what, revision, before, problem }, act);
      return { ok: false, revision: before, problem };
    }
  }
  const one = (work: () => Promise<ActivationResult>) => mutex.run('activation', work);

  return {
    activate: (dir, act) =>
      one(() => {
        const { dir: own, site_dir } = config.policy;
        const place: PolicyPlace = dir === undefined ? { dir: own, site_dir } : { dir };
        return take('activate', { place }, act);
      }),
    rollback: (revision, act) =>
      one(() => {
        const present = policy.present.revision;
        const wanted = revision ?? history.entries.findLast((entry) => entry.revision !== present)?.revision;
        return take('rollback', { kept: options.keptDir, revision: wanted ?? 'none' }, act);
      }),
    instead() {
      const { revision } = policy.present;
      if (revision === folder) return undefined;
      const { operator = '', reason = '' } = history.entries.at(-1) ?? {};
      return `${revision} decides, and the folder had ${folder}: by ${operator}: ${reason}`;
    },
    status: () => ({
      ...{ revision: policy.present.revision, wasm_sha256: policy.present.wasmSha256, folder },
      ...{ kept: kept.revisions(), history: [...history.entries].reverse() },
    }),
  };
}
