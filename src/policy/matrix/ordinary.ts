// The ordinary call: in a session that has been used for a while, from the network it was opened from, at a moderate rate, with an
// id that is new. What the policy says to it is who may call what, and no accident of the moment.
import { createZoneClock, WEEKDAYS } from '../../core/zones.ts';
import type { DecisionInput } from '../../decision/schema.ts';
import type { LoadedSettings } from '../../decision/settings.ts';

/** A tool as a policy sees it. */
export interface MatrixTool {
  name: string;
  backend: string;
  effect: DecisionInput['tool']['effect'];
}

/** What is particular about a call. */
export interface Particular {
  role: string | undefined;
  tool: MatrixTool;
  scopes?: readonly string[];
  /** How the client proves possession of a key; undefined: it does not. */
  proof?: 'dpop' | 'mtls' | undefined;
  /** In milliseconds since 1970. */
  at?: number;
}

/** Monday, 2 June 2025, 10:00 UTC: a working hour in most of the places that a policy is written for. */
export const WORKING_HOUR = Date.UTC(2025, 5, 2, 10);
const KEY = 'matrix-key-thumbprint';
const SOMEWHERE = '10.1.2.0/24';

/** Makes the inputs for one policy: where its settings keep a role to networks, the call comes from the first of them. */
export function ordinaryCalls({ access, zones = [] }: LoadedSettings): (particular: Particular) => DecisionInput {
  const localAt = createZoneClock(zones);
  return ({ role, tool, scopes = [], proof, at = WORKING_HOUR }) => {
    const kept = role === undefined ? undefined : access.networks?.[role]?.[0];
    const network = kept ?? SOMEWHERE;
    const ip = addressIn(network);
    const date = new Date(at);
    const key = proof ? KEY : null;
    const place = { ip, network };
    const isV6 = network.includes(':');
    return {
      version: 1,
      time: {
        ...{
          rfc3339: date.toISOString(),
          unix_ms: at,
          weekday: WEEKDAYS[date.getUTCDay()] ?? 'monday',
          hour: date.getUTCHours(),
        },
        ...(zones.length > 0 && { zones: { ...localAt(at) } }),
      },
      client: {
        ...{ id: 'a-client', subject: 'a-client', issuer: 'urn:sallyport:matrix' },
        ...{ roles: role === undefined ? [] : [role], scopes: [...scopes], ...place, user_agent: 'matrix' },
        auth: { method: proof ?? 'jwt', age_seconds: 60, expires_in_seconds: 600, key },
      },
      tool: { ...tool, arguments: {} },
      session: {
        ...{ id: 'a-session', generation: 1, token_age_seconds: 5, age_seconds: 5, idle_seconds: 1, token_uses: 2 },
        bound: {
          ...{ client_id: 'a-client', subject: 'a-client', key },
          ...{ ipv4: isV6 ? null : place, ipv6: isV6 ? place : null },
        },
      },
      usage: {
        ...{ calls_1m: 2, calls_1h: 10, denials_1h: 0, in_flight: 1, seconds_since_last_call: 1 },
        networks: [{ network, calls: 10, last_seen_seconds: 1 }],
        ...{ tool: { calls_90d: 100, last_seconds: 60 }, forgotten: false },
      },
      replay: {
        ...{
          source: proof === 'dpop' ? 'dpop_jti' : 'rpc_id',
          seen: false,
          first_seen_seconds: null,
          same_network: null,
        },
        ...(proof !== 'dpop' && { history: 'complete' as const, handle: 'a-handle', rpc_id: 7 }),
      },
    };
  };
}

/** The network itself is as good an address as any in it. */
const addressIn = (network: string): string => network.split('/')[0] ?? network;
