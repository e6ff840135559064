// Builds the decision input. The functions are pure: the same call, facts and time give the same document, byte
// for byte, so an auditor can replay a recorded decision.
import { wholeSeconds } from '../core/clock.ts';
import { type LocalTime, WEEKDAYS } from '../core/zones.ts';
import type { JsonObject } from '../formats/json.ts';
import type { Client } from '../identity/client.ts';
import type { DecisionInput, Effect, ListingInput, ReplayFacts, SessionFacts, UsageFacts } from './schema.ts';

/** The client that asks, and where it asks from. */
export interface RequestContext {
  client: Client;
  ip: string;
  network: string;
  userAgent: string;
}

interface NamedTool {
  name: string;
  backend: string;
  effect: Effect;
}

/** What a decision input is built from. `now` is in milliseconds since 1970. */
export interface InputParts extends RequestContext {
  now: number;
  /** Local time in the zones of the settings. */
  zones?: Readonly<Record<string, LocalTime>> | undefined;
  tool: NamedTool;
  arguments: JsonObject;
  session: SessionFacts | null;
  usage: UsageFacts;
  replay: ReplayFacts;
  /** What is frozen and means this call. */
  freeze?: DecisionInput['freeze'];
}

/** The client as policies see it. Instants become ages, so that policies need no clock. */
function clientOf(now: number, { client, ip, network, userAgent }: RequestContext): DecisionInput['client'] {
  const { auth } = client;
  return {
    id: client.id,
    subject: client.subject,
    issuer: client.issuer,
    roles: client.roles,
    scopes: client.scopes,
    ip,
    network,
    user_agent: userAgent,
    ...(client.policyClaims && { claims: client.policyClaims }),
    auth: {
      method: auth.method,
      age_seconds: auth.issuedAt === null ? null : wholeSeconds(now - auth.issuedAt),
      expires_in_seconds: auth.expiresAt === null ? null : Math.floor((auth.expiresAt - now) / 1000),
      key: auth.key,
    },
  };
}

/** Builds the input for tools/list. `now` is in milliseconds since 1970. */
export function buildListing(
  now: number,
  context: RequestContext,
  tools: readonly NamedTool[],
  freeze?: ListingInput['freeze'],
): ListingInput {
  return {
    version: 1,
    client: clientOf(now, context),
    tools: tools.map(({ name, backend, effect }) => ({ name, backend, effect })),
    ...(freeze && { freeze }),
  };
}

/** Builds the input for one tool call. Weekday and hour are UTC. */
export function buildInput(parts: InputParts): DecisionInput {
  const { now, tool, zones } = parts;
  const date = new Date(now);
  return {
    version: 1,
    time: {
      rfc3339: date.toISOString(),
      unix_ms: now,
      weekday: WEEKDAYS[date.getUTCDay()] as (typeof WEEKDAYS)[number],
      hour: date.getUTCHours(),
      ...(zones && { zones }),
    },
    client: clientOf(now, parts),
    tool: { name: tool.name, backend: tool.backend, effect: tool.effect, arguments: parts.arguments },
    session: parts.session && sessionOf(parts.session),
    usage: usageOf(parts.usage),
    replay: replayOf(parts.replay),
    ...(parts.freeze && { freeze: parts.freeze }),
  };
}

// Each field is named, so that whatever else a store may hold reaches neither policy nor log.

function sessionOf(session: SessionFacts): SessionFacts {
  const { client_id, subject, key, ipv4, ipv6, networks } = session.bound;
  return {
    id: session.id,
    generation: session.generation,
    token_age_seconds: session.token_age_seconds,
    age_seconds: session.age_seconds,
    idle_seconds: session.idle_seconds,
    token_uses: session.token_uses,
    bound: { client_id, subject, key, ipv4: placeOf(ipv4), ipv6: placeOf(ipv6), ...(networks && { networks }) },
  };
}

const placeOf = (place: SessionFacts['bound']['ipv4']): SessionFacts['bound']['ipv4'] =>
  place && { ip: place.ip, network: place.network };

function usageOf(usage: UsageFacts): UsageFacts {
  const { networks_dropped_seconds: dropped, tool } = usage;
  return {
    calls_1m: usage.calls_1m,
    calls_1h: usage.calls_1h,
    denials_1h: usage.denials_1h,
    in_flight: usage.in_flight,
    seconds_since_last_call: usage.seconds_since_last_call,
    networks: usage.networks,
    ...(dropped !== undefined && { networks_dropped_seconds: dropped }),
    ...(tool && { tool: { calls_90d: tool.calls_90d, last_seconds: tool.last_seconds } }),
    forgotten: usage.forgotten,
  };
}

const replayOf = ({
  source,
  seen,
  first_seen_seconds,
  same_network,
  history,
  handle,
  rpc_id,
}: ReplayFacts): ReplayFacts => ({
  source,
  seen,
  first_seen_seconds,
  same_network,
  history,
  ...(handle !== undefined && { handle }),
  ...(rpc_id !== undefined && { rpc_id }),
});
