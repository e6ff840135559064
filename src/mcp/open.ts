// The MCP endpoint of the connector, from its configuration.
import type { AuditEvents } from '../audit/events/events.ts';
import type { Config } from '../config/load.ts';
import type { Clock } from '../core/clock.ts';
import { VERSION } from '../core/paths.ts';
import type { Evaluator } from '../decision/evaluator.ts';
import type { Frozen } from '../enforcement/observe.ts';
import type { Pipeline } from '../enforcement/pipeline.ts';
import type { FactsPort } from '../facts/port.ts';
import { clientFields } from '../identity/client.ts';
import type { Guessing } from '../identity/guessing.ts';
import type { Sealer } from '../keyring/sealing.ts';
import type { ControlPort } from '../session/control.ts';
import { createEndpoint, type McpEndpoint } from './endpoint.ts';
import { createHandles } from './handles.ts';
import { createServerFactory } from './server.ts';
import { createToolCalls } from './tool-calls.ts';
import { createListing } from './tools.ts';

export interface McpOptions {
  config: Config;
  /** Seals handles. */
  sealer: Sealer;
  facts: FactsPort;
  control: ControlPort;
  /** What is frozen and means a client; see ListingOptions. */
  frozen: Frozen;
  evaluator: Evaluator;
  pipeline: Pipeline;
  guessing: Guessing;
  events: AuditEvents;
  clock: Clock;
}

export function openMcp(options: McpOptions): McpEndpoint {
  const { config, sealer, facts, control, evaluator, pipeline, guessing, events, frozen, clock } = options;
  return createEndpoint({
    handles: createHandles({ sealer, facts, control, clock, lifetimeMs: config.limits.handle_seconds * 1000 }),
    callTool: createToolCalls(pipeline),
    createServer: createServerFactory({
      version: VERSION,
      list: createListing({ tools: config.tools, evaluator, clock, frozen, onRefused: events.listingRefused }),
    }),
    onUnknownHandle({ client, ...scope }, cause) {
      const guess = guessing.handle(client.ref, scope.network);
      const attack = cause === 'unknown' ? undefined : cause;
      events.unknownHandle({ ...scope, client: clientFields(client) }, attack, guess.alert);
      return guess.limited;
    },
  });
}
