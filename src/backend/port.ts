// What the rest of the connector knows of a legacy application server.

import type { Secret } from '../core/secret.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { Account, ClientIdentity } from './accounts.ts';
import type { BackendHealth } from './http/http.ts';

/** What the backend gave us at login: the asset (A01). Only ever held in a Secret, or sealed. */
export interface BackendToken {
  /** Cookies as tough-cookie serialises them. */
  cookies: object[];
  /** Other values the login extracted and the session keeps, such as a CSRF token. */
  values: Record<string, string>;
}

export type BackendTokenSecret = Secret<BackendToken>;

/** `partial`: what the backend had given before the login failed; it may be a session all the same. */
export type LoginResult =
  | { ok: true; backendToken: BackendTokenSecret }
  | {
      ok: false;
      code: RefusalCode;
      detail: string;
      retryAfterSeconds?: number | undefined;
      partial?: BackendTokenSecret | undefined;
    };

/** Told of what a login has so far, after each step that gave a session cookie. Rejects: the login stops. */
export type Checkpoint = (backendToken: BackendTokenSecret) => Promise<void>;

/**
 * `dead`: a probe shows the session no longer works. `residual`: it may still work.
 * `unreachable`: the backend did not answer, so nothing is known; ask again later.
 */
export type LogoutResult = 'dead' | 'residual' | 'unreachable';

/** Bytes that are no text: a document, a picture. */
export interface Blob {
  mediaType: string;
  base64: string;
}

export type CallResult =
  | { kind: 'ok'; status: number; value: Json; blob?: Blob | undefined; renewed: BackendTokenSecret | undefined }
  /**
   * The backend ended the session. What it answered is not data and is not kept. `beforeEffect`:
   * the request of the tool was not sent, or the configuration vouches that it did nothing.
   */
  | { kind: 'expired'; status: number | null; beforeEffect: boolean }
  /** `renewed`: also an answer that is of no use may have changed the token. */
  | {
      kind: 'failed';
      code: RefusalCode;
      detail: string;
      status: number | null;
      retryAfterSeconds?: number | undefined;
      renewed?: BackendTokenSecret | undefined;
    };

export interface CallRequest {
  tool: string;
  arguments: JsonObject;
  backendToken: BackendTokenSecret;
  account: Account;
  signal: AbortSignal;
}

export interface BackendPort {
  readonly name: string;
  readonly drainMs: number;
  /** The longest a login can take. */
  readonly loginLimitMs: number;
  /** Calls of one session must wait for each other. */
  readonly oneAtATime: boolean;
  /** How often an idle session wants a sign of life, and for how long after its last call. */
  readonly keepAliveTimes: { everyMs: number; forMs: number } | undefined;
  /** Undefined: the caller has no account at this backend. */
  account(caller: ClientIdentity): Account | undefined;
  login(account: Account, checkpoint: Checkpoint): Promise<LoginResult>;
  logout(backendToken: BackendTokenSecret): Promise<LogoutResult>;
  call(request: CallRequest): Promise<CallResult>;
  /** The sign of life. A result of kind `expired` means that it came too late. */
  keepAlive(
    backendToken: BackendTokenSecret,
  ): Promise<Pick<CallResult, 'kind'> & { renewed?: BackendTokenSecret | undefined }>;
  health(): BackendHealth;
  close(): Promise<void>;
}
