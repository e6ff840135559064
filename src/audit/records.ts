// The records of the decision log. Field names are those of OPA's decision log where it has one
// . Redaction is an allow-list: a record is built from named fields, never by removing some.
import type { DecisionInput, PolicyDecision, Reason } from '../decision/schema.ts';

interface Common {
  /** RFC 3339, UTC. */
  timestamp: string;
  decision_id: string;
  /** HTTP request id. */
  req_id: string;
}

/** Written, durably, before any effect. */
export interface DecisionRecord extends Common {
  type: 'decision';
  path: string;
  /** Who decided: the policy, or the connector when there was no usable policy decision. */
  decided_by: 'policy' | 'connector';
  bundles: { sallyport: { revision: string } };
  wasm_sha256: string;
  requested_by: string;
  client: ClientFields;
  tool: { name: string; backend: string | null };
  input: object | null;
  /** JSON pointers of what was left out of `input`. */
  erased: string[];
  result: PolicyDecision | { outcome: 'deny'; reasons: Reason[]; obligations: [] };
  metrics: { timer_rego_query_eval_ns: number };
  /** Why the connector refused, in its own words. */
  detail?: string;
}

/** Written when the call has ended, whatever its end. */
export interface CallEndRecord extends Common {
  type: 'outcome';
  outcome: 'success' | 'denied' | 'refused' | 'cancelled';
  reasons: string[];
  duration_ms: number;
  session: { id: string; generation: number; token: string } | null;
  backend: { name: string; status: number | null; attempts: number } | null;
  detail?: string;
}

/** Something a person should see. Without a decision when it happened before, or apart from, a call. */
export interface AlertRecord {
  type: 'alert';
  timestamp: string;
  decision_id: string | null;
  req_id: string | null;
  requested_by: string | null;
  severity: 'low' | 'medium' | 'high';
  reasons: string[];
  client: ClientFields | null;
}

/** Anything else an auditor wants to see: refused credentials and handles, sessions, start and stop. */
export interface EventRecord {
  type: 'event';
  event: string;
  timestamp: string;
  [field: string]: string | number | boolean | null | undefined;
}

export type AuditRecord = DecisionRecord | CallEndRecord | AlertRecord | EventRecord;

export interface ClientFields {
  id: string;
  subject: string;
  issuer: string;
}

/** The input as it may stand in the log: arguments only where the tool's configuration names them. */
export function loggedInput(input: DecisionInput, arguments_: readonly string[]): { input: object; erased: string[] } {
  const { time, client, tool, session, usage, replay } = input;
  const names = Object.keys(tool.arguments);
  return {
    input: {
      version: input.version,
      time,
      client: {
        id: client.id,
        subject: client.subject,
        issuer: client.issuer,
        roles: client.roles,
        scopes: client.scopes,
        ip: client.ip,
        network: client.network,
        user_agent: client.user_agent,
        auth: client.auth,
      },
      tool: {
        name: tool.name,
        backend: tool.backend,
        effect: tool.effect,
        arguments: Object.fromEntries(
          names.filter((name) => arguments_.includes(name)).map((name) => [name, tool.arguments[name]]),
        ),
      },
      session,
      usage,
      replay,
    },
    erased: names
      .filter((name) => !arguments_.includes(name))
      .map((name) => `/tool/arguments/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  };
}
