// The MCP endpoint: takes one JSON-RPC message and gives one answer. Of HTTP it knows only status codes.
import { ErrorCode } from '@modelcontextprotocol/sdk/types.js';
import type { RequestScope } from '../enforcement/call.ts';
import type { RpcId } from '../facts/port.ts';
import type { ClientRef } from '../identity/client.ts';
import { Exchange } from './exchange.ts';
import type { Handles } from './handles.ts';
import { createInFlight } from './in-flight.ts';
import { type Envelope, isRpcId, type JSONRPCMessage, readEnvelope } from './message.ts';
import { OneShotTransport } from './one-shot-transport.ts';
import { PROTOCOL_VERSIONS, type ServerFactory, type ServerReport } from './server.ts';
import type { CalledTool, ToolCalls } from './tool-calls.ts';

export type { JSONRPCMessage };

/** One message, with what HTTP and identity know about the request that carried it. */
export interface McpRequest {
  /** The parsed body. Nothing about its form has been checked. */
  body: unknown;
  /** The headers Mcp-Session-Id and MCP-Protocol-Version as received. */
  handle: string | undefined;
  protocolVersion: string | undefined;
  scope: Omit<RequestScope, 'handle'>;
  /** Called with each progress notification, before the answer. */
  notify: (message: JSONRPCMessage) => void;
}

/** The answer to one message, with its HTTP status. */
export interface McpAnswer {
  status: number;
  /**
   * The JSON-RPC message as JSON. Absent for an accepted notification or response, and for a cancelled request.
   */
  message?: string;
  /** A handle that was just minted, to be sent as Mcp-Session-Id. */
  handle?: string;
  /** Scopes that the client lacks; set with status 403 (RFC 6750 §3.1). */
  requiredScopes?: readonly string[];
}

/** Answers MCP messages of authenticated clients. */
export interface McpEndpoint {
  /** Resolves for every body, whatever its form. Rejects when the store does not answer about a handle. */
  answer(request: McpRequest): Promise<McpAnswer>;
  /** Ends the calls under way, because the process ends. Each is answered that it was cut short. Answers how many. */
  cutShort(): number;
}

/** What the endpoint is made of. */
export interface EndpointOptions {
  handles: Handles;
  callTool: ToolCalls;
  createServer: ServerFactory;
  /**
   * Called for a handle that is not accepted. Answers true when there were too many; the status is then 429, else
   * 404.
   */
  onUnknownHandle: (scope: Omit<RequestScope, 'handle'>, cause: 'unknown' | 'foreign' | 'revoked') => boolean;
}

/** The error code that MCP clients expect for a session that does not exist (any more). */
const SESSION_NOT_FOUND = -32001;

/** Our own text for each error code of JSON-RPC. */
const FIXED: Record<number, string> = {
  [ErrorCode.InvalidRequest]: 'Invalid request',
  [ErrorCode.MethodNotFound]: 'Method not found',
  [ErrorCode.InvalidParams]: 'Invalid params',
};

/** Creates the endpoint. Each message is served by itself: nothing is shared between two of them. */
export function createEndpoint({ handles, callTool, createServer, onUnknownHandle }: EndpointOptions): McpEndpoint {
  const inFlight = createInFlight();
  let stopping = false;

  return {
    async answer({ body, handle, protocolVersion, scope, notify }) {
      // batches are not accepted, because each message would need its own decision while there is only one
      // HTTP status for all.
      if (Array.isArray(body)) return failure(400, ErrorCode.InvalidRequest, 'Batches are not supported', null);
      const envelope = readEnvelope(body);
      if (!envelope) return failure(400, ErrorCode.InvalidRequest, 'Invalid request', null);
      const { message, method, id } = envelope;
      if (protocolVersion !== undefined && !PROTOCOL_VERSIONS.includes(protocolVersion)) {
        return failure(
          400,
          ErrorCode.InvalidRequest,
          `Unsupported protocol version; supported: ${PROTOCOL_VERSIONS.join(', ')}`,
          id,
        );
      }

      let handleId: string | null = null;
      if (handle !== undefined && method !== 'initialize') {
        const opened = await handles.open(handle, scope.client);
        if (opened.id === undefined) {
          const limited = onUnknownHandle(scope, opened.cause);
          return failure(limited ? 429 : 404, SESSION_NOT_FOUND, limited ? 'Too many' : 'Session not found', id);
        }
        handleId = opened.id;
      }
      if (id === null) {
        if (method === 'notifications/cancelled') cancel(message, scope.client.ref, handleId);
        return { status: 202 };
      }

      const exchange = new Exchange(notify);
      if (stopping) exchange.cutShort();
      const forget = inFlight.add(scope.client.ref, handleId, id, exchange);
      try {
        const of = { ...scope, handle: handleId };
        return await (method === 'tools/call' ? called : served)({ message, method, id }, of, exchange);
      } finally {
        forget();
      }
    },

    cutShort() {
      // What comes later, on a connection that is still open, is cut short as well.
      stopping = true;
      const all = inFlight.all();
      for (const exchange of all) exchange.cutShort();
      return all.length;
    },
  };

  type Asked = Envelope & { id: RpcId };

  async function called({ message, id }: Asked, scope: RequestScope, exchange: Exchange): Promise<McpAnswer> {
    const answer = await exchange.answered(
      callTool(message, id, scope, exchange).catch((): CalledTool => ({ ok: false, code: ErrorCode.InternalError })),
    );
    if (!answer) return { status: 202 };
    if (!answer.ok)
      return answer.code === ErrorCode.InvalidRequest
        ? failure(400, answer.code, 'Invalid request', id)
        : failure(200, answer.code, answer.message ?? FIXED[answer.code] ?? 'Internal error', id);
    const { result, requiredScopes } = answer;
    const whole = success(id, result);
    return requiredScopes.length > 0
      ? { status: 403, message: whole, requiredScopes }
      : { status: 200, message: whole };
  }

  /** Has a fresh server of the SDK answer the message. */
  async function served({ message, method, id }: Asked, scope: RequestScope, exchange: Exchange): Promise<McpAnswer> {
    const report: ServerReport = { result: undefined, error: undefined, reached: false };
    const transport = new OneShotTransport(exchange);
    const server = createServer(scope, report);
    server.onerror = () => exchange.abandon();
    await server.connect(transport);
    const answering = exchange.answered(transport.answer);
    transport.deliver(message);
    // The server is only dropped. Closing it would build two errors and abort what has already ended.
    const answer = await answering;
    if (answer === undefined)
      return report.reached ? { status: 202 } : failure(400, ErrorCode.InvalidRequest, 'Invalid request', id);
    if ('error' in answer) return fixedError(answer.error.code, id, report);
    const text = report.result ? success(id, report.result.text) : JSON.stringify(answer);
    return method === 'initialize'
      ? { status: 200, message: text, handle: await handles.mint(scope.client) }
      : { status: 200, message: text };
  }

  function cancel(message: JSONRPCMessage, owner: ClientRef, handle: string | null): void {
    const target = (message as { params?: { requestId?: unknown } }).params?.requestId;
    if (handle === null || !isRpcId(target)) return;
    inFlight.find(owner, handle, target)?.abandon();
  }
}

/** The answer with a result that is JSON already. */
const success = (id: RpcId, result: string): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`;

function failure(status: number, code: number, message: string, id: RpcId | null): McpAnswer {
  return { status, message: JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }) };
}

/**
 * Replaces the error text: texts of the SDK quote the request and whatever was thrown, so only our own may leave.
 */
function fixedError(code: number, id: RpcId, report: ServerReport): McpAnswer {
  const known = !report.reached && code === ErrorCode.InternalError ? ErrorCode.InvalidParams : code;
  return failure(200, known, report.error ?? FIXED[known] ?? 'Internal error', id);
}
