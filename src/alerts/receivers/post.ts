// One POST to a configured address. TLS is verified, no redirect is followed, and nothing that the other side answers is kept:
// it could quote what was sent, or be made to stand in a log.
import { type Agent, request as requestPlainly } from 'node:http';
import { request as requestSecurely } from 'node:https';
import { VERSION } from '../../core/paths.ts';
import { DeliveryError } from './receiver.ts';

export interface Post {
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: string;
  agent: Agent;
  timeoutMs: number;
  signal: AbortSignal;
}

/** What a receiver should never answer with, in bytes. */
const MOST_ANSWER = 64 * 1024;
const LONGEST_WAIT_MS = 3_600_000;
/** Answers that are about this message, and not about the receiver. */
const ABOUT_MESSAGE = new Set([400, 413, 422]);
/** It has it already. */
const CONFLICT = 409;

export function post({ url, headers, body, agent, timeoutMs, signal }: Post): Promise<void> {
  const send = url.protocol === 'https:' ? requestSecurely : requestPlainly;
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  return new Promise((resolve, reject) => {
    const failed = (thrown: unknown) =>
      reject(
        thrown instanceof DeliveryError
          ? thrown
          : new DeliveryError(deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : codeOf(thrown)),
      );
    const request = send(
      url,
      {
        ...{ method: 'POST', agent, signal: deadline },
        headers: {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
          'user-agent': `sallyport/${VERSION}`,
          ...headers,
        },
      },
      (response) => {
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MOST_ANSWER) request.destroy(new DeliveryError('the answer is too long'));
        });
        response.once('error', failed);
        response.once('end', () => {
          const status = response.statusCode ?? 0;
          if ((status >= 200 && status < 300) || status === CONFLICT) return resolve();
          const retryAfterMs = waitOf(response.headers['retry-after']);
          failed(
            new DeliveryError(`it answers with status ${status}${wordsOf(status)}`, {
              refused: ABOUT_MESSAGE.has(status),
              ...(retryAfterMs !== undefined && { retryAfterMs }),
            }),
          );
        });
      },
    );
    request.once('error', failed);
    request.end(body);
  });
}

const wordsOf = (status: number): string => {
  if (status >= 300 && status < 400) return ', a redirect, which is not followed';
  if (status === 401 || status === 403) return ': look at its secret or its address';
  return status === 404 || status === 410 ? ': nobody is there any more' : '';
};

/** Of an error only its code is told: a message may quote the address. */
export const codeOf = (thrown: unknown): string => {
  const { code } = thrown as NodeJS.ErrnoException;
  const text = typeof code === 'string' ? code : 'unknown error';
  return /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(text)
    ? `its certificate is not trusted (${text}); set ca_file for a private CA`
    : `no connection (${text})`;
};

/** Seconds or a date (RFC 9110, 10.2.3), as milliseconds from now. */
function waitOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, LONGEST_WAIT_MS) : undefined;
}
