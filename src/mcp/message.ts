// What JSON-RPC and MCP say of the form of a message, as far as the endpoint reads it itself.
import { ErrorCode, type JSONRPCMessage, RELATED_TASK_META_KEY } from '@modelcontextprotocol/sdk/types.js';
import type { RpcId } from '../facts/port.ts';
import { isObject, type JsonObject } from '../formats/json.ts';

export type { JSONRPCMessage };

/** A message as far as it must be read to find out who answers it. `id` is null for notifications and responses. */
export interface Envelope {
  message: JSONRPCMessage;
  method: string | undefined;
  id: RpcId | null;
}

/** Undefined for what is no message; the rest of its form is checked by whoever answers it. */
export function readEnvelope(body: unknown): Envelope | undefined {
  if (!isObject(body) || body.jsonrpc !== '2.0') return undefined;
  const message = body as unknown as JSONRPCMessage;
  if (body.method === undefined)
    return 'result' in body || 'error' in body ? { message, method: undefined, id: null } : undefined;
  if (typeof body.method !== 'string') return undefined;
  if (!('id' in body)) return { message, method: body.method, id: null };
  return isRpcId(body.id) ? { message, method: body.method, id: body.id } : undefined;
}

export const isRpcId = (id: unknown): id is RpcId =>
  (typeof id === 'string' && id.length <= 1024) || Number.isSafeInteger(id);

/** What a tools/call request asks for, or the JSON-RPC error that it gets. */
export type ToolCallParams =
  | { ok: true; name: string; arguments: JsonObject; progressToken: RpcId | undefined }
  | { ok: false; code: typeof ErrorCode.InvalidRequest | typeof ErrorCode.InvalidParams };

const MEMBERS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params']);
const NO_REQUEST = { ok: false, code: ErrorCode.InvalidRequest } as const;
const NO_PARAMS = { ok: false, code: ErrorCode.InvalidParams } as const;

/**
 * Reads a tools/call request as the schemas of the SDK do (JSONRPCRequestSchema and CallToolRequestSchema), which would
 * take a hundred times as long. Two things are otherwise: null for the arguments counts as none, as some clients write it
 * for a tool without any, and a task is refused, because the connector offers none.
 */
export function readToolCall(message: JSONRPCMessage): ToolCallParams {
  for (const member in message) if (!MEMBERS.has(member)) return NO_REQUEST;
  const { params } = message as { params?: unknown };
  if (params === undefined) return NO_PARAMS;
  if (!isObject(params)) return NO_REQUEST;
  const { name, arguments: given = null, task, _meta: meta } = params;
  if (meta !== undefined && !isMeta(meta)) return NO_REQUEST;
  if (typeof name !== 'string' || task !== undefined || (given !== null && !isTable(given))) return NO_PARAMS;
  const progressToken = meta?.progressToken as RpcId | undefined;
  return { ok: true, name, arguments: given ?? {}, progressToken };
}

function isMeta(meta: unknown): meta is Record<string, unknown> {
  if (!isObject(meta)) return false;
  const { progressToken: token, [RELATED_TASK_META_KEY]: task } = meta;
  if (token !== undefined && typeof token !== 'string' && !Number.isSafeInteger(token)) return false;
  return task === undefined || (isObject(task) && typeof task.taskId === 'string');
}

/** An object of the message itself: a number that a double cannot hold is an object, too; see InexactNumber. */
const isTable = (value: unknown): value is JsonObject =>
  isObject(value) && Object.getPrototypeOf(value) === Object.prototype;
