// Builds the decision input. Pure: the same call, facts and time give the same document, byte for
// byte, which is what lets an auditor replay a recorded decision.
import { wholeSeconds } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { Client } from '../identity/client.ts';
import type { DecisionInput, Effect, ReplayFacts, SessionFacts, UsageFacts } from './schema.ts';

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

export interface InputParts {
  now: number;
  client: Client;
  ip: string;
  network: string;
  userAgent: string;
  tool: { name: string; backend: string; effect: Effect };
  arguments: JsonObject;
  session: SessionFacts | null;
  usage: UsageFacts;
  replay: ReplayFacts;
}

export function buildInput(parts: InputParts): DecisionInput {
  const { now, client, tool } = parts;
  const date = new Date(now);
  const { auth } = client;
  return {
    version: 1,
    time: {
      rfc3339: date.toISOString(),
      unix_ms: now,
      weekday: WEEKDAYS[date.getUTCDay()] as (typeof WEEKDAYS)[number],
      hour: date.getUTCHours(),
    },
    client: {
      id: client.id,
      subject: client.subject,
      issuer: client.issuer,
      roles: client.roles,
      scopes: client.scopes,
      ip: parts.ip,
      network: parts.network,
      user_agent: parts.userAgent,
      auth: {
        method: auth.method,
        age_seconds: auth.issuedAt === null ? null : wholeSeconds(now - auth.issuedAt),
        expires_in_seconds: auth.expiresAt === null ? null : Math.floor((auth.expiresAt - now) / 1000),
        key: auth.key,
      },
    },
    tool: { name: tool.name, backend: tool.backend, effect: tool.effect, arguments: parts.arguments },
    session: parts.session,
    usage: parts.usage,
    replay: parts.replay,
  };
}
