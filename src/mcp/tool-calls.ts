// Answers tools/call, which is nearly every message, past the server of the SDK: its answer is one that the endpoint has
// made itself, and its form is read by one table; see readToolCall.
import { ErrorCode, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { RequestScope } from '../enforcement/call.ts';
import type { Pipeline } from '../enforcement/pipeline.ts';
import type { RpcId } from '../facts/port.ts';
import type { Exchange } from './exchange.ts';
import { readToolCall } from './message.ts';
import { resultText } from './replies.ts';

/** The result of a tool as JSON, or the error of a call that names none. */
export type CalledTool =
  | { ok: true; result: string; requiredScopes: readonly string[] }
  | { ok: false; code: number; message?: string };

/** Carries out one tools/call request. Never rejects unless the pipeline does. */
export type ToolCalls = (
  message: JSONRPCMessage,
  id: RpcId,
  scope: RequestScope,
  exchange: Exchange,
) => Promise<CalledTool>;

export function createToolCalls(pipeline: Pipeline): ToolCalls {
  return async (message, rpcId, scope, exchange) => {
    const read = readToolCall(message);
    if (!read.ok) return read;
    const { name, arguments: args, progressToken } = read;
    const reply = await pipeline({
      scope,
      rpcId,
      name,
      arguments: args,
      signal: exchange.signal,
      progress(step, total, text) {
        if (progressToken === undefined) return;
        const params = { progressToken, progress: step, total, message: text };
        exchange.notify({ jsonrpc: '2.0', method: 'notifications/progress', params });
      },
    });
    if (reply.kind === 'unknown_tool') return { ok: false, code: ErrorCode.InvalidParams, message: 'Unknown tool' };
    const requiredScopes = reply.kind === 'denied' ? reply.requiredScopes : [];
    return { ok: true, result: resultText(reply), requiredScopes };
  };
}
