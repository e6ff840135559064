// HTTP to one backend, and the only home of undici. One pool reaches one origin and follows no redirect
// every exchange has a deadline and a size limit, and passes a queue and a circuit breaker.

import {
  BrokenCircuitError,
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  wrap,
} from 'cockatiel';
import { Pool } from 'undici';
import type { BackendConfig } from '../../config/schema/backend.ts';
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Clock } from '../../core/clock.ts';
import type { RefusalCode } from '../../decision/refusal-codes.ts';
import { createConnect, wasKeptAlive } from './connection/connect.ts';
import type { ForwardProxy } from './connection/proxy.ts';
import { type BackendTls, readBackendTls } from './connection/tls.ts';
import { decoded } from './decoding.ts';
import { type Dispatched, dispatch, type Received } from './dispatch.ts';
import { CancelledError, classify, DeadlineError, StoppingError, saysNothing, UnsentError } from './failures.ts';
import type { BuiltRequest } from './request.ts';
import { type BackendResponse, responseOf, retryAfter } from './response.ts';

/**
 * How an exchange ended. `detail` contains only fixed words and error codes of the libraries, never their messages:
 * some HTTP errors quote the header they cannot send, and with it the backend token.
 */
export type Exchange =
  | { ok: true; response: BackendResponse }
  | {
      ok: false;
      code: RefusalCode;
      detail: string;
      retryAfterSeconds?: number;
      /** False only when it is certain that the backend has not seen the request. */
      sent: boolean;
      /** What an answer that could not be used had set. It may be a live session, so it is not dropped. */
      setCookies: readonly string[];
    };

/** The present state of the connection to a backend, for metrics. */
export interface BackendHealth {
  circuit: 'closed' | 'half_open' | 'open';
  inFlight: number;
  queued: number;
  /** Seconds until requests are sent again, as the backend asked with Retry-After; 0 when it did not. */
  pausedSeconds: number;
}

/**
 * Called after every exchange with a status class such as "2xx" or a refusal code, and its duration with the wait
 * in the queue. Requests that were never sent, because of a full queue or an open circuit, are reported as well.
 */
export type OnExchange = (outcome: string, seconds: number) => void;

/** Sends requests to one backend. `send` reports failures as refusal codes. `close` breaks off open exchanges. */
export interface BackendHttp {
  readonly url: URL;
  /**
   * The origin that cookies see. Behind a proxy that speaks TLS to everybody else, a backend sets cookies for https, and with
   * `session.cookies_over_http` they go back to it as if this were https.
   */
  readonly cookieOrigin: string;
  health(): BackendHealth;
  /** `repeatable`: the request changes nothing, so that it may be sent twice. */
  send(
    request: BuiltRequest,
    headers: Record<string, string>,
    repeatable: boolean,
    signal?: CancelSignal,
  ): Promise<Exchange>;
  close(): Promise<void>;
}

/** Statuses of a backend that is down, sent by a proxy or while it shuts down. The circuit breaker counts them. */
const DOWN = [502, 503, 504];

export interface BackendHttpOptions {
  /** Name of the backend, for messages about its configuration. */
  name: string;
  config: BackendConfig;
  clock: Clock;
  proxy?: ForwardProxy | undefined;
  onExchange?: OnExchange | undefined;
}

/** Throws an OperatorError when a file with a certificate or a key cannot be used. */
export function createBackendHttp({
  name,
  config,
  clock,
  proxy,
  onExchange = () => {},
}: BackendHttpOptions): BackendHttp {
  const url = new URL(config.url);
  const to = wayTo(url, proxy);
  const pool = new Pool(to.origin, {
    connections: config.max_concurrent,
    pipelining: 1,
    keepAliveTimeout: 10_000,
    maxResponseSize: config.max_response_bytes,
    maxHeaderSize: config.max_header_bytes,
    // Every request has a deadline of its own, below, so that those of undici would only cost.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createConnect(to.tls ? readBackendTls(config, `backends.${name}`) : NO_TLS, config.timeout_ms, to.tunnel),
  });
  const breaker = createBreaker(config);
  const gate = bulkhead(config.max_concurrent, config.max_queued);
  const guard = wrap(gate, breaker);
  let pausedUntil = 0;
  let openedAt = 0;
  breaker.onBreak(() => {
    openedAt = clock.now();
  });

  /** Whole seconds from now to `until` (milliseconds since 1970), rounded up; 0 when it has passed. */
  const waitSeconds = (until: number): number => Math.max(0, Math.ceil((until - clock.now()) / 1000));

  /**
   * RFC 9110 §10.2.3: with 429 or 503 the backend may say when to come back, and until then nothing is sent to it.
   * `retry_after_seconds` is the limit, so that one odd answer cannot shut the backend off for days.
   */
  function heed(response: BackendResponse): void {
    if (response.status !== 429 && response.status !== 503) return;
    const seconds = retryAfter(response.header('retry-after'), clock.now());
    pausedUntil = clock.now() + Math.min(seconds, config.retry_after_seconds) * 1000;
  }

  async function guarded(request: BuiltRequest, headers: Record<string, string>, way: Way): Promise<Exchange> {
    const paused = waitSeconds(pausedUntil);
    if (paused > 0) {
      const wait = { detail: 'asked to wait', retryAfterSeconds: paused };
      return { ok: false, code: 'backend.unavailable', ...wait, sent: false, setCookies: [] };
    }
    try {
      const response = await guard.execute(() =>
        exchange(pool, to.form(request), headers, way, config.max_response_bytes),
      );
      heed(response);
      return { ok: true, response };
    } catch (thrown) {
      const failure = classify(way.ended ?? thrown);
      const wait =
        thrown instanceof BrokenCircuitError ? waitSeconds(openedAt + config.breaker.open_seconds * 1000) : 0;
      const { sent, setCookies } = way;
      return { ok: false, ...failure, ...(wait > 0 && { retryAfterSeconds: wait }), sent, setCookies };
    }
  }

  return {
    url,
    cookieOrigin: config.session.cookies_over_http ? url.origin.replace(/^http:/, 'https:') : url.origin,
    health: () => ({
      circuit: CIRCUIT[breaker.state] ?? 'closed',
      inFlight: config.max_concurrent - gate.executionSlots,
      queued: config.max_queued - gate.queueSlots,
      pausedSeconds: waitSeconds(pausedUntil),
    }),
    async send(request, headers, repeatable, signal) {
      const way: Way = { repeatable, sent: false, setCookies: [], ended: undefined, dispatched: undefined };
      const end = (reason: Error) => {
        way.ended ??= reason;
        way.dispatched?.cancel(reason);
      };
      // One deadline covers the wait in the queue, the connection and the reading of the body.
      const timer = setTimeout(() => end(new DeadlineError()), config.timeout_ms);
      const cancel = () => end(signal?.cause === 'stopping' ? new StoppingError() : new CancelledError());
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel);
      const began = performance.now();
      try {
        const result = await guarded(request, headers, way);
        const outcome = result.ok ? `${Math.floor(result.response.status / 100)}xx` : result.code;
        onExchange(outcome, (performance.now() - began) / 1000);
        return result;
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      }
    },
    close: () => pool.destroy(),
  };
}

/**
 * How requests to a backend go out: straight; through a tunnel, for TLS; or to a proxy that is asked for the whole URL
 * (RFC 9112 §3.2.2), where there is none.
 */
function wayTo(url: URL, proxy: ForwardProxy | undefined) {
  const tls = url.protocol === 'https:';
  if (!proxy || tls) return { origin: url.origin, tls: true, tunnel: proxy, form: (request: BuiltRequest) => request };
  const own = {
    host: url.host,
    ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
  };
  return {
    origin: proxy.url.origin,
    // What is said about TLS is said about the backend.
    tls: false,
    tunnel: undefined,
    form: (request: BuiltRequest): BuiltRequest => ({
      ...request,
      path: `${url.origin}${request.path}`,
      headers: { ...request.headers, ...own },
    }),
  };
}

const NO_TLS: BackendTls = { options: { rejectUnauthorized: true }, pinned: () => true };

/** One request and its answer, of at most `limit` bytes. `way` says how far it came. */
async function exchange(
  pool: Pool,
  request: BuiltRequest,
  headers: Record<string, string>,
  way: Way,
  limit: number,
): Promise<BackendResponse> {
  const ask = (): Promise<Received> => {
    // The time was over while the request waited in the queue. That says nothing about the health of the backend.
    if (way.ended) throw new UnsentError();
    way.dispatched = dispatch(
      pool,
      {
        method: request.method,
        path: request.path,
        headers: merged(OWN_HEADERS, request.headers, headers),
        body: request.body ?? null,
      },
      {
        started() {
          way.sent = true;
        },
        answered(of) {
          way.setCookies = [of['set-cookie'] ?? []].flat();
          way.repeatable = false;
        },
      },
    );
    return way.dispatched.received;
  };
  // A connection that was kept alive too long says nothing about the health of the backend either: a read is asked again.
  const received = await ask().catch((thrown: unknown) => {
    if (way.repeatable && !way.ended && wasKeptAlive(thrown)) return ask();
    throw thrown;
  });
  const encoding = received.headers['content-encoding'];
  if (encoding === undefined) return responseOf(received);
  return responseOf({ ...received, body: await decoded(received.body, String(encoding), limit) });
}

const OWN_HEADERS = { 'accept-encoding': 'identity', 'user-agent': 'sallyport' };

/** Opens after so many failures in a row, and lets one request through after a while to see. */
function createBreaker({ breaker }: BackendConfig) {
  return circuitBreaker(
    handleWhen((error) => !saysNothing(error)).orWhenResult((response) =>
      DOWN.includes((response as BackendResponse).status),
    ),
    { halfOpenAfter: breaker.open_seconds * 1000, breaker: new ConsecutiveBreaker(breaker.failures) },
  );
}

const CIRCUIT: Partial<Record<CircuitState, BackendHealth['circuit']>> = {
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
};

/** How far a request has come, so that what is not known of it is not taken for certain; and why it was ended. */
interface Way {
  /** Whether the request may be sent again: it changes nothing, and nothing of an answer has come. */
  repeatable: boolean;
  sent: boolean;
  setCookies: readonly string[];
  ended: Error | undefined;
  dispatched: Dispatched | undefined;
}

/** Of headers with the same name in any case the last one wins; undici would otherwise send both. */
function merged(...all: Record<string, string>[]): Record<string, string> {
  const one: Record<string, string> = {};
  for (const headers of all) for (const name in headers) one[name.toLowerCase()] = headers[name] as string;
  return one;
}
