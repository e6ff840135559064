// `sallyport revoke`: ends sessions on every replica, through the admin listener of any of them.
import type { Command } from 'commander';
import { resolveSecret } from '../config/secrets.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import { print, printJson } from './output.ts';

/** Options of the command: exactly one selector, the admin listener, and where the admin token is. */
export interface RevokeOptions {
  url: string;
  tokenFile?: string;
  session?: string;
  client?: string;
  subject?: string;
  /** With `client` or `subject`: only that of this issuer. */
  issuer?: string;
  backend?: string;
  all?: boolean;
  json?: boolean;
}

const TIMEOUT_MS = 30_000;

/**
 * Sends the revocation and prints how many sessions were ended. Rejects with an OperatorError when the admin
 * listener does not answer or does not accept it.
 */
export async function revoke(
  { url, tokenFile, json, issuer, ...selectors }: RevokeOptions,
  command: Command,
): Promise<void> {
  const given = Object.entries(selectors).filter(([, value]) => value !== undefined);
  if (given.length !== 1)
    command.error('error: give exactly one of --session, --client, --subject, --backend and --all');
  if (issuer !== undefined && selectors.client === undefined && selectors.subject === undefined)
    command.error('error: --issuer goes with --client or --subject');
  const token = resolveSecret(
    tokenFile === undefined ? { env: 'SALLYPORT_ADMIN_TOKEN' } : { file: tokenFile },
    'admin token (--token-file or SALLYPORT_ADMIN_TOKEN)',
  );
  let response: Response;
  try {
    response = await fetch(new URL('/revocations', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...Object.fromEntries(given), issuer }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (thrown) {
    throw new OperatorError(
      `the admin listener at ${url} does not answer (${reasonOf(thrown)}); check --url and "admin"`,
    );
  }
  const answer = (await response.json().catch(() => ({}))) as { revoked?: number; error?: string; hint?: string };
  if (response.status === 404)
    throw new OperatorError(`${url} is not an admin listener; see "admin" in connector.yaml`);
  if (response.status === 401) throw new OperatorError('the admin listener does not accept the token');
  if (!response.ok)
    throw new OperatorError(`refused: ${answer.error ?? response.status}${answer.hint ? `; ${answer.hint}` : ''}`);
  if (json) return printJson(answer);
  print(`${answer.revoked} ${answer.revoked === 1 ? 'session' : 'sessions'} ended`);
}

/** fetch reports the reason of a failed connection only in the cause of its error. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'string' ? cause.code : messageOf(thrown);
}
