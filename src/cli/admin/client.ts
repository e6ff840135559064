// How commands talk to the admin listener of a connector.
import { isLoopback } from '../../config/check/plaintext.ts';
import { resolveSecret } from '../../config/secrets.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';

/** Where the admin listener is, and where the admin token is. */
export interface AdminClientOptions {
  url: string;
  tokenFile?: string;
  json?: boolean;
  /** The token may go over a network in plain text. */
  plaintext?: boolean;
}

const TIMEOUT_MS = 30_000;

/** One request. Rejects with an OperatorError when the listener does not answer, or does not accept the token. */
export async function askAdmin<T>(
  { url, tokenFile, plaintext }: AdminClientOptions,
  path: string,
  body?: object,
): Promise<{ ok: boolean; status: number; answer: T & { error?: string; hint?: string } }> {
  if (!URL.canParse(url)) throw new OperatorError('--url takes a URL such as http://127.0.0.1:8788');
  const { protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && !isLoopback(hostname) && plaintext !== true)
    throw new OperatorError(
      `${url} is in plain text beyond this machine, and the token would be read on the way: use https, or --plaintext`,
    );
  const token = resolveSecret(
    tokenFile === undefined ? { env: 'SALLYPORT_ADMIN_TOKEN' } : { file: tokenFile },
    'admin token (--token-file or SALLYPORT_ADMIN_TOKEN)',
  );
  let response: Response;
  try {
    response = await fetch(new URL(path, url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token.reveal()}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (thrown) {
    throw new OperatorError(
      `the admin listener at ${url} does not answer (${reasonOf(thrown)}); check --url and "admin"`,
    );
  }
  const answer = (await response.json().catch(() => ({}))) as T & { error?: string; hint?: string };
  const { status, ok } = response;
  if (status === 404)
    throw new OperatorError(`${url} is not an admin listener of this version; see "admin" in connector.yaml`);
  if (status === 401) throw new OperatorError('the admin listener does not accept the token');
  if (status === 429) throw new OperatorError('too many wrong tokens came from this address; try again in a minute');
  return { ok, status, answer };
}

/** The error for an answer that is no success. */
export const refusedBy = ({
  status,
  answer,
}: {
  status: number;
  answer: { error?: string; hint?: string };
}): OperatorError => new OperatorError(`refused: ${answer.error ?? status}${answer.hint ? `; ${answer.hint}` : ''}`);

/** fetch reports the reason of a failed connection only in the cause of its error. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'string' ? cause.code : messageOf(thrown);
}
