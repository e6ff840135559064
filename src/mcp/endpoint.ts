// One JSON-RPC message in, one answer out. Knows MCP and nothing of HTTP but status codes.
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

export interface McpRequest {
  /** The parsed body. Anything at all. */
  body: unknown;
  /** Mcp-Session-Id and MCP-Protocol-Version as received. */
  handle: string | undefined;
  protocolVersion: string | undefined;
  scope: Omit<RequestScope, 'handle'>;
  /** Receives progress notifications before the answer. */
  notify: (message: JSONRPCMessage) => void;
}

export interface McpAnswer {
  status: number;
  /** Absent for an accepted notification and for a cancelled request. */
  message?: JSONRPCMessage;
  /** A handle that was just minted. */
  handle?: string;
  requiredScopes?: readonly string[];
}

export interface McpEndpoint {
  answer(request: McpRequest): Promise<McpAnswer>;
}

export interface EndpointOptions {
  handles: Handles;
  createServer: ServerFactory;
  /** Told of a handle that was not accepted. True: there were too many, and the answer is 429. */
  onUnknownHandle: (scope: Omit<RequestScope, 'handle'>) => boolean;
}

/** MCP's own code for a session that is not (or no longer) there. */
const SESSION_NOT_FOUND = -32001;

const FIXED: Record<number, string> = {
  [ErrorCode.InvalidRequest]: 'Invalid request',
  [ErrorCode.MethodNotFound]: 'Method not found',
  [ErrorCode.InvalidParams]: 'Invalid params',
};

export function createEndpoint({ handles, createServer, onUnknownHandle }: EndpointOptions): McpEndpoint {
  const inFlight = createInFlight();

  return {
    async answer({ body, handle, protocolVersion, scope, notify }) {
      // a batch would need a decision for each of its messages and one status for all.
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

      const verdict: ServerReport = { requiredScopes: [], error: undefined, reached: false };
      const exchange = new OneShotTransport(notify);
      const server = createServer({ ...scope, handle: handleId }, verdict, exchange.signal);
      server.onerror = () => exchange.abandon();
      await server.connect(exchange);
      const forget = handleId === null ? () => {} : inFlight.add(scope.client.ref, handleId, id, exchange);
      try {
        exchange.deliver(message);
        const answer = await exchange.answer;
        if (answer === undefined)
          return verdict.reached ? { status: 202 } : failure(400, ErrorCode.InvalidRequest, 'Invalid request', id);
        if (verdict.requiredScopes.length > 0)
          return { status: 403, message: answer, requiredScopes: verdict.requiredScopes };
        if ('error' in answer) return { status: 200, message: fixedError(answer.error.code, id, verdict) };
        if (method === 'initialize') return { status: 200, message: answer, handle: await handles.mint(scope.client) };
        return { status: 200, message: answer };
      } finally {
        // The server is dropped, not closed: closing builds two errors and aborts what has already ended.
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

/** Enough to route a message; the SDK checks it in full. `id` is null for notifications and responses. */
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

/** Error texts of the SDK quote what they were given and what threw: only ours leave. */
function fixedError(code: number, id: RpcId, verdict: ServerReport): JSONRPCMessage {
  const known = !verdict.reached && code === ErrorCode.InternalError ? ErrorCode.InvalidParams : code;
  return { jsonrpc: '2.0', id, error: { code: known, message: verdict.error ?? FIXED[known] ?? 'Internal error' } };
}
