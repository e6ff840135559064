// Receivers that are told by a POST: webhooks, chats and pagers. They differ in what they are told.
import { createHmac } from 'node:crypto';
import { Agent as PlainAgent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { printable } from '../../core/printable.ts';
import type { Secret } from '../../core/secret.ts';
import type { Message } from '../alert.ts';
import { cut, details, headline, payloadOf } from './payload.ts';
import { post } from './post.ts';
import type { Receiver } from './receiver.ts';

/** What is sent for a message; `now` in milliseconds since 1970. */
export type Template = (message: Message, now: number) => { headers: Record<string, string>; body: string };

export interface WebOptions {
  /** May change while it runs, as secrets may. */
  url: () => Secret;
  ca: string | undefined;
  timeoutMs: number;
  template: Template;
}

const CONCURRENCY = 8;

export function createWebReceiver({ url, ca, timeoutMs, template }: WebOptions): Receiver {
  const keep = { keepAlive: true, maxSockets: CONCURRENCY };
  const secure = new SecureAgent({ ...keep, rejectUnauthorized: true, ...(ca !== undefined && { ca }) });
  const plain = new PlainAgent(keep);
  return {
    concurrency: CONCURRENCY,
    send(message, signal) {
      const target = new URL(url().reveal());
      const agent = target.protocol === 'https:' ? secure : plain;
      return post({ url: target, agent, timeoutMs, signal, ...template(message, Date.now()) });
    },
    async close() {
      secure.destroy();
      plain.destroy();
    },
  };
}

/**
 * Standard Webhooks 1.0: the signature covers id, time and body, once with each secret, so that the receiver may know either
 * while one is replaced. The time is that of the attempt.
 */
export const standardWebhook =
  (secrets: () => readonly Secret<Buffer>[], replica: string): Template =>
  (message, now) => {
    const body = JSON.stringify(payloadOf(message, replica));
    const seconds = String(Math.floor(now / 1000));
    const signed = secrets().map(
      (secret) =>
        `v1,${createHmac('sha256', secret.reveal()).update(`${message.id}.${seconds}.${body}`).digest('base64')}`,
    );
    return {
      headers: { 'webhook-id': message.id, 'webhook-timestamp': seconds, 'webhook-signature': signed.join(' ') },
      body,
    };
  };

const COLOURS = { low: '#6b7280', medium: '#d97706', high: '#dc2626' } as const;

/**
 * A message of a chat. What stands in it may come from whoever is being reported, so nothing in it is markup and nothing
 * calls everybody into the room.
 */
export const slackMessage =
  (replica: string): Template =>
  (message) => {
    const { event, alert } = message;
    const rows = details(message).map(([name, value]) => `\`${inChat(name)}\`  \`${inChat(value)}\``);
    const text = `${event === 'triggered' ? `[${alert.severity}] ` : ''}${inChat(headline(message))}`;
    const mend = alert.mend === null || event === 'resolved' ? [] : [`_${inChat(alert.mend)}_`];
    const color = event === 'resolved' ? '#16a34a' : COLOURS[alert.severity];
    const attachment = { color, fallback: text, text: [...rows, ...mend].join('\n'), mrkdwn_in: ['text'] };
    return {
      headers: {},
      body: JSON.stringify({
        text,
        attachments: [{ ...attachment, footer: `sallyport ${inChat(replica)}, ${message.id}` }],
      }),
    };
  };

/** "@" and "<!" call people, "`" ends a code span, and a line break begins a new line of markup. */
const inChat = (text: string): string =>
  printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('`', "'")
    .replaceAll('@', '@\u200b');

const PAGER_SEVERITIES = { low: 'info', medium: 'warning', high: 'critical' } as const;
const PAGER_ACTIONS = {
  ...{ triggered: 'trigger', repeated: 'trigger', test: 'trigger' },
  ...{ acknowledged: 'acknowledge', resolved: 'resolve' },
} as const;
/** PagerDuty takes no longer ones. */
const LONGEST_SUMMARY = 1024;

/** Events API v2. All that is told of one incident has one `dedup_key`, so that the pager rings once and is told that it is over. */
export const pagerEvent =
  (routingKey: () => Secret, replica: string): Template =>
  (message) => {
    const { event, alert } = message;
    const body = {
      routing_key: routingKey().reveal(),
      event_action: PAGER_ACTIONS[event],
      dedup_key: event === 'test' ? message.id : message.occurrence,
      payload: {
        summary: cut(headline(message), LONGEST_SUMMARY),
        source: replica,
        severity: PAGER_SEVERITIES[alert.severity],
        timestamp: message.at,
        component: alert.backend ?? 'sallyport',
        group: alert.code.split('.')[0],
        class: alert.code,
        custom_details: {
          ...Object.fromEntries(details(message)),
          ...(alert.mend && { mend: alert.mend }),
          id: message.id,
        },
      },
      client: 'sallyport',
    };
    return { headers: {}, body: JSON.stringify(body) };
  };
