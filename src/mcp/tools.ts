// Tools as clients see them, from the configuration.
import type { Tool as ListedTool } from '@modelcontextprotocol/sdk/types.js';
import type { ToolConfig } from '../config/tool-schema.ts';
import type { JsonObject } from '../core/json.ts';
import { closedSchema, compileSchema } from '../core/json-schema.ts';
import type { Tool as EnforcedTool } from '../enforcement/call.ts';

/** In order of name, so that the list is the same at every replica and after every restart. */
export function listedTools(tools: Record<string, ToolConfig>): ListedTool[] {
  return Object.entries(tools)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, tool]) => ({
      name,
      ...(tool.title !== undefined && { title: tool.title }),
      description: tool.description,
      inputSchema: closedSchema(tool.arguments as JsonObject) as ListedTool['inputSchema'],
      annotations: {
        readOnlyHint: tool.effect === 'read',
        destructiveHint: tool.effect === 'destructive',
        idempotentHint: tool.effect === 'read',
        openWorldHint: false,
      },
    }));
}

/** The tools as the pipeline knows them, their argument schemas compiled. */
export function enforcedTools(tools: Record<string, ToolConfig>): Map<string, EnforcedTool> {
  return new Map(
    Object.entries(tools).map(([name, { backend, effect, audit, arguments: schema }]) => [
      name,
      { name, backend, effect, audit, validate: compileSchema(closedSchema(schema as JsonObject)) },
    ]),
  );
}
