// The port behind which a legacy application server lies: all that the rest of the connector knows of one.

import type { CancelSignal } from '../core/cancellation.ts';
import type { Secret } from '../core/secret.ts';
import type { RefusalCode, RequestOutcome } from '../decision/refusal-codes.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { Account, ClientIdentity } from './accounts.ts';
import type { BackendHealth } from './http/http.ts';

/** What the backend gave us at login: the asset A01. In memory it is inside a Secret, in the store it is sealed. */
export interface BackendToken {
  /** The session's cookies, each in the form in which tough-cookie serialises it. */
  cookies: object[];
  /** Other values that the login steps extracted and the session keeps (`session.values`), such as a CSRF token. */
  values: Record<string, string>;
}

/** A backend token that no log, error or JSON text can show by accident; `reveal()` gives its content. */
export type BackendTokenSecret = Secret<BackendToken>;

/**
 * How a login ended. `detail` names the step and never contains a value. `partial` is what the backend had given
 * before the login failed: it may already be a live session, so it must be logged out like any other.
 */
export type LoginResult =
  | { ok: true; backendToken: BackendTokenSecret }
  | {
      ok: false;
      code: RefusalCode;
      detail: string;
      retryAfterSeconds?: number | undefined;
      partial?: BackendTokenSecret | undefined;
      /** A step was sent and not answered: the backend may have opened a session whose token nobody has. */
      unanswered?: boolean | undefined;
    };

/**
 * Called during a login whenever a step has given or changed something that may already be a live session, with
 * everything known so far. The session manager records it, so that a crash leaves a session that can be logged out.
 * When the promise rejects, the login stops: no session may be opened that nobody has on record.
 */
export type Checkpoint = (backendToken: BackendTokenSecret) => Promise<void>;

/**
 * What is known of a backend session after its logout. `dead`: a probe that has been seen to pass on a
 * live session has shown that it no longer works. `residual`: the probe still passes. `unproven`: there is no probe,
 * it has never been seen to pass, or its answer was not recognised. `unreachable`: the logout could not be sent, or
 * the backend did not answer or is down, so the logout must be tried again later.
 */
export type LogoutResult = 'dead' | 'residual' | 'unproven' | 'unreachable';

/** A result that is not text, such as a PDF document or a picture. */
export interface Blob {
  mediaType: string;
  base64: string;
}

/** What the answers of one call have changed in the backend session. */
export interface Changes {
  /** The backend token to use from now on. */
  renewed?: BackendTokenSecret | undefined;
  /**
   * Backend tokens that answers have brought which were no good. They do not replace the session's, but each may be a
   * live session of the same login.
   */
  strays?: readonly BackendTokenSecret[] | undefined;
  /** An answer that may have renewed the session never came, at a backend that has been seen to renew. */
  unanswered?: boolean | undefined;
}

/** How a tool call at the backend ended. `status` is the HTTP status, or null when there was no answer. */
export type CallResult = Changes & CallEnd;

type CallEnd =
  /** `text`: the value as JSON.stringify writes it, where that is at hand. */
  | { kind: 'ok'; status: number; value: Json; text?: string | undefined; blob?: Blob | undefined }
  /**
   * The backend has ended the session. Its answer is not data and is dropped. `rejected`: the configuration vouches
   * that the request had no effect. A write may be sent again then, or when its request was not sent.
   */
  | { kind: 'expired'; status: number | null; outcome: 'not_sent' | 'rejected' | 'sent_unknown' }
  | {
      kind: 'failed';
      code: RefusalCode;
      detail: string;
      status: number | null;
      /** What became of the request, so that nobody who repeats it does it twice. */
      outcome: RequestOutcome;
      retryAfterSeconds?: number | undefined;
      /** The backend's own reason for a refusal, where the configuration says where it stands (`say`). */
      said?: string | undefined;
    };

/** How much a backend takes. Times in milliseconds. */
export interface BackendQuota {
  /** Calls at a time, and how long one waits for its turn; undefined: any number. */
  calls: number | undefined;
  waitMs: number;
  /** Logins a minute; undefined: any number. */
  perMinute: number | undefined;
  /** After so many failed logins of one account within that time there is no other, lest the system locks it. */
  failures: { most: number; withinMs: number };
}

/** One tool call on one backend session. `signal` cancels it, as when the client has closed its connection. */
export interface CallRequest {
  tool: string;
  arguments: JsonObject;
  backendToken: BackendTokenSecret;
  account: Account;
  signal: CancelSignal;
}

/**
 * One backend. `login` and `call` report every failure as a result. `logout` and the keep-alive request may also
 * reject, for example on a page that nests too deeply; then nothing is known of the session.
 */
export interface BackendPort {
  readonly name: string;
  /** How long calls in flight may finish on the old session before a rotation logs it out. */
  readonly drainMs: number;
  /** Longest time the requests of a login can take together; the login lock's lease is derived from it. */
  readonly loginLimitMs: number;
  /** What the backend is spared, over all replicas. */
  readonly quota: BackendQuota;
  /** True when calls of one session must run one after the other, because every answer replaces the cookie. */
  readonly oneAtATime: boolean;
  /** How often an idle session needs a keep-alive request, and how long after its last call it still gets them. */
  readonly keepAliveTimes: { everyMs: number; forMs: number } | undefined;
  /** The account that calls of this client use. Undefined when the client has none; the call is then refused. */
  account(client: ClientIdentity): Account | undefined;
  /** Opens a new backend session. It never reuses one, and shares no cookie with another login. */
  login(account: Account, checkpoint: Checkpoint): Promise<LoginResult>;
  /**
   * Ends a backend session and probes whether it still works. `left` is called, and awaited, with each value
   * that answers have brought meanwhile and that was not ended, because the backend did not answer any more.
   */
  logout(backendToken: BackendTokenSecret, left?: Checkpoint): Promise<LogoutResult>;
  /** Runs one tool. */
  call(request: CallRequest): Promise<CallResult>;
  /** Sends the keep-alive request. A result of kind `expired` means that the session had already ended. */
  keepAlive(backendToken: BackendTokenSecret): Promise<Changes & Pick<CallResult, 'kind'>>;
  /**
   * The backend token of a session in which one answer has made `mine` of `base`, while another answer has stored
   * `present`: the newest value of each cookie and value.
   */
  merge(base: BackendTokenSecret, mine: BackendTokenSecret, present: BackendTokenSecret): BackendTokenSecret;
  health(): BackendHealth;
  close(): Promise<void>;
}
