// The part of connector.yaml about alerts: who can be told, and how. Whom to wake for what is policy data (`settings.alerts`).
import { z } from 'zod';
import { secretRefSchema } from './backend.ts';

const webUrl = z
  .url({ protocol: /^https?$/ })
  // It is shown by "config show" and stands in what is published.
  .refine((text) => !URL.canParse(text) || (new URL(text).username === '' && new URL(text).password === ''), {
    message: 'a user name or a password does not belong into a URL',
  });

/** An address at which somebody waits, or a reference to it: of a chat, whoever knows the address may write there. */
const target = z.union([webUrl, secretRefSchema]);

const common = {
  events: z
    .array(z.enum(['triggered', 'repeated', 'acknowledged', 'resolved']))
    .min(1)
    .default(['triggered', 'repeated', 'acknowledged', 'resolved'])
    .describe('What is sent: the first of its kind, how many followed, that somebody has it, that it is over'),
  timeout_seconds: z.number().min(0.1).max(60).default(10).describe('A receiver that takes longer has failed'),
  retry: z
    .strictObject({
      first_seconds: z.number().min(0.05).max(3600).default(1),
      longest_seconds: z.number().min(0.05).max(86_400).default(300),
    })
    .prefault({})
    .describe('Pauses after failures: the first, doubled with each further one up to the longest'),
};
const web = {
  ...common,
  plaintext: z.boolean().optional().describe('http:// beyond this machine is meant; the start record names it'),
  ca_file: z.string().optional().describe('PEM file of a private CA; default: the public ones'),
};

const webhook = z.strictObject({
  type: z.literal('webhook').describe('JSON, signed as Standard Webhooks 1.0 wants it'),
  url: target,
  secrets: z
    .array(secretRefSchema)
    .min(1)
    .describe('Signing secrets ("whsec_" and 24 to 64 bytes in base64); while one is replaced, both are used'),
  ...web,
});
const slack = z.strictObject({
  type: z.literal('slack').describe('An incoming webhook of Slack, Mattermost, Rocket.Chat or another compatible chat'),
  url: target,
  ...web,
});
const pagerduty = z.strictObject({
  type: z.literal('pagerduty').describe('Events API v2 of PagerDuty, or a compatible pager'),
  url: target.default('https://events.pagerduty.com/v2/enqueue'),
  routing_key: secretRefSchema,
  ...web,
});
const syslog = z.strictObject({
  type: z.literal('syslog').describe('RFC 5424 over TCP (octet counting), or over TLS'),
  host: z.string().min(1),
  port: z.int().min(1).max(65535).optional().describe('Default: 6514 with TLS, else 601'),
  tls: z.boolean().default(true),
  ca_file: z.string().optional().describe('PEM file of a private CA; default: the public ones'),
  cert_file: z.string().optional().describe('Certificate that this connector shows'),
  key_file: z.string().optional().describe('Its key; only its owner may be able to read it'),
  plaintext: z.boolean().optional().describe('tls: false beyond this machine is meant; the start record names it'),
  facility: z
    .enum([
      'auth',
      'authpriv',
      'daemon',
      'local0',
      'local1',
      'local2',
      'local3',
      'local4',
      'local5',
      'local6',
      'local7',
    ])
    .default('authpriv'),
  ...common,
});
const command = z.strictObject({
  type: z.literal('command').describe('A program on this machine, which gets the alert as JSON on standard input'),
  command: z.array(z.string().min(1)).min(1).describe('Program and arguments, always the same; no shell is between'),
  ...common,
});

export const receiverSchema = z.discriminatedUnion('type', [webhook, slack, pagerduty, syslog, command]);
/** Somebody who can be told of alerts. */
export type ReceiverConfig = z.infer<typeof receiverSchema>;

export const alertsSchema = z.strictObject({
  receivers: z
    .record(z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/, 'lower case letters, digits, "_" and "-"'), receiverSchema)
    .default({}),
  spool_mb: z
    .number()
    .min(0.01)
    .max(1024)
    .default(64)
    .describe('Alerts that wait for their receivers, on disk, at most; beyond it the most frequent kind is dropped'),
});
export type AlertsConfig = z.infer<typeof alertsSchema>;
