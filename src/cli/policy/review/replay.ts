// `sallyport policy replay`: decides what is on record again, with this policy, and shows what would be decided otherwise.
import { findOpa } from '../../../policy/opa.ts';
import { replayLogs } from '../../../policy/replay/replay.ts';
import { replayBlocks } from '../../../policy/replay/report.ts';
import type { Tally } from '../../../policy/replay/tally.ts';
import type { Block } from '../../../policy/report/document/document.ts';
import { loadVersion } from '../../../policy/versions/load.ts';
import { withVersion } from '../../../policy/versions/version.ts';
import { progress } from '../../output.ts';
import { progressBar } from '../../progress-bar.ts';
import { homeOf, type PolicyOptions } from '../place.ts';
import { type LogOptions, tellUnread, threadsOf, verified } from './logs.ts';
import { type ShowOptions, show } from './show.ts';

export interface ReplayCommandOptions extends PolicyOptions, LogOptions, ShowOptions {
  log: string[];
  policy?: string;
  failOn?: string[];
}

/**
 * Replays the logs. Sets exit code 1 when a decision of this very policy comes out otherwise, or when something happened that
 * `--fail-on` names. Rejects with an OperatorError for a log that is not whole or a policy that cannot be asked.
 */
export async function policyReplay(options: ReplayCommandOptions): Promise<void> {
  const { log, policy, failOn = [] } = options;
  const threads = threadsOf(options);
  await verified(log, options);
  const opa = await findOpa({ progress, build: false });
  const { tally, version } = await withVersion(policy, homeOf(options), async (asked) => {
    const loaded = await loadVersion(asked, opa);
    tellUnread(loaded);
    const bar = progressBar('replaying');
    const found = await replayLogs({ files: log, policy: loaded, threads, onProgress: bar.show }).finally(bar.end);
    return { tally: found, version: loaded };
  });
  const { name, commit, revision } = version;
  const failed = failures(tally, failOn);
  const blocks: Block[] = [
    { heading: `Past decisions, decided by ${name}`, level: 1 },
    ...replayBlocks(tally, 'as on record', `as ${name} decides`),
    ...(failed.length > 0
      ? [{ text: [{ tone: 'bad', text: `stopped by --fail-on: ${failed.join(', ')}` }] } as Block]
      : []),
  ];
  const policyNamed = { name, commit: commit ?? null, revision };
  show(
    `Replay: ${name}`,
    blocks,
    { ok: failed.length + tally.faults.count === 0, policy: policyNamed, ...tally, failed_on: failed },
    options,
  );
  if (failed.length + tally.faults.count > 0) process.exitCode = 1;
}

/** Of the names, those of which something happened. What was decided otherwise in any way is "any". */
export const failures = (tally: Tally, names: readonly string[]): string[] =>
  names.filter((name) => {
    if (name === 'any') return tally.same < tally.compared;
    if (name === 'undecidable') return tally.undecidable.count + tally.malformed > 0;
    if (name === 'failed') return tally.failed.count > 0;
    return (tally.changes[name]?.count ?? 0) > 0;
  });
