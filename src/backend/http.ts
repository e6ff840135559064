// The only home of undici and cockatiel: one pool to one origin, no redirects, and a
// deadline, a size limit, a queue and a circuit breaker around every exchange.

import { readFileSync } from 'node:fs';
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  wrap,
} from 'cockatiel';
import { type Dispatcher, errors, Pool } from 'undici';
import type { BackendConfig } from '../config/backend-schema.ts';
import { messageOf, OperatorError } from '../core/errors.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { BuiltRequest } from './request.ts';

export interface BackendResponse {
  status: number;
  contentType: string;
  location: string | undefined;
  setCookies: string[];
  header(name: string): string | undefined;
  body: string;
}

/** Codes and library error names only: some HTTP errors quote the header they choke on. */
export type Exchange = { ok: true; response: BackendResponse } | { ok: false; code: RefusalCode; detail: string };

export interface BackendHttp {
  readonly url: URL;
  readonly circuitOpen: boolean;
  send(request: BuiltRequest, headers: Record<string, string>, signal?: AbortSignal): Promise<Exchange>;
  close(): Promise<void>;
}

export function createBackendHttp(config: BackendConfig): BackendHttp {
  const url = new URL(config.url);
  const ca = config.ca_file === undefined ? undefined : readCa(config.ca_file);
  const pool = new Pool(url.origin, {
    connections: config.max_concurrent,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    maxResponseSize: config.max_response_bytes,
    connect: { timeout: config.timeout_ms, rejectUnauthorized: true, ...(ca !== undefined && { ca }) },
  });
  const breaker = circuitBreaker(
    // Not the backend's failure: a client that gave up, and an answer that is merely long.
    handleWhen((error) => !(error instanceof CancelledError || error instanceof errors.ResponseExceededMaxSizeError)),
    { halfOpenAfter: config.breaker.open_seconds * 1000, breaker: new ConsecutiveBreaker(config.breaker.failures) },
  );
  const guard = wrap(bulkhead(config.max_concurrent, config.max_queued), breaker);

  async function exchange(
    request: BuiltRequest,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<BackendResponse> {
    const answer = await pool.request({
      method: request.method as Dispatcher.HttpMethod,
      path: request.path,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'sallyport', ...request.headers, ...headers },
      body: request.body ?? null,
      signal,
    });
    const body = await answer.body.arrayBuffer();
    const encoding = answer.headers['content-encoding'] ?? 'identity';
    // It was asked for as it is; what is packed cannot be searched for a login page or a token.
    if (encoding !== 'identity') throw new EncodedError();
    return describe(answer, body);
  }

  return {
    url,
    get circuitOpen() {
      return breaker.state === CircuitState.Open;
    },
    async send(request, headers, signal) {
      const controller = new AbortController();
      // One deadline over waiting, connecting and reading.
      const timer = setTimeout(() => controller.abort(new DeadlineError()), config.timeout_ms);
      const cancel = () => controller.abort(new CancelledError());
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
      try {
        return { ok: true, response: await guard.execute(() => exchange(request, headers, controller.signal)) };
      } catch (thrown) {
        return { ok: false, ...classify(controller.signal.aborted ? controller.signal.reason : thrown) };
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      }
    },
    close: () => pool.destroy(),
  };
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new OperatorError(`ca_file ${file} cannot be read: ${messageOf(thrown)}`);
  }
}

class DeadlineError extends Error {}
class CancelledError extends Error {}
class EncodedError extends Error {}

function classify(error: unknown): { code: RefusalCode; detail: string } {
  if (error instanceof DeadlineError) return { code: 'backend.deadline', detail: 'deadline' };
  if (error instanceof CancelledError) return { code: 'call.cancelled', detail: 'cancelled' };
  if (error instanceof EncodedError) return { code: 'backend.response_unusable', detail: 'content-encoding' };
  if (error instanceof BulkheadRejectedError) return { code: 'backend.overloaded', detail: 'queue full' };
  if (error instanceof BrokenCircuitError) return { code: 'backend.unavailable', detail: 'circuit open' };
  if (error instanceof errors.ResponseExceededMaxSizeError)
    return { code: 'backend.response_too_large', detail: error.code };
  return { code: 'backend.unavailable', detail: codeOf(error) };
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'network error';
}

function describe(answer: Dispatcher.ResponseData, body: ArrayBuffer): BackendResponse {
  const header = (name: string): string | undefined => {
    const value = answer.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const contentType = header('content-type') ?? '';
  const cookies = answer.headers['set-cookie'];
  return {
    status: answer.statusCode,
    contentType,
    location: header('location'),
    setCookies: cookies === undefined ? [] : Array.isArray(cookies) ? cookies : [cookies],
    header: (name) => header(name.toLowerCase()),
    body: decode(body, contentType),
  };
}

/** Old applications answer in Latin-1 and say so. An unknown charset is read as UTF-8. */
function decode(body: ArrayBuffer, contentType: string): string {
  const charset = /charset="?([\w-]+)/i.exec(contentType)?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}
