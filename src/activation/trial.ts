// A policy that a start takes from the folder is tried while it decides already: a start must not wait half a minute. Until it
// was tried with growing arguments, each of its decisions is guarded.
import type { OpsLog } from '../audit/ops.ts';
import type { Config } from '../config/load.ts';
import { messageOf } from '../core/errors.ts';
import type { Policy } from '../decision/open.ts';
import type { KeptPolicies } from './kept.ts';
import type { Prepared, Wanted } from './prepare/prepare.ts';

/** Policies that decide and were not tried, by their revisions. */
export type Untried = Set<string>;

export interface TrialOptions {
  config: Config;
  env: NodeJS.ProcessEnv;
  present: Policy;
  kept: KeptPolicies;
  keptDir: string;
  untried: Untried;
  ops: OpsLog;
  prepare: (config: Config, env: NodeJS.ProcessEnv, wanted: Wanted, signal: AbortSignal) => Promise<Prepared>;
}

/** Whether arguments can make a rule slow, so that they must be tried. A manifest from before it said so says nothing. */
export const readsArguments = ({ manifest }: Pick<Policy, 'manifest'>): boolean =>
  Object.keys(manifest.reads_arguments ?? { '*': [] }).length > 0;

/** Tries the policy that decides, where that was not done before. `close` gives it up. */
export function tryPresent(options: TrialOptions): { close(): void } {
  const { config, env, present, kept, keptDir, untried, ops, prepare } = options;
  const { revision } = present;
  const given = new AbortController();
  if (untried.has(revision))
    prepare(config, env, { kept: keptDir, revision }, given.signal).then(
      ({ warnings }) => {
        for (const warning of warnings) ops.warn('the policy was tried with growing arguments', { warning });
        kept.tried(revision);
        untried.delete(revision);
      },
      (thrown: unknown) => {
        if (given.signal.aborted) return;
        ops.error('the policy stays under the guard with every input', {
          ...{ revision, problem: messageOf(thrown) },
          mend: 'activate one that is mended',
        });
      },
    );
  return { close: () => given.abort() };
}
