// What a webhook and a command get: the payload of Standard Webhooks (type, timestamp, data). docs/alert.schema.json is
// generated from the schema here.
import { z } from 'zod';
import { SEVERITIES } from '../../decision/alerts/codes.ts';
import type { Message } from '../alert.ts';

const client = z.strictObject({ id: z.string(), subject: z.string(), issuer: z.string() });

export const payloadSchema = z.strictObject({
  type: z.enum(['alert.triggered', 'alert.repeated', 'alert.acknowledged', 'alert.resolved', 'alert.test']),
  timestamp: z.string().describe('When this became known; RFC 3339, UTC'),
  data: z.strictObject({
    version: z.literal(1),
    id: z.string().describe('The same with every attempt; the header webhook-id has it, too'),
    incident: z.string().describe('The same for all alerts of this kind about the same client, session and thing'),
    occurrence: z.string().describe('The same for all that is told of an incident from its beginning to its end'),
    code: z.string().describe('What it is about; docs/alerts.md and the METADATA of the policy explain it'),
    severity: z.enum(SEVERITIES),
    title: z.string(),
    mend: z.string().nullable().describe('What to do about it'),
    count: z.int().describe('How many alerts this stands for; of "alert.resolved", all of the incident'),
    since: z.string().describe('When the incident began'),
    at: z.string().describe('When its first alert was raised'),
    params: z.record(z.string(), z.unknown()),
    tool: z.string().nullable(),
    backend: z.string().nullable(),
    session: z.string().nullable().describe('Keyed fingerprint, as the decision log has it'),
    client: client.nullable(),
    address: z.string().nullable(),
    decision_id: z.string().nullable(),
    req_id: z.string().nullable(),
    policy: z.string().nullable().describe('Revision of the policy'),
    by: z.strictObject({ operator: z.string(), reason: z.string() }).nullable(),
    replica: z.string().describe('The machine that tells'),
  }),
});
export type Payload = z.infer<typeof payloadSchema>;

export function payloadOf(message: Message, replica: string): Payload {
  const { id, occurrence, event, at, alert, count, since, by } = message;
  const { incident, code, severity, title, params, session, client, address, decision_id, req_id } = alert;
  return {
    type: `alert.${event}`,
    timestamp: at,
    data: {
      version: 1,
      ...{ id, incident, occurrence, code, severity, title, mend: alert.mend, count, since, at: alert.at, params },
      ...{ tool: alert.tool, backend: alert.backend, session, client, address, decision_id, req_id },
      ...{ policy: alert.policy, by, replica },
    },
  };
}

/** What has become of it, in a few words. */
export function headline({ event, alert, count, by }: Message): string {
  switch (event) {
    case 'triggered':
      return alert.title;
    case 'repeated':
      return `${count} more: ${alert.title}`;
    case 'acknowledged':
      return `${by?.operator ?? 'Somebody'} has it: ${alert.title}`;
    case 'resolved':
      return `Over: ${alert.title}`;
    case 'test':
      return `A test, and no alert${by ? `, by ${by.operator}` : ''}`;
  }
}

/** The beginning of a text; no character is cut in two. */
export const cut = (text: string, most: number): string => [...text.slice(0, 2 * most)].slice(0, most).join('');

/** What a person needs to find it again, in the order in which it helps. */
export function details({ alert, since, by }: Message): [name: string, value: string][] {
  const { client, params } = alert;
  const who = client && (client.subject === client.id ? client.id : `${client.id} for ${client.subject}`);
  const rows: [string, string | null | undefined][] = [
    ['code', alert.code],
    ['client', who],
    ['tool', alert.tool],
    ['backend', alert.backend],
    ['session', alert.session],
    ['address', alert.address],
    ...Object.entries(params).map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
    ['since', since],
    ['decision', alert.decision_id],
    ['reason', by?.reason],
    ['incident', alert.incident],
  ];
  return rows.flatMap(([name, value]): [string, string][] => (value ? [[name, cut(value, 300)]] : []));
}
