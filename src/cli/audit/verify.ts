// `sallyport audit verify`: whether logs are whole, and if not, what somebody has done to them.
import type { ChainReport, Finding, Gap, Report } from '../../audit/read/findings.ts';
import { verifyLogs } from '../../audit/read/verify.ts';
import { OperatorError } from '../../core/errors.ts';
import { printable } from '../../core/printable.ts';
import { paint, print, printJson } from '../output.ts';
import { progressBar } from '../progress-bar.ts';

export interface VerifyCommandOptions {
  keys: string[];
  anchor?: string[];
  log?: string;
  threads?: string;
  json?: boolean;
}

/** Exit codes: those of all commands, and one of its own for what cannot be judged. */
const [BAD, NOT_VERIFIED, NOT_JUDGED] = [1, 2, 3];
/** Findings that are printed; all are in the JSON. */
const MOST_PRINTED = 20;

/** Sets the exit code: 0 whole, 1 tampered with or damaged, 2 could not be verified, 3 whole as far as it can be judged. */
export async function auditVerify(files: readonly string[], options: VerifyCommandOptions): Promise<void> {
  const threads = options.threads === undefined ? undefined : Number(options.threads);
  let report: Report;
  const bar = progressBar('verifying');
  try {
    if (threads !== undefined && !(Number.isInteger(threads) && threads > 0 && threads <= 256))
      throw new OperatorError('--threads takes a number from 1 to 256');
    if (options.log !== undefined && !['decisions', 'events'].includes(options.log))
      throw new OperatorError('--log takes decisions or events');
    report = await verifyLogs({
      ...{ files, keys: options.keys, anchors: options.anchor ?? [], log: options.log, onProgress: bar.show },
      ...(threads !== undefined && { threads }),
    });
  } catch (thrown) {
    if (!(thrown instanceof OperatorError)) throw thrown;
    process.exitCode = NOT_VERIFIED;
    process.stderr.write(`${printable(thrown.message)}\n`);
    return;
  } finally {
    bar.end();
  }
  const { verdict } = report;
  if (verdict === 'bad') process.exitCode = BAD;
  else if (verdict !== 'whole') process.exitCode = NOT_JUDGED;
  if (options.json) printJson(report);
  else show(report);
}

function show({ verdict, chains, findings, gaps, notes, lines }: Report): void {
  for (const finding of findings.slice(0, MOST_PRINTED)) print(printable(findingText(finding)));
  if (findings.length > MOST_PRINTED) print(`… and ${findings.length - MOST_PRINTED} more; --json has all`);
  for (const gap of gaps) print(printable(gapText(gap)));
  for (const note of notes) print(printable(`note: ${note}`));
  for (const chain of chains) print(printable(chainText(chain)));
  const words: Record<Report['verdict'], string> = {
    whole: paint('green', 'whole'),
    to_checkpoint: paint('yellow', 'whole, as far as it can be judged without an anchor: give --anchor'),
    unchained: paint('yellow', 'no chain: a version before has written it, and it cannot be judged'),
    bad: paint('red', `not whole: ${findings[0]?.kind ?? ''}`),
  };
  print(`${words[verdict]}  (${lines} lines)`);
}

function findingText({ kind, message, file, line, seq, decision_id }: Finding): string {
  const place = file === null ? '' : `${file}${line === null ? '' : `:${line}`}: `;
  const record = seq === null ? '' : ` [record ${seq}${decision_id === undefined ? '' : `, decision ${decision_id}`}]`;
  return `${place}${paint('red', kind)}: ${message}${record}`;
}

function gapText({ from_seq: from, to_seq: to, cause, at, refused, missing, signed }: Gap): string {
  const parts = [
    ...(from === null && to === null
      ? []
      : [`records ${from ?? 'before'} to ${to ?? 'unknown'}, ${missing} of them not here`]),
    ...(signed ? [] : ['no checkpoint signs that yet']),
    ...(refused > 0 ? [`${refused} decisions whose calls were refused`] : []),
  ];
  return `${paint('yellow', 'gap')} on record since ${at}: ${cause}${parts.length > 0 ? ` (${parts.join('; ')})` : ''}`;
}

function chainText(chain: ChainReport): string {
  const { log, replica, from_seq: from, to_seq: to, signed_to: signed, signed_at, signed_by, sealed } = chain;
  const name = `${log ?? 'a log'} of replica ${replica ?? 'unknown'}, chain ${chain.chain}: records ${from} to ${to}`;
  if (signed === null) return `${name}, signed by nobody that is known`;
  const rest = to - signed;
  const tail = sealed
    ? ', sealed there'
    : rest > 0
      ? `; the ${rest} that followed cannot be judged`
      : '; whether more followed cannot be judged';
  return `${name}, whole up to the checkpoint ${signed} of ${signed_at}, signed by ${signed_by}${chain.anchored ? '' : tail}${chain.anchored && rest > 0 ? `; ${rest} more are not signed yet` : ''}`;
}
