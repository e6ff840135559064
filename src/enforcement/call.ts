// One tool call on its way, and what comes of it. The types between MCP and the pipeline.

import type { Blob } from '../backend/port.ts';
import type { Effect, Reason } from '../decision/schema.ts';
import type { RpcId } from '../facts/port.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import type { Client } from '../identity/client.ts';

/** Who called, from where: what HTTP and identity have found out about one request. */
export interface RequestScope {
  readonly requestId: string;
  readonly client: Client;
  readonly ip: string;
  readonly network: string;
  readonly userAgent: string;
  /** Id of the handle the request came with; already known to belong to the client. */
  readonly handle: string | null;
}

export interface ToolCall {
  readonly scope: RequestScope;
  readonly rpcId: RpcId;
  readonly name: string;
  readonly arguments: JsonObject;
  readonly signal: AbortSignal;
  /** Tells the client how far its call is, when it asked to be told. */
  readonly progress: (step: number, total: number, message: string) => void;
}

/** What the pipeline needs to know of a tool. */
export interface Tool {
  readonly name: string;
  readonly backend: string;
  readonly effect: Effect;
  /** May be sent again after a new login, whatever became of the first time. */
  readonly repeatable: boolean;
  readonly audit: readonly string[];
  /** What does not match, or undefined. */
  readonly validate: (args: unknown) => string | undefined;
  /** The same for what a client is shown as the schema of the result. */
  readonly validateResult: ((value: unknown) => string | undefined) | undefined;
}

export type Reply =
  | { kind: 'result'; value: Json; blob?: Blob | undefined; decisionId: string }
  /** The policy said no. */
  | { kind: 'denied'; reasons: readonly string[]; decisionId: string; requiredScopes: readonly string[] }
  /** Something on the way failed, and the call was refused for it. */
  | {
      kind: 'refused';
      reasons: readonly string[];
      decisionId: string;
      status: number | null;
      retryAfterSeconds?: number | undefined;
    }
  | { kind: 'invalid_arguments'; problem: string; decisionId: string }
  | { kind: 'unknown_tool'; decisionId: string }
  | { kind: 'cancelled'; decisionId: string };

/** Steps a client is told of: decided, calling the backend, answered. */
export const STEPS = 3;

export const codesOf = (reasons: readonly Reason[]): string[] => [...new Set(reasons.map((reason) => reason.code))];
