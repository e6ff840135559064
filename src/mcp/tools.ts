// Turns the tools of the configuration into what clients see and what the pipeline enforces.
import type { Tool as ListedTool } from '@modelcontextprotocol/sdk/types.js';
import type { ToolConfig } from '../config/schema/tool.ts';
import { BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import { buildListing } from '../decision/input.ts';
import type { Tool as EnforcedTool, RequestScope } from '../enforcement/call.ts';
import type { Frozen } from '../enforcement/observe.ts';
import { createNormaliser } from '../formats/arguments.ts';
import type { JsonObject } from '../formats/json.ts';
import { closedSchema, compileSchema, withInt64Text } from '../formats/json-schema.ts';
import { JsonText } from '../formats/json-text.ts';

/**
 * The tools as tools/list shows them, sorted by name, so that the list is the same at every replica and after
 * every restart.
 */
export function listedTools(tools: Record<string, ToolConfig>): ListedTool[] {
  return Object.entries(tools)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, tool]) => ({
      name,
      ...(tool.title !== undefined && { title: tool.title }),
      description: tool.description,
      inputSchema: withInt64Text(closedSchema(tool.arguments as JsonObject), 'list') as ListedTool['inputSchema'],
      ...(tool.result.schema && { outputSchema: tool.result.schema as NonNullable<ListedTool['outputSchema']> }),
      annotations: {
        readOnlyHint: tool.effect === 'read',
        destructiveHint: tool.effect === 'destructive',
        idempotentHint: tool.effect === 'read' || tool.idempotent === true,
        openWorldHint: tool.open_world,
      },
    }));
}

/** What tools/list is answered from. */
export interface ListingOptions {
  tools: Record<string, ToolConfig>;
  evaluator: Pick<Evaluator, 'visible'>;
  clock: Clock;
  /** What is frozen for the client, or for some tool. Rejects when it cannot be known. */
  frozen: Frozen;
  /** Called when the policy could not be asked which tools a client may see. */
  onRefused: (scope: RequestScope, code: string, detail: string) => void;
}

/** Most lists whose text is kept: there are as many as combinations of what the policy shows. */
const LISTS = 100;

/**
 * Makes the function that lists the tools for a client: those the policy names, or undefined when the policy gives no
 * usable answer. The policy is asked each time, because what it shows may change; only the text of a list is kept.
 */
export function createListing({ tools, evaluator, clock, frozen, onRefused }: ListingOptions) {
  const all = listedTools(tools).map((tool) => ({ name: tool.name, text: JSON.stringify(tool) }));
  const named = all.map(({ name }) => ({ name, ...(tools[name] as Pick<ToolConfig, 'backend' | 'effect'>) }));
  const lists = new BoundedCache<string, JsonText>(LISTS);
  return async (scope: RequestScope): Promise<JsonText | undefined> => {
    let freeze: Awaited<ReturnType<Frozen>>;
    try {
      freeze = await frozen(scope.client);
    } catch {
      onRefused(scope, 'facts.unavailable', 'the store did not answer');
      return undefined;
    }
    const visible = evaluator.visible(buildListing(clock.now(), scope, named, freeze));
    if (visible.ok) {
      const shown = all.filter(({ name }) => visible.names.has(name));
      const key = shown.map(({ name }) => name).join();
      const known = lists.get(key) ?? new JsonText(`{"tools":[${shown.map(({ text }) => text).join()}]}`);
      lists.set(key, known);
      return known;
    }
    onRefused(scope, visible.code, visible.detail);
    return undefined;
  };
}

/** The tools as the pipeline needs them, with compiled schemas, by name. */
export function enforcedTools(tools: Record<string, ToolConfig>): Map<string, EnforcedTool> {
  return new Map(
    Object.entries(tools).map(
      ([name, { backend, effect, idempotent, audit, result, arguments: schema, fill_defaults }]) => [
        name,
        {
          name,
          backend,
          effect,
          repeatable: effect === 'read' || idempotent === true,
          audit,
          // A default could overwrite a field of the record, so that a write fills none in unless it is told to.
          normalise: createNormaliser(schema as JsonObject, { fillDefaults: fill_defaults ?? effect === 'read' }),
          validateResult: result.schema && compileSchema(result.schema as JsonObject),
        },
      ],
    ),
  );
}
