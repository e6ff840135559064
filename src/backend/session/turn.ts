// The state of one call on its way through a backend.
import type { CancelSignal } from '../../core/cancellation.ts';
import type { Spelling } from '../answer/scrub.ts';
import type { Jar } from '../http/jar.ts';
import type { BackendResponse } from '../http/response.ts';
import type { BackendTokenSecret, CallResult } from '../port.ts';
import type { OpenSession } from './open-session.ts';

/** A good answer, or how the call ended without one. */
export type Answer =
  | { ok: true; response: BackendResponse }
  /**
   * `unsent`: there was no CSRF token for the request, so it was never sent. `response`: the answer that was no good, which
   * may say why.
   */
  | { ok: false; ended: Exclude<CallResult, { kind: 'ok' }>; unsent?: true; response?: BackendResponse };

/**
 * The state of one call. `session` and `jar` are those of the backend token until an answer changes a value or a
 * cookie, and copies from then on.
 */
export interface Turn {
  session: OpenSession;
  jar: Jar;
  /** What answers that were no good have brought beside the session. */
  strays: BackendTokenSecret[];
  /** Whether the request of the call itself has gone out, so that it may have been done. */
  sent: boolean;
  /** Whether a request was sent and not answered, so that a renewal may have been lost. */
  unanswered: boolean;
  /** Secrets that appeared during this call, such as a new cookie or a CSRF token, in every spelling. */
  secrets: Spelling[];
  signal?: CancelSignal | undefined;
}

/** The state of a call that begins. */
export const turnOf = (session: OpenSession, signal?: CancelSignal): Turn => ({
  session,
  jar: session.jar,
  strays: [],
  sent: false,
  unanswered: false,
  secrets: [],
  signal,
});
