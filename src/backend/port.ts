// What the rest of the connector knows of a legacy application server.
import type { Json, JsonObject } from '../core/json.ts';
import type { RefusalCode } from '../decision/refusal-codes.ts';
import type { TokenSecret } from '../session/record.ts';

export type LoginResult = { ok: true; token: TokenSecret } | { ok: false; code: RefusalCode; detail: string };

/** `dead`: a probe shows the session no longer works. `residual`: it may still work. */
export type LogoutResult = 'dead' | 'residual';

export type CallResult =
  | { kind: 'ok'; status: number; value: Json; renewed: TokenSecret | undefined }
  /** The backend ended the session. What it answered is not data and is not kept. */
  | { kind: 'expired'; status: number }
  | { kind: 'failed'; code: RefusalCode; detail: string; status: number | null };

export interface BackendPort {
  readonly name: string;
  readonly drainMs: number;
  login(): Promise<LoginResult>;
  logout(token: TokenSecret): Promise<LogoutResult>;
  call(tool: string, args: JsonObject, token: TokenSecret, signal: AbortSignal): Promise<CallResult>;
  close(): Promise<void>;
}
