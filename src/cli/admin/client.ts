// How commands talk to the admin listener of a connector.
import { readFileSync } from 'node:fs';
import { request as requestPlainly } from 'node:http';
import { type RequestOptions, request as requestSecurely } from 'node:https';
import { isLoopback } from '../../config/check/plaintext.ts';
import { resolveSecret } from '../../config/secrets.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import { problemOf } from '../../core/files/key-pair.ts';
import { readSecretFile } from '../../core/files/secret-file.ts';
import { refuseUnverifiedTls } from '../../core/hardening.ts';

/** Where the admin listener is, and where the admin token is. */
export interface AdminClientOptions {
  url: string;
  tokenFile?: string;
  json?: boolean;
  /** The token may go over a network in plain text. */
  plaintext?: boolean;
  /** PEM files: the CA of the listener, in place of the public ones, and the certificate that this command shows. */
  ca?: string;
  cert?: string;
  key?: string;
}

/** The options of a command that say where to ask, and the others. */
export function splitOptions<T extends AdminClientOptions>(options: T) {
  const { url, tokenFile, plaintext, ca, cert, key, json, ...others } = options;
  const at = Object.fromEntries(
    Object.entries({ url, tokenFile, plaintext, ca, cert, key }).filter(([, value]) => value !== undefined),
  ) as unknown as AdminClientOptions;
  return { at, json: json === true, others };
}

const TIMEOUT_MS = 30_000;

/** One request. Rejects with an OperatorError when the listener does not answer, or does not accept the token. */
export async function askAdmin<T>(
  options: AdminClientOptions,
  path: string,
  body?: object,
): Promise<{ ok: boolean; status: number; answer: T & { error?: string; hint?: string } }> {
  const { tokenFile, plaintext } = options;
  refuseUnverifiedTls(process.env);
  const { origin: url, protocol, hostname } = originOf(options.url);
  if (protocol !== 'https:' && !isLoopback(hostname) && plaintext !== true)
    throw new OperatorError(
      `${url} is in plain text beyond this machine, and the token would be read on the way: use https, or --plaintext`,
    );
  const tls = tlsOf(options);
  const token = readToken(tokenFile);
  if (!/^[\x21-\x7E]+$/.test(token))
    throw new OperatorError('the admin token has a space, a line break or another character that no header can carry');
  const sent = {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...tls,
  };
  let received: { status: number; text: string };
  try {
    received = await exchange(new URL(path, url), sent, body && JSON.stringify(body));
  } catch (thrown) {
    throw new OperatorError(
      `the admin listener at ${url} does not answer (${reasonOf(thrown)}); check --url and "admin"${hintOf(thrown, protocol)}`,
    );
  }
  const { status } = received;
  if (status === 404)
    throw new OperatorError(`${url} is not an admin listener of this version; see "admin" in connector.yaml`);
  if (status === 401) throw new OperatorError('the admin listener does not accept the token');
  if (status === 429) throw new OperatorError('too many wrong tokens came from this address; try again in a minute');
  let answer: T & { error?: string; hint?: string };
  try {
    answer = JSON.parse(received.text);
  } catch {
    throw new OperatorError(`${url} answers ${status} with something that is no JSON; it is no admin listener`);
  }
  return { ok: status >= 200 && status < 300, status, answer };
}

/** Throws an OperatorError for what is no address of a listener. It does not show it: a password may stand in it. */
function originOf(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw new OperatorError('--url takes a URL such as http://127.0.0.1:8788');
  if (parsed.username !== '' || parsed.password !== '')
    throw new OperatorError('--url takes no user name and no password; the token comes from --token-file');
  if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '')
    throw new OperatorError(`--url takes no path: give ${parsed.origin}`);
  return parsed;
}

function readToken(file: string | undefined): string {
  if (file !== undefined) return resolveSecret({ file }, '--token-file').reveal();
  const token = process.env.SALLYPORT_ADMIN_TOKEN;
  if (token) return token;
  throw new OperatorError(
    'give the admin token with --token-file or in SALLYPORT_ADMIN_TOKEN; "admin" in connector.yaml says which tokens there are',
  );
}

/** Throws an OperatorError for a file that cannot be used, and for half a certificate. */
function tlsOf({ ca, cert, key }: AdminClientOptions): Pick<RequestOptions, 'ca' | 'cert' | 'key'> {
  if ((cert === undefined) !== (key === undefined)) throw new OperatorError('--cert and --key go together');
  const own = cert !== undefined && key !== undefined && { cert: readPem('--cert', cert), key: readSecretFile(key) };
  const problem = own ? problemOf(own) : undefined;
  if (problem) throw new OperatorError(problem({ cert: `--cert ${cert}`, key: `--key ${key}` }));
  return { ...own, ...(ca !== undefined && { ca: readCaFile(ca, '--ca') }) };
}

function readPem(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new OperatorError(
      `${option} ${file} cannot be read: ${(thrown as NodeJS.ErrnoException).code ?? 'unknown error'}`,
    );
  }
}

function exchange(url: URL, options: RequestOptions, body = ''): Promise<{ status: number; text: string }> {
  const request = url.protocol === 'https:' ? requestSecurely : requestPlainly;
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

/** The error for an answer that is no success. */
export const refusedBy = ({
  status,
  answer,
}: {
  status: number;
  answer: { error?: string; hint?: string };
}): OperatorError => new OperatorError(`refused: ${answer.error ?? status}${answer.hint ? `; ${answer.hint}` : ''}`);

function reasonOf(thrown: unknown): string {
  const { code, name } = thrown as NodeJS.ErrnoException;
  if (name === 'AbortError' || name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  return typeof code === 'string' ? code : messageOf(thrown);
}

const hintOf = (thrown: unknown, protocol: string): string => {
  const { code = '' } = thrown as NodeJS.ErrnoException;
  if (protocol === 'http:' && /ECONNRESET|HPE_|ECONNABORTED/.test(code)) return '; if it speaks TLS, use https://';
  if (/EPROTO|WRONG_VERSION|PACKET_LENGTH/.test(code)) return '; if it does not speak TLS, use http://';
  if (/SELF_SIGNED|UNABLE_TO|ISSUER/.test(code)) return '; for a private CA give --ca';
  return /CERTIFICATE_REQUIRED|HANDSHAKE|ALERT/.test(code)
    ? '; where it demands a certificate give --cert and --key'
    : '';
};
