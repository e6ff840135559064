// An alert as it is delivered. It is built from its record and from nothing else, so whatever may not be on record stands in
// no alert either.
import { createHash } from 'node:crypto';
import type { AlertRecord } from '../audit/records.ts';
import { ALERTS, isAlertCode, type Severity } from '../decision/alerts/codes.ts';
import { type AlertSettings, closest } from '../decision/alerts/settings.ts';
import { canonicalJson } from '../formats/json.ts';

/** What one alert says. Times are RFC 3339, UTC. */
export interface Alert {
  /** Names the incident: alerts of one code about the same client, session and thing. 32 hexadecimal digits. */
  incident: string;
  code: string;
  severity: Severity;
  /** What has happened, and what to do about it. */
  title: string;
  mend: string | null;
  /** When it happened. */
  at: string;
  params: NonNullable<AlertRecord['params']>;
  tool: string | null;
  backend: string | null;
  /** Keyed fingerprint, as the decision log has it. */
  session: string | null;
  client: AlertRecord['client'];
  /** From where the request came. */
  address: string | null;
  decision_id: string | null;
  req_id: string | null;
  /** Revision of the policy that decided, or was in force. */
  policy: string | null;
  /** The incident goes on until the connector says that it is over. `by_use`: only use shows that. */
  lasts: boolean;
  by_use: boolean;
}

/** What becomes known of an incident. */
export type AlertEvent = 'triggered' | 'repeated' | 'acknowledged' | 'resolved' | 'test';

/** What a receiver is told. `id` is the same with every attempt, and on every replica: receivers drop copies by it. */
export interface Message {
  id: string;
  /** Names the incident from its beginning to its end; the next one of the same name has another. */
  occurrence: string;
  /** When it began, or in which window; see Incident. */
  mark: string;
  event: AlertEvent;
  /** When this became known; RFC 3339, UTC. */
  at: string;
  alert: Alert;
  /** How many alerts this stands for: 1 for the first, and for "repeated" those since the message before. */
  count: number;
  /** When the incident began. */
  since: string;
  /** Who has it, or wanted a test, and why. */
  by: { operator: string; reason: string } | null;
}

/** What is known besides the record. */
export interface AlertContext {
  /** Names this replica, over restarts. */
  replica: string;
  settings: AlertSettings;
  /** Title of a reason of the policy. */
  titleOf: (code: string) => string | undefined;
  /** Revision of the policy in force. */
  policy: string;
}

export function alertOf(record: AlertRecord, { settings, titleOf, policy, replica }: AlertContext): Alert {
  const [code = ''] = record.reasons;
  const kind = isAlertCode(code) ? ALERTS[code] : undefined;
  const { params = {}, client, session = null, backend } = record;
  return {
    incident: incidentOf(record, replica),
    code,
    severity: closest(settings.severity, code) ?? record.severity,
    title: kind?.title ?? titleOf(code) ?? 'The policy raised an alert',
    mend: kind?.mend ?? null,
    at: record.timestamp,
    ...{ params, tool: record.tool ?? null, backend: backend ?? null, session, client, address: record.requested_by },
    ...{ decision_id: record.decision_id, req_id: record.req_id },
    policy: record.bundles?.sallyport.revision ?? policy,
    lasts: kind?.lasts !== undefined,
    by_use: kind?.lasts === 'by_use',
  };
}

/** The codes, the client and the session; of what the connector raises about no call, the thing that it is about as well. */
export function incidentOf(
  { reasons, client = null, session = null, params = {} }: IncidentParts,
  replica: string,
): string {
  const [code = ''] = reasons;
  const kind = isAlertCode(code) ? ALERTS[code] : undefined;
  const about = [...(kind?.about ?? []).map((name) => params[name] ?? null), ...(kind?.local ? [replica] : [])];
  const who = client && [client.id, client.subject, client.issuer];
  return hash([[...reasons].sort(), who, session, about]).slice(0, 32);
}

type IncidentParts = Pick<AlertRecord, 'reasons' | 'params'> & Partial<Pick<AlertRecord, 'client' | 'session'>>;

/** What an incident is from its beginning to its end. `mark`: when it began, or in which window. */
export const occurrenceOf = (incident: string, mark: string): string => hash([incident, mark]).slice(0, 32);

/**
 * The id of what is told about an incident. Replicas that cannot ask each other make the same one of the same event in the
 * same window. `which`: what tells it from others of the kind.
 */
export const messageId = (event: AlertEvent, occurrence: string, which: number | null = null): string =>
  `alert_${hash([event, occurrence, which]).slice(0, 32)}`;

const hash = (parts: readonly unknown[]): string => createHash('sha256').update(canonicalJson(parts)).digest('hex');
