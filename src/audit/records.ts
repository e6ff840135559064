// The records of the decision log. Field names are those of the decision log of OPA where it has one.
// Redaction is an allow-list: a record is built from named fields, never by removing some.
import type { RequestOutcome } from '../decision/refusal-codes.ts';
import type { PolicyDecision, Reason } from '../decision/schema.ts';
import type { JsonText } from '../formats/json-text.ts';

/** The form of these records. The first had neither this number nor a chain. */
export const FORM = 2;

interface Common {
  /** RFC 3339, UTC. */
  timestamp: string;
  decision_id: string;
  /** HTTP request id. */
  req_id: string;
}

/** The decision on a call, durable before any effect. On its line input and result come last. */
export interface DecisionRecord extends DecisionHead {
  input: JsonText | null;
  result: PolicyDecision | { outcome: 'deny'; reasons: Reason[]; obligations: [] };
}

/** What a decision record says besides the input and the decision, which are text already. */
export interface DecisionHead extends Common {
  type: 'decision';
  /** The decision of the same call that this one replaces, because the session was another one by then. */
  supersedes?: string | undefined;
  /** Entrypoint of the policy, such as "sallyport/decision". */
  path: string;
  /** Who decided: the policy, or the connector when the policy gave no usable decision. */
  decided_by: 'policy' | 'connector';
  bundles: { sallyport: { revision: string } };
  wasm_sha256: string;
  /** IP address of the client. */
  requested_by: string;
  client: ClientFields;
  tool: { name: string; backend: string | null };
  /** JSON-RPC id of the call, and keyed fingerprint of its handle: a copy has the same two. */
  rpc_id: string | number;
  handle: string | null;
  /** How the client proved who it is, and which key or credential that was, where it has a name. */
  credential: { method: string; key_id: string | null };
  /** JSON pointers (RFC 6901), as OPA has them, to what was left out: `/input/tool/arguments/…`, or `/input` as a whole. */
  erased: string[];
  /** JSON pointers to what pseudonyms stand for. */
  masked?: string[] | undefined;
  /** Whether `input` is all that the policy was given, so that it can be decided again. */
  replayable: boolean;
  metrics: { timer_rego_query_eval_ns: number };
  /** Why the connector refused the call, for the auditor only. */
  detail?: string | undefined;
}

/**
 * How a call ended, which is not the outcome of its decision: `denied` by the policy, `refused` by the connector
 * because something on the way failed, `cancelled` by the client, or `success`. The others: a write was done, and its
 * answer is not given, because it could not be read, or because what it holds must not leave.
 */
export type CallEnd =
  | 'success'
  | 'denied'
  | 'refused'
  | 'cancelled'
  | 'done_answer_unreadable'
  | 'done_answer_withheld';

/** Written when the call has ended, whatever its end. The log calls it an `outcome` record. */
export interface CallEndRecord extends Common {
  type: 'outcome';
  bundles: { sallyport: { revision: string } };
  wasm_sha256: string;
  outcome: CallEnd;
  reasons: string[];
  duration_ms: number;
  /** `opened`: the decision had seen no such login; the event of that session names the decision that logged in. */
  session: { id: string; generation: number; token: string; opened: boolean } | null;
  /** What the client got: its size, the items of its lists (null without one), and the pointers that masks have blanked. */
  given?: { bytes: number; items: number | null; masked: string[] } | undefined;
  backend: { name: string; status: number | null; attempts: number } | null;
  /** What became of the request to the backend, in a call without a result. */
  request?: RequestOutcome | undefined;
  /** Pointers of masks that met nothing in the result: perhaps a misspelt one, which hides nothing. */
  masks_absent?: string[] | undefined;
  /** How many items of lists were left out because of a limit. */
  items_cut?: number | undefined;
  /** Pointers of limits at which there was no list. */
  limits_absent?: string[] | undefined;
  /** The backend's own reason for its refusal, as far as it may be on record. */
  said?: string | undefined;
  detail?: string | undefined;
}

/**
 * Something that a person should look at. `decision_id` is null when it did not happen in a call that was being
 * decided.
 */
export interface AlertRecord {
  type: 'alert';
  timestamp: string;
  decision_id: string | null;
  req_id: string | null;
  requested_by: string | null;
  severity: 'low' | 'medium' | 'high';
  /** The codes of what raised it: one, except for alerts of a policy from before an alert named its finding. */
  reasons: string[];
  /** The parameters of the finding that raised it, less what may not be on record. */
  params?: Reason['params'];
  /** The tool, its backend and the session (keyed fingerprint) of the call, where the alert is about a call. */
  tool?: string;
  backend?: string;
  session?: string | null;
  client: ClientFields | null;
  /** The policy that decided the call; that in force where it is about none. */
  bundles?: { sallyport: { revision: string } };
  wasm_sha256?: string;
}

/** Anything else that an auditor wants to see: rejected credentials and handles, sessions, start and stop. */
export interface EventRecord {
  type: 'event';
  event: string;
  timestamp: string;
  [field: string]: string | number | boolean | null | undefined | readonly string[] | ClientFields;
}

/** Signs the chain up to its own place. Written without a call. */
export interface CheckpointRecord {
  type: 'checkpoint';
  timestamp: string;
  log: 'decisions' | 'events';
  cause: string;
  /** The id of the key that signs. */
  key: string;
}

/** Any record of the decision log; `type` tells which. */
export type AuditRecord = DecisionHead | CallEndRecord | AlertRecord | EventRecord | CheckpointRecord;

/** The client, as records name it. */
export interface ClientFields {
  id: string;
  subject: string;
  issuer: string;
}
