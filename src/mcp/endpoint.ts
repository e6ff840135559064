// The MCP endpoint: takes one JSON-RPC message and gives one answer. Of HTTP it knows only status codes.
import { ErrorCode, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { RequestScope } from '../enforcement/call.ts';
import type { RpcId } from '../facts/port.ts';
import { isObject } from '../formats/json.ts';
import type { ClientRef } from '../identity/client.ts';
import type { Handles } from './handles.ts';
import { createInFlight } from './in-flight.ts';
import { OneShotTransport } from './one-shot-transport.ts';
import { PROTOCOL_VERSIONS, type ServerFactory, type ServerReport } from './server.ts';

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
  /** Absent for an accepted notification or response, and for a cancelled request. */
  message?: JSONRPCMessage;
  /** A handle that was just minted, to be sent as Mcp-Session-Id. */
  handle?: string;
  /** Scopes that the client lacks; set with status 403 (RFC 6750 §3.1). */
  requiredScopes?: readonly string[];
}

/** Answers MCP messages of authenticated clients. */
export interface McpEndpoint {
  /** Resolves for every body, whatever its form. Rejects when the store does not answer about a handle. */
  answer(request: McpRequest): Promise<McpAnswer>;
}

/** What the endpoint is made of. */
export interface EndpointOptions {
  handles: Handles;
  createServer: ServerFactory;
  /**
   * Called for a handle that is not accepted. Answers true when there were too many; the status is then 429, else
   * 404.
   */
  onUnknownHandle: (scope: Omit<RequestScope, 'handle'>) => boolean;
}

/** The error code that MCP clients expect for a session that does not exist (any more). */
const SESSION_NOT_FOUND = -32001;

/** Our own text for each error code of JSON-RPC. */
const FIXED: Record<number, string> = {
  [ErrorCode.InvalidRequest]: 'Invalid request',
  [ErrorCode.MethodNotFound]: 'Method not found',
  [ErrorCode.InvalidParams]: 'Invalid params',
};

/** Creates the endpoint. Each message is served by a fresh server with a transport of its own. */
export function createEndpoint({ handles, createServer, onUnknownHandle }: EndpointOptions): McpEndpoint {
  const inFlight = createInFlight();

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
        if (opened === undefined) {
          const limited = onUnknownHandle(scope);
          return failure(limited ? 429 : 404, SESSION_NOT_FOUND, limited ? 'Too many' : 'Session not found', id);
        }
        handleId = opened;
      }
      if (id === null) {
        if (method === 'notifications/cancelled') cancel(message, scope.client.ref, handleId);
        return { status: 202 };
      }

      const report: ServerReport = { requiredScopes: [], error: undefined, reached: false };
      const transport = new OneShotTransport(notify);
      const server = createServer({ ...scope, handle: handleId }, report, transport.signal);
      server.onerror = () => transport.abandon();
      await server.connect(transport);
      const forget = handleId === null ? () => {} : inFlight.add(scope.client.ref, handleId, id, transport);
      try {
        transport.deliver(message);
        const answer = await transport.answer;
        if (answer === undefined)
          return report.reached ? { status: 202 } : failure(400, ErrorCode.InvalidRequest, 'Invalid request', id);
        if (report.requiredScopes.length > 0)
          return { status: 403, message: answer, requiredScopes: report.requiredScopes };
        if ('error' in answer) return { status: 200, message: fixedError(answer.error.code, id, report) };
        if (method === 'initialize') return { status: 200, message: answer, handle: await handles.mint(scope.client) };
        return { status: 200, message: answer };
      } finally {
        // The server is only dropped. Closing it would build two errors and abort what has already ended.
        forget();
      }
    },
  };

  function cancel(message: JSONRPCMessage, owner: ClientRef, handle: string | null): void {
    const target = (message as { params?: { requestId?: unknown } }).params?.requestId;
    if (handle === null || !isRpcId(target)) return;
    inFlight.find(owner, handle, target)?.abandon();
  }
}

/**
 * Reads just enough to route a message; the SDK checks the rest. `id` is null for notifications and responses.
 */
function readEnvelope(
  body: unknown,
): { message: JSONRPCMessage; method: string | undefined; id: RpcId | null } | undefined {
  if (!isObject(body) || body.jsonrpc !== '2.0') return undefined;
  const message = body as unknown as JSONRPCMessage;
  if (body.method === undefined)
    return 'result' in body || 'error' in body ? { message, method: undefined, id: null } : undefined;
  if (typeof body.method !== 'string') return undefined;
  if (!('id' in body)) return { message, method: body.method, id: null };
  return isRpcId(body.id) ? { message, method: body.method, id: body.id } : undefined;
}

const isRpcId = (id: unknown): id is RpcId => (typeof id === 'string' && id.length <= 1024) || Number.isSafeInteger(id);

function failure(status: number, code: number, message: string, id: RpcId | null): McpAnswer {
  return { status, message: { jsonrpc: '2.0', id, error: { code, message } } as JSONRPCMessage };
}

/**
 * Replaces the error text: texts of the SDK quote the request and whatever was thrown, so only our own may leave.
 */
function fixedError(code: number, id: RpcId, report: ServerReport): JSONRPCMessage {
  const known = !report.reached && code === ErrorCode.InternalError ? ErrorCode.InvalidParams : code;
  return { jsonrpc: '2.0', id, error: { code: known, message: report.error ?? FIXED[known] ?? 'Internal error' } };
}
