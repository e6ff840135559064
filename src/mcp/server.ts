// Makes a fresh MCP server for each message but tools/call, whose form the SDK reads and answers. This is cheap because
// the JSON Schema validator is shared, and safe because nothing else is.
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  ErrorCode,
  InitializeRequestSchema,
  LATEST_PROTOCOL_VERSION,
  ListToolsRequestSchema,
  McpError,
} from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { RequestScope } from '../enforcement/call.ts';
import type { JsonText } from '../formats/json-text.ts';

/** The supported revisions of the MCP protocol, newest first. */
export const PROTOCOL_VERSIONS: readonly string[] = [LATEST_PROTOCOL_VERSION, '2025-06-18', '2025-03-26', '2024-11-05'];

/** What the server reports to the endpoint besides the JSON-RPC answer. */
export interface ServerReport {
  /** The result, where its text is at hand: it stands in the place of that of the SDK. */
  result: JsonText | undefined;
  /** An error text that may reach the client. The text of any other error is replaced. */
  error: string | undefined;
  /** Whether one of our handlers was reached. An error before that means malformed parameters. */
  reached: boolean;
}

/** What every server is made of. */
export interface ServerOptions {
  version: string;
  /**
   * The result of tools/list: the tools that the client may see. Undefined when the policy could not be asked; the client
   * then gets an error.
   */
  list: (scope: RequestScope) => Promise<JsonText | undefined>;
}

/** Makes the server for one message. It writes to the report while it answers. */
export type ServerFactory = (scope: RequestScope, report: ServerReport) => Server;

/** Creates the factory. */
export function createServerFactory({ version, list }: ServerOptions): ServerFactory {
  const jsonSchemaValidator = new AjvJsonSchemaValidator();
  const serverInfo = { name: 'sallyport', title: 'Sallyport', version };
  const capabilities = { tools: {} };

  return (scope, report) => {
    const server = new Server(serverInfo, { capabilities, jsonSchemaValidator });

    server.setRequestHandler(InitializeRequestSchema, ({ params }) => {
      report.reached = true;
      const known = PROTOCOL_VERSIONS.includes(params.protocolVersion);
      return { protocolVersion: known ? params.protocolVersion : LATEST_PROTOCOL_VERSION, capabilities, serverInfo };
    });

    server.setRequestHandler(ListToolsRequestSchema, async () => {
      report.reached = true;
      report.result = await list(scope);
      if (report.result) return { tools: [] };
      report.error = 'The tools cannot be listed';
      throw new McpError(ErrorCode.InternalError, report.error);
    });
    return server;
  };
}
