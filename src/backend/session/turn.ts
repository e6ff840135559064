// The state of one call on its way through a backend.
import type { Spelling } from '../answer/scrub.ts';
import type { Jar } from '../http/jar.ts';
import type { BackendResponse } from '../http/response.ts';
import type { CallResult } from '../port.ts';
import type { OpenSession } from './open-session.ts';

/** A good answer, or how the call ended without one. */
export type Answer =
  | { ok: true; response: BackendResponse }
  /** `unsent`: there was no CSRF token for the request, so it was never sent. */
  | { ok: false; ended: Exclude<CallResult, { kind: 'ok' }>; unsent?: true };

/** The state of one call. `jar` is that of the session until an answer changes a cookie, and a copy from then on. */
export interface Turn {
  session: OpenSession;
  jar: Jar;
  /** Secrets that appeared during this call, such as a new cookie or a CSRF token, in every spelling. */
  secrets: Spelling[];
  signal?: AbortSignal | undefined;
}

/** The state of a call that begins. */
export const turnOf = (session: OpenSession, signal?: AbortSignal): Turn => ({
  session,
  jar: session.jar,
  secrets: [],
  signal,
});
