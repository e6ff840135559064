// `sallyport policy activate | rollback | status`: another policy for a running connector.
import { resolve } from 'node:path';
import type { ActivationResult } from '../../activation/activation.ts';
import type { PolicyState, Status } from '../../admin/api-schema.ts';
import { printable } from '../../core/printable.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy, splitOptions } from './client.ts';

type Acting = AdminClientOptions & { reason: string };

/** Takes the policy of a folder into use. Sets exit code 1 where it was refused: the one before still decides. */
export async function policyActivate(dir: string | undefined, options: Acting): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { reason } = others;
  // The connector reads the folder itself, on its own machine.
  const body = { reason, ...(dir !== undefined && { dir: resolve(dir) }) };
  tell(await askAdmin<Partial<ActivationResult>>(at, '/api/v1/policy/activate', body), json);
}

/** Takes a policy that was in force before into use again. Sets exit code 1 where it was refused. */
export async function policyRollback(options: Acting & { to?: string }): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const { reason, to: revision } = others;
  const body = { reason, ...(revision !== undefined && { revision }) };
  tell(await askAdmin<Partial<ActivationResult>>(at, '/api/v1/policy/rollback', body), json);
}

function tell(asked: Awaited<ReturnType<typeof askAdmin<Partial<ActivationResult>>>>, json: boolean): void {
  const { answer } = asked;
  if (answer.ok === undefined) throw refusedBy(asked);
  const result = answer as ActivationResult;
  if (!result.ok) process.exitCode = 1;
  if (json) return printJson(result);
  if (!result.ok) {
    progress(`${paint('red', 'refused', process.stderr)}: ${printable(result.problem)}`);
    return print(`policy ${result.revision} still decides`);
  }
  for (const warning of result.warnings) progress(printable(`warning: ${warning}`));
  for (const { host, id, policy, order_problem: why } of result.others)
    progress(
      printable(
        `warning: replica ${host} ${id.slice(0, 8)} decides with ${policy}: ${why === '' ? 'it has not taken it up yet' : why}`,
      ),
    );
  print(
    result.changed
      ? `policy ${result.revision} decides, in place of ${result.before}`
      : `policy ${result.revision} decides already`,
  );
}

/** Prints which policy decides, what was in force before, and what is kept; with `all` also what each replica has. */
export async function policyStatus(options: AdminClientOptions & { all?: boolean }): Promise<void> {
  const { at, json, others } = splitOptions(options);
  const asked = await askAdmin<PolicyState>(at, '/api/v1/policy');
  if (!asked.ok) throw refusedBy(asked);
  const { answer: now } = asked;
  const replicas = others.all ? (await askAdmin<Status>(at, '/api/v1/status')).answer.replicas : [];
  if (json) return printJson(others.all ? { ...now, replicas } : now);
  print(`policy ${now.revision} decides${now.folder === now.revision ? '' : `; the folder had ${now.folder}`}`);
  for (const { id, host, policy, order_problem: why } of replicas)
    print(printable(`replica ${host} ${id.slice(0, 8)}  ${policy}${why === '' ? '' : `  (${why})`}`));
  const kept = new Set(now.kept);
  for (const { at, what, revision, operator, reason } of now.history)
    print(
      printable(
        `${at}  ${what.padEnd(8)}  ${revision}${kept.has(revision) ? '' : '  (not kept)'}${operator === '' ? '' : `  by ${operator}: ${reason}`}`,
      ),
    );
}
