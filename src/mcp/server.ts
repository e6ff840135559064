// Makes a fresh MCP server for each message. This is cheap because the JSON Schema validator is shared, and safe
// because nothing else is.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  ErrorCode,
  InitializeRequestSchema,
  LATEST_PROTOCOL_VERSION,
  ListToolsRequestSchema,
  McpError,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { RequestScope } from '../enforcement/call.ts';
import type { Pipeline } from '../enforcement/pipeline.ts';
import { isObject, type JsonObject } from '../formats/json.ts';
import { toolResult } from './replies.ts';

/** The supported revisions of the MCP protocol, newest first. */
export const PROTOCOL_VERSIONS: readonly string[] = [LATEST_PROTOCOL_VERSION, '2025-06-18', '2025-03-26', '2024-11-05'];

/** What the server reports to the endpoint besides the JSON-RPC answer. */
export interface ServerReport {
  /**
   * Scopes that the client lacks. When there are any, the HTTP answer is 403 insufficient_scope (RFC 6750 §3.1).
   */
  requiredScopes: readonly string[];
  /** An error text that may reach the client. The text of any other error is replaced. */
  error: string | undefined;
  /** Whether one of our handlers was reached. An error before that means malformed parameters. */
  reached: boolean;
}

/** What every server is made of. */
export interface ServerOptions {
  version: string;
  /**
   * The tools that the client may see. Undefined when the policy could not be asked; the client then gets an
   * error.
   */
  list: (scope: RequestScope) => readonly Tool[] | undefined;
  pipeline: Pipeline;
}

/**
 * Makes the server for one message. It writes to the report while it answers; `signal` is aborted when the client
 * cancels.
 */
export type ServerFactory = (scope: RequestScope, report: ServerReport, signal: AbortSignal) => Server;

/** Creates the factory. */
export function createServerFactory({ version, list, pipeline }: ServerOptions): ServerFactory {
  const jsonSchemaValidator = new AjvJsonSchemaValidator();
  const serverInfo = { name: 'sallyport', title: 'Sallyport', version };
  const capabilities = { tools: {} };

  return (scope, report, signal) => {
    const server = new Server(serverInfo, { capabilities, jsonSchemaValidator });

    server.setRequestHandler(InitializeRequestSchema, ({ params }) => {
      report.reached = true;
      const known = PROTOCOL_VERSIONS.includes(params.protocolVersion);
      return { protocolVersion: known ? params.protocolVersion : LATEST_PROTOCOL_VERSION, capabilities, serverInfo };
    });

    server.setRequestHandler(ListToolsRequestSchema, () => {
      report.reached = true;
      const tools = list(scope);
      if (!tools) {
        report.error = 'The tools cannot be listed';
        throw new McpError(ErrorCode.InternalError, report.error);
      }
      return { tools: [...tools] };
    });

    // Uses the fallback handler, because setRequestHandler checks a tools/call three times: its request twice,
    // and the result, which we have built ourselves, once.
    server.fallbackRequestHandler = async (request, extra) => {
      if (request.method !== 'tools/call') throw new McpError(ErrorCode.MethodNotFound, 'Method not found');
      const parsed = CallToolRequestSchema.safeParse(withoutNull(request));
      if (!parsed.success) throw new McpError(ErrorCode.InvalidParams, 'Invalid params');
      const { params } = parsed.data;
      report.reached = true;
      const token = params._meta?.progressToken;
      const reply = await pipeline({
        scope,
        rpcId: extra.requestId,
        name: params.name,
        // As they came: the parsed copy has lost a member called "__proto__", and with it the reason to refuse it.
        arguments: argumentsOf(request),
        signal,
        progress(step, total, message) {
          if (token === undefined) return;
          const progress = { progressToken: token, progress: step, total, message };
          void extra.sendNotification({ method: 'notifications/progress', params: progress });
        },
      });
      if (reply.kind === 'unknown_tool') {
        report.error = 'Unknown tool';
        throw new McpError(ErrorCode.InvalidParams, report.error);
      }
      if (reply.kind === 'denied') report.requiredScopes = reply.requiredScopes;
      return toolResult(reply);
    };
    return server;
  };
}

/** Some clients write null for the arguments of a tool that has none. */
function withoutNull(request: object): object {
  const { params } = request as { params?: unknown };
  return isObject(params) && params.arguments === null ? { ...request, params: { ...params, arguments: {} } } : request;
}

function argumentsOf({ params }: { params?: unknown }): JsonObject {
  const given = isObject(params) ? params.arguments : undefined;
  return isObject(given) ? (given as JsonObject) : {};
}
