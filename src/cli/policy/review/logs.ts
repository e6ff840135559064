// Logs that a command about policies reads: they are verified before anything in them is believed.
import { verifyLogs } from '../../../audit/read/verify.ts';
import { OperatorError } from '../../../core/errors.ts';
import { printable } from '../../../core/printable.ts';
import type { LoadedVersion } from '../../../policy/versions/load.ts';
import { paint, progress } from '../../output.ts';
import { progressBar } from '../../progress-bar.ts';

export interface LogOptions {
  log?: string[];
  keys?: string[];
  anchor?: string[];
  threads?: string;
}

/** How many threads; undefined is one for each core. Throws an OperatorError for what is no such number. */
export function threadsOf({ threads }: LogOptions): number | undefined {
  if (threads === undefined) return undefined;
  const count = Number(threads);
  if (!Number.isInteger(count) || count < 1 || count > 256)
    throw new OperatorError('--threads takes a number from 1 to 256');
  return count;
}

/**
 * Verifies the logs. Rejects with an OperatorError that names the first fault of a log that is not whole: nothing is concluded
 * from records that somebody may have written. Without keys only the links of the chain can be checked, and that is said.
 */
export async function verified(files: readonly string[], options: LogOptions): Promise<void> {
  const { keys = [], anchor = [] } = options;
  const threads = threadsOf(options);
  const bar = progressBar('verifying');
  const asked = { files, keys, anchors: anchor, linksOnly: keys.length === 0, onProgress: bar.show };
  const report = await verifyLogs({ ...asked, ...(threads !== undefined && { threads }) }).finally(bar.end);
  const [first] = report.findings;
  if (first) {
    const place = first.file === null ? '' : `${first.file}${first.line === null ? '' : `:${first.line}`}: `;
    throw new OperatorError(
      printable(
        `${place}${first.kind}: ${first.message}. The log is not whole, so nothing is concluded from it; "sallyport audit verify" says more`,
      ),
    );
  }
  if (report.verdict === 'unchained')
    progress(
      `${paint('yellow', 'note', process.stderr)} the log has no chain: a version before has written it, and it cannot be verified`,
    );
  else if (keys.length === 0)
    progress(
      `${paint('yellow', 'note', process.stderr)} no --keys: the links of the log fit together, and who signed it was not looked at`,
    );
}

/** Where the rules of a policy cannot be read, it may read whatever there is, and more is undecidable than need be. */
export function tellUnread({ name, modules }: Pick<LoadedVersion, 'name' | 'modules'>): void {
  if (modules === undefined)
    progress(
      `${paint('yellow', 'note', process.stderr)} the rules of ${name} cannot be read (no sources, or no OPA here): whatever a record no longer holds counts as read by them`,
    );
}
