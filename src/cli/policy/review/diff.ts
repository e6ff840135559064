// `sallyport policy diff`: what a change of a policy does, for whoever reviews it.
import { loadConfig } from '../../../config/load.ts';
import { OperatorError } from '../../../core/errors.ts';
import { diffPolicies } from '../../../policy/diff/diff.ts';
import { failures, happened, needsLog } from '../../../policy/diff/kinds.ts';
import { diffBlocks } from '../../../policy/diff/report.ts';
import { toolsConfigured } from '../../../policy/matrix/tools.ts';
import { findOpa } from '../../../policy/opa.ts';
import { loadVersion } from '../../../policy/versions/load.ts';
import { withVersion } from '../../../policy/versions/version.ts';
import { progress } from '../../output.ts';
import { progressBar } from '../../progress-bar.ts';
import { homeOf, type PolicyOptions } from '../place.ts';
import { type LogOptions, tellUnread, threadsOf, verified } from './logs.ts';
import { type ShowOptions, show } from './show.ts';

export interface DiffCommandOptions extends PolicyOptions, LogOptions, ShowOptions {
  tests?: string;
  config?: string;
  failOn?: string[];
}

/**
 * Compares two versions; without a second one, the first with the folder as it is. Sets exit code 1 when something happened that
 * `--fail-on` names, or when a past decision of one of the very policies comes out otherwise than on record.
 */
export async function policyDiff(
  before: string,
  after: string | undefined,
  options: DiffCommandOptions,
): Promise<void> {
  const { log = [], failOn = [], config } = options;
  const unknowable = failOn.filter((kind) => log.length === 0 && needsLog(kind));
  if (unknowable.length > 0)
    throw new OperatorError(`--fail-on ${unknowable.join(',')}: only past calls can tell that; give --log`);
  const threads = threadsOf(options);
  if (log.length > 0) await verified(log, options);
  const opa = await findOpa({ progress });
  const tools = config === undefined ? [] : toolsConfigured(loadConfig(config).tools);
  const home = homeOf(options);
  const bar = progressBar('replaying');
  const diff = await withVersion(before, home, (was) =>
    withVersion(after, home, async (is) => {
      const [old, fresh] = [await loadVersion(was, opa), await loadVersion(is, opa)];
      if (log.length > 0) for (const each of [old, fresh]) tellUnread(each);
      return diffPolicies(old, fresh, { opa, tools, logs: log, threads, onProgress: bar.show });
    }),
  ).finally(bar.end);
  const kinds = happened(diff);
  const failed = failures(failOn, kinds);
  const isFault = (diff.past?.faults.count ?? 0) > 0;
  const ok = failed.length === 0 && !isFault;
  const title = `Policy change: ${diff.before.name} to ${diff.after.name}`;
  show(
    title,
    diffBlocks(diff, failed),
    { ok, ...diff, happened: Object.fromEntries(kinds), failed_on: failed },
    options,
  );
  if (!ok) process.exitCode = 1;
}
