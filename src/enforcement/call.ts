// The types that pass between MCP and the pipeline: one tool call, and the reply to it.

import type { Blob } from '../backend/port.ts';
import type { CancelSignal } from '../core/cancellation.ts';
import type { RequestOutcome } from '../decision/refusal-codes.ts';
import type { Effect, Reason } from '../decision/schema.ts';
import type { RpcId } from '../facts/port.ts';
import type { Normalised } from '../formats/arguments.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { FreezeFact } from '../freeze/freeze.ts';
import type { Client } from '../identity/client.ts';

/** Who sent a request and from where, as HTTP and identity have found out. */
export interface RequestScope {
  readonly requestId: string;
  readonly client: Client;
  readonly ip: string;
  readonly network: string;
  readonly userAgent: string;
  /**
   * Id of the handle that came with the request, already known to belong to the client; null without a handle.
   */
  readonly handle: string | null;
}

/** One tools/call request. Its arguments have not been checked yet. */
export interface ToolCall {
  readonly scope: RequestScope;
  readonly rpcId: RpcId;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly signal: CancelSignal;
  /** Reports progress to the client; does nothing unless the client asked for it. */
  readonly progress: (step: number, total: number, message: string) => void;
}

/** What the pipeline needs to know about a tool. */
export interface Tool {
  readonly name: string;
  readonly backend: string;
  readonly effect: Effect;
  /**
   * Whether the call may be repeated after a new login even if its first attempt may have had an effect: true for
   * reads and idempotent writes.
   */
  readonly repeatable: boolean;
  /** Names of the arguments that may stand in the decision log. */
  readonly audit: readonly string[];
  /** Brings the arguments into the one form that decision, record and request see, or says what is wrong. */
  readonly normalise: (given: JsonObject) => Normalised;
  /** The same for the result, against the result schema that clients are shown. Undefined when there is none. */
  readonly validateResult: ((value: unknown) => string | undefined) | undefined;
}

/**
 * The reply to one call. `reasons` are stable codes; `denied` is by the policy, `refused` is by the connector.
 */
export type Reply =
  /** `itemsCut`: items of lists that were left out because of a limit. */
  | {
      kind: 'result';
      value: Json;
      /** The value as JSON.stringify writes it, where that is at hand. */
      text?: string | undefined;
      blob?: Blob | undefined;
      decisionId: string;
      itemsCut?: number;
    }
  /** The policy denied the call. `requiredScopes`: scopes with which it might be allowed. */
  | {
      kind: 'denied';
      reasons: readonly string[];
      decisionId: string;
      requiredScopes: readonly string[];
      /** Why, where an operator has said it for the client as well. */
      frozen?: readonly FreezeFact[] | undefined;
    }
  /**
   * The connector refused the call because something failed. `status` is the HTTP status of the backend, if there
   * was one; `retryAfterSeconds` is when calling again makes sense, if known.
   */
  | {
      kind: 'refused';
      reasons: readonly string[];
      decisionId: string;
      status: number | null;
      retryAfterSeconds?: number | undefined;
      /** The backend's own reason, where it refused the call and the configuration says where that stands. */
      said?: string | undefined;
      outcome: RequestOutcome;
      /** Whether the tool changes something, so that it matters what became of the request. */
      writes?: boolean;
    }
  /** A write was done, and its answer cannot be read or must not leave. */
  | {
      kind: 'done';
      outcome: 'done_answer_unreadable' | 'done_answer_withheld';
      reasons: readonly string[];
      decisionId: string;
    }
  | { kind: 'invalid_arguments'; problem: string; decisionId: string }
  | { kind: 'unknown_tool'; decisionId: string }
  | { kind: 'cancelled'; decisionId: string; outcome: RequestOutcome; writes: boolean };

/** Number of progress steps: decided, calling the backend, answered. */
export const STEPS = 3;

/** The codes of the reasons, each once. */
export const codesOf = (reasons: readonly Reason[]): string[] => [...new Set(reasons.map((reason) => reason.code))];
